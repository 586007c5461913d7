// The reaction table: one row per Cause. Everything that decides where a request goes next after a
// failure is here; how the next place is found is in plan_pick.cpp.
#include <algorithm>

#include "routing/bad_parameter.h"
#include "routing/plan_state.h"

namespace belay::routing {
namespace {

constexpr seconds kQuotaUnstated{300};

// Only Copilot's credential is one that can be fetched anew; a static key stays refused.
bool can_refresh(const Plan& plan, const Deployment& deployment) {
    return deployment.provider == "github_copilot" &&
           std::none_of(plan.refreshed.begin(), plan.refreshed.end(),
                        [&](const auto& done) { return same_credential(*done, deployment); });
}

bool cure(Plan& plan, bool& used) {
    Cures& cures = plan.tried().cures;
    if (used || cures.count >= kMostCures) {
        return false;
    }
    used = true;
    cures.count += 1;
    return true;
}

bool refresh(Plan& plan) {
    const auto& deployment = plan.tried().deployment;
    if (!can_refresh(plan, *deployment) || plan.tried().cures.count >= kMostCures) {
        return false;
    }
    plan.refreshed.push_back(deployment);
    plan.tried().cures.count += 1;
    plan.refresh_next = true;
    return true;
}

bool reroute(Plan& plan) {
    if (!cure(plan, plan.tried().cures.host)) {
        return false;
    }
    plan.refresh_next = true;
    return true;
}

bool reconnect(Plan& plan) {
    if (!cure(plan, plan.tried().cures.connection)) {
        return false;
    }
    plan.fresh_connection_next = true;
    return true;
}

bool strip(Plan& plan, const Outcome& outcome) {
    Cures& cures = plan.tried().cures;
    const std::string& path = outcome.param;
    const bool twice =
        std::find(cures.strip.begin(), cures.strip.end(), path) != cures.strip.end() ||
        std::any_of(cures.rename.begin(), cures.rename.end(),
                    [&](const auto& pair) { return pair.first == path; });
    const bool lossy = outcome.rename_to.empty() && is_essential_member(path);
    if (path.empty() || twice || lossy || cures.count >= kMostCures ||
        cures.strip.size() + cures.rename.size() >= kMostStrips) {
        return false;
    }
    if (outcome.rename_to.empty()) {
        cures.strip.push_back(path);
    } else {
        cures.rename.emplace_back(path, outcome.rename_to);
    }
    cures.count += 1;
    return true;
}

void bury(Plan& plan, Dead::Scope scope, Cause cause) {
    Candidate& tried = plan.tried();
    tried.dead = true;
    plan.dead.push_back({scope, tried.deployment, tried.upstream_model, cause});
}

Move quota(Plan& plan, const Outcome& outcome, Mono now, Wall wall) {
    Mono::duration wait = outcome.retry_after.value_or(kQuotaUnstated);
    if (outcome.resets_at && *outcome.resets_at > wall) {
        wait = std::chrono::duration_cast<Mono::duration>(*outcome.resets_at - wall);
    }
    plan.tried().free_at = now + wait;
    bury(plan, Dead::Scope::target, outcome.cause);
    return Move::sibling;
}

Move refused_credential(Plan& plan, const Outcome& outcome) {
    // A 401 is about the credential and meets every model behind it; a 403 may be about this one.
    bury(plan, outcome.status == 403 ? Dead::Scope::target : Dead::Scope::credential,
         outcome.cause);
    return Move::sibling;
}

// "prompt token count of 130431 exceeds the limit of 128000", "208598 tokens > 200000 maximum": the
// larger number is what the prompt needs.
int64_t largest_number(std::string_view message) {
    int64_t largest = 0;
    int64_t current = 0;
    int digits = 0;
    for (const char c : message) {
        if (c >= '0' && c <= '9') {
            current = digits < 10 ? current * 10 + (c - '0') : 0;
            digits += 1;
            largest = std::max(largest, digits <= 9 ? current : 0);
        } else if (c != ',' || digits == 0) {
            current = digits = 0;
        }
    }
    return largest >= 1000 ? largest : 0;
}

Move too_long(Plan& plan, const Outcome& outcome) {
    const auto limit = plan.tried().deployment->capabilities.max_input_tokens;
    plan.context_floor = std::max(plan.context_floor, limit.value_or(0));
    const int64_t needed = largest_number(outcome.message);
    // More than a byte per token is no count of this prompt.
    if (needed <= std::max<int64_t>(plan.query.prompt_tokens_estimate * 8, 10'000'000)) {
        plan.context_needed = std::max(plan.context_needed, needed);
    }
    bury(plan, Dead::Scope::model, outcome.cause);
    plan.here().reason = Reason::context_window;
    return Move::sibling;
}

Move transient(Plan& plan, const Outcome& outcome, Mono now) {
    if (outcome.retry_after) {
        plan.tried().free_at = now + *outcome.retry_after;
    }
    return plan.probing ? Move::leave : Move::retry;
}

Move refused_content(Plan& plan, const Outcome& outcome) {
    // Copilot's cyber_policy stops harmless requests and usually lets them pass the second time.
    const bool spurious = outcome.code.rfind("cyber_policy", 0) == 0;
    if (spurious && cure(plan, plan.tried().cures.policy_retry)) {
        return Move::again;
    }
    plan.here().reason = Reason::content_policy;
    return Move::leave;
}

Move model_gone(Plan& plan, const Outcome& outcome) {
    // A stale token shows as an unknown model.
    if (refresh(plan)) {
        return Move::again;
    }
    bury(plan, Dead::Scope::target, outcome.cause);
    return Move::sibling;
}

Move spent(Plan& plan) {
    plan.tried().dead = true;
    return Move::sibling;
}

}  // namespace

bool is_quota(Cause cause) {
    return cause == Cause::quota_month || cause == Cause::quota_session ||
           cause == Cause::quota_week || cause == Cause::quota_budget;
}

bool is_limit(Cause cause) {
    return is_quota(cause) || cause == Cause::rate_limited || cause == Cause::overloaded;
}

Move react(Plan& plan, const Outcome& outcome, Mono now, Wall wall) {
    Cures& cures = plan.tried().cures;
    plan.here().reason = Reason::general;
    switch (outcome.cause) {
        case Cause::success:
            return Move::done;
        case Cause::cancelled:
            return Move::stop;
        case Cause::bad_request:
        case Cause::too_large:
            return Move::stop;
        case Cause::quota_month:
        case Cause::quota_session:
        case Cause::quota_week:
        case Cause::quota_budget:
            return quota(plan, outcome, now, wall);
        case Cause::token_expired:
            return refresh(plan) ? Move::again : refused_credential(plan, outcome);
        case Cause::auth:
            return refused_credential(plan, outcome);
        case Cause::wrong_host:
            return reroute(plan) ? Move::again : spent(plan);
        case Cause::model_unavailable:
            return model_gone(plan, outcome);
        case Cause::wrong_endpoint:
            return cure(plan, cures.endpoint) ? Move::again : spent(plan);
        case Cause::vision_header:
            return cure(plan, cures.vision) ? Move::again : spent(plan);
        case Cause::api_version:
            return cure(plan, cures.api_version) ? Move::again : spent(plan);
        case Cause::item_id_mismatch:
            return cure(plan, cures.item_ids) ? Move::again : Move::stop;
        case Cause::bad_parameter:
            return strip(plan, outcome) ? Move::again : spent(plan);
        case Cause::context_too_long:
            return too_long(plan, outcome);
        case Cause::content_refused:
            return refused_content(plan, outcome);
        case Cause::forbidden:
        case Cause::not_found:
            return spent(plan);
        case Cause::stale_connection:
            return reconnect(plan) ? Move::again : transient(plan, outcome, now);
        case Cause::rate_limited:
        case Cause::overloaded:
        case Cause::server_error:
        case Cause::malformed:
        case Cause::timeout:
        case Cause::connection:
            return transient(plan, outcome, now);
    }
    return Move::stop;
}

}  // namespace belay::routing

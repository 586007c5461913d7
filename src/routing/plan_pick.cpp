// Finds the next place: opens groups, passes over what cannot serve the request, shuffles what can.
#include <algorithm>
#include <cmath>
#include <limits>

#include "routing/plan_state.h"

namespace belay::routing {
namespace {

// bytes / 4 is off by a quarter easily; what is near the limit is left to the upstream to judge.
constexpr double kContextMargin = 1.25;

std::string key_of(const Match& match, const json::Value& overrides) {
    const bool plain = overrides.is_null() || overrides.size() == 0;
    return plain ? match.group : match.group + '\n' + json::dump(overrides);
}

bool shares_tags(const Query& query, const Deployment& deployment, bool any) {
    const auto has = [&](const std::string& tag) {
        return std::find(deployment.tags.begin(), deployment.tags.end(), tag) !=
               deployment.tags.end();
    };
    return any ? std::any_of(query.tags.begin(), query.tags.end(), has)
               : std::all_of(query.tags.begin(), query.tags.end(), has);
}

bool is_default(const Deployment& deployment) {
    return std::find(deployment.tags.begin(), deployment.tags.end(), "default") !=
           deployment.tags.end();
}

// Tagged requests: matching deployments, else those tagged "default", else untagged ones.
// Untagged requests: those tagged "default" if there are any, else all.
void filter_tags(const Plan& plan, Hop& hop) {
    const Settings& settings = plan.table->settings;
    if (!settings.enable_tag_filtering) {
        return;
    }
    const auto keep = [&](auto wanted) {
        const bool found = std::any_of(hop.candidates.begin(), hop.candidates.end(),
                                       [&](const Candidate& c) { return wanted(*c.deployment); });
        for (Candidate& c : hop.candidates) {
            if (found && !wanted(*c.deployment)) {
                c.excluded = "tags";
            }
        }
        return found;
    };
    const bool any = settings.tag_filtering_match_any;
    if (!plan.query.tags.empty() &&
        keep([&](const Deployment& d) { return shares_tags(plan.query, d, any); })) {
        return;
    }
    if (keep(is_default) || plan.query.tags.empty() ||
        keep([](const Deployment& d) { return d.tags.empty(); })) {
        return;
    }
    for (Candidate& c : hop.candidates) {
        c.excluded = "tags";
        c.wrong_tags = true;
    }
}

// Why the caller may not use it. Apart from mismatch(): most callers have no restrictions.
std::string forbidden(const Plan& plan, const Deployment& deployment,
                      std::string_view upstream_model) {
    const Restrictions* restrictions = plan.query.restrictions.get();
    if (restrictions == nullptr) {
        return {};
    }
    if (restrictions->closed_seat != nullptr && needs_account(deployment)) {
        return restrictions->closed_seat->message;
    }
    return restrictions->unfit ? restrictions->unfit(deployment, upstream_model) : std::string();
}

// Why a deployment cannot serve this request; "" = it can, or nobody knows.
std::string mismatch(const Plan& plan, int depth, const Deployment& deployment) {
    const Query& query = plan.query;
    const Capabilities& can = deployment.capabilities;
    if (query.needs_tools && can.tools == false) {
        return "no tools";
    }
    if (query.needs_vision && can.vision == false) {
        return "no vision";
    }
    // The asked model is the client's word; a fallback of another kind is nobody's.
    if (depth > 0 && query.mode != Mode::embedding && deployment.mode == Mode::embedding) {
        return "embeddings only";
    }
    return {};
}

std::string too_small(const Plan& plan, const Deployment& deployment) {
    const auto limit = deployment.capabilities.max_input_tokens;
    if (!limit || *limit <= 0) {
        return {};
    }
    const auto estimate = static_cast<double>(plan.query.prompt_tokens_estimate);
    if (estimate > static_cast<double>(*limit) * kContextMargin) {
        return "context " + std::to_string(*limit) + " < ~" +
               std::to_string(plan.query.prompt_tokens_estimate);
    }
    if (plan.context_needed > *limit) {
        return "context " + std::to_string(*limit) + " < " + std::to_string(plan.context_needed);
    }
    if (plan.context_floor >= *limit) {
        return "context " + std::to_string(*limit) + " not above " +
               std::to_string(plan.context_floor);
    }
    return {};
}

}  // namespace

// What note() has put off.
void write_first_taken(const Plan& plan) {
    if (!plan.first_taken) {
        return;
    }
    const auto [hop, candidate] = *plan.first_taken;
    plan.first_taken.reset();
    plan.considered.push_back(
        {hop->match.group, candidate->deployment->id, candidate->upstream_model, "taken"});
}

namespace {

void note(Plan& plan, const Hop& hop, Candidate& candidate, std::string verdict) {
    if (candidate.noted == verdict) {
        return;
    }
    candidate.noted = verdict;
    if (plan.considered.empty() && !plan.first_taken && verdict == "taken") {
        // The usual request takes its first candidate and is never asked why.
        plan.first_taken = {&hop, &candidate};
        return;
    }
    write_first_taken(plan);
    plan.considered.push_back(
        {hop.match.group, candidate.deployment->id, candidate.upstream_model, std::move(verdict)});
}

bool same_target(const Dead& dead, const Candidate& candidate) {
    const Deployment& a = *dead.deployment;
    const Deployment& b = *candidate.deployment;
    switch (dead.scope) {
        case Dead::Scope::model:
            return a.provider == b.provider && dead.upstream_model == candidate.upstream_model;
        case Dead::Scope::credential:
            return same_credential(a, b);
        case Dead::Scope::target:
            return same_credential(a, b) && dead.upstream_model == candidate.upstream_model;
    }
    return false;
}

const Dead* dead_as(const Plan& plan, const Candidate& candidate) {
    for (const Dead& dead : plan.dead) {
        if (same_target(dead, candidate)) {
            return &dead;
        }
    }
    return nullptr;
}

// May it be tried now? Writes the reason when it may not.
bool usable(Plan& plan, Hop& hop, Candidate& candidate, const Health& health, const Now& now) {
    if (!candidate.excluded.empty() || candidate.dead) {
        return false;
    }
    if (const Dead* dead = dead_as(plan, candidate)) {
        candidate.dead = true;
        note(plan, hop, candidate, "same target: " + std::string(cause_name(dead->cause)));
        return false;
    }
    if (std::string reason = too_small(plan, *candidate.deployment); !reason.empty()) {
        candidate.too_small = true;
        note(plan, hop, candidate, reason);
        candidate.excluded = std::move(reason);
        return false;
    }
    const auto state = health.look(*candidate.deployment, now.mono, candidate.upstream_model,
                                   seat_of(plan, *candidate.deployment));
    if (state.cooling) {
        const Wall until =
            now.wall + std::chrono::duration_cast<Wall::duration>(state.until - now.mono);
        candidate.free_at = state.until;
        note(plan, hop, candidate,
             "cooling: " + std::string(cause_name(state.cause)) + " until " + render_utc(until));
        return false;
    }
    return true;
}

// simple-shuffle: weighted by the first field that the first deployment has, else uniform.
double weight_of(const Deployment& first, const Deployment& deployment) {
    double weight = 1;
    if (first.weight) {
        weight = deployment.weight.value_or(0);
    } else if (first.rpm) {
        weight = static_cast<double>(deployment.rpm.value_or(0));
    } else if (first.tpm) {
        weight = static_cast<double>(deployment.tpm.value_or(0));
    }
    return std::isfinite(weight) ? std::max(weight, 0.0) : 0;
}

size_t shuffle(const Hop& hop, const std::vector<size_t>& from, double random) {
    const Deployment& first = *hop.candidates[from[0]].deployment;
    double sum = 0;
    for (const size_t i : from) {
        sum += weight_of(first, *hop.candidates[i].deployment);
    }
    if (sum <= 0) {
        const auto at = static_cast<size_t>(random * static_cast<double>(from.size()));
        return from[std::min(at, from.size() - 1)];
    }
    double rest = random * sum;
    size_t chosen = from[0];
    for (const size_t i : from) {
        const double weight = weight_of(first, *hop.candidates[i].deployment);
        if (weight <= 0) {
            continue;
        }
        chosen = i;
        rest -= weight;
        if (rest < 0) {
            break;
        }
    }
    return chosen;
}

// The usable candidates of the lowest tier that has any; among `any`, the least tried ones.
std::vector<size_t> best_tier(Plan& plan, const Health& health, const Now& now, Among among) {
    Hop& hop = plan.here();
    const int passed_tier = among == Among::untried_of_later_tiers
                                ? plan.tried().deployment->order
                                : std::numeric_limits<int>::min();
    std::vector<size_t> best;
    for (size_t i = 0; i < hop.candidates.size(); ++i) {
        Candidate& candidate = hop.candidates[i];
        if ((among != Among::any && candidate.attempts > 0) ||
            (among == Among::untried_of_later_tiers &&
             candidate.deployment->order <= passed_tier) ||
            !usable(plan, hop, candidate, health, now)) {
            continue;
        }
        const auto rank = [&](size_t at) {
            const Candidate& c = hop.candidates[at];
            return std::pair(among == Among::any ? c.attempts : 0, c.deployment->order);
        };
        if (!best.empty() && rank(i) < rank(best[0])) {
            best.clear();
        }
        if (best.empty() || rank(i) == rank(best[0])) {
            best.push_back(i);
        }
    }
    return best;
}

bool is_visited(const Plan& plan, const Match& match, const json::Value& overrides) {
    return match.group == plan.hops[0].match.group ||
           std::find(plan.visited.begin(), plan.visited.end(), key_of(match, overrides)) !=
               plan.visited.end();
}

// A quota or a policy is not worth asking about again; anything else may have passed.
bool may_probe(Cause cause) { return !is_quota(cause) && cause != Cause::forbidden; }

}  // namespace

bool same_credential(const Deployment& a, const Deployment& b) {
    // An empty key (the provider's own sign-in) equals nothing by Secret's rule.
    const bool same_key =
        a.api_key.empty() ? b.api_key.empty() : a.api_key.equals(b.api_key.reveal());
    return same_key && a.provider == b.provider && a.api_base == b.api_base &&
           a.organization == b.organization;
}

int retry_limit(const Plan& plan, const Hop& hop) {
    std::optional<int> limit = plan.query.num_retries;
    for (const Candidate& candidate : hop.candidates) {
        limit = limit ? limit : candidate.deployment->num_retries;
    }
    return std::max(limit.value_or(plan.table->settings.num_retries), 0);
}

bool is_usual(const Plan& plan, const Resolved& asked) {
    return asked.match.deployments.size() == 1 && !plan.query.mock_first_failure &&
           !plan.table->settings.enable_tag_filtering &&
           mismatch(plan, 0, *asked.match.deployments[0]).empty() &&
           (plan.query.restrictions == nullptr ||
            forbidden(plan, *asked.match.deployments[0], asked.models[0]).empty());
}

bool is_free(const Plan& plan, const Health& health, Mono now) {
    const Deployment& deployment = *plan.usual->match.deployments[0];
    return too_small(plan, deployment).empty() &&
           !health.look(deployment, now, plan.usual->models[0], seat_of(plan, deployment)).cooling;
}

void lay_out(Plan& plan) {
    if (plan.usual == nullptr) {
        return;
    }
    (void)outcomes(plan);
    plan.usual.reset();
    FallbackTarget asked;
    asked.group = plan.query.model;
    (void)enter(plan, asked);
    if (plan.attempts > 0) {
        Hop& hop = plan.here();
        Candidate& taken = plan.tried();
        hop.attempts = taken.attempts = 1;
        note(plan, hop, taken, "taken");
    }
}

void exclude(Plan& plan,
             std::function<std::string(const Deployment&, std::string_view upstream_model)> unfit,
             bool asked_fits) {
    auto restrictions = std::make_shared<Restrictions>();
    if (plan.query.restrictions != nullptr) {
        *restrictions = *plan.query.restrictions;
    }
    restrictions->unfit = std::move(unfit);
    plan.query.restrictions = restrictions;
    if (asked_fits) {
        return;
    }
    if (plan.usual != nullptr) {
        lay_out(plan);
        return;
    }
    for (Hop& hop : plan.hops) {
        for (Candidate& candidate : hop.candidates) {
            if (candidate.excluded.empty()) {
                candidate.excluded =
                    restrictions->unfit(*candidate.deployment, candidate.upstream_model);
            }
            if (!candidate.excluded.empty()) {
                note(plan, hop, candidate, candidate.excluded);
            }
        }
    }
}

bool enter(Plan& plan, const FallbackTarget& target) {
    auto match = resolve(*plan.table, target.group);
    if (!match) {
        write_first_taken(plan);
        plan.considered.push_back({target.group, "", "", "no such model"});
        return false;
    }
    if (plan.hops.size() >= kMostHops ||
        (!plan.hops.empty() && is_visited(plan, *match, target.overrides))) {
        return false;
    }
    plan.visited.push_back(key_of(*match, target.overrides));
    plan.hops.reserve(kMostHops);
    Hop& hop = plan.hops.emplace_back();
    hop.match = std::move(*match);
    hop.overrides = target.overrides;
    hop.depth = static_cast<int>(plan.hops.size()) - 1;
    plan.hop = plan.hops.size() - 1;
    hop.candidates.reserve(hop.match.deployments.size());
    for (const auto& deployment : hop.match.deployments) {
        Candidate& candidate = hop.candidates.emplace_back();
        candidate.deployment = deployment;
        candidate.upstream_model = upstream_model(*deployment, hop.match);
        candidate.excluded = mismatch(plan, hop.depth, *deployment);
        if (candidate.excluded.empty()) {
            candidate.excluded = forbidden(plan, *deployment, candidate.upstream_model);
        }
    }
    filter_tags(plan, hop);
    for (Candidate& candidate : hop.candidates) {
        if (!candidate.excluded.empty()) {
            note(plan, hop, candidate, candidate.excluded);
        }
    }
    return true;
}

std::vector<FallbackTarget> targets_after(const Plan& plan, const Hop& hop) {
    const Query& query = plan.query;
    const int depth_max = query.max_fallbacks.value_or(plan.table->settings.max_fallbacks);
    if (query.disable_fallbacks || hop.depth >= depth_max) {
        return {};
    }
    if (hop.depth == 0) {
        if (hop.reason == Reason::context_window && query.context_window_fallbacks) {
            return *query.context_window_fallbacks;
        }
        if (hop.reason == Reason::content_policy && query.content_policy_fallbacks) {
            return *query.content_policy_fallbacks;
        }
        if (hop.reason != Reason::content_policy && query.fallbacks) {
            return *query.fallbacks;
        }
    }
    return fallbacks_of(*plan.table, hop.match, hop.reason).targets;
}

bool any_ready_ahead(const Plan& plan, const Health& health, Mono now) {
    std::vector<FallbackTarget> targets = targets_after(plan, plan.here());
    targets.insert(targets.end(), plan.ahead.rbegin(), plan.ahead.rend());
    for (const FallbackTarget& target : targets) {
        const auto match = resolve(*plan.table, target.group);
        if (!match || is_visited(plan, *match, target.overrides)) {
            continue;
        }
        for (const auto& deployment : match->deployments) {
            Candidate candidate;
            candidate.deployment = deployment;
            candidate.upstream_model = upstream_model(*deployment, *match);
            if (mismatch(plan, 1, *deployment).empty() &&
                forbidden(plan, *deployment, candidate.upstream_model).empty() &&
                too_small(plan, *deployment).empty() && !dead_as(plan, candidate) &&
                !health.look(*deployment, now, candidate.upstream_model, seat_of(plan, *deployment))
                     .cooling) {
                return true;
            }
        }
    }
    return false;
}

std::optional<size_t> pick(Plan& plan, Health& health, const Now& now, Among among) {
    // A claim lost to another caller between look and claim leaves the others.
    for (size_t tries = plan.here().candidates.size(); tries > 0; --tries) {
        const std::vector<size_t> from = best_tier(plan, health, now, among);
        if (from.empty()) {
            return std::nullopt;
        }
        const size_t chosen = from.size() == 1 ? from[0] : shuffle(plan.here(), from, now.random);
        Candidate& candidate = plan.here().candidates[chosen];
        if (health.claim_probe(*candidate.deployment, now.mono, candidate.upstream_model,
                               seat_of(plan, *candidate.deployment))) {
            note(plan, plan.here(), candidate, "taken");
            return chosen;
        }
    }
    return std::nullopt;
}

std::optional<size_t> last_resort(Plan& plan, Health& health, const Now& now) {
    size_t possible = 0;
    for (const Hop& hop : plan.hops) {
        possible += static_cast<size_t>(
            std::count_if(hop.candidates.begin(), hop.candidates.end(),
                          [](const Candidate& c) { return c.excluded.empty() && !c.dead; }));
    }
    for (size_t h = 0; h < plan.hops.size(); ++h) {
        Hop& hop = plan.hops[h];
        for (size_t i = 0; i < hop.candidates.size(); ++i) {
            Candidate& candidate = hop.candidates[i];
            if (!candidate.excluded.empty() || candidate.dead) {
                continue;
            }
            const auto state =
                health.look(*candidate.deployment, now.mono, candidate.upstream_model,
                            seat_of(plan, *candidate.deployment));
            // The only target is never shut off for what may have passed, however many ask.
            const bool only = possible == 1 && state.cause != Cause::rate_limited;
            if (may_probe(state.cause) &&
                (health.claim_probe(*candidate.deployment, now.mono, candidate.upstream_model,
                                    seat_of(plan, *candidate.deployment)) ||
                 only)) {
                plan.hop = h;
                note(plan, hop, candidate, "taken: a probe, everything cools");
                return i;
            }
        }
    }
    return std::nullopt;
}

}  // namespace belay::routing

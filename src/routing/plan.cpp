#include "routing/plan.h"

#include <algorithm>
#include <cmath>

#include "routing/plan_state.h"

namespace belay::routing {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBackoffLeast{50};
constexpr milliseconds kBackoffFirst{200};
constexpr milliseconds kBackoffMost{2000};
constexpr seconds kPatience{10};      // the longest stated wait that is sat out with no way around
constexpr seconds kPatienceAhead{2};  // ... when a fallback is ready
constexpr seconds kConfiguredMost{60};  // bound of router_settings.retry_after

// Full jitter: spreads those who failed together.
milliseconds backoff(int retry, double random) {
    const milliseconds most = std::min(kBackoffMost, kBackoffFirst * (1 << std::min(retry, 8)));
    const double span = static_cast<double>((most - kBackoffLeast).count());
    return kBackoffLeast + milliseconds(static_cast<int64_t>(span * random));
}

milliseconds retry_delay(const Plan& plan, const Outcome& outcome, int retry, double random) {
    const auto configured = std::chrono::duration_cast<milliseconds>(
        std::clamp<Seconds>(plan.table->settings.retry_after, Seconds(0), kConfiguredMost));
    const milliseconds stated = outcome.retry_after.value_or(seconds(0));
    return std::max({backoff(retry, random), configured, stated});
}

// Is the same target worth another try, or is moving on better?
bool worth_waiting(const Plan& plan, const Outcome& outcome, const Health& health, Mono now) {
    const seconds stated = outcome.retry_after.value_or(seconds(0));
    if (stated > kPatience) {
        return false;
    }
    const bool ahead = any_ready_ahead(plan, health, now);
    if (!ahead) {
        return true;
    }
    // A rate limit does not end by asking again, and a second timeout costs as much as the first.
    const bool limited = outcome.cause == Cause::rate_limited || outcome.status == 429;
    return !limited && outcome.cause != Cause::timeout && stated <= kPatienceAhead;
}

Step attempt(Plan& plan, size_t candidate_index, milliseconds delay) {
    plan.candidate = candidate_index;
    Hop& hop = plan.here();
    Candidate& candidate = plan.tried();
    Step step;
    step.action = Action::attempt;
    step.deployment = candidate.deployment;
    step.upstream_model = candidate.upstream_model;
    step.group = hop.match.group;
    step.overrides = hop.overrides.is_object() ? &hop.overrides : nullptr;
    step.fallback_depth = hop.depth;
    step.retry = hop.attempts;
    step.refresh_token = std::exchange(plan.refresh_next, false);
    step.fresh_connection = std::exchange(plan.fresh_connection_next, false);
    step.switch_endpoint = candidate.cures.endpoint;
    step.strip = candidate.cures.strip;
    step.rename = candidate.cures.rename;
    step.vision_header = candidate.cures.vision;
    step.new_item_ids = candidate.cures.item_ids;
    step.other_api_version = candidate.cures.api_version;
    step.probe = plan.probing;
    step.delay = delay;
    hop.attempts += 1;
    candidate.attempts += 1;
    plan.attempts += 1;
    plan.attempting = true;
    return step;
}

Step finish(Plan& plan, const Health& health, Mono now) {
    Step step;
    step.action = Action::stop;
    step.group = plan.hops[0].match.group;
    step.error = final_error(plan, health, now);
    plan.end = step;
    return step;
}

// Puts the failed hop's own fallbacks before what is left of its siblings.
void queue_fallbacks(Plan& plan) {
    const Hop& hop = plan.here();
    if (hop.reason == Reason::content_policy) {
        plan.ahead.clear();  // a refusal of content goes nowhere but to its own list
    }
    std::vector<FallbackTarget> targets = targets_after(plan, hop);
    plan.ahead.insert(plan.ahead.end(), std::make_move_iterator(targets.rbegin()),
                      std::make_move_iterator(targets.rend()));
}

// A hop where nothing could be tried fails for its context only if that was the sole reason.
Reason untried_reason(const Hop& hop) {
    const bool context =
        !hop.candidates.empty() && std::all_of(hop.candidates.begin(), hop.candidates.end(),
                                               [](const Candidate& c) { return c.too_small; });
    return context ? Reason::context_window : Reason::general;
}

Step leave(Plan& plan, Health& health, const Now& now) {
    queue_fallbacks(plan);
    while (!plan.ahead.empty()) {
        const FallbackTarget target = std::move(plan.ahead.back());
        plan.ahead.pop_back();
        if (!enter(plan, target)) {
            continue;
        }
        if (const auto chosen = pick(plan, health, now, Among::untried)) {
            return attempt(plan, *chosen, milliseconds(0));
        }
        plan.here().reason = untried_reason(plan.here());
        queue_fallbacks(plan);
    }
    if (plan.outcomes.empty()) {
        if (const auto chosen = last_resort(plan, health, now)) {
            plan.probing = true;
            return attempt(plan, *chosen, milliseconds(0));
        }
    }
    return finish(plan, health, now.mono);
}

Step sibling_or_leave(Plan& plan, Health& health, const Now& now, Among among) {
    if (const auto chosen = pick(plan, health, now, among)) {
        return attempt(plan, *chosen, milliseconds(0));
    }
    return leave(plan, health, now);
}

// How many places could have served this instead, this one included.
size_t alternatives(const Plan& plan) {
    const Hop& hop = plan.here();
    const bool falls =
        plan.hops.size() > 1 || !plan.ahead.empty() || !targets_after(plan, hop).empty();
    return hop.candidates.size() + (falls ? 1 : 0);
}

// The least tried candidate of the group. One that has just begun to cool is tried again only when
// there is nowhere else to go.
std::optional<size_t> same_again(Plan& plan, Health& health, const Now& now) {
    if (const auto chosen = pick(plan, health, now, Among::any)) {
        return chosen;
    }
    return alternatives(plan) == 1 ? std::optional(plan.candidate) : std::nullopt;
}

Step retry(Plan& plan, Health& health, const Now& now) {
    Hop& hop = plan.here();
    const Outcome outcome = plan.outcomes.back();
    if (hop.retries < retry_limit(plan, hop)) {
        if (const auto other = pick(plan, health, now, Among::untried)) {
            hop.retries += 1;
            return attempt(plan, *other, milliseconds(0));
        }
        // A request that names its own number of retries has asked for exactly these.
        const bool asked = plan.query.num_retries.has_value();
        if (worth_waiting(plan, outcome, health, now.mono) && (asked || health.take_retry())) {
            const milliseconds delay = retry_delay(plan, outcome, hop.retries, now.random);
            if (const auto same = same_again(plan, health, now)) {
                hop.retries += 1;
                // What was reset or sent away (GOAWAY) leaves its pool's other connections suspect.
                plan.fresh_connection_next =
                    outcome.cause == Cause::overloaded || outcome.cause == Cause::connection;
                return attempt(plan, *same, delay);
            }
        }
    }
    return sibling_or_leave(plan, health, now, Among::untried_of_later_tiers);
}

// The first attempt at the only deployment of the asked group.
Step usual_attempt(Plan& plan) {
    Step step;
    step.action = Action::attempt;
    step.deployment = plan.usual->match.deployments[0];
    step.upstream_model = plan.usual->models[0];
    step.group = plan.usual->match.group;
    plan.attempts = 1;
    plan.attempting = true;
    return step;
}

Step begin(Plan& plan, Health& health, const Now& now) {
    health.admit_request();
    if (plan.usual != nullptr) {
        if (is_free(plan, health, now.mono) &&
            health.claim_probe(*plan.usual->match.deployments[0], now.mono, plan.usual->models[0],
                               seat_of(plan, *plan.usual->match.deployments[0]))) {
            return usual_attempt(plan);
        }
        lay_out(plan);
    }
    if (plan.query.mock_first_failure) {
        Outcome mock;
        mock.cause = *plan.query.mock_first_failure;
        mock.message =
            "This is a mock exception for model=" + plan.query.model + ", to trigger a fallback.";
        Hop& hop = plan.here();
        hop.last_outcome = plan.outcomes.size();
        hop.reason = mock.cause == Cause::context_too_long  ? Reason::context_window
                     : mock.cause == Cause::content_refused ? Reason::content_policy
                                                            : Reason::general;
        plan.outcomes.push_back(std::move(mock));
        return leave(plan, health, now);
    }
    if (const auto chosen = pick(plan, health, now, Among::untried)) {
        return attempt(plan, *chosen, milliseconds(0));
    }
    plan.here().reason = untried_reason(plan.here());
    return leave(plan, health, now);
}

void flatten(const Table& table, const Match& match, std::vector<std::string>& out) {
    for (const FallbackTarget& target : fallbacks_of(table, match, Reason::general).targets) {
        const auto next = resolve(table, target.group);
        if (!next || out.size() > kMostHops ||
            std::find(out.begin(), out.end(), next->group) != out.end()) {
            continue;
        }
        out.push_back(next->group);
        flatten(table, *next, out);
    }
}

}  // namespace

void PlanDeleter::operator()(Plan* plan) const { delete plan; }

Result<PlanPtr> plan(std::shared_ptr<const Table> table, Query query) {
    PlanPtr out(new Plan{.table = std::move(table), .query = std::move(query)});
    auto asked = resolve_kept(out->table, out->query.model);
    if (asked == nullptr) {
        return unknown_model(out->query);
    }
    if (is_usual(*out, *asked)) {
        out->usual = std::move(asked);
    } else {
        FallbackTarget target;
        target.group = out->query.model;
        (void)enter(*out, target);
    }
    return out;
}

Step next(Plan& plan, Health& health, Mono now, Wall wall, double random) {
    if (plan.end) {
        return *plan.end;
    }
    const Now at{now, wall, std::clamp(std::isfinite(random) ? random : 0.0, 0.0, 0.999999)};
    if (plan.attempting || plan.move == Move::stop || plan.move == Move::done ||
        (plan.attempts >= kMostAttempts)) {
        lay_out(plan);
        return finish(plan, health, now);
    }
    switch (plan.move) {
        case Move::begin:
            return begin(plan, health, at);
        case Move::again:
            return attempt(plan, plan.candidate, milliseconds(0));
        case Move::retry:
            return retry(plan, health, at);
        case Move::sibling:
            return sibling_or_leave(plan, health, at, Among::untried);
        case Move::leave:
            return leave(plan, health, at);
        case Move::stop:
        case Move::done:
            break;
    }
    return finish(plan, health, now);
}

void report(Plan& plan, Health& health, const Outcome& outcome, Mono now, Wall wall) {
    if (!plan.attempting) {
        return;
    }
    if (plan.usual != nullptr && outcome.cause == Cause::success) {
        plan.attempting = false;
        plan.move = Move::done;
        health.report(*plan.usual->match.deployments[0], outcome, plan.table->settings, 2, now,
                      wall, plan.usual->models[0],
                      seat_of(plan, *plan.usual->match.deployments[0]));
        return;
    }
    lay_out(plan);
    plan.attempting = false;
    Candidate& tried = plan.tried();
    plan.here().last_outcome = plan.outcomes.size();
    plan.outcomes.push_back(outcome);
    tried.cause = outcome.cause;
    plan.move = react(plan, outcome, now, wall);
    // What is about to be corrected says nothing against the target yet.
    Outcome judged = outcome;
    if (plan.move == Move::again) {
        judged.cause = Cause::cancelled;
    } else if (outcome.cause == Cause::stale_connection) {
        judged.cause = Cause::connection;
    }
    const size_t places = judged.cause == Cause::success ? 2 : alternatives(plan);
    health.report(*tried.deployment, judged, plan.table->settings, places, now, wall,
                  tried.upstream_model, seat_of(plan, *tried.deployment));
    plan.probing = false;
}

const std::vector<Considered>& considered(const Plan& plan) {
    if (plan.usual != nullptr && plan.attempts > 0 && plan.considered.empty()) {
        const Match& match = plan.usual->match;
        plan.considered.push_back(
            {match.group, match.deployments[0]->id, plan.usual->models[0], "taken"});
    }
    write_first_taken(plan);
    return plan.considered;
}

bool only_first_taken(const Plan& plan) { return plan.considered.empty(); }
const std::vector<Outcome>& outcomes(const Plan& plan) {
    if (plan.usual != nullptr && plan.move == Move::done && plan.outcomes.empty()) {
        plan.outcomes.emplace_back();  // a success
    }
    return plan.outcomes;
}
int attempted_fallbacks(const Plan& plan) { return plan.usual ? 0 : plan.here().depth; }
int attempted_retries(const Plan& plan) { return plan.usual ? 0 : plan.here().retries; }

std::string_view asked_group(const Plan& plan) {
    return plan.usual != nullptr ? plan.usual->match.group : plan.hops[0].match.group;
}

int max_retries(const Plan& plan) {
    if (plan.usual == nullptr) {
        return retry_limit(plan, plan.here());
    }
    const auto own = plan.query.num_retries ? plan.query.num_retries
                                            : plan.usual->match.deployments[0]->num_retries;
    return std::max(own.value_or(plan.table->settings.num_retries), 0);
}

std::vector<std::string> chain(const Table& table, std::string_view model) {
    std::vector<std::string> out;
    const auto match = resolve(table, model);
    if (!match) {
        return out;
    }
    out.push_back(match->group);  // so that the walk does not come back to it
    flatten(table, *match, out);
    out.erase(out.begin());
    return out;
}

}  // namespace belay::routing

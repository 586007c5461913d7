#pragma once
// The inside of a Plan, shared by the files that work on it: plan.cpp steps, reaction.cpp decides,
// plan_pick.cpp chooses, plan_error.cpp tells. Nobody outside routing includes this.
//
// A Hop is one model group being tried; the first is the asked one. A Candidate is one deployment
// in a hop. `ahead` is the rest of the fallback walk as a stack: a failed hop's own fallbacks go on
// top, so that they come before its later siblings (LiteLLM's nesting).
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "routing/plan.h"
#include "routing/resolve.h"

namespace belay::routing {

// Bounds of one request. Attempts <= candidates x (1 + kMostCures) + retries, and never above the
// cap.
constexpr int kMostAttempts = 20;
constexpr int kMostCures = 5;   // same-deployment corrections, of any kind
constexpr int kMostStrips = 4;  // parameters left out or renamed
constexpr size_t kMostHops = 32;

enum class Move : uint8_t {
    begin,    // nothing happened yet
    again,    // the same candidate at once, corrected
    retry,    // a transient fault: any candidate of the group, within num_retries
    sibling,  // this candidate will not do: an untried one of the group
    leave,    // next group
    stop,
    done,
};

// What has been corrected on a candidate so far; it stays corrected.
struct Cures {
    int count = 0;
    bool endpoint = false;
    bool vision = false;
    bool item_ids = false;
    bool api_version = false;
    bool policy_retry = false;
    bool host = false;
    bool connection = false;
    std::vector<std::string> strip;
    std::vector<std::pair<std::string, std::string>> rename;
};

struct Candidate {
    std::shared_ptr<const Deployment> deployment;
    std::string upstream_model;
    std::string excluded;    // why it cannot serve this request at all; "" = it can
    std::string noted;       // the last verdict written to `considered`
    bool too_small = false;  // excluded for its context
    bool wrong_tags = false;
    bool dead = false;  // not again in this plan
    int attempts = 0;
    std::optional<Cause> cause;   // of the last attempt
    std::optional<Mono> free_at;  // when the limit that stopped it ends
    Cures cures;
};

struct Hop {
    Match match;
    json::Value overrides;
    int depth = 0;
    int attempts = 0;
    int retries = 0;
    Reason reason = Reason::general;
    std::optional<size_t> last_outcome;  // index into Plan::outcomes
    std::vector<Candidate> candidates;
};

// Something that this plan does not try again.
struct Dead {
    enum class Scope : uint8_t { target, model, credential } scope;
    std::shared_ptr<const Deployment> deployment;
    std::string upstream_model;
    Cause cause;
};

struct Plan {
    std::shared_ptr<const Table> table;
    Query query;
    // The asked group while it is one deployment that nothing speaks against: it is tried without
    // hops and candidates. Whatever comes but success has them laid out as if they had been there
    // from the start.
    std::shared_ptr<const Resolved> usual;
    std::vector<Hop> hops;  // room for all is made at once: Step::overrides points into it
    std::vector<FallbackTarget> ahead;
    std::vector<std::string> visited;
    std::vector<Dead> dead;
    std::vector<std::shared_ptr<const Deployment>> refreshed;  // credentials refreshed in this plan
    int64_t context_needed = 0;  // tokens, as an upstream counted them
    int64_t context_floor = 0;   // a limit that was too small
    mutable std::vector<Considered> considered;
    // The one candidate taken so far, not yet among `considered`: see write_first_taken().
    mutable std::optional<std::pair<const Hop*, const Candidate*>> first_taken;
    mutable std::vector<Outcome> outcomes;  // the usual success is written when asked for
    size_t hop = 0;
    size_t candidate = 0;
    int attempts = 0;
    bool attempting = false;
    bool probing = false;
    Move move = Move::begin;
    bool refresh_next = false;  // one-shot corrections of the coming attempt
    bool fresh_connection_next = false;
    std::optional<Step> end;

    [[nodiscard]] Hop& here() { return hops[hop]; }
    [[nodiscard]] const Hop& here() const { return hops[hop]; }
    [[nodiscard]] Candidate& tried() { return hops[hop].candidates[candidate]; }
};

struct Now {
    Mono mono;
    Wall wall;
    double random;
};

// reaction.cpp: what the outcome means for the walk. Marks candidates and corrections.
[[nodiscard]] Move react(Plan& plan, const Outcome& outcome, Mono now, Wall wall);
[[nodiscard]] bool is_quota(Cause cause);
[[nodiscard]] bool is_limit(Cause cause);

// plan_pick.cpp
[[nodiscard]] bool is_usual(const Plan& plan, const Resolved& asked);
// The next step would be the usual one's only deployment.
[[nodiscard]] bool is_free(const Plan& plan, const Health& health, Mono now);
void lay_out(Plan& plan);
void write_first_taken(const Plan& plan);
[[nodiscard]] bool enter(Plan& plan,
                         const FallbackTarget& target);  // a new hop; false: passed over
[[nodiscard]] std::vector<FallbackTarget> targets_after(const Plan& plan, const Hop& hop);
[[nodiscard]] bool any_ready_ahead(const Plan& plan, const Health& health, Mono now);
enum class Among : uint8_t { untried, untried_of_later_tiers, any };
[[nodiscard]] std::optional<size_t> pick(Plan& plan, Health& health, const Now& now, Among among);
// The one try that a chain of nothing but cooling targets still gets; sets plan.hop.
[[nodiscard]] std::optional<size_t> last_resort(Plan& plan, Health& health, const Now& now);
[[nodiscard]] bool same_credential(const Deployment& a, const Deployment& b);

// num_retries: the request's, else a deployment's of the group, else the router's.
[[nodiscard]] int retry_limit(const Plan& plan, const Hop& hop);

// plan_error.cpp
[[nodiscard]] Error final_error(const Plan& plan, const Health& health, Mono now);
[[nodiscard]] Error unknown_model(const Query& query);

// Whose cooldowns count for a deployment.
[[nodiscard]] inline std::string_view seat_of(const Plan& plan, const Deployment& deployment) {
    const Restrictions* restrictions = plan.query.restrictions.get();
    return restrictions == nullptr || !needs_account(deployment)
               ? std::string_view()
               : std::string_view(restrictions->seat);
}

}  // namespace belay::routing

#pragma once
// Who may answer a request, in which order, and what to do after each attempt. Pure state machines:
// time and randomness are arguments; cooldowns are read through Health.
//
//   Plan p = plan(table, query, health, now, random);      // candidates with reasons
//   while (true) {
//       Step s = next(p, health, now, random);             // try a deployment | stop
//       ... attempt ...; report(p, outcome, now);
//   }
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "routing/outcome.h"
#include "routing/table.h"

namespace belay::routing {

// What some callers may use, and others not.
struct Restrictions {
    // The caller's own Copilot account: its cooldowns are nobody else's. "" = the process's own.
    std::string seat;
    // Why no Copilot account may serve this request; null = one may.
    std::shared_ptr<const Error> closed_seat;
    // Why the caller may not use this deployment for that upstream model; "" = they may.
    std::function<std::string(const Deployment&, std::string_view upstream_model)> unfit;
};

// What routing needs to know of a request.
struct Query {
    std::string model;  // as the client sent it (or the path's)
    Mode mode = Mode::chat;
    bool needs_tools = false;
    bool needs_vision = false;
    int64_t prompt_tokens_estimate = 0;  // bytes / 4 when nothing better is known
    std::vector<std::string> tags;
    std::shared_ptr<const Restrictions> restrictions;  // of this caller; null = none
    // Request-level switches (body keys of litellm-surface §2.3).
    std::optional<std::vector<FallbackTarget>> fallbacks;
    std::optional<std::vector<FallbackTarget>> context_window_fallbacks;
    std::optional<std::vector<FallbackTarget>> content_policy_fallbacks;
    bool disable_fallbacks = false;
    std::optional<int> num_retries;
    std::optional<int> max_fallbacks;
    // mock_testing_fallbacks and its variants: the first group fails with this cause, unsent.
    std::optional<Cause> mock_first_failure;
};

// Cooldowns of this process: thread-safe, shared by all loops. Cheap when nothing is cooling.
// A row belongs to one deployment, or to one model of a deployment whose name holds a '*'; with a
// `seat` (a person's Copilot account) to that account alone. When a
// cooldown is over, one caller at a time may probe; a success closes it, a failure opens it again
// for longer (docs/decisions, "How routing reacts").
class Health {
  public:
    Health();
    ~Health();
    struct Cooling {
        bool cooling = false;
        Mono until{};
        Cause cause = Cause::success;
        bool probe = false;  // claim_probe() would succeed: tried one at a time although it cools
    };
    [[nodiscard]] Cooling look(const Deployment& deployment, Mono now,
                               std::string_view upstream_model = {},
                               std::string_view seat = {}) const;
    // Takes the one probe of a target that cools or has just stopped cooling; true when nothing is
    // known against it. The claim ends with report() or after 10 s.
    [[nodiscard]] bool claim_probe(const Deployment& deployment, Mono now,
                                   std::string_view upstream_model = {},
                                   std::string_view seat = {});
    // Reports an attempt's result; decides about a cooldown (litellm-surface §7.7, reliability
    // §4.6; quota causes cool until the stated reset, clamped to 1 min .. 31 days). `group_size`
    // counts what the request could be served by instead, itself included: 1 = nothing else.
    void report(const Deployment& deployment, const Outcome& outcome, const Settings& settings,
                size_t group_size, Mono now, Wall wall, std::string_view upstream_model = {},
                std::string_view seat = {});
    // Retry tokens: each request brings 0.2, each repeated try of one target takes 1.
    void admit_request();
    [[nodiscard]] bool take_retry();
    void clear();
    struct Row {
        std::string deployment_id, group, model;
        std::string seat;
        Cause cause;
        Mono until;
    };
    [[nodiscard]] std::vector<Row> rows(Mono now) const;

    // --- With other instances ---

    // A row that has begun to rest for so long, or (nothing) rests no more. `key` is the same on
    // every instance.
    struct Change {
        std::string key;
        Row row;
        Mono::duration rest{};
    };
    // Before the first report(); called by it, on its thread and without a lock.
    void on_change(std::function<void(const Change&)> hook);
    // What another instance has told; on_change() does not tell it on.
    void adopt(const Change& change, Mono now);
    void lift(const std::string& key);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// A candidate that was passed over, or taken: the trace's raw material.
struct Considered {
    std::string group;
    std::string deployment_id;
    std::string model;    // upstream model
    std::string verdict;  // "taken", "cooling: quota_month until ...", "no vision", "context 128000
                          // < ~190000"
};

struct Plan;  // opaque: see plan.cpp

struct PlanDeleter {
    void operator()(Plan* plan) const;
};
using PlanPtr = std::unique_ptr<Plan, PlanDeleter>;

// Fails with not-found style Errors in LiteLLM's words: unknown model (invalid_request, param
// "model": "/chat/completions: Invalid model name passed in model=X. Call `/v1/models` ...").
[[nodiscard]] Result<PlanPtr> plan(std::shared_ptr<const Table> table, Query query);

// Before the first next(): `unfit` (see Restrictions) holds from here on. `asked_fits`: it has
// nothing against the asked group.
void exclude(Plan& plan,
             std::function<std::string(const Deployment&, std::string_view upstream_model)> unfit,
             bool asked_fits);

enum class Action : uint8_t { attempt, stop };

struct Step {
    Action action = Action::stop;
    std::shared_ptr<const Deployment> deployment;  // for attempt
    std::string upstream_model;                    // wildcard already replaced
    std::string group;                             // serving model group
    const json::Value* overrides = nullptr;        // request members this hop overrides, or nullptr
    int fallback_depth = 0;                        // 0 = the asked group
    int retry = 0;                                 // n-th try of this group, 0 = first
    // Adjustments asked for by the outcome before (same deployment again):
    bool refresh_token = false;
    bool switch_endpoint = false;
    std::vector<std::string> strip;  // members to drop from the body (bad_parameter.h)
    std::vector<std::pair<std::string, std::string>> rename;  // members to rename: old, new
    bool vision_header = false;      // send Copilot-Vision-Request whatever the body
    bool new_item_ids = false;       // send no upstream item ids
    bool other_api_version = false;  // send another API version, or none
    bool fresh_connection = false;   // not a pooled connection
    bool probe = false;              // the one probe of a target that cooled
    milliseconds delay{0};           // to wait before the attempt
    Error error;                     // for stop: what the client is told
};

// The next step. `random` in [0,1) drives the shuffle and the jitter.
[[nodiscard]] Step next(Plan& plan, Health& health, Mono now, Wall wall, double random);
// The result of the attempt that next() asked for.
void report(Plan& plan, Health& health, const Outcome& outcome, Mono now, Wall wall);

[[nodiscard]] const std::vector<Considered>& considered(const Plan& plan);
// True when nothing was passed over: considered() would only tell of the one that was taken.
[[nodiscard]] bool only_first_taken(const Plan& plan);
[[nodiscard]] const std::vector<Outcome>& outcomes(const Plan& plan);
[[nodiscard]] int attempted_fallbacks(const Plan& plan);
[[nodiscard]] int attempted_retries(const Plan& plan);
[[nodiscard]] int max_retries(const Plan& plan);
// The group that the asked name means.
[[nodiscard]] std::string_view asked_group(const Plan& plan);
// Groups the plan may still fall to, in order (for error messages and `belay check`).
[[nodiscard]] std::vector<std::string> chain(const Table& table, std::string_view model);

}  // namespace belay::routing

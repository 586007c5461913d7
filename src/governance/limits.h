#pragma once
// What a scope (a key, its user, its team, ...) may spend and how fast, typed. Made from entity
// documents by directory.cpp. Money in nano-credits, times in unix milliseconds.
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"

namespace belay::governance {

enum class ScopeKind : uint8_t {
    key,
    user,
    team,
    team_member,
    organization,
    customer,
    tag,
    global
};
// LiteLLM's words: "api_key", "user", "team", "team_member", "organization", "end_user", "tag",
// "global".
[[nodiscard]] std::string_view scope_kind_name(ScopeKind kind);

// The id of the one scope of kind `global`.
inline constexpr std::string_view kGlobalScope = "litellm-proxy-budget";

// Where a governor keeps the counters of a scope, so that only a scope's first request looks it up.
// A copy begins without. The governor reads and writes it; nobody else does.
class MeterHint {
  public:
    MeterHint() = default;
    MeterHint(const MeterHint& /*other*/) {}
    MeterHint& operator=(const MeterHint& /*other*/) { return *this; }
    ~MeterHint() = default;
    [[nodiscard]] uint64_t load() const { return value_.load(std::memory_order_relaxed); }
    void store(uint64_t value) const { value_.store(value, std::memory_order_relaxed); }

  private:
    mutable std::atomic<uint64_t> value_{0};
};

// One amount over one window. Several may hold at once (budget_limits).
struct BudgetWindow {
    NanoCredits most;
    std::string duration;     // "30d"; "" = for ever
    int64_t reset_at_ms = 0;  // the end of the running window; 0 = never
    // LiteLLM refuses a key at spend >= budget and the others at spend > budget.
    bool refuse_at_equal = false;
    // temp_budget_increase: added to `most` until then.
    NanoCredits extra;
    int64_t extra_until_ms = 0;

    [[nodiscard]] NanoCredits most_at(int64_t now_ms) const {
        return now_ms < extra_until_ms ? add(most, extra) : most;
    }
};

struct ModelLimit {
    std::string model;  // group name as clients ask for it, or a pattern ("x/*")
    std::optional<BudgetWindow> budget;
    std::optional<int64_t> rpm, tpm;
    MeterHint meter;
};

struct Limits {
    std::vector<BudgetWindow> budgets;
    std::optional<NanoCredits> soft_budget;
    std::optional<int64_t> rpm, tpm, max_parallel;
    // Premium requests x 1000 over the same window as the first budget (accounts billed by them).
    std::optional<int64_t> premium_milli;
    std::vector<ModelLimit> models;

    [[nodiscard]] bool empty() const {
        return budgets.empty() && !rpm && !tpm && !max_parallel && !premium_milli && models.empty();
    }
};

struct Scope {
    ScopeKind kind = ScopeKind::key;
    std::string id;     // as stored: a key's hash, a team's id; "<team>/<user>" for a member
    std::string shown;  // as messages name it: an alias and the last four characters, an id
    Limits limits;
    NanoCredits spent_before;  // stored spend at the time the directory was read (initial `spend`)
    bool blocked = false;      // a blocked customer: every request is refused
    // False: spend is counted and nothing is refused for it (the owner of a team's key).
    bool budgets_apply = true;
    uint64_t made = 0;  // the directory's generation: counters follow the newest
    MeterHint meter;
};

}  // namespace belay::governance

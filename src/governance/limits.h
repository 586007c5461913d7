#pragma once
// What a scope (a key, its user, its team, ...) may spend and how fast, typed. Made from entity
// documents by directory.cpp. Money in nano-credits, times in unix milliseconds.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
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

// One amount over one window. Several may hold at once (budget_limits).
struct BudgetWindow {
    NanoCredits most;
    std::string duration;     // "30d"; "" = for ever
    int64_t reset_at_ms = 0;  // the end of the running window; 0 = never
    // LiteLLM refuses a key at spend >= budget and the others at spend > budget.
    bool refuse_at_equal = false;
};

struct ModelLimit {
    std::string model;  // group name as clients ask for it
    std::optional<BudgetWindow> budget;
    std::optional<int64_t> rpm, tpm;
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
};

}  // namespace belay::governance

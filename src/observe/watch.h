#pragma once
// What is worth an alert, found in what the hub hears and in what is looked up once in a while:
// budgets crossed, chains that fall often, models that all rest, failing upstreams, slow answers,
// the Copilot account, the ledger.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/money.h"
#include "governance/limits.h"
#include "observe/alerts.h"

namespace belay::observe {

// A budget that a request was counted in.
struct BudgetStanding {
    governance::ScopeKind kind = governance::ScopeKind::key;
    std::string id;     // a key's hash as the API shows it, a team's id
    std::string shown;  // as people know it
    NanoCredits spent;
    std::optional<NanoCredits> most, soft;
    int64_t resets_at_ms = 0;
    std::string key_alias, user_id, user_email, team_id, team_alias, organization_id;
};

struct AllowanceStanding {
    std::string id;  // "premium_interactions"
    double remaining = 0, entitlement = 0, percent = 100;
    std::string text;  // "5,120 of 7,000 credits left"
    int64_t resets_at_s = 0;
};

struct AccountStanding {
    bool needs_login = false;
    std::string problem;  // what is wrong, for people; "" = nothing
    std::vector<AllowanceStanding> allowances;
};

struct WatchPorts {
    // The budgets of whoever made requests: a key's stored id ("" = the master key), an end user.
    std::function<std::vector<BudgetStanding>(const std::string& key, const std::string& end_user)>
        budgets;
    std::function<AccountStanding()> account;
    std::function<std::vector<std::string>()> resting_groups;  // nothing of theirs can answer now
    std::function<bool()> ledger_failing;
};

[[nodiscard]] std::unique_ptr<Listener> make_watch(const AlertSettings& settings, WatchPorts ports,
                                                   BatchSink::Post post);

}  // namespace belay::observe

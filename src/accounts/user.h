#pragma once
// GET /copilot_internal/user: who is signed in, on what plan, and how much is left. The shape has
// changed many times (request era, AI credits, free plans, managed seats); all are read, missing
// members are normal, unknown ones ignored. Also reads the quota headers of model replies. Pure.
//
//   x-quota-snapshot-premium_interactions:
//   ent=300&ov=0.0&ovPerm=false&rem=88.5&rst=2026-04-01T00%3A00%3A00Z
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace belay::accounts {

// One allowance. Amounts are what GitHub reports for display; the ledger never adds them up.
struct Quota {
    std::string id;  // chat, completions, premium_interactions, premium_models, session, weekly
    double entitlement = 0;
    double remaining = 0;
    double percent_remaining = 100;  // 0..100
    double overage_used = 0;
    bool unlimited = false;
    bool overage_permitted = false;
    bool credits = false;      // counts AI credits; else requests
    bool placeholder = false;  // the pool belongs to the organisation; the numbers mean nothing
    Wall reset_at = Wall::min();

    bool operator==(const Quota&) const = default;
    [[nodiscard]] bool exhausted() const {
        return !unlimited && !placeholder && entitlement > 0 && remaining <= 0;
    }
};

struct User {
    std::string login;
    std::string plan;     // for people: "Pro+", "Business (managed by acme)"
    std::string plan_id;  // as GitHub spells it: individual_pro
    std::string sku;
    std::string api_base;  // announced; not yet checked
    std::vector<std::string> organizations;
    bool chat_enabled = true;
    bool credits = false;  // token-based billing
    bool managed = false;  // a seat of an organisation
    bool can_sign_up_for_free = false;
    std::vector<Quota> quotas;

    // What "how much is left" means for this account: premium when it has some, else chat.
    [[nodiscard]] const Quota* main_quota() const;
};

[[nodiscard]] Result<User> parse_user(std::string_view body);

// "Free", "Pro", "Pro+", "Max", "Student", "Business", "Enterprise"; from plan and SKU.
[[nodiscard]] std::string describe_plan(std::string_view plan_id, std::string_view sku);

// A quota header of a model reply; nullopt when the name or the text is none.
[[nodiscard]] std::optional<Quota> parse_quota_header(std::string_view name,
                                                      std::string_view value);

// Puts a newer snapshot in the place of the older one of the same id.
void merge_quota(std::vector<Quota>& quotas, Quota newer);

// "5,120 of 7,000 credits left (73 %), resets 1 Oct"; one line for page and terminal.
[[nodiscard]] std::string describe_quota(const Quota& quota);

}  // namespace belay::accounts

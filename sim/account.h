#pragma once
// GitHub accounts: fixtures for every plan, what /copilot_internal/user and the quota headers tell
// of them, and the meter that charges calls. Amounts are nano-units: of AI credits for accounts
// billed by tokens, of premium requests for the others (one unit = 10^9).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sim/catalogue.h"
#include "sim/message.h"

namespace belay::sim {

inline constexpr int64_t kUnit = 1'000'000'000;

enum class Billing : uint8_t { requests, credits };

// What a scenario fixes of an account.
struct AccountSpec {
    std::string name;  // the fixture's name in scenarios and in GET /_sim/state
    std::string plan;  // see fixture_names()
    std::string login = "octocat";
    std::string github_token;  // works from the start; the device flow issues more
    std::string sku;
    std::string copilot_plan;
    std::string model_class;  // its class in a model's restricted_to
    std::string host = "individual";
    std::string user_host;  // endpoints.api of /copilot_internal/user when it differs
    std::string organization;
    Billing billing = Billing::credits;
    bool individual = true;
    bool managed = false;      // the pool belongs to an organisation: snapshots are placeholders
    bool legacy_free = false;  // limited_user_quotas instead of quota_snapshots
    bool auto_only = false;    // concrete models need a Copilot-Session-Token
    bool direct = true;        // the GitHub token itself is accepted as bearer on CAPI
    bool can_enable = true;    // may switch model policies
    int64_t entitlement = 0;   // nano-units a month
    int64_t used = 0;
    bool overage_permitted = false;
    int64_t overage_limit = 0;    // nano-units beyond the entitlement; 0 = no cap
    int64_t session_limit = 0;    // nano-units in five hours; 0 = not enforced
    int64_t weekly_limit = 0;     // nano-units a week; 0 = not enforced
    std::string exchange = "ok";  // or a name of exchange_outcomes()
    int64_t exchange_delay_ms = 0;
    std::string user = "ok";  // ok, bad_credentials, forbidden, not_found, server_error
    std::string exhausted_code = "quota_exceeded";
    bool entitlement_as_text = false;
    std::vector<std::string> missing_keys;  // left out of /copilot_internal/user
};

// A spec and what happened to it.
struct Account {
    AccountSpec spec;
    int64_t used = 0;
    int64_t session_used = 0;
    int64_t weekly_used = 0;
    int64_t period = 0;  // months since year 0
    Wall session_ends{};
    Wall week_ends{};
    uint64_t token_epoch = 0;  // Copilot tokens of an older epoch are dead
    bool signed_out = false;   // its GitHub tokens are dead
    std::vector<std::string> enabled_models;

    explicit Account(AccountSpec s) : spec(std::move(s)), used(spec.used) {}
    // Starts a new month, session window or week when `now` has passed the end of the old one.
    void roll(Wall now);
    [[nodiscard]] int64_t remaining() const { return spec.entitlement - used; }
    [[nodiscard]] bool exhausted() const;
};

struct Usage {
    int64_t input = 0;  // without the cached and the written tokens
    int64_t cached = 0;
    int64_t cache_write = 0;
    int64_t output = 0;
    int64_t reasoning = 0;  // part of output
    [[nodiscard]] int64_t prompt() const { return input + cached + cache_write; }
    bool operator==(const Usage&) const = default;
};

enum class Initiator : uint8_t { user, agent };

// Nano-credits of a call at the catalogue's prices.
[[nodiscard]] int64_t cost_nano(const Model& model, const Usage& usage);
// The copilot_usage object; null for accounts that are not billed by tokens.
[[nodiscard]] json::Value render_copilot_usage(const AccountSpec& spec, const Model& model,
                                               const Usage& usage);
// Takes the price of a call from the account; returns nano-units.
int64_t charge(Account& account, const Model& model, const Usage& usage, Initiator initiator);

// The first instant of the next calendar month, UTC.
[[nodiscard]] Wall next_month(Wall now);

// x-quota-snapshot-* and x-usage-ratelimit-*. `empty` shows the paid quota as used up.
void add_quota_headers(Headers& headers, const Account& account, Wall now, bool empty);
// copilot_quota_snapshots of WebSocket frames.
[[nodiscard]] json::Value render_quota_frame(const Account& account, Wall now);
// The body of GET /copilot_internal/user.
[[nodiscard]] json::Value render_user(const Account& account, std::string_view api_url, Wall now);

[[nodiscard]] std::vector<std::string_view> fixture_names();
// "ok", "bad_credentials", "not_found", "rate_limited", "server_error", "html", and the
// notification ids of a refused exchange.
[[nodiscard]] std::vector<std::string_view> exchange_outcomes();
// The account of a plan with everything as it usually is; nullopt-like: name is empty when unknown.
[[nodiscard]] AccountSpec fixture(std::string_view plan);
[[nodiscard]] Result<AccountSpec> parse_account(const json::Value& value, const std::string& where);

}  // namespace belay::sim

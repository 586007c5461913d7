#include "accounts/user.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::accounts;

namespace {

User user_of(std::string_view body) { return parse_user(body).value(); }

constexpr const char* kProPlus = R"({
  "login":"octocat","access_type_sku":"plus_monthly_subscriber_quota","assigned_date":null,
  "chat_enabled":true,"copilot_plan":"individual_pro","token_based_billing":true,
  "endpoints":{"api":"https://api.individual.githubcopilot.com"},
  "organization_login_list":[],"quota_reset_date":"2026-10-01",
  "quota_reset_date_utc":"2026-10-01T00:00:00.000Z",
  "quota_snapshots":{
    "chat":{"entitlement":0,"remaining":0,"percent_remaining":100,"unlimited":true,"has_quota":false},
    "premium_interactions":{"quota_id":"premium_interactions","entitlement":7000,"remaining":5120,
      "quota_remaining":5120.4,"percent_remaining":73.1,"unlimited":false,"overage_count":0,
      "overage_permitted":true,"credits_used":1879.6,"quota_reset_at":1790812800,"token_based_billing":true}}})";

}  // namespace

TEST_CASE("a paid account under AI credits") {
    const User u = user_of(kProPlus);
    CHECK(u.login == "octocat");
    CHECK(u.plan == "Pro+");
    CHECK(u.credits);
    CHECK(u.api_base == "https://api.individual.githubcopilot.com");
    const Quota* q = u.main_quota();
    REQUIRE(q);
    CHECK(q->id == "premium_interactions");
    CHECK(q->remaining == doctest::Approx(5120.4));
    CHECK_FALSE(q->exhausted());
    CHECK(q->reset_at == from_unix_seconds(1790812800));
    CHECK(describe_quota(*q) == "5,120 of 7,000 credits left (73 %), resets 1 Oct");
}

TEST_CASE("the plan of every SKU has the name people know") {
    struct Case {
        const char* plan;
        const char* sku;
        const char* name;
    } cases[] = {
        {"individual", "free_limited_copilot", "Free"},
        {"individual", "free_educational_quota", "Student"},
        {"individual_edu", "", "Student"},
        {"individual", "monthly_subscriber", "Pro"},
        {"individual", "yearly_subscriber", "Pro"},
        {"individual", "monthly_subscriber_trial", "Pro (trial)"},
        {"individual_pro", "plus_monthly_subscriber_quota", "Pro+"},
        {"", "plus_monthly_subscriber_quota", "Pro+"},
        {"individual_max", "", "Max"},
        {"business", "copilot_for_business_seat_quota", "Business"},
        {"enterprise", "copilot_enterprise_seat_quota", "Enterprise"},
        {"", "copilot_enterprise_seat_quota", "Enterprise"},
        {"free", "", "Free"},
        {"something_new", "", "something_new"},
        {"", "", "unknown plan"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.plan);
        CAPTURE(c.sku);
        CHECK(describe_plan(c.plan, c.sku) == c.name);
    }
}

TEST_CASE("a free account of the request era has totals and remainders in two objects") {
    const User u = user_of(
        R"({"login":"o","access_type_sku":"free_limited_copilot","copilot_plan":"individual",
        "monthly_quotas":{"chat":50,"completions":2000},"limited_user_quotas":{"chat":37,"completions":1841},
        "limited_user_reset_date":"2026-05-01"})");
    CHECK(u.plan == "Free");
    const Quota* q = u.main_quota();
    REQUIRE(q);
    CHECK(q->id == "chat");
    CHECK(describe_quota(*q) == "37 of 50 chat requests left (74 %), resets 1 May");
}

TEST_CASE("a free account under credits counts chat, not an empty premium allowance") {
    const User u =
        user_of(R"({"login":"o","access_type_sku":"free_limited_copilot","token_based_billing":true,
        "quota_snapshots":{"chat":{"entitlement":200,"remaining":150,"percent_remaining":75},
        "premium_interactions":{"entitlement":0,"remaining":0,"percent_remaining":0}}})");
    REQUIRE(u.main_quota());
    CHECK(u.main_quota()->id == "chat");
    CHECK_FALSE(u.quotas[1].exhausted());
}

TEST_CASE("a managed seat's placeholders are never shown as the organisation's balance") {
    const User u =
        user_of(R"({"login":"o","copilot_plan":"business","organization_login_list":["acme"],
        "quota_snapshots":{"premium_interactions":{"unlimited":true,"entitlement":0,"token_based_billing":true}}})");
    CHECK(u.managed);
    CHECK(u.plan == "Business (managed by acme)");
    REQUIRE(u.main_quota());
    CHECK(u.main_quota()->placeholder);
    CHECK(describe_quota(*u.main_quota()) == "counted in your organisation's pool");
}

TEST_CASE("the exhausted state of the request era: 301 of 300") {
    const User u = user_of(
        R"({"login":"o","copilot_plan":"individual","quota_snapshots":{"premium_interactions":
        {"entitlement":300,"remaining":-1,"quota_remaining":-1,"percent_remaining":-0.333,"overage_permitted":false,"unlimited":false}}})");
    REQUIRE(u.main_quota());
    CHECK(u.main_quota()->exhausted());
    CHECK(u.main_quota()->percent_remaining == 0);
    CHECK(describe_quota(*u.main_quota()) == "0 of 300 premium requests left (0 %)");
}

TEST_CASE("numbers as strings, -1 as unlimited, missing members, premium_models") {
    const User u = user_of(R"({"login":"o","quota_snapshots":{
        "premium_models":{"entitlement":"300","remaining":"270","percent_remaining":"90"},
        "premium_interactions":{"entitlement":-1},"odd":5}})");
    REQUIRE(u.main_quota());
    CHECK(u.main_quota()->id == "premium_models");
    CHECK(u.main_quota()->remaining == 270);
    CHECK(u.quotas.size() == 2);
    CHECK(u.quotas[1].unlimited);
    CHECK(describe_quota(u.quotas[1]) == "unlimited");
}

TEST_CASE("the smallest account reply is enough; one that is no object is not") {
    const User u = user_of(R"({"login":"o","organization_list":[],"copilot_plan":"individual"})");
    CHECK(u.login == "o");
    CHECK(u.main_quota() == nullptr);
    CHECK_FALSE(parse_user("[]").ok());
    CHECK_FALSE(parse_user("<html>").ok());
}

TEST_CASE("quota headers of a model reply") {
    const auto q =
        parse_quota_header("X-Quota-Snapshot-Premium_Interactions",
                           "ent=300&ov=0.0&ovPerm=false&rem=88.5&rst=2026-04-01T00%3A00%3A00Z");
    REQUIRE(q);
    CHECK(q->id == "premium_interactions");
    CHECK(q->entitlement == 300);
    CHECK(q->remaining == doctest::Approx(265.5));
    CHECK(q->reset_at == parse_utc("2026-04-01T00:00:00Z"));
    CHECK(parse_quota_header("x-usage-ratelimit-session", "ent=0&rem=99.6")->id == "session");
    CHECK(parse_quota_header("x-quota-snapshot-chat", "ent=-1&rem=100")->unlimited);
    for (const char* bad : {"", "rem=", "rem=x", "ent=5", "rem=nan"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_quota_header("x-quota-snapshot-chat", bad));
    }
    CHECK_FALSE(parse_quota_header("content-type", "rem=5"));
}

TEST_CASE("a newer snapshot takes the older one's place and keeps what it does not say") {
    User u = user_of(kProPlus);
    auto newer = parse_quota_header("x-quota-snapshot-premium_interactions", "ent=7000&rem=50");
    merge_quota(u.quotas, *newer);
    CHECK(u.quotas.size() == 2);
    CHECK(u.main_quota()->credits);
    CHECK(u.main_quota()->remaining == 3500);
    CHECK(u.main_quota()->reset_at == from_unix_seconds(1790812800));
    merge_quota(u.quotas, *parse_quota_header("x-usage-ratelimit-weekly", "ent=0&rem=10"));
    CHECK(u.quotas.size() == 3);
    CHECK(describe_quota(u.quotas[2]) == "10 % left");
}

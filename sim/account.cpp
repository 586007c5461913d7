#include "sim/account.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "sim/fields.h"
#include "wire/url.h"

namespace belay::sim {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::year_month;
using std::chrono::year_month_day;

int64_t month_number(Wall now) {
    const year_month_day date{floor<days>(now)};
    return static_cast<int64_t>(static_cast<int>(date.year())) * 12 +
           static_cast<int64_t>(static_cast<unsigned>(date.month()));
}

std::string fixed1(double value) {
    char text[48];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

std::string utc_seconds(Wall t) { return render_utc(t).substr(0, 19) + "Z"; }

// One snapshot header: ent=300&ov=0.0&ovPerm=false&rem=88.5&rst=2026-04-01T00%3A00%3A00Z
std::string snapshot(int64_t entitlement, double overage, bool permitted, double percent,
                     Wall reset) {
    return "ent=" + std::to_string(entitlement) + "&ov=" + fixed1(overage) +
           "&ovPerm=" + (permitted ? "true" : "false") + "&rem=" + fixed1(percent) +
           "&rst=" + percent_encode(utc_seconds(reset));
}

double percent_left(int64_t limit, int64_t used) {
    if (limit <= 0) {
        return 100.0;
    }
    return std::max(0.0, 100.0 * static_cast<double>(limit - used) / static_cast<double>(limit));
}

double units(int64_t nano) { return std::round(static_cast<double>(nano) / 1e7) / 100.0; }

json::Value number(double value) {
    if (value == std::floor(value)) {
        return static_cast<int64_t>(value);
    }
    return value;
}

json::Value unlimited_snapshot(std::string_view id, const AccountSpec& spec, Wall now) {
    json::Value v = json::Value::object({{"quota_id", std::string(id)},
                                         {"entitlement", 0},
                                         {"remaining", 0},
                                         {"quota_remaining", 0},
                                         {"percent_remaining", 100},
                                         {"unlimited", true},
                                         {"overage_count", 0},
                                         {"overage_permitted", false},
                                         {"timestamp_utc", render_utc(now)},
                                         {"has_quota", false}});
    v.set("quota_reset_at", unix_seconds(next_month(now)));
    v.set("token_based_billing", spec.billing == Billing::credits);
    return v;
}

json::Value paid_snapshot(const Account& a, Wall now) {
    const AccountSpec& spec = a.spec;
    const int64_t whole = spec.entitlement / kUnit;
    const int64_t left = a.remaining();
    json::Value v = json::Value::object({{"quota_id", "premium_interactions"}});
    v.set("entitlement",
          spec.entitlement_as_text ? json::Value(std::to_string(whole)) : json::Value(whole));
    v.set("remaining", static_cast<int64_t>(std::floor(units(left))));
    v.set("quota_remaining", number(units(left)));
    const double percent = whole == 0 ? 0.0
                                      : std::round(1000.0 * static_cast<double>(left) /
                                                   static_cast<double>(spec.entitlement) * 100.0) /
                                            1000.0;
    v.set("percent_remaining", number(percent));
    v.set("unlimited", false);
    v.set("overage_count", number(units(std::max<int64_t>(0, -left))));
    v.set("overage_permitted", spec.overage_permitted);
    if (spec.billing == Billing::credits) {
        v.set("overage_entitlement", spec.overage_limit / kUnit);
        v.set("credits_used", number(units(a.used)));
    }
    v.set("timestamp_utc", render_utc(now));
    v.set("has_quota", !a.exhausted());
    v.set("quota_reset_at", unix_seconds(next_month(now)));
    v.set("token_based_billing", spec.billing == Billing::credits);
    return v;
}

json::Value counted_snapshot(std::string_view id, int64_t total, const AccountSpec& spec,
                             Wall now) {
    json::Value v = unlimited_snapshot(id, spec, now);
    v.set("entitlement", total);
    v.set("remaining", total);
    v.set("quota_remaining", total);
    v.set("unlimited", false);
    v.set("has_quota", true);
    return v;
}

json::Value render_snapshots(const Account& a, Wall now) {
    const AccountSpec& spec = a.spec;
    json::Value v = json::Value::object({});
    if (spec.plan == "free_tbb") {
        v.set("chat", counted_snapshot("chat", 200, spec, now));
        v.set("completions", counted_snapshot("completions", 2000, spec, now));
        v.set("premium_interactions", paid_snapshot(a, now));
        return v;
    }
    v.set("chat", unlimited_snapshot("chat", spec, now));
    v.set("completions", unlimited_snapshot("completions", spec, now));
    v.set("premium_interactions", spec.managed
                                      ? unlimited_snapshot("premium_interactions", spec, now)
                                      : paid_snapshot(a, now));
    return v;
}

AccountSpec paid(std::string_view plan, std::string sku, std::string copilot_plan,
                 std::string model_class, Billing billing, int64_t entitlement) {
    AccountSpec s;
    s.plan = plan;
    s.sku = std::move(sku);
    s.copilot_plan = std::move(copilot_plan);
    s.model_class = std::move(model_class);
    s.billing = billing;
    s.entitlement = entitlement * kUnit;
    return s;
}

AccountSpec organisation_seat(std::string_view plan, std::string sku, int64_t entitlement) {
    AccountSpec s = paid(plan, std::move(sku), std::string(plan), std::string(plan),
                         Billing::credits, entitlement);
    s.host = plan;
    s.individual = false;
    s.managed = true;
    s.can_enable = false;
    s.organization = "octo-org";
    return s;
}

int64_t nano_units(double value) { return std::llround(value * static_cast<double>(kUnit)); }

}  // namespace

void Account::roll(Wall now) {
    if (const int64_t month = month_number(now); month != period) {
        used = period == 0 ? used : 0;
        period = month;
    }
    if (now >= session_ends) {
        session_used = 0;
        session_ends = now + hours(5);
    }
    if (now >= week_ends) {
        weekly_used = 0;
        week_ends = now + days(7);
    }
}

bool Account::exhausted() const {
    if (remaining() > 0) {
        return false;
    }
    if (!spec.overage_permitted) {
        return true;
    }
    return spec.overage_limit != 0 && -remaining() >= spec.overage_limit;
}

int64_t cost_nano(const Model& model, const Usage& u) {
    const bool is_long = model.long_price && u.prompt() > model.long_from;
    const Price& p = is_long ? *model.long_price : model.price;
    const __int128 sum = static_cast<__int128>(u.input) * p.input +
                         static_cast<__int128>(u.cached) * p.cached +
                         static_cast<__int128>(u.cache_write) * p.cache_write +
                         static_cast<__int128>(u.output) * p.output;
    return static_cast<int64_t>(sum / 1'000'000);
}

json::Value render_copilot_usage(const AccountSpec& spec, const Model& model, const Usage& u) {
    if (spec.billing != Billing::credits) {
        return {};
    }
    const bool is_long = model.long_price && u.prompt() > model.long_from;
    const Price& p = is_long ? *model.long_price : model.price;
    auto detail = [](std::string_view type, int64_t count, int64_t price) {
        return json::Value::object({{"token_type", std::string(type)},
                                    {"token_count", count},
                                    {"batch_size", 1'000'000},
                                    {"cost_per_batch", price}});
    };
    json::Value v = json::Value::object({{"total_nano_aiu", cost_nano(model, u)}});
    v.set("token_details", json::Value::array({detail("input", u.input, p.input),
                                               detail("cache_read", u.cached, p.cached),
                                               detail("cache_write", u.cache_write, p.cache_write),
                                               detail("output", u.output, p.output)}));
    return v;
}

int64_t charge(Account& account, const Model& model, const Usage& usage, Initiator initiator) {
    int64_t price = 0;
    if (account.spec.billing == Billing::credits) {
        price = cost_nano(model, usage);
    } else if (initiator == Initiator::user) {
        // Free accounts pay one request even for the models that paid plans include.
        price = account.spec.legacy_free
                    ? std::max(model.multiplier_permille, 1000) * (kUnit / 1000)
                    : model.multiplier_permille * (kUnit / 1000);
    }
    account.used += price;
    account.session_used += price;
    account.weekly_used += price;
    return price;
}

Wall next_month(Wall now) {
    const year_month_day date{floor<days>(now)};
    const year_month next = year_month{date.year(), date.month()} + std::chrono::months{1};
    return Wall(std::chrono::sys_days{next / 1});
}

void add_quota_headers(Headers& headers, const Account& a, Wall now, bool empty) {
    const Wall reset = next_month(now);
    const AccountSpec& spec = a.spec;
    headers.push_back({"x-quota-snapshot-chat", snapshot(-1, 0, false, 100, reset)});
    headers.push_back({"x-quota-snapshot-completions", snapshot(-1, 0, false, 100, reset)});
    std::string paid = snapshot(-1, 0, false, 100, reset);
    if (!spec.managed || empty) {
        const int64_t over = std::max<int64_t>(0, -a.remaining());
        paid = snapshot(spec.entitlement / kUnit, units(over), spec.overage_permitted && !empty,
                        empty ? 0.0 : percent_left(spec.entitlement, a.used), reset);
    }
    headers.push_back({"x-quota-snapshot-premium_interactions", paid});
    headers.push_back({"x-quota-snapshot-premium_models", paid});
    headers.push_back(
        {"x-usage-ratelimit-session",
         snapshot(0, 0, false, percent_left(spec.session_limit, a.session_used), a.session_ends)});
    headers.push_back(
        {"x-usage-ratelimit-weekly",
         snapshot(0, 0, false, percent_left(spec.weekly_limit, a.weekly_used), a.week_ends)});
}

json::Value render_quota_frame(const Account& a, Wall now) {
    auto frame = [](int64_t entitlement, double percent, bool permitted, bool has, Wall reset) {
        return json::Value::object({{"entitlement", std::to_string(entitlement)},
                                    {"percent_remaining", number(std::round(percent * 10) / 10)},
                                    {"overage_permitted", permitted},
                                    {"overage_count", 0},
                                    {"reset_date", utc_seconds(reset)},
                                    {"has_quota", has}});
    };
    const Wall reset = next_month(now);
    const json::Value paid =
        frame(a.spec.entitlement / kUnit, percent_left(a.spec.entitlement, a.used),
              a.spec.overage_permitted, !a.exhausted(), reset);
    json::Value v = json::Value::object({{"chat", frame(-1, 100, false, true, reset)}});
    v.set("premium_interactions", paid);
    v.set("premium_models", paid);
    v.set("5Hour-Session-RateLimits", frame(0, percent_left(a.spec.session_limit, a.session_used),
                                            false, true, a.session_ends));
    v.set("Weekly-Session-RateLimits",
          frame(0, percent_left(a.spec.weekly_limit, a.weekly_used), false, true, a.week_ends));
    return v;
}

json::Value render_user(const Account& a, std::string_view api_url, Wall now) {
    const AccountSpec& spec = a.spec;
    json::Value v = json::Value::object({{"login", spec.login},
                                         {"access_type_sku", spec.sku},
                                         {"analytics_tracking_id", "5f0c0ffee5f0c0ffee"},
                                         {"assigned_date", nullptr},
                                         {"can_signup_for_limited", false},
                                         {"can_upgrade_plan", spec.plan != "max"},
                                         {"chat_enabled", true},
                                         {"cli_enabled", true},
                                         {"copilot_plan", spec.copilot_plan},
                                         {"copilotignore_enabled", false},
                                         {"editor_preview_features_enabled", true},
                                         {"is_mcp_enabled", true},
                                         {"is_staff", false},
                                         {"restricted_telemetry", spec.managed},
                                         {"te", false}});
    v.set("token_based_billing", spec.billing == Billing::credits);
    v.set("endpoints",
          json::Value::object({{"api", std::string(api_url)},
                               {"proxy", std::string(api_url) + "/proxy"},
                               {"origin-tracker", std::string(api_url) + "/origin-tracker"},
                               {"telemetry", std::string(api_url) + "/telemetry"}}));
    v.set("organization_login_list", spec.organization.empty()
                                         ? json::Value::array()
                                         : json::Value::array({spec.organization}));
    v.set("organization_list",
          spec.organization.empty()
              ? json::Value::array()
              : json::Value::array({json::Value::object(
                    {{"login", spec.organization}, {"name", "Octo Organisation"}})}));
    const std::string reset = render_utc(next_month(now));
    if (spec.legacy_free) {
        const int64_t left = std::max<int64_t>(0, a.remaining()) / kUnit;
        v.set("monthly_quotas",
              json::Value::object({{"chat", spec.entitlement / kUnit}, {"completions", 2000}}));
        v.set("limited_user_quotas", json::Value::object({{"chat", left}, {"completions", 1841}}));
        v.set("limited_user_reset_date", reset.substr(0, 10));
    } else {
        v.set("quota_reset_date", reset.substr(0, 10));
        v.set("quota_reset_date_utc", reset);
        v.set("quota_snapshots", render_snapshots(a, now));
    }
    for (const auto& key : spec.missing_keys) {
        v.erase(key);
    }
    return v;
}

std::vector<std::string_view> fixture_names() {
    return {"free", "free_tbb", "student",    "pro",       "pro_exhausted", "pro_plus",
            "max",  "business", "enterprise", "exhausted", "no_access",     "direct_only"};
}

std::vector<std::string_view> exchange_outcomes() {
    return {"ok",
            "bad_credentials",
            "not_found",
            "rate_limited",
            "server_error",
            "html",
            "no_copilot_access",
            "not_signed_up",
            "subscription_ended",
            "enterprise_managed_user_account",
            "feature_flag_blocked",
            "spammy_user",
            "billing_locked",
            "trade_restricted",
            "trade_restricted_country",
            "codespaces_demo_inactive",
            "snippy_not_configured",
            "expired_coupon",
            "revoked_coupon",
            "go_http_client",
            "programmatic_token_generation",
            "access_revoked"};
}

AccountSpec fixture(std::string_view plan) {
    AccountSpec s;
    const std::string plus = "plus_monthly_subscriber_quota";
    if (plan == "free") {
        s = paid(plan, "free_limited_copilot", "individual", "free", Billing::requests, 50);
        s.legacy_free = true;
        s.exhausted_code = "free_quota_exceeded";
    } else if (plan == "free_tbb" || plan == "student") {
        const bool free = plan == "free_tbb";
        s = paid(plan, free ? "free_limited_copilot" : "free_educational_quota",
                 free ? "individual" : "individual_edu", free ? "free" : "edu", Billing::credits,
                 free ? 100 : 300);
        s.auto_only = true;
        s.exhausted_code = "free_quota_exceeded";
    } else if (plan == "pro") {
        s = paid(plan, "yearly_subscriber", "individual", "pro", Billing::requests, 300);
    } else if (plan == "pro_exhausted") {
        s = paid(plan, "yearly_subscriber", "individual", "pro", Billing::requests, 300);
        s.used = 301 * kUnit;
    } else if (plan == "pro_plus") {
        s = paid(plan, plus, "individual_pro", "pro_plus", Billing::credits, 7000);
    } else if (plan == "exhausted") {
        s = paid(plan, plus, "individual_pro", "pro_plus", Billing::credits, 7000);
        s.used = s.entitlement;
    } else if (plan == "max") {
        s = paid(plan, "max_monthly_subscriber_quota", "individual_max", "max", Billing::credits,
                 20000);
        s.overage_permitted = true;
        s.overage_limit = 2000 * kUnit;
    } else if (plan == "business") {
        s = organisation_seat(plan, "copilot_for_business_seat_quota", 1900);
    } else if (plan == "enterprise") {
        s = organisation_seat(plan, "copilot_enterprise_seat_quota", 3900);
    } else if (plan == "no_access") {
        s = paid(plan, "", "", "free", Billing::credits, 0);
        s.exchange = "not_signed_up";
        s.user = "not_found";
        s.direct = false;
    } else if (plan == "direct_only") {
        s = paid(plan, plus, "individual_pro", "pro_plus", Billing::credits, 7000);
        s.exchange = "not_found";
    } else {
        return s;
    }
    s.name = plan;
    s.login = "octo-" + std::string(plan);
    std::replace(s.login.begin(), s.login.end(), '_', '-');
    s.github_token = "gho_sim_" + s.name;
    return s;
}

Result<AccountSpec> parse_account(const json::Value& value, const std::string& where) {
    const std::string plan(value["plan"].as_string(value["name"].as_string("pro_plus")));
    AccountSpec s = fixture(plan);
    Fields f(value, where);
    if (s.name.empty()) {
        f.fail("plan", "\"" + plan + "\" is no plan fixture");
    }
    std::string text = plan;
    std::string billing;
    f.text("plan", text);
    f.text("name", s.name);
    s.github_token = "gho_sim_" + s.name;
    f.text("github_token", s.github_token);
    f.text("login", s.login);
    f.text("host", s.host);
    f.text("user_host", s.user_host);
    f.text("organization", s.organization);
    f.choice("billing", billing, {"requests", "credits"});
    if (!billing.empty()) {
        s.billing = billing == "requests" ? Billing::requests : Billing::credits;
    }
    double entitlement = static_cast<double>(s.entitlement) / kUnit;
    double used = static_cast<double>(s.used) / kUnit;
    double overage = static_cast<double>(s.overage_limit) / kUnit;
    double session = 0;
    double weekly = 0;
    f.number("entitlement", entitlement);
    f.number("used", used);
    f.flag("overage_permitted", s.overage_permitted);
    f.number("overage_limit", overage);
    f.number("session_limit", session);
    f.number("weekly_limit", weekly);
    s.entitlement = nano_units(entitlement);
    s.used = nano_units(used);
    s.overage_limit = nano_units(overage);
    s.session_limit = nano_units(session);
    s.weekly_limit = nano_units(weekly);
    f.flag("auto_only", s.auto_only);
    f.flag("direct", s.direct);
    f.flag("can_enable", s.can_enable);
    f.text("exchange", s.exchange);
    const auto outcomes = exchange_outcomes();
    if (std::find(outcomes.begin(), outcomes.end(), s.exchange) == outcomes.end()) {
        f.fail("exchange", "\"" + s.exchange + "\" is no outcome of the token exchange");
    }
    f.integer("exchange_delay_ms", s.exchange_delay_ms);
    f.choice("user", s.user, {"ok", "bad_credentials", "forbidden", "not_found", "server_error"});
    f.text("exhausted_code", s.exhausted_code);
    f.flag("entitlement_as_text", s.entitlement_as_text);
    f.texts("missing_keys", s.missing_keys);
    TRY(f.finish());
    return s;
}

}  // namespace belay::sim

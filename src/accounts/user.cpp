#include "accounts/user.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "wire/json.h"
#include "wire/url.h"

namespace belay::accounts {
namespace {

// Numbers have arrived as strings in some payloads of 2026.
std::optional<double> number(const json::Value& v) {
    if (v.is_string()) {
        const std::string_view text = v.as_string();
        double d = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), d);
        if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(d)) {
            return std::nullopt;
        }
        return d;
    }
    return v.as_double();
}

std::string_view cut(std::string_view text, size_t max = 120) { return text.substr(0, max); }

Wall read_reset(const json::Value& snapshot, Wall account_reset) {
    if (const auto at = snapshot["quota_reset_at"].as_int(); at && *at > 0 && *at < 32503680000) {
        return from_unix_seconds(*at);
    }
    const Wall dated = parse_utc(snapshot["reset_date"].as_string());
    return dated == Wall::min() ? account_reset : dated;
}

Quota read_snapshot(std::string_view id, const json::Value& s, Wall account_reset) {
    Quota q;
    q.id = cut(id, 40);
    q.entitlement = number(s["entitlement"]).value_or(0);
    q.remaining = number(s["quota_remaining"]).value_or(number(s["remaining"]).value_or(0));
    q.unlimited = s["unlimited"].as_bool() || q.entitlement == -1;
    q.percent_remaining =
        number(s["percent_remaining"])
            .value_or(q.entitlement > 0 ? 100 * q.remaining / q.entitlement : 100);
    q.percent_remaining = std::clamp(q.percent_remaining, 0.0, 100.0);
    q.overage_used = std::max(0.0, number(s["overage_count"]).value_or(0));
    q.overage_permitted = s["overage_permitted"].as_bool();
    q.credits = s["token_based_billing"].as_bool();
    q.reset_at = read_reset(s, account_reset);
    return q;
}

// Free accounts of the request era: totals and remainders in two plain objects.
void read_free_quotas(const json::Value& v, std::vector<Quota>& quotas) {
    const Wall reset = parse_utc(v["limited_user_reset_date"].as_string());
    for (const auto& [id, left] : v["limited_user_quotas"].members()) {
        Quota q;
        q.id = cut(id, 40);
        q.remaining = number(left).value_or(0);
        q.entitlement = number(v["monthly_quotas"][id]).value_or(q.remaining);
        q.percent_remaining =
            q.entitlement > 0 ? std::clamp(100 * q.remaining / q.entitlement, 0.0, 100.0) : 0;
        q.reset_at = reset;
        quotas.push_back(std::move(q));
    }
}

void read_organizations(const json::Value& list, std::vector<std::string>& names) {
    for (const json::Value& item : list.items()) {
        const std::string_view name =
            item.is_string() ? item.as_string() : item["login"].as_string(item["name"].as_string());
        if (!name.empty() && names.size() < 20 &&
            std::find(names.begin(), names.end(), name) == names.end()) {
            names.emplace_back(cut(name));
        }
    }
}

// "5,120" / "5,120.4"
std::string render_amount(double amount) {
    // Tenths matter near the end only.
    amount = std::max(0.0, amount >= 100 ? std::round(amount) : std::round(amount * 10) / 10);
    char digits[40];
    std::snprintf(digits, sizeof digits, amount == std::floor(amount) ? "%.0f" : "%.1f", amount);
    std::string text(digits);
    size_t whole = text.find('.');
    whole = whole == std::string::npos ? text.size() : whole;
    for (size_t i = whole; i > 3; i -= 3) {
        text.insert(i - 3, ",");
    }
    return text;
}

std::string render_day(Wall t) {
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::string utc = render_utc(t);  // 2026-10-01T…
    const int month = std::stoi(utc.substr(5, 2));
    return std::to_string(std::stoi(utc.substr(8, 2))) + " " +
           kMonths[std::clamp(month, 1, 12) - 1];
}

}  // namespace

std::string describe_plan(std::string_view plan_id, std::string_view sku) {
    const auto has = [&](std::string_view part) {
        return sku.find(part) != std::string_view::npos;
    };
    const std::string trial = has("trial") ? " (trial)" : "";
    if (plan_id == "free" || has("free_limited") || has("no_auth_limited")) {
        return "Free";
    }
    if (plan_id == "individual_edu" || has("educational")) {
        return "Student";
    }
    if (plan_id == "enterprise" || has("enterprise_seat")) {
        return "Enterprise" + trial;
    }
    if (plan_id == "business" || has("business_seat")) {
        return "Business" + trial;
    }
    if (plan_id == "individual_max" || has("max_")) {
        return "Max" + trial;
    }
    if (plan_id == "individual_pro" || sku.starts_with("plus_")) {
        return "Pro+" + trial;
    }
    if (plan_id == "individual" || has("subscriber") || has("copilot_for_individuals")) {
        return "Pro" + trial;
    }
    return plan_id.empty() ? "unknown plan" : std::string(cut(plan_id, 40));
}

Result<User> parse_user(std::string_view body) {
    const json::Value v = TRY(json::parse(body));
    if (!v.is_object()) {
        return upstream_error(Kind::upstream_malformed, "the account reply is not an object");
    }
    User u;
    u.login = cut(v["login"].as_string());
    u.plan_id = cut(v["copilot_plan"].as_string(), 60);
    u.sku = cut(v["access_type_sku"].as_string(), 80);
    u.api_base = v["endpoints"]["api"].as_string();
    u.chat_enabled = v["chat_enabled"].as_bool(true);
    u.credits = v["token_based_billing"].as_bool();
    u.can_sign_up_for_free = v["can_signup_for_limited"].as_bool();
    read_organizations(v["organization_login_list"], u.organizations);
    read_organizations(v["organization_list"], u.organizations);
    u.managed = u.plan_id == "business" || u.plan_id == "enterprise";
    u.plan = describe_plan(u.plan_id, u.sku);
    if (u.managed && !u.organizations.empty()) {
        u.plan += " (managed by " + u.organizations.front() + ")";
    }
    Wall reset = parse_utc(v["quota_reset_date_utc"].as_string());
    if (reset == Wall::min()) {
        reset = parse_utc(v["quota_reset_date"].as_string());
    }
    for (const auto& [id, snapshot] : v["quota_snapshots"].members()) {
        if (snapshot.is_object() && u.quotas.size() < 16) {
            Quota q = read_snapshot(id, snapshot, reset);
            q.placeholder = u.managed && q.unlimited && q.entitlement == 0;
            q.credits = q.credits || u.credits;
            u.quotas.push_back(std::move(q));
        }
    }
    if (u.quotas.empty()) {
        read_free_quotas(v, u.quotas);
    }
    return u;
}

const Quota* User::main_quota() const {
    const Quota* chat = nullptr;
    const Quota* premium = nullptr;
    for (const Quota& q : quotas) {
        if (q.id == "chat") {
            chat = &q;
        } else if (q.id == "premium_models" || (q.id == "premium_interactions" && !premium)) {
            premium = &q;
        }
    }
    // A free plan of the credit era has a premium allowance of zero; its chat allowance counts.
    const bool has_premium = premium && (premium->unlimited || premium->entitlement > 0);
    return has_premium || !chat ? premium : chat;
}

std::optional<Quota> parse_quota_header(std::string_view name, std::string_view value) {
    std::string lower(name.substr(0, 64));
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    Quota q;
    for (std::string_view prefix : {"x-quota-snapshot-", "x-usage-ratelimit-"}) {
        if (lower.starts_with(prefix)) {
            q.id = lower.substr(prefix.size());
        }
    }
    if (q.id.empty() || value.empty() || value.size() > 1024) {
        return std::nullopt;
    }
    bool known = false;
    std::optional<double> total_left;
    for (const auto& [key, text] : parse_form(value)) {
        const auto amount = number(json::Value(std::string_view(text)));
        if (key == "ent" && amount) {
            q.entitlement = *amount;
            q.unlimited = *amount == -1;
        } else if (key == "rem" && amount) {
            q.percent_remaining = std::clamp(*amount, 0.0, 100.0);
            known = true;
        } else if (key == "ov" && amount) {
            q.overage_used = std::max(0.0, *amount);
        } else if (key == "ovPerm") {
            q.overage_permitted = text == "true";
        } else if (key == "totRem") {
            total_left = amount;
        } else if (key == "rst") {
            q.reset_at = parse_utc(text);
        }
    }
    q.remaining = total_left.value_or(q.entitlement * q.percent_remaining / 100);
    return known ? std::optional<Quota>(std::move(q)) : std::nullopt;
}

void merge_quota(std::vector<Quota>& quotas, Quota newer) {
    for (Quota& old : quotas) {
        if (old.id == newer.id) {
            // A header does not say what it counts, nor that the pool belongs to somebody else.
            newer.credits = newer.credits || old.credits;
            newer.placeholder = old.placeholder && newer.entitlement == 0;
            newer.unlimited = newer.unlimited || (old.unlimited && newer.entitlement <= 0);
            if (newer.reset_at == Wall::min()) {
                newer.reset_at = old.reset_at;
            }
            old = std::move(newer);
            return;
        }
    }
    if (quotas.size() < 16) {
        quotas.push_back(std::move(newer));
    }
}

std::string describe_quota(const Quota& q) {
    const std::string unit = q.credits        ? " credits"
                             : q.id == "chat" ? " chat requests"
                                              : " premium requests";
    std::string text;
    if (q.placeholder) {
        return "counted in your organisation's pool";
    }
    if (q.unlimited) {
        return "unlimited";
    }
    char percent[16];
    std::snprintf(percent, sizeof percent, "%.0f", q.percent_remaining);
    if (q.entitlement <= 0) {
        text = std::string(percent) + " % left";
    } else {
        text = render_amount(q.remaining) + " of " + render_amount(q.entitlement) + unit +
               " left (" + percent + " %)";
    }
    if (q.exhausted() && q.overage_permitted) {
        text += ", additional usage is on";
    }
    if (q.reset_at != Wall::min()) {
        // The 5-hour window ends within hours; a day would say nothing.
        text +=
            ", resets " + (q.id == "session" ? "at " + render_utc(q.reset_at).substr(11, 5) + " UTC"
                                             : render_day(q.reset_at));
    }
    return text;
}

}  // namespace belay::accounts

#include "governance/documents.h"

#include <algorithm>
#include <limits>

#include "base/clock.h"

namespace belay::governance {
namespace {

using json::Value;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr double kUsdMax = 9e7;  // about what 64 bits of nano-credits hold
constexpr size_t kMostWindows = 8;
constexpr size_t kMostModels = 1000;
constexpr int64_t kUsdPerCredit = 100;

std::string_view text_of(const Value& value) {
    return value.is_number() ? value.number_text() : value.as_string();
}

const Value& first_of(const Value& a, const Value& b) { return a.is_null() ? b : a; }

// {budget_limit, time_period}, {max_budget, budget_duration}, or a bare amount.
BudgetWindow read_window(const Value& value) {
    BudgetWindow window;
    if (!value.is_object()) {
        window.most = read_usd(value).value_or(NanoCredits());
        return window;
    }
    const Value& most = first_of(value["max_budget"], value["budget_limit"]);
    window.most = read_usd(most).value_or(NanoCredits());
    window.duration =
        std::string(first_of(value["budget_duration"], value["time_period"]).as_string());
    window.reset_at_ms =
        read_time_ms(first_of(value["budget_reset_at"], value["reset_at"]), /*senseless=*/0);
    return window;
}

// The budget of the entity itself: max_budget over budget_duration, from one document.
void read_main_budget(const Value& doc, const Value& from, bool at_equal, Limits& limits) {
    const auto most = read_usd(from["max_budget"]);
    if (!most) {
        return;
    }
    BudgetWindow window;
    window.most = *most;
    window.duration = std::string(from["budget_duration"].as_string());
    window.reset_at_ms = read_time_ms(from["budget_reset_at"], /*senseless=*/0);
    window.refuse_at_equal = at_equal;
    const auto extra = read_usd(own_or_metadata(doc, "temp_budget_increase"));
    if (extra) {
        window.extra = *extra;
        window.extra_until_ms =
            read_time_ms(own_or_metadata(doc, "temp_budget_expiry"), /*senseless=*/0);
    }
    limits.budgets.push_back(std::move(window));
}

void read_more_budgets(const Value& doc, const Value& from, bool at_equal, Limits& limits) {
    if (const auto credits = read_credits(own_or_metadata(doc, "max_credits"))) {
        BudgetWindow window;
        window.most = *credits;
        window.duration = std::string(from["budget_duration"].as_string());
        window.reset_at_ms = read_time_ms(from["budget_reset_at"], /*senseless=*/0);
        window.refuse_at_equal = at_equal;
        limits.budgets.push_back(std::move(window));
    }
    for (const Value& one : doc["budget_limits"].items()) {
        if (limits.budgets.size() == kMostWindows) {
            break;
        }
        BudgetWindow window = read_window(one);
        window.refuse_at_equal = at_equal;
        limits.budgets.push_back(std::move(window));
    }
}

ModelLimit& model_limit(Limits& limits, std::string_view model) {
    const auto at = std::find_if(limits.models.begin(), limits.models.end(),
                                 [&](const ModelLimit& one) { return one.model == model; });
    if (at != limits.models.end()) {
        return *at;
    }
    limits.models.emplace_back();
    limits.models.back().model = std::string(model);
    return limits.models.back();
}

template <class Take>
void each_model(const Value& map, Limits& limits, const Take& take) {
    for (const auto& [model, value] : map.members()) {
        if (limits.models.size() == kMostModels) {
            break;
        }
        if (!value.is_null()) {
            take(model_limit(limits, model), value);
        }
    }
}

}  // namespace

std::optional<NanoCredits> read_usd(const Value& value) {
    if (value.is_null()) {
        return std::nullopt;
    }
    const auto number = value.as_double();
    if (number && *number > kUsdMax) {
        return NanoCredits{kMax};
    }
    const auto parsed = parse_usd(text_of(value));
    return parsed && parsed->value > 0 ? *parsed : NanoCredits();
}

std::optional<NanoCredits> read_credits(const Value& value) {
    auto amount = read_usd(value);  // of the same digits as US$
    if (amount && amount->value != kMax) {
        amount->value /= kUsdPerCredit;
    }
    return amount;
}

std::optional<int64_t> read_count(const Value& value) {
    if (value.is_null()) {
        return std::nullopt;
    }
    if (const auto whole = value.as_int()) {
        return std::max<int64_t>(*whole, 0);
    }
    const auto number = value.as_double();
    if (!number || !(*number > 0)) {
        return 0;
    }
    return *number >= 9e18 ? kMax : static_cast<int64_t>(*number);
}

std::optional<int64_t> read_milli(const Value& value) {
    const auto number = value.as_double();
    if (value.is_null()) {
        return std::nullopt;
    }
    if (!number || !(*number > 0)) {
        return 0;
    }
    return *number >= 9e15 ? kMax : static_cast<int64_t>(*number * 1000 + 0.5);
}

int64_t read_time_ms(const Value& value, int64_t senseless) {
    if (value.is_null()) {
        return 0;
    }
    const Wall at = parse_utc(value.as_string());
    return at == Wall::min() ? senseless : unix_millis(at);
}

std::vector<std::string> read_names(const Value& value) {
    std::vector<std::string> names;
    for (const Value& one : value.items()) {
        if (one.is_string()) {
            names.emplace_back(one.as_string());
        }
    }
    return names;
}

const Value& own_or_metadata(const Value& doc, std::string_view name) {
    const Value& own = doc[name];
    return own.is_null() ? doc["metadata"][name] : own;
}

bool refuses_at_equal(ScopeKind kind) {
    return kind == ScopeKind::key || kind == ScopeKind::team_member ||
           kind == ScopeKind::organization;
}

Limits read_limits(ScopeKind kind, const Value& doc, const Value& budget) {
    Limits limits;
    const auto either = [&](std::string_view name) -> const Value& {
        return first_of(doc[name], budget[name]);
    };
    const Value& money = doc["max_budget"].is_null() && !budget.is_null() ? budget : doc;
    read_main_budget(doc, money, refuses_at_equal(kind), limits);
    read_more_budgets(doc, money, refuses_at_equal(kind), limits);
    limits.soft_budget = read_usd(either("soft_budget"));
    limits.rpm = read_count(either("rpm_limit"));
    limits.tpm = read_count(either("tpm_limit"));
    limits.max_parallel = read_count(either("max_parallel_requests"));
    limits.premium_milli = read_milli(own_or_metadata(doc, "max_premium_requests"));

    each_model(either("model_max_budget"), limits,
               [](ModelLimit& limit, const Value& value) { limit.budget = read_window(value); });
    const auto per_model = [&](std::string_view name) -> const Value& {
        return first_of(own_or_metadata(doc, name), budget[name]);
    };
    each_model(per_model("model_rpm_limit"), limits,
               [](ModelLimit& limit, const Value& value) { limit.rpm = read_count(value); });
    each_model(per_model("model_tpm_limit"), limits,
               [](ModelLimit& limit, const Value& value) { limit.tpm = read_count(value); });
    return limits;
}

}  // namespace belay::governance

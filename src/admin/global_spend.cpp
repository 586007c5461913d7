// /global/*: sums over everything, for overviews.
#include <algorithm>
#include <array>
#include <map>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/log_rows.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;
using Sums = std::map<std::string, ledger::Metrics>;

Result<std::vector<ledger::DaySum>> sums_between(const Call& call, const Dates& dates) {
    ledger::DayFilter filter;
    filter.from = dates.from;
    filter.until = dates.until;
    return call.services.queries.day_sums(filter);
}

Dates last_days(const Call& call, int64_t days) {
    return {date_of(call.now_ms - days * kDayMs), date_of(call.now_ms)};
}

template <class Name>
Result<Sums> sums_by(const Call& call, const Dates& dates, const Name& name) {
    Sums sums;
    for (const ledger::DaySum& sum : TRY(sums_between(call, dates))) {
        sums[name(sum)] += sum.metrics;
    }
    return sums;
}

std::vector<std::pair<std::string, ledger::Metrics>> dearest(const Sums& sums, size_t limit) {
    std::vector<std::pair<std::string, ledger::Metrics>> rows(sums.begin(), sums.end());
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& a, const auto& b) { return a.second.cost > b.second.cost; });
    if (rows.size() > limit) {
        rows.resize(limit);
    }
    return rows;
}

Result<Value> global_spend(Call& call) {
    const NanoCredits spent =
        call.services.governor.standing(ScopeKind::global, governance::kGlobalScope).spent;
    return Value::object({{"spend", usd(spent)},
                          {"max_budget", call.settings->max_budget ? usd(*call.settings->max_budget)
                                                                   : Value(json::Number{"0.0"})}});
}

Result<Value> by_day(Call& call) {
    const Dates dates = last_days(call, 30);
    Sums sums = TRY(sums_by(call, dates, [](const auto& sum) { return sum.date; }));
    Value rows = Value::array();
    for (std::string date = dates.from; date <= dates.until; date = next_date(date)) {
        rows.push(Value::object({{"date", Value(date)}, {"spend", usd(sums[date].cost)}}));
    }
    return rows;
}

Result<Value> by_key(Call& call) {
    const Sums sums =
        TRY(sums_by(call, last_days(call, 30), [](const auto& sum) { return sum.key; }));
    Value rows = Value::array();
    for (const auto& [key, m] : dearest(sums, static_cast<size_t>(call.asked_int("limit")))) {
        const Value document = call.doc(EntityKind::key, key);
        rows.push(Value::object({{"api_key", Value(key)},
                                 {"key_alias", document["key_alias"]},
                                 {"key_name", document["key_name"]},
                                 {"total_spend", usd(m.cost)}}));
    }
    return rows;
}

Result<Value> by_model(Call& call) {
    const Sums sums =
        TRY(sums_by(call, last_days(call, 30), [](const auto& sum) { return sum.model; }));
    Value rows = Value::array();
    for (const auto& [model, m] : dearest(sums, static_cast<size_t>(call.asked_int("limit")))) {
        rows.push(Value::object({{"model", Value(model)}, {"total_spend", usd(m.cost)}}));
    }
    return rows;
}

Result<Value> by_team(Call& call) {
    const Dates dates = last_days(call, 30);
    const auto shown = [&](const std::string& id) {
        const std::string alias(call.doc(EntityKind::team, id)["team_alias"].as_string());
        return !alias.empty() ? alias : id.empty() ? std::string("Unassigned") : id;
    };
    std::map<std::string, std::map<std::string, NanoCredits>> days;
    Sums teams;
    for (const ledger::DaySum& sum : TRY(sums_between(call, dates))) {
        NanoCredits& day = days[sum.date][shown(sum.team)];
        day = add(day, sum.metrics.cost);
        teams[sum.team] += sum.metrics;
    }
    Value daily = Value::array();
    for (const auto& [date, amounts] : days) {
        Value row = Value::object({{"date", Value(date)}});
        for (const auto& [team, amount] : amounts) {
            row.set(team, usd(amount));
        }
        daily.push(std::move(row));
    }
    Value names = Value::array();
    Value totals = Value::array();
    for (const auto& [team, m] : dearest(teams, 1000)) {
        names.push(Value(shown(team)));
        totals.push(Value::object({{"team_id", Value(shown(team))}, {"total_spend", usd(m.cost)}}));
    }
    return Value::object({{"daily_spend", std::move(daily)},
                          {"teams", std::move(names)},
                          {"total_spend_per_team", std::move(totals)}});
}

Result<Value> by_provider(Call& call) {
    const Dates dates = TRY(asked_dates_or_month(call));
    const Sums sums = TRY(sums_by(call, dates, [](const auto& sum) { return sum.provider; }));
    Value rows = Value::array();
    for (const auto& [provider, m] : dearest(sums, 1000)) {
        rows.push(Value::object({{"provider", Value(provider)}, {"spend", usd(m.cost)}}));
    }
    return rows;
}

Result<Value> by_end_user(Call& call) {
    Dates dates = last_days(call, 30);
    if (!call.text("startTime").empty() && !call.text("endTime").empty()) {
        const auto from = parse_moment(call.text("startTime"));
        const auto until = parse_moment(call.text("endTime"));
        if (!from || !until) {
            return bad_request(in_error("startTime and endTime are ISO 8601"), "startTime");
        }
        dates = {date_of(*from), date_of(*until)};
    }
    Sums sums;
    const std::string key = call.text("api_key");
    for (const ledger::DaySum& sum : TRY(sums_between(call, dates))) {
        if (!sum.end_user.empty() && (key.empty() || key == sum.key)) {
            sums[sum.end_user] += sum.metrics;
        }
    }
    Value rows = Value::array();
    for (const auto& [user, m] : dearest(sums, 100)) {
        rows.push(Value::object({{"end_user", Value(user)},
                                 {"total_count", Value(m.requests)},
                                 {"total_spend", usd(m.cost)}}));
    }
    return rows;
}

Result<Value> all_end_users(Call& call) {
    Value names = Value::array();
    for (const auto& customer : call.services.directory.list(EntityKind::customer)) {
        names.push(Value::object({{"end_user", Value(customer->id)}}));
    }
    return names;
}

Result<Value> by_tag(Call& call) {
    const Dates dates = call.asked("start_date").empty() ? Dates{"0000-00-00", "9999-99-99"}
                                                         : TRY(asked_dates(call));
    const auto wanted = call.asked_texts("tags");
    std::vector<Value> rows;
    for (const auto& sum : TRY(call.services.queries.tag_sums(dates.from, dates.until))) {
        if (wanted.empty() || std::find(wanted.begin(), wanted.end(), sum.tag) != wanted.end()) {
            rows.push_back(Value::object({{"name", Value(sum.tag)},
                                          {"spend", usd(sum.metrics.cost)},
                                          {"log_count", Value(sum.metrics.requests)}}));
        }
    }
    sort_rows(rows, "spend", true);
    return Value::object({{"spend_per_tag", Value(json::Array(std::move(rows)))}});
}

Result<Value> tag_names(Call& call) {
    Value names = Value::array();
    for (const auto& sum : TRY(call.services.queries.tag_sums("0000-00-00", "9999-99-99"))) {
        names.push(Value(sum.tag));
    }
    return Value::object({{"tag_names", std::move(names)}});
}

// ---- activity
// ------------------------------------------------------------------------------------

// "Jan 22".
std::string day_name(std::string_view date) {
    constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto digit = [&](size_t at) { return static_cast<size_t>(date[at] - '0'); };
    if (date.size() != 10) {
        return std::string(date);
    }
    const size_t month = digit(5) * 10 + digit(6);
    return std::string(month >= 1 && month <= 12 ? kMonths[month - 1] : "") + " " +
           std::string(date.substr(8));
}

Value activity_of(const Dates& dates, Sums& days) {
    Value rows = Value::array();
    ledger::Metrics total;
    for (std::string date = dates.from; date <= dates.until; date = next_date(date)) {
        const ledger::Metrics& m = days[date];
        total += m;
        rows.push(Value::object({{"date", Value(day_name(date))},
                                 {"api_requests", Value(m.requests)},
                                 {"total_tokens", Value(m.prompt_tokens + m.completion_tokens)}}));
    }
    return Value::object(
        {{"daily_data", std::move(rows)},
         {"sum_api_requests", Value(total.requests)},
         {"sum_total_tokens", Value(total.prompt_tokens + total.completion_tokens)}});
}

Result<Value> activity(Call& call) {
    const Dates dates = TRY(asked_dates(call));
    Sums days = TRY(sums_by(call, dates, [](const auto& sum) { return sum.date; }));
    return activity_of(dates, days);
}

Result<Value> activity_by_model(Call& call) {
    const Dates dates = TRY(asked_dates(call));
    std::map<std::string, Sums> models;
    for (const ledger::DaySum& sum : TRY(sums_between(call, dates))) {
        models[sum.model_group.empty() ? sum.model : sum.model_group][sum.date] += sum.metrics;
    }
    Value rows = Value::array();
    for (auto& [model, days] : models) {
        Value row = activity_of(dates, days);
        row.set("model", model);
        rows.push(std::move(row));
    }
    return rows;
}

Result<Value> exceptions(Call& call) {
    const Dates dates = TRY(asked_dates(call));
    const std::string group = call.asked("model_group");
    Sums days;
    int64_t total = 0;
    for (const ledger::DaySum& sum : TRY(sums_between(call, dates))) {
        if (group.empty() || sum.model_group == group) {
            days[sum.date] += sum.metrics;
            total += sum.metrics.failures;
        }
    }
    Value rows = Value::array();
    for (std::string date = dates.from; date <= dates.until; date = next_date(date)) {
        rows.push(Value::object({{"date", Value(day_name(date))},
                                 {"num_rate_limit_exceptions", Value(days[date].failures)}}));
    }
    return Value::object(
        {{"daily_data", std::move(rows)}, {"sum_num_rate_limit_exceptions", Value(total)}});
}

// ---- reset
// ---------------------------------------------------------------------------------------

// Of every key and team; the log stays. The master key's alone.
Result<Value> reset(Call& call) {
    if (!call.caller.is_master) {
        return call.admin_only();
    }
    for (const auto& [kind, scope] : {std::pair{EntityKind::key, ScopeKind::key},
                                      std::pair{EntityKind::team, ScopeKind::team}}) {
        for (const auto& entity : call.services.directory.list(kind)) {
            Value document = entity->doc;
            if (document["active_token_id"].is_null()) {
                call.set_spent(scope, entity->id, document, NanoCredits{});
                call.put(kind, entity->id, std::move(document));
            }
        }
    }
    return Value::object({{"message", "Spend for all API Keys and Teams reset successfully"},
                          {"status", "success"}});
}

constexpr Field kLimit[] = {{"limit", Type::integer, "rows", "10", false, "", 1, 1000}};
constexpr Field kDates[] = {
    {"start_date", Type::text, "YYYY-MM-DD"},
    {"end_date", Type::text, "YYYY-MM-DD, included"},
    {"model_group", Type::text, "of this group"},
    {"api_key", Type::text, "accepted"},
};
constexpr Field kTagQuery[] = {
    {"start_date", Type::text, "YYYY-MM-DD"},
    {"end_date", Type::text, "YYYY-MM-DD, included"},
    {"tags", Type::list, "only these"},
};
constexpr Field kEndUsers[] = {
    {"api_key", Type::text, "hash of a key"},
    {"startTime", Type::text, "ISO 8601"},
    {"endTime", Type::text, "ISO 8601"},
};

}  // namespace

std::span<const Route> global_spend_routes() {
    static const std::array made = {
        Route{"GET", "/global/spend", "", "global_spend", "spend", "All that was spent",
              kAdminsRead, global_spend},
        Route{"GET", "/global/spend/logs", "", "global_spend_logs", "spend",
              "By day, of the last 30", kAdminsRead, by_day},
        Route{"GET",
              "/global/spend/keys",
              "",
              "global_spend_keys",
              "spend",
              "The dearest keys of 30 days",
              kAdminsRead,
              by_key,
              Effect::reads,
              {},
              kLimit},
        Route{"GET",
              "/global/spend/models",
              "",
              "global_spend_models",
              "spend",
              "The dearest models of 30 days",
              kAdminsRead,
              by_model,
              Effect::reads,
              {},
              kLimit},
        Route{"GET", "/global/spend/teams", "", "global_spend_teams", "spend",
              "By day and team, of the last 30 days", kAdminsRead, by_team},
        Route{"GET",
              "/global/spend/provider",
              "",
              "global_spend_providers",
              "spend",
              "By provider",
              kAdminsRead,
              by_provider,
              Effect::reads,
              {},
              kDates},
        Route{"GET",
              "/global/spend/tags",
              "",
              "global_spend_tags",
              "spend",
              "By tag",
              kAdminsRead,
              by_tag,
              Effect::reads,
              {},
              kTagQuery},
        Route{"GET", "/global/spend/all_tag_names", "", "all_tag_names", "spend", "Tags seen",
              kAdminsRead, tag_names},
        Route{"POST",
              "/global/spend/end_users",
              "",
              "global_spend_end_users",
              "spend",
              "The dearest customers",
              kAdminsRead,
              by_end_user,
              Effect::reads,
              {kEndUsers}},
        Route{"GET", "/global/all_end_users", "", "all_end_users", "spend", "Customers' ids",
              kAdminsRead, all_end_users},
        Route{"GET",
              "/global/activity",
              "",
              "global_activity",
              "spend",
              "Requests and tokens by day",
              kAdminsRead,
              activity,
              Effect::reads,
              {},
              kDates},
        Route{"GET",
              "/global/activity/model",
              "",
              "global_activity_models",
              "spend",
              "Requests and tokens by model and day",
              kAdminsRead,
              activity_by_model,
              Effect::reads,
              {},
              kDates},
        Route{"GET",
              "/global/activity/exceptions",
              "",
              "global_activity_exceptions",
              "spend",
              "Failures by day",
              kAdminsRead,
              exceptions,
              Effect::reads,
              {},
              kDates},
        Route{"POST", "/global/spend/reset", "", "reset_global_spend", "spend",
              "Zeroes what keys and teams have spent", kAdmin, reset, Effect::writes},
    };
    return made;
}

}  // namespace belay::admin

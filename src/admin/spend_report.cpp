// /global/spend/report: what was spent by team, customer or key and day, with the models and keys
// that it was spent on (LiteLLM docs, "Spend Tracking").
#include <algorithm>
#include <map>
#include <tuple>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/log_rows.h"

namespace belay::admin {
namespace {

using ledger::DayFilter;
using ledger::DaySum;
using ledger::Metrics;

// [{model, api_key, spend, total_tokens}] of one day's team or customer.
using Parts = std::map<std::pair<std::string, std::string>, Metrics>;

Value shown_parts(const Parts& parts) {
    Value rows = Value::array();
    for (const auto& [name, m] : parts) {
        rows.push(Value::object({{"model", Value(name.first)},
                                 {"api_key", Value(name.second)},
                                 {"spend", usd(m.cost)},
                                 {"total_tokens", Value(m.prompt_tokens + m.completion_tokens)}}));
    }
    return rows;
}

Metrics total_of(const Parts& parts) {
    Metrics total;
    for (const auto& [name, m] : parts) {
        total += m;
    }
    return total;
}

Result<Value> by_day(Call& call, DayFilter filter, bool by_team) {
    std::map<std::string, std::map<std::string, Parts>> days;
    for (const DaySum& sum : TRY(call.services.queries.day_sums(filter))) {
        const std::string& who = by_team ? sum.team : sum.end_user;
        days[sum.date][who][{sum.model, sum.key}] += sum.metrics;
    }
    Value rows = Value::array();
    for (const auto& [date, groups] : days) {
        Value shown = Value::array();
        for (const auto& [id, parts] : groups) {
            const std::string alias(call.doc(EntityKind::team, id)["team_alias"].as_string());
            const std::string name = !by_team         ? id
                                     : !alias.empty() ? alias
                                     : !id.empty()    ? id
                                                      : "Unassigned Team";
            shown.push(Value::object({{by_team ? "team_name" : "customer", Value(name)},
                                      {"total_spend", usd(total_of(parts).cost)},
                                      {"metadata", shown_parts(parts)}}));
        }
        rows.push(Value::object({{"group_by_day", Value(date + "T00:00:00+00:00")},
                                 {by_team ? "teams" : "customers", std::move(shown)}}));
    }
    return rows;
}

// One row for each key, the dearest first.
Result<Value> by_key(Call& call, const DayFilter& filter) {
    std::map<std::string, std::map<std::string, Metrics>> keys;
    for (const DaySum& sum : TRY(call.services.queries.day_sums(filter))) {
        keys[sum.key][sum.model] += sum.metrics;
    }
    std::vector<std::pair<NanoCredits, Value>> rows;
    for (const auto& [key, models] : keys) {
        Metrics total;
        Value details = Value::array();
        for (const auto& [model, m] : models) {
            total += m;
            details.push(Value::object({{"model", Value(model)},
                                        {"total_cost", usd(m.cost)},
                                        {"total_input_tokens", Value(m.prompt_tokens)},
                                        {"total_output_tokens", Value(m.completion_tokens)}}));
        }
        rows.emplace_back(total.cost,
                          Value::object({{"api_key", Value(key)},
                                         {"total_cost", usd(total.cost)},
                                         {"total_input_tokens", Value(total.prompt_tokens)},
                                         {"total_output_tokens", Value(total.completion_tokens)},
                                         {"model_details", std::move(details)}}));
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& left, const auto& right) { return left.first > right.first; });
    Value out = Value::array();
    for (auto& [cost, row] : rows) {
        out.push(std::move(row));
    }
    return out;
}

Result<Value> report(Call& call) {
    const Dates dates = TRY(asked_dates(call));
    DayFilter filter;
    filter.from = dates.from;
    filter.until = dates.until;
    const auto only = [&](std::string_view name, std::vector<std::string>& list) {
        if (const std::string asked = call.asked(name); !asked.empty()) {
            list.push_back(name == "api_key" ? call.services.directory.id_of(asked) : asked);
        }
        return !list.empty();
    };
    if (only("api_key", filter.keys) || only("internal_user_id", filter.users)) {
        return by_key(call, filter);
    }
    (void)only("team_id", filter.teams);
    const std::string group = call.asked("group_by");
    if (only("customer_id", filter.end_users) || group == "customer") {
        filter.by = DayFilter::By::end_user;
        return by_day(call, filter, false);
    }
    return group == "api_key" ? by_key(call, filter) : by_day(call, filter, true);
}

constexpr Field kQuery[] = {
    {"start_date", Type::text, "YYYY-MM-DD"},
    {"end_date", Type::text, "YYYY-MM-DD, included"},
    {"group_by", Type::text, "what the days are divided by", "\"team\"", false,
     "team|customer|api_key"},
    {"api_key", Type::text, "of this key, or its hash; by key"},
    {"internal_user_id", Type::text, "of this user; by key"},
    {"team_id", Type::text, "of this team"},
    {"customer_id", Type::text, "of this customer"},
};

}  // namespace

std::span<const Route> spend_report_routes() {
    static const std::array made = {
        Route{"GET",
              "/global/spend/report",
              "",
              "global_spend_report",
              "spend",
              "Spend by team, customer or key and day",
              kAdminsRead,
              report,
              Effect::reads,
              {},
              kQuery},
    };
    return made;
}

}  // namespace belay::admin

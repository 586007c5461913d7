// /spend/*: the log by page, and what keys, users and tags have spent. Sums come from the ledger's
// daily tables, never from a scan of the log.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/log_rows.h"
#include "governance/keys.h"
#include "ledger/price.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;

constexpr uint32_t kRowsMost = 1000;  // of an answer without pages

// Who does not see everything sees what is theirs: their team's when they lead it, their own, the
// key's own when it has no owner.
Result<void> narrow(const Call& call, ledger::LogFilter& filter) {
    if (call.reads_all()) {
        return {};
    }
    if (!filter.team.empty() && call.manages_team(call.doc(EntityKind::team, filter.team))) {
        return {};
    }
    if (call.caller.user_id.empty()) {
        if (!filter.key.empty() && filter.key != call.caller.key_hash) {
            return forbidden("A key may read its own spend only", "api_key");
        }
        filter.key = call.caller.key_hash;
        return {};
    }
    if (!filter.user.empty() && !call.is_self(filter.user)) {
        return forbidden("You may read your own spend only: user_id=" + call.caller.user_id,
                         "user_id");
    }
    filter.user = call.caller.user_id;
    return {};
}

Value rows_of(const Call& call, const std::vector<ledger::Entry>& entries) {
    Value rows = Value::array();
    for (const ledger::Entry& entry : entries) {
        rows.push(full_log_row(call, entry));
    }
    return rows;
}

std::string key_filter(const Call& call, const std::string& asked) {
    return asked.empty() ? asked : call.services.directory.id_of(asked);
}

// ---- /spend/logs -------------------------------------------------------------------------------

Result<Value> plain_rows(const Call& call, ledger::LogFilter filter) {
    TRY(narrow(call, filter));
    Value rows = Value::array();
    filter.page_size = 100;
    for (filter.page = 1; rows.size() < kRowsMost; ++filter.page) {
        const ledger::LogPage page = TRY(call.services.queries.find_page(filter));
        for (const ledger::Entry& entry : page.entries) {
            rows.push(filter.request_id.empty() ? log_row(entry) : full_log_row(call, entry));
        }
        if (page.entries.size() < filter.page_size) {
            break;
        }
    }
    return rows;
}

struct DayParts {
    NanoCredits total;
    std::map<std::string, NanoCredits> users, models, keys;
};

void add_to(std::map<std::string, NanoCredits>& sums, const std::string& name, NanoCredits cost) {
    sums[name] = add(sums[name], cost);
}

Value amounts(const std::map<std::string, NanoCredits>& sums) {
    Value object = Value::object();
    for (const auto& [name, amount] : sums) {
        object.set(name, usd(amount));
    }
    return object;
}

Result<Value> summary(const Call& call, const ledger::LogFilter& filter) {
    const Dates dates = TRY(asked_dates(call));
    ledger::DayFilter days;
    days.from = dates.from;
    days.until = dates.until;
    if (!filter.key.empty()) {
        days.keys = {filter.key};
    }
    if (!filter.user.empty()) {
        days.users = {filter.user};
    }
    std::map<std::string, DayParts> parts;
    for (std::string date = dates.from; date <= dates.until; date = next_date(date)) {
        parts[date];
    }
    for (const ledger::DaySum& sum : TRY(call.services.queries.day_sums(days))) {
        DayParts& day = parts[sum.date];
        day.total = add(day.total, sum.metrics.cost);
        add_to(day.users, sum.user, sum.metrics.cost);
        add_to(day.models, sum.model, sum.metrics.cost);
        add_to(day.keys, sum.key, sum.metrics.cost);
    }
    Value rows = Value::array();
    for (const auto& [date, day] : parts) {
        Value row = Value::object({{"startTime", Value(date)},
                                   {"spend", usd(day.total)},
                                   {"users", amounts(day.users)},
                                   {"models", amounts(day.models)}});
        for (const auto& [key, amount] : day.keys) {
            row.set(key, usd(amount));
        }
        rows.push(std::move(row));
    }
    return rows;
}

Result<Value> logs(Call& call) {
    ledger::LogFilter filter;
    filter.request_id = call.asked("request_id");
    filter.key = key_filter(call, call.asked("api_key"));
    filter.user = call.asked("user_id");
    const bool dated = !call.asked("start_date").empty() && !call.asked("end_date").empty();
    if (!dated) {
        return plain_rows(call, filter);
    }
    const auto from = parse_moment(call.asked("start_date"));
    const auto until = parse_end(call.asked("end_date"));
    if (!from || !until) {
        return bad_request(in_error("start_date and end_date have the form YYYY-MM-DD"),
                           "start_date");
    }
    filter.from_ms = *from;
    filter.until_ms = *until;
    if (!call.asked_bool("summarize")) {
        return plain_rows(call, filter);
    }
    TRY(narrow(call, filter));
    return summary(call, filter);
}

// ---- /spend/logs/v2, /spend/logs/ui ------------------------------------------------------------

ledger::LogFilter::Sort sort_of(std::string_view name) {
    using Sort = ledger::LogFilter::Sort;
    if (name == "spend") {
        return Sort::cost;
    }
    if (name == "total_tokens") {
        return Sort::tokens;
    }
    if (name == "request_duration_ms") {
        return Sort::duration;
    }
    if (name == "ttft_ms") {
        return Sort::first_token;
    }
    return name == "model" ? Sort::model : Sort::start;
}

Result<ledger::LogFilter> page_filter(const Call& call) {
    ledger::LogFilter filter;
    const std::string from = call.asked("start_date");
    const std::string until = call.asked("end_date");
    const auto a = from.empty() ? std::optional<int64_t>(0) : parse_moment(from);
    const auto b = until.empty() ? std::optional<int64_t>(INT64_MAX) : parse_end(until);
    if (!a || !b) {
        return bad_request(in_error("Invalid date format: expected YYYY-MM-DD HH:MM:SS"),
                           a ? "end_date" : "start_date");
    }
    filter.from_ms = *a;
    filter.until_ms = *b;
    filter.request_id = call.asked("request_id");
    filter.key = key_filter(call, call.asked("api_key"));
    filter.key_alias = call.asked("key_alias");
    filter.user = call.asked("user_id");
    filter.end_user = call.asked("end_user");
    filter.team = call.asked("team_id");
    filter.session_id = call.asked("session_id");
    filter.model = call.asked("model");
    filter.model_id = call.asked("model_id");
    filter.model_group = call.asked("model_group");
    filter.error_code = call.asked("error_code");
    filter.error_message = call.asked("error_message");
    const std::string status = call.asked("status_filter");
    if (!status.empty()) {
        filter.status = status == "success" ? ledger::Status::success : ledger::Status::failure;
    }
    if (!call.query["min_spend"].is_null()) {
        filter.min_cost = amount_of(call.query["min_spend"]);
    }
    if (!call.query["max_spend"].is_null()) {
        filter.max_cost = amount_of(call.query["max_spend"]);
    }
    filter.sort = sort_of(call.asked("sort_by"));
    filter.descending = call.asked("sort_order") != "asc";
    filter.page = static_cast<uint32_t>(call.asked_int("page"));
    filter.page_size = static_cast<uint32_t>(call.asked_int("page_size"));
    TRY(narrow(call, filter));
    return filter;
}

Value page_answer(const ledger::LogPage& page, const ledger::LogFilter& filter, Value rows) {
    const auto total = static_cast<int64_t>(page.total);
    return Value::object({{"data", std::move(rows)},
                          {"total", Value(total)},
                          {"page", Value(static_cast<int64_t>(filter.page))},
                          {"page_size", Value(static_cast<int64_t>(filter.page_size))},
                          {"total_pages", Value((total + filter.page_size - 1) /
                                                static_cast<int64_t>(filter.page_size))},
                          {"total_is_exact", Value(page.total_is_exact)}});
}

Result<Value> logs_v2(Call& call) {
    const ledger::LogFilter filter = TRY(page_filter(call));
    const ledger::LogPage page = TRY(call.services.queries.find_page(filter));
    return page_answer(page, filter, rows_of(call, page.entries));
}

Result<Value> logs_ui(Call& call) {
    const ledger::LogFilter filter = TRY(page_filter(call));
    const ledger::LogPage page = TRY(call.services.queries.find_page(filter));
    std::map<std::string, int64_t> sessions;
    Value rows = Value::array();
    for (const ledger::Entry& entry : page.entries) {
        Value row = log_row(entry);
        const std::string& session = entry.record.session_id;
        if (!session.empty() && sessions.find(session) == sessions.end()) {
            ledger::LogFilter same;
            same.session_id = session;
            same.page_size = 1;
            const ledger::LogPage found = TRY(call.services.queries.find_page(same));
            sessions[session] = static_cast<int64_t>(found.total);
        }
        row.set("session_total_count", session.empty() ? int64_t{1} : sessions[session]);
        rows.push(std::move(row));
    }
    return page_answer(page, filter, std::move(rows));
}

// The prompt and the reply, where they are kept at all.
Result<Value> log_details(Call& call) {
    ledger::LogFilter filter;
    filter.request_id = call.in_path("request_id");
    TRY(narrow(call, filter));
    const ledger::LogPage page = TRY(call.services.queries.find_page(filter));
    if (page.entries.empty()) {
        return not_found(in_error("No log with request_id=" + filter.request_id), "request_id");
    }
    return prompt_parts(call, page.entries.front().record);
}

Result<Value> session_logs(Call& call) {
    ledger::LogFilter filter;
    filter.session_id = call.asked("session_id");
    filter.page = static_cast<uint32_t>(call.asked_int("page"));
    filter.page_size = static_cast<uint32_t>(call.asked_int("page_size"));
    filter.descending = false;
    TRY(narrow(call, filter));
    const ledger::LogPage page = TRY(call.services.queries.find_page(filter));
    return page_answer(page, filter, rows_of(call, page.entries));
}

// ---- sums --------------------------------------------------------------------------------------

std::vector<Value> by_spend(std::vector<Value> rows) {
    sort_rows(rows, "spend", true);
    if (rows.size() > kRowsMost) {
        rows.resize(kRowsMost);
    }
    return rows;
}

Result<Value> spend_keys(Call& call) {
    std::vector<Value> rows;
    for (const auto& key : call.services.directory.list(EntityKind::key)) {
        if (key->doc["active_token_id"].is_null()) {
            Value row = key_row(call, key->id, key->doc);
            row.set("token", key->id);
            rows.push_back(std::move(row));
        }
    }
    return Value(by_spend(std::move(rows)));
}

Result<Value> spend_users(Call& call) {
    const std::string user = call.asked("user_id");
    std::vector<Value> rows;
    for (const auto& entity : call.services.directory.list(EntityKind::user)) {
        if (user.empty() || entity->id == user) {
            rows.push_back(user_row(call, entity->doc));
        }
    }
    return Value(by_spend(std::move(rows)));
}

Result<Value> spend_tags(Call& call) {
    const Dates dates = call.asked("start_date").empty() ? Dates{"0000-00-00", "9999-99-99"}
                                                         : TRY(asked_dates(call));
    std::vector<Value> rows;
    for (const auto& sum : TRY(call.services.queries.tag_sums(dates.from, dates.until))) {
        rows.push_back(Value::object({{"individual_request_tag", Value(sum.tag)},
                                      {"log_count", Value(sum.metrics.requests)},
                                      {"total_spend", usd(sum.metrics.cost)}}));
    }
    sort_rows(rows, "total_spend", true);
    return Value(std::move(rows));
}

// ---- /spend/calculate --------------------------------------------------------------------------

size_t characters(const Value& value) {
    size_t n = value.as_string().size();
    for (const Value& item : value.items()) {
        n += characters(item);
    }
    for (const json::Member& member : value.members()) {
        n += characters(member.value);
    }
    return n;
}

Result<Value> calculate(Call& call) {
    const Value& reply = call.body["completion_response"];
    const std::string model(reply.is_object() && call.text("model").empty()
                                ? reply["model"].as_string()
                                : call.body["model"].as_string());
    if (model.empty() || (!reply.is_object() && !call.body["messages"].is_array())) {
        return bad_request(
            "Bad Request - Either 'model' and 'messages' or 'completion_response' must be passed");
    }
    chat::Usage usage;
    if (reply.is_object()) {
        const Value& counted = reply["usage"];
        usage.cache_read = counted["prompt_tokens_details"]["cached_tokens"].as_int().value_or(0);
        usage.input =
            std::max<int64_t>(counted["prompt_tokens"].as_int().value_or(0) - usage.cache_read, 0);
        usage.output = counted["completion_tokens"].as_int().value_or(0);
    } else {
        usage.input = static_cast<int64_t>((characters(call.body["messages"]) + 3) / 4);
    }
    std::string provider;
    std::string upstream = model;
    std::string base;
    const auto table = call.services.table ? call.services.table() : nullptr;
    if (table) {
        for (const auto& deployment : table->deployments) {
            if (deployment->group == model) {
                provider = deployment->provider;
                upstream = deployment->model;
                base = deployment->base_model;
                if (deployment->price) {
                    return Value::object({{"cost", usd(chat::price(usage, *deployment->price))}});
                }
                break;
            }
        }
    }
    if (provider.empty()) {
        if (const size_t slash = model.find('/'); slash != std::string::npos) {
            provider = model.substr(0, slash);
            upstream = model.substr(slash + 1);
        }
    }
    const auto card = ledger::find_price(provider, upstream, base);
    if (!card) {
        return bad_request(
            "This model isn't mapped yet. model=" + model + ". Set its price in model_info",
            "model");
    }
    return Value::object({{"cost", usd(chat::price(usage, *card))}});
}

constexpr Field kLogsQuery[] = {
    {"request_id", Type::text, "this request"},
    {"api_key", Type::text, "a key or its hash"},
    {"user_id", Type::text, "of this user"},
    {"start_date", Type::text, "YYYY-MM-DD"},
    {"end_date", Type::text, "YYYY-MM-DD, included"},
    {"summarize", Type::boolean, "sums by day instead of rows", "true"},
};
constexpr Field kPageQuery[] = {
    {"start_date", Type::text, "YYYY-MM-DD HH:MM:SS, UTC"},
    {"end_date", Type::text, "YYYY-MM-DD HH:MM:SS, UTC"},
    {"api_key", Type::text, "a key or its hash"},
    {"user_id", Type::text, "of this user"},
    {"end_user", Type::text, "of this customer"},
    {"team_id", Type::text, "of this team"},
    {"request_id", Type::text, "this request"},
    {"session_id", Type::text, "of this session"},
    {"model", Type::text, "upstream model"},
    {"model_id", Type::text, "deployment"},
    {"model_group", Type::text, "serving group"},
    {"key_alias", Type::text, "of the key with this alias"},
    {"status_filter", Type::text, "how it ended", "", false, "success|failure"},
    {"error_code", Type::text, "what it failed with"},
    {"error_message", Type::text, "a part of the message"},
    {"min_spend", Type::number, "US$"},
    {"max_spend", Type::number, "US$"},
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"page_size", Type::integer, "rows on a page", "50", false, "", 1, 100},
    {"sort_by", Type::text, "order", "\"startTime\"", false,
     "spend|total_tokens|startTime|endTime|request_duration_ms|model|ttft_ms"},
    {"sort_order", Type::text, "direction", "\"desc\"", false, "asc|desc"},
};
constexpr Field kDetailsQuery[] = {
    {"start_date", Type::text, "accepted, not needed"},
    {"end_date", Type::text, "accepted, not needed"},
};
constexpr Field kSessionQuery[] = {
    {"session_id", Type::text, "which", "", true},
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"page_size", Type::integer, "rows on a page", "50", false, "", 1, 100},
};
constexpr Field kUserQuery[] = {{"user_id", Type::text, "this user"}};
constexpr Field kDatesQuery[] = {
    {"start_date", Type::text, "YYYY-MM-DD"},
    {"end_date", Type::text, "YYYY-MM-DD, included"},
};
constexpr Field kCalculate[] = {
    {"model", Type::text, "group, or provider/model"},
    {"messages", Type::list, "a prompt to be estimated"},
    {"completion_response", Type::map, "a reply with usage"},
};

}  // namespace

std::span<const Route> spend_routes() {
    static const std::array made = {
        Route{"GET",
              "/spend/logs",
              "",
              "spend_logs",
              "spend",
              "Log rows, or sums by day",
              kPeople,
              logs,
              Effect::reads,
              {},
              kLogsQuery},
        Route{"GET",
              "/spend/logs/v2",
              "",
              "spend_logs_v2",
              "spend",
              "Log rows by page",
              kPeople,
              logs_v2,
              Effect::reads,
              {},
              kPageQuery},
        Route{"GET",
              "/spend/logs/ui",
              "",
              "spend_logs_ui",
              "spend",
              "Log rows by page, with the size of their sessions",
              kPeople,
              logs_ui,
              Effect::reads,
              {},
              kPageQuery},
        Route{"GET",
              "/spend/logs/ui/{request_id}",
              "",
              "spend_log_details",
              "spend",
              "A request's prompt and reply, where they are kept",
              kPeople,
              log_details,
              Effect::reads,
              {},
              kDetailsQuery},
        Route{"GET",
              "/spend/logs/session/ui",
              "",
              "spend_session_logs",
              "spend",
              "A session's rows",
              kPeople,
              session_logs,
              Effect::reads,
              {},
              kSessionQuery},
        Route{"POST",
              "/spend/calculate",
              "",
              "calculate_spend",
              "spend",
              "What a call would cost",
              kAll,
              calculate,
              Effect::reads,
              {kCalculate}},
        Route{"GET", "/spend/keys", "", "spend_keys", "spend", "Keys by spend", kAdminsRead,
              spend_keys},
        Route{"GET",
              "/spend/users",
              "",
              "spend_users",
              "spend",
              "Users by spend",
              kAdminsRead,
              spend_users,
              Effect::reads,
              {},
              kUserQuery},
        Route{"GET",
              "/spend/tags",
              "",
              "spend_tags",
              "spend",
              "Tags by spend",
              kAdminsRead,
              spend_tags,
              Effect::reads,
              {},
              kDatesQuery},
    };
    return made;
}

}  // namespace belay::admin

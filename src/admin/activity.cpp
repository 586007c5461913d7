// */daily/activity: sums by day, broken down by model, provider, endpoint, key and entity. Pages
// are of days; the totals are the page's, as the clients that add pages up expect.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/log_rows.h"

namespace belay::admin {
namespace {

constexpr size_t kMostTags = 50;

Value metrics_value(const ledger::Metrics& m) {
    return Value::object(
        {{"spend", usd(m.cost)},
         {"prompt_tokens", Value(m.prompt_tokens)},
         {"completion_tokens", Value(m.completion_tokens)},
         {"cache_read_input_tokens", Value(m.cache_read_tokens)},
         {"cache_creation_input_tokens", Value(m.cache_write_tokens)},
         {"total_tokens", Value(m.prompt_tokens + m.completion_tokens)},
         {"successful_requests", Value(m.successes)},
         {"failed_requests", Value(m.failures)},
         {"api_requests", Value(m.requests)},
         {"premium_requests", Value(static_cast<double>(m.premium_milli) / 1000)}});
}

struct KeyPart {
    ledger::Metrics metrics;
    std::string alias, team;
};
struct Part {
    ledger::Metrics metrics;
    std::map<std::string, KeyPart> keys;
};
using Parts = std::map<std::string, Part>;

struct Day {
    ledger::Metrics metrics;
    Parts models, groups, providers, endpoints, entities;
    std::map<std::string, KeyPart> keys;
};

void add_key(std::map<std::string, KeyPart>& keys, const ledger::DaySum& sum) {
    if (sum.key.empty()) {
        return;
    }
    KeyPart& part = keys[sum.key];
    part.metrics += sum.metrics;
    part.alias = sum.key_alias;
    part.team = sum.team;
}

void add_part(Parts& parts, const std::string& name, const ledger::DaySum& sum) {
    if (name.empty()) {
        return;
    }
    Part& part = parts[name];
    part.metrics += sum.metrics;
    add_key(part.keys, sum);
}

Value keys_value(const std::map<std::string, KeyPart>& keys) {
    Value out = Value::object();
    for (const auto& [key, part] : keys) {
        out.set(
            key,
            Value::object(
                {{"metrics", metrics_value(part.metrics)},
                 {"metadata",
                  Value::object({{"key_alias", part.alias.empty() ? Value() : Value(part.alias)},
                                 {"team_id", part.team.empty() ? Value() : Value(part.team)}})}}));
    }
    return out;
}

Value parts_value(const Parts& parts, const std::function<Value(const std::string&)>& about = {}) {
    Value out = Value::object();
    for (const auto& [name, part] : parts) {
        out.set(name, Value::object({{"metrics", metrics_value(part.metrics)},
                                     {"metadata", about ? about(name) : Value::object()},
                                     {"api_key_breakdown", keys_value(part.keys)}}));
    }
    return out;
}

// ---- what is asked ------------------------------------------------------------------------------

enum class Entity : uint8_t { user, team, tag, organization, customer };

const std::string& entity_of(const ledger::DaySum& sum, Entity entity) {
    switch (entity) {
        case Entity::team:
            return sum.team;
        case Entity::organization:
            return sum.organization;
        case Entity::customer:
            return sum.end_user;
        case Entity::user:
        case Entity::tag:
            break;
    }
    return sum.user;
}

Value about_entity(const Call& call, Entity entity, const std::string& id) {
    switch (entity) {
        case Entity::team:
            return Value::object({{"team_alias", call.doc(EntityKind::team, id)["team_alias"]}});
        case Entity::organization:
            return Value::object({{"organization_alias",
                                   call.doc(EntityKind::organization, id)["organization_alias"]}});
        case Entity::customer:
            return Value::object({{"alias", call.doc(EntityKind::customer, id)["alias"]}});
        case Entity::user:
            return Value::object({{"user_email", call.doc(EntityKind::user, id)["user_email"]},
                                  {"user_alias", call.doc(EntityKind::user, id)["user_alias"]}});
        case Entity::tag:
            break;
    }
    return Value::object();
}

Error not_yours(std::string_view what) {
    return forbidden("You may read the activity of your own " + std::string(what) + " only");
}

// Restricts the filter to what the caller may see.
Result<void> narrow(const Call& call, Entity entity, ledger::DayFilter& filter) {
    if (call.reads_all()) {
        return {};
    }
    switch (entity) {
        case Entity::user: {
            if (!filter.users.empty() &&
                (filter.users.size() != 1 || !call.is_self(filter.users[0]))) {
                return not_yours("user");
            }
            if (call.caller.user_id.empty()) {
                filter.keys = {call.caller.key_hash};
            } else {
                filter.users = {call.caller.user_id};
            }
            return {};
        }
        case Entity::team: {
            bool leads_all = true;
            if (filter.teams.empty()) {
                for (const auto& team :
                     call.services.directory.teams_of_user(call.caller.user_id)) {
                    filter.teams.push_back(team->id);
                }
            }
            for (const std::string& id : filter.teams) {
                const Value team = call.doc(EntityKind::team, id);
                const bool leads = call.manages_team(team);
                if (!leads && !call.is_team_member(team)) {
                    return not_yours("teams");
                }
                leads_all = leads_all && leads;
            }
            if (filter.teams.empty()) {
                return not_yours("teams");
            }
            if (!leads_all) {
                filter.users = {call.caller.user_id};
            }
            return {};
        }
        case Entity::organization:
            if (filter.organizations.empty()) {
                return call.admin_only();
            }
            for (const std::string& id : filter.organizations) {
                if (!call.manages_organization(id)) {
                    return not_yours("organization");
                }
            }
            return {};
        case Entity::tag:
        case Entity::customer:
            break;
    }
    return call.admin_only();
}

Result<std::vector<ledger::DaySum>> find_sums(const Call& call, Entity entity,
                                              const ledger::DayFilter& filter) {
    if (entity != Entity::tag) {
        return call.services.queries.day_sums(filter);
    }
    // The tag table's rows do not name their tag: one question for each, the busiest first.
    std::vector<std::string> tags = filter.tags;
    if (tags.empty()) {
        auto sums = TRY(call.services.queries.tag_sums(filter.from, filter.until));
        std::sort(sums.begin(), sums.end(), [](const auto& a, const auto& b) {
            return a.metrics.requests > b.metrics.requests;
        });
        for (const auto& sum : sums) {
            if (tags.size() < kMostTags) {
                tags.push_back(sum.tag);
            }
        }
    }
    std::vector<ledger::DaySum> all;
    for (const std::string& tag : tags) {
        ledger::DayFilter one = filter;
        one.tags = {tag};
        for (ledger::DaySum& sum : TRY(call.services.queries.day_sums(one))) {
            sum.user = tag;  // stands in the entities' column
            all.push_back(std::move(sum));
        }
    }
    return all;
}

Result<ledger::DayFilter> read_filter(const Call& call, Entity entity) {
    const Dates dates = TRY(asked_dates(call));
    ledger::DayFilter filter;
    filter.from = dates.from;
    filter.until = dates.until;
    filter.models = call.asked_texts("model");
    for (const std::string& key : call.asked_texts("api_key")) {
        filter.keys.push_back(call.services.directory.id_of(key));
    }
    filter.users = call.asked_texts("user_id");
    filter.teams = call.asked_texts("team_ids");
    filter.not_teams = call.asked_texts("exclude_team_ids");
    filter.tags = call.asked_texts("tags");
    filter.organizations = call.asked_texts("organization_ids");
    filter.end_users = call.asked_texts("end_user_ids");
    TRY(narrow(call, entity, filter));
    return filter;
}

// ---- the answer
// ----------------------------------------------------------------------------------

Value day_value(const Call& call, Entity entity, const std::string& date, const Day& day) {
    const auto about = [&](const std::string& id) { return about_entity(call, entity, id); };
    return Value::object(
        {{"date", Value(date)},
         {"metrics", metrics_value(day.metrics)},
         {"breakdown", Value::object({{"models", parts_value(day.models)},
                                      {"model_groups", parts_value(day.groups)},
                                      {"providers", parts_value(day.providers)},
                                      {"endpoints", parts_value(day.endpoints)},
                                      {"api_keys", keys_value(day.keys)},
                                      {"entities", parts_value(day.entities, about)},
                                      {"mcp_servers", Value::object()}})}});
}

Value totals_value(const ledger::Metrics& m, const Page& page) {
    return Value::object({{"total_spend", usd(m.cost)},
                          {"total_prompt_tokens", Value(m.prompt_tokens)},
                          {"total_completion_tokens", Value(m.completion_tokens)},
                          {"total_tokens", Value(m.prompt_tokens + m.completion_tokens)},
                          {"total_api_requests", Value(m.requests)},
                          {"total_successful_requests", Value(m.successes)},
                          {"total_failed_requests", Value(m.failures)},
                          {"total_cache_read_input_tokens", Value(m.cache_read_tokens)},
                          {"total_cache_creation_input_tokens", Value(m.cache_write_tokens)},
                          {"total_unknown_cost_requests", Value(m.unknown_cost)},
                          {"page", Value(page.page)},
                          {"total_pages", Value(std::max<int64_t>(page.pages, 1))},
                          {"has_more", Value(page.page < page.pages)}});
}

Result<Value> activity(const Call& call, Entity entity, bool paged) {
    const ledger::DayFilter filter = TRY(read_filter(call, entity));
    std::map<std::string, Day, std::greater<>> days;  // the newest first
    for (const ledger::DaySum& sum : TRY(find_sums(call, entity, filter))) {
        Day& day = days[sum.date];
        day.metrics += sum.metrics;
        add_part(day.models, sum.model, sum);
        add_part(day.groups, sum.model_group, sum);
        add_part(day.providers, sum.provider, sum);
        add_part(day.endpoints, sum.endpoint, sum);
        add_part(day.entities, entity_of(sum, entity), sum);
        add_key(day.keys, sum);
    }
    const Page page = page_of(days.size(), paged ? call.asked_int("page") : 1,
                              paged ? call.asked_int("page_size") : kMostDays + 1);
    Value results = Value::array();
    ledger::Metrics total;
    size_t at = 0;
    for (const auto& [date, day] : days) {
        if (at >= page.from && at < page.until) {
            total += day.metrics;
            results.push(day_value(call, entity, date, day));
        }
        ++at;
    }
    return Value::object(
        {{"results", std::move(results)}, {"metadata", totals_value(total, page)}});
}

template <Entity kEntity>
Result<Value> paged(Call& call) {
    return activity(call, kEntity, true);
}
template <Entity kEntity>
Result<Value> aggregated(Call& call) {
    return activity(call, kEntity, false);
}

// A table for spreadsheets: one line for each day, model and key.
template <Entity kEntity>
Result<Value> exported(Call& call) {
    const ledger::DayFilter filter = TRY(read_filter(call, kEntity));
    std::string csv =
        "date,entity,api_key,key_alias,model,model_group,provider,endpoint,spend,prompt_tokens,"
        "completion_tokens,cache_read_input_tokens,cache_creation_input_tokens,api_requests,"
        "successful_requests,failed_requests\r\n";
    const auto cell = [&csv](std::string text) {
        // A cell that begins like a formula would be run by a spreadsheet.
        if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos) {
            text.insert(text.begin(), '\'');
        }
        csv += '"';
        for (const char c : text) {
            csv += c;
            if (c == '"') {
                csv += c;
            }
        }
        csv += "\",";
    };
    for (const ledger::DaySum& sum : TRY(find_sums(call, kEntity, filter))) {
        for (const std::string& text : {sum.date, entity_of(sum, kEntity), sum.key, sum.key_alias,
                                        sum.model, sum.model_group, sum.provider, sum.endpoint}) {
            cell(text);
        }
        csv += render_usd(sum.metrics.cost);
        for (const int64_t n :
             {sum.metrics.prompt_tokens, sum.metrics.completion_tokens,
              sum.metrics.cache_read_tokens, sum.metrics.cache_write_tokens, sum.metrics.requests,
              sum.metrics.successes, sum.metrics.failures}) {
            csv += ',' + std::to_string(n);
        }
        csv += "\r\n";
    }
    call.headers = {{"Content-Type", "text/csv; charset=utf-8"},
                    {"Content-Disposition", "attachment; filename=\"activity.csv\""}};
    call.raw = std::move(csv);
    return Value();
}

// One query table with every entity's filter: those that do not apply are not named by clients.
template <int kSize>
constexpr std::array<Field, 9> query_of(std::string_view filter, std::string_view second) {
    return {{
        {"start_date", Type::text, "YYYY-MM-DD; required"},
        {"end_date", Type::text, "YYYY-MM-DD, included; required"},
        {"model", Type::list, "these models"},
        {"api_key", Type::list, "these keys"},
        {filter, Type::list, "only these"},
        {second, Type::list, "all but these"},
        {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
        {"page_size", Type::integer, "days on a page", kSize == 50 ? "50" : "10", false, "", 1,
         1000},
        {"timezone", Type::integer, "accepted; days are UTC days"},
    }};
}
constexpr auto kUserQuery = query_of<50>("user_id", "exclude_user_ids");
constexpr auto kTeamQuery = query_of<10>("team_ids", "exclude_team_ids");
constexpr auto kTagQuery = query_of<10>("tags", "exclude_tags");
constexpr auto kOrganizationQuery = query_of<10>("organization_ids", "exclude_organization_ids");
constexpr auto kCustomerQuery = query_of<10>("end_user_ids", "exclude_end_user_ids");

}  // namespace

std::span<const Route> activity_routes() {
    static const std::array made = {
        Route{"GET",
              "/user/daily/activity",
              "",
              "user_daily_activity",
              "spend",
              "Sums by day, of one user or all",
              kPeople,
              paged<Entity::user>,
              Effect::reads,
              {},
              kUserQuery},
        Route{"GET",
              "/user/daily/activity/aggregated",
              "",
              "user_daily_activity_aggregated",
              "spend",
              "The same without pages",
              kPeople,
              aggregated<Entity::user>,
              Effect::reads,
              {},
              kUserQuery},
        Route{"GET",
              "/user/daily/activity/export",
              "",
              "export_user_daily_activity",
              "spend",
              "The same as CSV",
              kPeople,
              exported<Entity::user>,
              Effect::reads,
              {},
              kUserQuery},
        Route{"GET",
              "/team/daily/activity",
              "",
              "team_daily_activity",
              "spend",
              "Sums by day and team",
              kPeople,
              paged<Entity::team>,
              Effect::reads,
              {},
              kTeamQuery},
        Route{"GET",
              "/team/daily/activity/aggregated",
              "",
              "team_daily_activity_aggregated",
              "spend",
              "The same without pages",
              kPeople,
              aggregated<Entity::team>,
              Effect::reads,
              {},
              kTeamQuery},
        Route{"GET",
              "/team/daily/activity/export",
              "",
              "export_team_daily_activity",
              "spend",
              "The same as CSV",
              kPeople,
              exported<Entity::team>,
              Effect::reads,
              {},
              kTeamQuery},
        Route{"GET",
              "/tag/daily/activity",
              "",
              "tag_daily_activity",
              "spend",
              "Sums by day and tag",
              kAdminsRead,
              paged<Entity::tag>,
              Effect::reads,
              {},
              kTagQuery},
        Route{"GET",
              "/organization/daily/activity",
              "",
              "organization_daily_activity",
              "spend",
              "Sums by day and organization",
              kPeople,
              paged<Entity::organization>,
              Effect::reads,
              {},
              kOrganizationQuery},
        Route{"GET",
              "/customer/daily/activity",
              "/end_user/daily/activity",
              "customer_daily_activity",
              "spend",
              "Sums by day and customer",
              kAdminsRead,
              paged<Entity::customer>,
              Effect::reads,
              {},
              kCustomerQuery},
    };
    return made;
}

}  // namespace belay::admin

// /key/info, /key/list, /key/aliases: keys as they are shown. The secret never is.
#include <algorithm>

#include "admin/call.h"
#include "admin/key_fields.h"
#include "base/ids.h"
#include "governance/keys.h"

namespace belay::admin {

std::span<const Route> key_change_routes();

namespace {

using governance::ScopeKind;

constexpr std::string_view kSessionTeam = "litellm-dashboard";

bool may_see(const Call& call, std::string_view hash, const Value& key) {
    if (call.reads_all() || hash == call.caller.key_hash ||
        call.is_self(key["user_id"].as_string())) {
        return true;
    }
    const std::string_view team = key["team_id"].as_string();
    if (!team.empty()) {
        const Value document = call.doc(EntityKind::team, team);
        if (call.is_team_member(document) || call.manages_team(document)) {
            return true;
        }
    }
    return call.manages_organization(key["organization_id"].as_string());
}

Error unknown_key() { return not_found("{'message': 'Key not found in database'}", "key"); }

Result<Value> info(Call& call) {
    const std::string sent = call.asked("key");
    const std::string hash =
        sent.empty() ? call.caller.key_hash : call.services.directory.id_of(sent);
    const Value document = hash.empty() ? Value() : call.doc(EntityKind::key, hash);
    if (document.is_null()) {
        return unknown_key();
    }
    if (!may_see(call, hash, document)) {
        return forbidden("You are not allowed to access this key's info. Your role=" +
                             std::string(governance::role_name(effective_role(call.caller))),
                         "key");
    }
    return Value::object(
        {{"key", Value(sent.empty() ? hash : sent)}, {"info", key_row(call, hash, document)}});
}

Result<Value> info_of_many(Call& call) {
    Value infos = Value::array();
    for (const std::string& key : call.texts("keys")) {
        const std::string hash = call.services.directory.id_of(key);
        const Value document = call.doc(EntityKind::key, hash);
        if (!document.is_null() && may_see(call, hash, document)) {
            Value row = key_row(call, hash, document);
            row.set("token", hash);
            infos.push(std::move(row));
        }
    }
    if (infos.size() == 0) {
        return unknown_key();
    }
    return Value::object({{"key", call.body["keys"]}, {"info", std::move(infos)}});
}

// ---- lists -------------------------------------------------------------------------------------

// Who the list is for when the caller does not see everything.
struct Visible {
    bool all = false;
    std::string user;
    std::vector<std::string> teams;  // whose keys are seen: led by the caller

    [[nodiscard]] bool shows(const Value& key, bool with_teams) const {
        if (all || (!user.empty() && key["user_id"].as_string() == user)) {
            return true;
        }
        const std::string_view team = key["team_id"].as_string();
        return with_teams && !team.empty() &&
               std::find(teams.begin(), teams.end(), team) != teams.end();
    }
};

Visible visible(const Call& call) {
    Visible v;
    v.all = call.reads_all();
    if (v.all) {
        return v;
    }
    v.user = call.caller.user_id;
    for (const auto& team : call.services.directory.teams_of_user(v.user)) {
        if (call.manages_team(team->doc)) {
            v.teams.push_back(team->id);
        }
    }
    return v;
}

bool matches_text(const Value& value, const std::string& wanted, bool partly) {
    if (wanted.empty()) {
        return true;
    }
    const std::string_view have = value.as_string();
    return partly ? have.find(wanted) != std::string_view::npos : have == wanted;
}

bool is_expired(const Call& call, const Value& key) {
    const std::string_view end = key["expires"].as_string();
    return !end.empty() && unix_millis(parse_utc(end)) <= call.now_ms;
}

bool listed(const Call& call, std::string_view hash, const Value& key, const Visible& who) {
    const bool partly = call.asked_bool("substring_matching");
    if (key["team_id"].as_string() == kSessionTeam || !key["active_token_id"].is_null()) {
        return false;
    }
    // A team named by the caller shows the whole team's keys to its members' admins.
    const bool with_teams = call.asked_bool("include_team_keys") || !call.asked("team_id").empty();
    const bool made = call.asked_bool("include_created_by_keys") && !who.user.empty() &&
                      key["created_by"].as_string() == who.user;
    if (!who.shows(key, with_teams) && !made) {
        return false;
    }
    for (const std::string_view name :
         {"user_id", "team_id", "organization_id", "project_id", "agent_id", "key_alias"}) {
        if (!matches_text(key[name], call.asked(name), partly)) {
            return false;
        }
    }
    if (!call.asked("key_hash").empty() &&
        hash != call.services.directory.id_of(call.asked("key_hash"))) {
        return false;
    }
    if (!call.asked("access_group_id").empty() &&
        !contains(key["access_group_ids"], call.asked("access_group_id"))) {
        return false;
    }
    const std::string expires = call.asked("expires");
    return expires.empty() || (expires == "expired") == is_expired(call, key);
}

Value listed_row(const Call& call, std::string_view hash, const Value& document) {
    Value row = key_row(call, hash, document);
    row.set("token", hash);
    if (call.asked("expand") == "user") {
        const Value user = call.doc(EntityKind::user, document["user_id"].as_string());
        row.set("user", user.is_null() ? Value() : user_row(call, user));
    }
    return row;
}

Result<Value> list(Call& call) {
    const Visible who = visible(call);
    const EntityKind kind =
        call.asked("status") == "deleted" ? EntityKind::deleted_key : EntityKind::key;
    // Sorting needs one member of each; whole rows are made for one page only.
    std::string by = call.asked("sort_by");
    std::vector<Value> found;
    for (const auto& entity : call.services.directory.list(kind)) {
        if (listed(call, entity->id, entity->doc, who)) {
            const Value& sorted = entity->doc[by];
            Value item = Value::object({{"token", Value(entity->id)}});
            if (by == "spend") {
                item.set(by, call.spend(ScopeKind::key, entity->id, entity->doc));
            } else if (by != "token") {
                item.set(by, sorted);
            }
            found.push_back(std::move(item));
        }
    }
    sort_rows(found, by, call.asked("sort_order") != "asc");
    const Page page = page_of(found.size(), call.asked_int("page"), call.asked_int("size"));
    const bool whole = call.asked_bool("return_full_object") || kind == EntityKind::deleted_key;
    Value keys = Value::array();
    for (size_t i = page.from; i < page.until; ++i) {
        const std::string_view hash = found[i]["token"].as_string();
        keys.push(whole ? listed_row(call, hash, call.doc(kind, hash)) : Value(hash));
    }
    return Value::object({{"keys", std::move(keys)},
                          {"total_count", Value(page.total)},
                          {"current_page", Value(page.page)},
                          {"total_pages", Value(page.pages)}});
}

Result<Value> aliases(Call& call) {
    const Visible who = visible(call);
    const std::string search = call.asked("search");
    const std::string team = call.asked("team_id");
    std::vector<std::string> found;
    for (const auto& key : call.services.directory.list(EntityKind::key)) {
        const std::string_view alias = key->doc["key_alias"].as_string();
        if (!alias.empty() && alias.find(search) != std::string_view::npos &&
            who.shows(key->doc, true) && key->doc["team_id"].as_string() != kSessionTeam &&
            (team.empty() || key->doc["team_id"].as_string() == team)) {
            found.emplace_back(alias);
        }
    }
    std::sort(found.begin(), found.end());
    const Page page = page_of(found.size(), call.asked_int("page"), call.asked_int("size"));
    const std::vector<std::string> shown(found.begin() + static_cast<ptrdiff_t>(page.from),
                                         found.begin() + static_cast<ptrdiff_t>(page.until));
    return Value::object({{"aliases", to_list(shown)},
                          {"total_count", Value(page.total)},
                          {"current_page", Value(page.page)},
                          {"total_pages", Value(page.pages)},
                          {"size", Value(page.size)}});
}

Result<Value> health(Call& call) {
    Value logging = Value::object({{"callbacks", Value::array()},
                                   {"status", "healthy"},
                                   {"details", "No logger exceptions triggered."}});
    (void)call;
    return Value::object({{"key", "healthy"}, {"logging_callbacks", std::move(logging)}});
}

constexpr Field kInfoQuery[] = {
    {"key", Type::text, "the key or its hash; left out: the caller's own"},
};
constexpr Field kManyKeys[] = {{"keys", Type::list, "keys or hashes", "", true}};
constexpr Field kListQuery[] = {
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"size", Type::integer, "rows on a page", "10", false, "", 1, 100},
    {"user_id", Type::text, "of this user"},
    {"team_id", Type::text, "of this team"},
    {"organization_id", Type::text, "of this organization"},
    {"project_id", Type::text, "of this project"},
    {"agent_id", Type::text, "of this agent"},
    {"access_group_id", Type::text, "with this access group"},
    {"key_hash", Type::text, "this key"},
    {"key_alias", Type::text, "of this alias"},
    {"substring_matching", Type::boolean, "ids and aliases match in part", "false"},
    {"return_full_object", Type::boolean, "rows instead of hashes", "false"},
    {"include_team_keys", Type::boolean, "also of teams that the caller leads", "false"},
    {"include_created_by_keys", Type::boolean, "also keys that the caller made", "false"},
    {"sort_by", Type::text, "order", "\"created_at\"", false,
     "spend|max_budget|created_at|updated_at|token|key_alias"},
    {"sort_order", Type::text, "direction", "\"desc\"", false, "asc|desc"},
    {"expand", Type::text, "user: with the owner's row"},
    {"status", Type::text, "deleted: keys that are gone", "", false, "deleted|active"},
    {"expires", Type::text, "by their end", "", false, "expired|active"},
};
constexpr Field kAliasQuery[] = {
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"size", Type::integer, "aliases on a page", "50", false, "", 1, 100},
    {"search", Type::text, "a part of the alias"},
    {"team_id", Type::text, "of this team"},
};

}  // namespace

Value key_row(const Call& call, std::string_view hash, const Value& document) {
    Value row = row_of({kKeyState, kLimitFields, kKeyFields, kStamps}, document);
    row.set("spend", call.spend(ScopeKind::key, hash, document));
    row.set("litellm_budget_table",
            document["budget_id"].as_string().empty() ? Value() : budget_table(call, document));
    return row;
}

std::span<const Route> key_routes() {
    static const std::vector<Route> made = [] {
        const auto changes = key_change_routes();
        std::vector<Route> all(changes.begin(), changes.end());
        all.insert(all.end(),
                   {
                       Route{"GET",
                             "/key/info",
                             "",
                             "key_info",
                             "keys",
                             "One key's row",
                             kAll,
                             info,
                             Effect::reads,
                             {},
                             kInfoQuery},
                       Route{"POST",
                             "/v2/key/info",
                             "",
                             "key_info_v2",
                             "keys",
                             "Several keys' rows",
                             kAll,
                             info_of_many,
                             Effect::reads,
                             {kManyKeys}},
                       Route{"GET",
                             "/key/list",
                             "",
                             "list_keys",
                             "keys",
                             "Keys by page",
                             kPeople,
                             list,
                             Effect::reads,
                             {},
                             kListQuery},
                       Route{"GET",
                             "/key/aliases",
                             "",
                             "list_key_aliases",
                             "keys",
                             "Aliases by page",
                             kPeople,
                             aliases,
                             Effect::reads,
                             {},
                             kAliasQuery},
                       Route{"POST", "/key/health", "", "key_health", "keys",
                             "Whether the caller's key and its callbacks work", kAll, health},
                   });
        return all;
    }();
    return made;
}

}  // namespace belay::admin

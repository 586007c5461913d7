// /team/*: teams as wholes. Their members are in team_members.cpp.
#include <algorithm>
#include <array>
#include <cctype>

#include "admin/call.h"
#include "admin/families.h"
#include "base/ids.h"

namespace belay::admin {

std::span<const Route> member_routes();

namespace {

using governance::ScopeKind;

constexpr size_t kMostShown = 1000;

constexpr Field kTeamFields[] = {
    {"team_alias", Type::text, "a name for people"},
    {"organization_id", Type::text, "the organization that it belongs to"},
    {"team_member_permissions", Type::list, "key routes that every member may call",
     R"(["/key/info","/key/health"])"},
    {"models", Type::list, "models its keys may call; empty = all", "[]"},
    {"budget_limits", Type::list, "further budgets: [{budget_duration, max_budget}]"},
    {"budget_id", Type::text, "a budget whose limits hold where the team has none"},
    {"model_rpm_limit", Type::map, "model to requests a minute"},
    {"model_tpm_limit", Type::map, "model to tokens a minute"},
    {"max_premium_requests", Type::number, "premium requests that may be spent in one window"},
    {"max_credits", Type::number, "AI credits that may be spent in one window"},
    {"blocked", Type::boolean, "its keys are refused while set", "false"},
    {"metadata", Type::map, "anything", "{}"},
    {"model_aliases", Type::map, "asked name to model"},
    {"guardrails", Type::list, "kept for clients"},
    {"policies", Type::list, "kept for clients"},
    {"prompts", Type::list, "kept for clients"},
    {"router_settings", Type::map, "router settings of its requests"},
    {"access_group_ids", Type::list, "access groups whose models it may call", "[]"},
    {"default_team_member_models", Type::list, "models of members who have no list of their own"},
    {"team_member_budget", Type::number, "US$ for each member"},
    {"team_member_budget_duration", Type::duration, "window of that budget"},
    {"team_member_rpm_limit", Type::integer, "requests a minute for each member", "", false, "", 0},
    {"team_member_tpm_limit", Type::integer, "tokens a minute for each member", "", false, "", 0},
    {"team_member_key_duration", Type::duration, "how long members' keys live"},
    {"object_permission", Type::map, "kept for clients"},
    {"allowed_passthrough_routes", Type::list, "kept for clients"},
    {"secret_manager_settings", Type::map, "kept for clients"},
    {"disable_global_guardrails", Type::boolean, "kept for clients"},
    {"store_prompts_in_spend_logs", Type::boolean, "keep its prompts and replies, or never"},
};
constexpr Field kTeamState[] = {
    {"team_id", Type::text, "its id"},
    {"admins", Type::list, "kept for clients", "[]"},
    {"members", Type::list, "user ids", "[]"},
    {"members_with_roles", Type::list, "[{role, user_id, user_email}]", "[]"},
    {"spend", Type::number, "US$ spent in the running window", "0.0"},
    {"budget_reset_at", Type::time, "end of the running window"},
    {"model_id", Type::integer, "kept for clients"},
    {"litellm_model_table", Type::map, "kept for clients"},
};
constexpr Field kNew[] = {
    {"team_id", Type::text, "chosen id; made up when left out"},
    {"members_with_roles", Type::list, "[{role, user_id or user_email}]"},
    {"tags", Type::list, "added to every request; stored in metadata.tags"},
};
constexpr Field kUpdate[] = {
    {"team_id", Type::text, "which", "", true},
    {"tags", Type::list, "added to every request; stored in metadata.tags"},
    {"spend", Type::number, "what it has spent, US$"},
};
// The same without the id, which the path gives.
constexpr Field kPatch[] = {
    {"tags", Type::list, "added to every request; stored in metadata.tags"},
    {"spend", Type::number, "what it has spent, US$"},
};

Error unknown_team(std::string_view id) {
    return not_found(in_error("Team not found, passed team_id=" + std::string(id)), "team_id");
}

Result<Value> find_team(const Call& call, std::string_view id) {
    Value team = call.doc(EntityKind::team, id);
    if (team.is_null()) {
        return unknown_team(id);
    }
    return team;
}

// A team under an organization stays within it.
Result<void> check_organization(const Call& call, const Value& team) {
    const std::string id(team["organization_id"].as_string());
    if (id.empty()) {
        return {};
    }
    const Value organization = call.doc(EntityKind::organization, id);
    if (organization.is_null()) {
        return bad_request(in_error("Organization not found for organization_id=" + id),
                           "organization_id");
    }
    const Value limits = budget_table(call, organization);
    for (const std::string_view name : {"max_budget", "tpm_limit", "rpm_limit"}) {
        const auto most = limits[name].as_double();
        const auto asked = team[name].as_double();
        if (most && asked && *asked > *most) {
            return bad_request(
                in_error("Team " + std::string(name) + "=" + std::string(team[name].number_text()) +
                         " exceeds organization " + std::string(name) + "=" +
                         std::string(limits[name].number_text()) + ". Organization=" + id),
                std::string(name));
        }
    }
    const Value& allowed = organization["models"];
    if (allowed.size() == 0 || contains(allowed, "all-proxy-models")) {
        return {};
    }
    for (const Value& model : team["models"].items()) {
        if (model.as_string() != "all-org-models" && !contains(allowed, model.as_string())) {
            return bad_request(in_error("Team model=" + std::string(model.as_string()) +
                                        " is not in organization models=" + json::dump(allowed)),
                               "models");
        }
    }
    return {};
}

void merge_tags(const Call& call, Value& team) {
    if (call.body["tags"].is_array()) {
        Value metadata = team["metadata"].is_object() ? team["metadata"] : Value::object();
        metadata.set("tags", call.body["tags"]);
        team.set("metadata", std::move(metadata));
    }
}

// Who leads a team may not bind it to a sign-in, nor lift what keeps credits from it.
Result<void> check_reserved(const Call& call, const Value& before) {
    if (call.is_admin()) {
        return {};
    }
    if (!call.body["spend"].is_null()) {
        return forbidden("Only a proxy admin may set spend", "spend");
    }
    for (const std::string_view name :
         {"copilot_account", "credits_floor", "premium_floor", "allow_client_mock_response"}) {
        if (call.body["metadata"].is_object() &&
            call.body["metadata"][name] != before["metadata"][name]) {
            return forbidden("Only a proxy admin may change metadata." + std::string(name),
                             "metadata");
        }
    }
    return {};
}

// What a team may spend is for those above it to say: its own admins may lower it, not raise it.
Result<void> check_not_raised(const Call& call, const Value& team) {
    if (call.is_admin() || call.manages_organization(team["organization_id"].as_string())) {
        return {};
    }
    for (const std::string_view name :
         {"max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests"}) {
        const auto before = team[name].as_double();
        const auto asked = call.body[name].as_double();
        if (call.given(name) && before && (!asked || *asked > *before)) {
            return forbidden("A team admin may not raise the team's " + std::string(name) +
                                 ": ask a proxy or organization admin",
                             std::string(name));
        }
    }
    return {};
}

Result<Value> new_team(Call& call) {
    const std::string organization = call.text("organization_id");
    if (!call.is_admin() && !call.manages_organization(organization)) {
        return call.admin_only();
    }
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    const std::string asked = call.text("team_id");
    const std::string id = asked.empty() ? random_uuid() : asked;
    if (id.find('/') != std::string::npos || id.size() > 256) {
        return bad_request("team_id may not hold '/' and not be longer than 256 characters",
                           "team_id");
    }
    if (call.exists(EntityKind::team, id)) {
        return bad_request(
            in_error("Team id = " + id + " already exists. Please use a different team id."),
            "team_id");
    }
    Value team = Value::object({{"team_id", Value(id)},
                                {"members", Value::array()},
                                {"members_with_roles", Value::array()},
                                {"spend", Value(json::Number{"0.0"})}});
    TRY(check_reserved(call, team));
    TRY(merge(call, {kLimitFields, kTeamFields}, team));
    merge_tags(call, team);
    TRY(check_organization(call, team));
    call.put(EntityKind::team, id, std::move(team));
    for (const Value& member : call.body["members_with_roles"].items()) {
        TRY(join_team(call, id, member, Value::object()));
    }
    if (!call.is_admin() && !call.caller.user_id.empty()) {
        TRY(join_team(call, id,
                      Value::object({{"role", "admin"}, {"user_id", Value(call.caller.user_id)}}),
                      Value::object()));
    }
    return team_row(call, call.doc(EntityKind::team, id));
}

Result<Value> change_team(Call& call, const std::string& id) {
    Value team = TRY(find_team(call, id));
    if (!call.manages_team(team)) {
        return call.admin_only();
    }
    TRY(check_reserved(call, team));
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    const std::string organization = call.text("organization_id");
    if (call.given("organization_id") && organization != team["organization_id"].as_string() &&
        !call.manages_organization(organization)) {
        return call.admin_only();
    }
    TRY(check_not_raised(call, team));
    TRY(merge(call, {kLimitFields, kTeamFields}, team));
    merge_tags(call, team);
    TRY(check_organization(call, team));
    if (call.body["spend"].is_number()) {
        call.set_spent(ScopeKind::team, id, team, amount_of(call.body["spend"]));
    }
    call.put(EntityKind::team, id, std::move(team));
    return team_row(call, call.doc(EntityKind::team, id));
}

Result<Value> update_team(Call& call) {
    const std::string id = call.text("team_id");
    Value row = TRY(change_team(call, id));
    return Value::object({{"team_id", Value(id)}, {"data", std::move(row)}});
}

Result<Value> patch_team(Call& call) {
    const std::string id = call.in_path("team_id");
    Value row = TRY(change_team(call, id));
    return Value::object({{"team_id", Value(id)}, {"data", std::move(row)}});
}

Value keys_of(const Call& call, std::string_view team) {
    Value keys = Value::array();
    for (const auto& key : call.services.directory.keys_of_team(team)) {
        if (keys.size() < kMostShown) {
            keys.push(key_row(call, key->id, key->doc));
        }
    }
    return keys;
}

Value memberships_of(const Call& call, std::string_view team) {
    Value members = Value::array();
    for (const auto& member : call.services.directory.members_of_team(team)) {
        if (members.size() < kMostShown) {
            members.push(membership_row(call, member->doc));
        }
    }
    return members;
}

Result<Value> team_info(Call& call) {
    const std::string asked = call.asked("team_id");
    const std::string id = asked.empty() ? call.caller.team_id : asked;
    if (id.empty()) {
        return bad_request("team_id is required", "team_id");
    }
    const Value team = TRY(find_team(call, id));
    if (!call.reads_all() && !call.is_team_member(team) && !call.manages_team(team) &&
        call.caller.team_id != id) {
        return forbidden("User=" + call.caller.user_id + " is not allowed to access team=" + id,
                         "team_id");
    }
    Value row = team_row(call, team);
    Value each = Value();
    if (!team["team_member_budget"].is_null() || !team["team_member_rpm_limit"].is_null() ||
        !team["team_member_tpm_limit"].is_null()) {
        each = Value::object({{"max_budget", team["team_member_budget"]},
                              {"budget_duration", team["team_member_budget_duration"]},
                              {"rpm_limit", team["team_member_rpm_limit"]},
                              {"tpm_limit", team["team_member_tpm_limit"]}});
    }
    row.set("team_member_budget_table", std::move(each));
    return Value::object({{"team_id", Value(id)},
                          {"team_info", std::move(row)},
                          {"keys", keys_of(call, id)},
                          {"team_memberships", memberships_of(call, id)}});
}

// ---- lists -------------------------------------------------------------------------------------

bool listed(const Call& call, const Value& team) {
    const std::string user = call.asked("user_id");
    const std::string organization = call.asked("organization_id");
    if (!organization.empty() && team["organization_id"].as_string() != organization) {
        return false;
    }
    if (!user.empty() && !contains(team["members"], user)) {
        return false;
    }
    return call.reads_all() || call.is_team_member(team) || call.manages_team(team);
}

Result<void> may_list(const Call& call) {
    const std::string user = call.asked("user_id");
    if (!call.reads_all() && !user.empty() && !call.is_self(user) &&
        !call.manages_organization(call.asked("organization_id"))) {
        return forbidden("Only admin users can query all teams/other teams. Your user role=" +
                             std::string(governance::role_name(effective_role(call.caller))),
                         "user_id");
    }
    return {};
}

Result<Value> list_teams(Call& call) {
    TRY(may_list(call));
    Value teams = Value::array();
    for (const auto& team : call.services.directory.list(EntityKind::team)) {
        if (teams.size() < kMostShown && listed(call, team->doc)) {
            Value row = team_row(call, team->doc);
            row.set("keys", keys_of(call, team->id));
            row.set("team_memberships", memberships_of(call, team->id));
            teams.push(std::move(row));
        }
    }
    return teams;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool has_part(const Value& value, const std::string& part) {
    return part.empty() || lower(value.as_string()).find(part) != std::string::npos;
}

Result<Value> list_teams_v2(Call& call) {
    TRY(may_list(call));
    const EntityKind kind =
        call.asked("status") == "deleted" ? EntityKind::deleted_team : EntityKind::team;
    const std::string id = call.asked("team_id");
    const std::string alias = lower(call.asked("team_alias"));
    const std::string search = lower(call.asked("search"));
    const std::string by = call.asked("sort_by").empty() ? "created_at" : call.asked("sort_by");
    std::vector<Value> found;
    for (const auto& team : call.services.directory.list(kind)) {
        const Value& doc = team->doc;
        if (listed(call, doc) && (id.empty() || team->id == id) &&
            has_part(doc["team_alias"], alias) &&
            (has_part(doc["team_alias"], search) || has_part(Value(team->id), search))) {
            found.push_back(Value::object({{"id", Value(team->id)}, {by, doc[by]}}));
            if (by == "spend") {
                found.back().set(by, call.spend(ScopeKind::team, team->id, doc));
            }
        }
    }
    sort_rows(found, by, call.asked("sort_order") == "desc");
    const Page page = page_of(found.size(), call.asked_int("page"), call.asked_int("page_size"));
    Value teams = Value::array();
    for (size_t i = page.from; i < page.until; ++i) {
        const Value doc = call.doc(kind, found[i]["id"].as_string());
        Value row = team_row(call, doc);
        row.set("keys_count",
                static_cast<int64_t>(
                    call.services.directory.keys_of_team(found[i]["id"].as_string()).size()));
        row.set("members_count", static_cast<int64_t>(doc["members_with_roles"].size()));
        teams.push(std::move(row));
    }
    return Value::object({{"teams", std::move(teams)},
                          {"total", Value(page.total)},
                          {"page", Value(page.page)},
                          {"page_size", Value(page.size)},
                          {"total_pages", Value(page.pages)}});
}

// ---- deleting, blocking, models ----------------------------------------------------------------

void delete_team(Call& call, const std::string& id, const Value& team) {
    for (const auto& key : call.services.directory.keys_of_team(id)) {
        delete_key(call, key->id, key->doc);
    }
    for (const auto& member : call.services.directory.members_of_team(id)) {
        const std::string user(member->doc["user_id"].as_string());
        Value row = call.doc(EntityKind::user, user);
        if (!row.is_null()) {
            remove_from_list(row, "teams", id);
            call.put(EntityKind::user, user, std::move(row));
        }
        call.erase(EntityKind::team_member, member->id);
    }
    Value copy = team;
    copy.set("spend", call.spend(ScopeKind::team, id, team));
    copy.set("deleted_at", call.now);
    copy.set("deleted_by", call.actor());
    copy.set("deleted_by_api_key", call.caller.key_hash);
    copy.set("litellm_changed_by", call.ask.changed_by);
    call.put(EntityKind::deleted_team, id, std::move(copy));
    call.erase(EntityKind::team, id);
}

Result<Value> delete_teams(Call& call) {
    const auto ids = call.texts("team_ids");
    Value rows = Value::array();
    for (const std::string& id : ids) {
        const Value team = TRY(find_team(call, id));
        if (!call.manages_team(team)) {
            return call.admin_only();
        }
        rows.push(team_row(call, team));
        delete_team(call, id, team);
    }
    return Value::object({{"deleted_teams", std::move(rows)},
                          {"message", "Teams deleted: " + json::dump(to_list(ids))}});
}

Result<Value> set_blocked(Call& call, bool blocked) {
    const std::string id = call.text("team_id");
    Value team = TRY(find_team(call, id));
    if (!call.is_admin() && !call.manages_organization(team["organization_id"].as_string())) {
        return call.admin_only();
    }
    team.set("blocked", blocked);
    call.audit_action = blocked ? "blocked" : "updated";
    call.put(EntityKind::team, id, std::move(team));
    return team_row(call, call.doc(EntityKind::team, id));
}
Result<Value> block(Call& call) { return set_blocked(call, true); }
Result<Value> unblock(Call& call) { return set_blocked(call, false); }

Result<Value> change_models(Call& call, bool add) {
    const std::string id = call.text("team_id");
    Value team = TRY(find_team(call, id));
    if (!call.manages_team(team)) {
        return call.admin_only();
    }
    for (const std::string& model : call.texts("models")) {
        if (add) {
            add_to_list(team, "models", model);
        } else {
            remove_from_list(team, "models", model);
        }
    }
    TRY(check_organization(call, team));
    call.put(EntityKind::team, id, std::move(team));
    return team_row(call, call.doc(EntityKind::team, id));
}
Result<Value> add_models(Call& call) { return change_models(call, true); }
Result<Value> delete_models(Call& call) { return change_models(call, false); }

constexpr std::array kPermissions = {
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/info",
    "/key/list",
    "/key/health",
    "/key/regenerate",
    "/key/service-account/generate",
    "/key/{key}/regenerate",
    "/key/block",
    "/key/unblock",
};

Result<Value> permissions(Call& call) {
    const std::string id = call.asked("team_id");
    const Value team = TRY(find_team(call, id));
    if (!call.reads_all() && !call.is_team_member(team) && !call.manages_team(team)) {
        return call.admin_only();
    }
    Value all = Value::array();
    for (const char* permission : kPermissions) {
        all.push(Value(permission));
    }
    return Value::object(
        {{"team_id", Value(id)},
         {"team_member_permissions", team_row(call, team)["team_member_permissions"]},
         {"all_available_permissions", std::move(all)}});
}

Result<Value> update_permissions(Call& call) {
    const std::string id = call.text("team_id");
    Value team = TRY(find_team(call, id));
    if (!call.manages_team(team)) {
        return call.admin_only();
    }
    for (const std::string& permission : call.texts("team_member_permissions")) {
        if (std::find(kPermissions.begin(), kPermissions.end(), permission) == kPermissions.end()) {
            return bad_request("No such permission: " + permission, "team_member_permissions");
        }
    }
    team.set("team_member_permissions", call.body["team_member_permissions"]);
    call.put(EntityKind::team, id, std::move(team));
    return team_row(call, call.doc(EntityKind::team, id));
}

Result<Value> available(Call& call) {
    (void)call;
    return Value::array();
}

constexpr Field kOne[] = {{"team_id", Type::text, "which", "", true}};
constexpr Field kOneQuery[] = {{"team_id", Type::text, "left out: the caller's own"}};
constexpr Field kListQuery[] = {
    {"user_id", Type::text, "with this member"},
    {"organization_id", Type::text, "of this organization"},
};
constexpr Field kListQueryV2[] = {
    {"user_id", Type::text, "with this member"},
    {"organization_id", Type::text, "of this organization"},
    {"team_id", Type::text, "this team"},
    {"team_alias", Type::text, "a part of the alias"},
    {"search", Type::text, "a part of id or alias"},
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"page_size", Type::integer, "rows on a page", "10", false, "", 1, 100},
    {"sort_by", Type::text, "order", "", false,
     "team_id|team_alias|created_at|updated_at|spend|max_budget"},
    {"sort_order", Type::text, "direction", "\"asc\"", false, "asc|desc"},
    {"status", Type::text, "deleted: teams that are gone", "", false, "deleted|active"},
};
constexpr Field kDelete[] = {{"team_ids", Type::list, "which", "", true}};
constexpr Field kModels[] = {
    {"team_id", Type::text, "which", "", true},
    {"models", Type::list, "model names", "", true},
};
constexpr Field kPermissionBody[] = {
    {"team_id", Type::text, "which", "", true},
    {"team_member_permissions", Type::list, "key routes", "", true},
};

}  // namespace

Value team_row(const Call& call, const Value& document) {
    Value row = row_of({kTeamState, kTeamFields, kLimitFields, kStamps}, document);
    row.set("spend", call.spend(ScopeKind::team, document["team_id"].as_string(), document));
    // Given as `tags`, kept in metadata.tags: shown where clients look, which is in both places.
    if (document["metadata"]["tags"].is_array()) {
        row.set("tags", document["metadata"]["tags"]);
    }
    return row;
}

std::span<const Route> team_routes() {
    static const std::vector<Route> made = [] {
        std::vector<Route> all = {
            Route{"POST",
                  "/team/new",
                  "",
                  "new_team",
                  "teams",
                  "Makes a team",
                  kManagers | kUser,
                  new_team,
                  Effect::writes,
                  {kNew, kTeamFields, kLimitFields}},
            Route{"POST",
                  "/team/update",
                  "",
                  "update_team",
                  "teams",
                  "Changes a team: null clears, what is left out stays",
                  kManagers | kUser,
                  update_team,
                  Effect::writes,
                  {kUpdate, kTeamFields, kLimitFields}},
            Route{"PATCH",
                  "/team/{team_id}",
                  "",
                  "patch_team",
                  "teams",
                  "The same by path",
                  kManagers | kUser,
                  patch_team,
                  Effect::writes,
                  {kPatch, kTeamFields, kLimitFields}},
            Route{"GET",
                  "/team/info",
                  "",
                  "team_info",
                  "teams",
                  "A team, its keys and members",
                  kPeople,
                  team_info,
                  Effect::reads,
                  {},
                  kOneQuery},
            Route{"GET",
                  "/team/list",
                  "",
                  "list_teams",
                  "teams",
                  "Teams with keys and members",
                  kPeople,
                  list_teams,
                  Effect::reads,
                  {},
                  kListQuery},
            Route{"GET",
                  "/v2/team/list",
                  "",
                  "list_teams_v2",
                  "teams",
                  "Teams by page",
                  kPeople,
                  list_teams_v2,
                  Effect::reads,
                  {},
                  kListQueryV2},
            Route{"POST",
                  "/team/delete",
                  "",
                  "delete_teams",
                  "teams",
                  "Deletes teams and their keys",
                  kManagers | kUser,
                  delete_teams,
                  Effect::writes,
                  {kDelete}},
            Route{"POST",
                  "/team/block",
                  "",
                  "block_team",
                  "teams",
                  "Refuses its keys' requests",
                  kManagers | kUser,
                  block,
                  Effect::writes,
                  {kOne}},
            Route{"POST",
                  "/team/unblock",
                  "",
                  "unblock_team",
                  "teams",
                  "Admits a blocked team again",
                  kManagers | kUser,
                  unblock,
                  Effect::writes,
                  {kOne}},
            Route{"POST",
                  "/team/model/add",
                  "",
                  "add_team_models",
                  "teams",
                  "Adds models to what a team may call",
                  kManagers | kUser,
                  add_models,
                  Effect::writes,
                  {kModels}},
            Route{"POST",
                  "/team/model/delete",
                  "",
                  "delete_team_models",
                  "teams",
                  "Takes models from what a team may call",
                  kManagers | kUser,
                  delete_models,
                  Effect::writes,
                  {kModels}},
            Route{"GET",
                  "/team/permissions_list",
                  "",
                  "team_permissions",
                  "teams",
                  "Key routes that members may call",
                  kPeople,
                  permissions,
                  Effect::reads,
                  {},
                  kOne},
            Route{"POST",
                  "/team/permissions_update",
                  "",
                  "update_team_permissions",
                  "teams",
                  "Says which key routes members may call",
                  kManagers | kUser,
                  update_permissions,
                  Effect::writes,
                  {kPermissionBody}},
            Route{"GET", "/team/available", "", "available_teams", "teams",
                  "Teams that anybody may join: none here", kPeople, available},
        };
        const auto members = member_routes();
        all.insert(all.end(), members.begin(), members.end());
        return all;
    }();
    return made;
}

}  // namespace belay::admin

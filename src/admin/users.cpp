// /user/*: the people behind keys.
#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/password.h"
#include "base/ids.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;

constexpr size_t kMostShown = 1000;  // rows in an answer without pages
constexpr std::string_view kRoles =
    "proxy_admin|proxy_admin_viewer|org_admin|internal_user|internal_user_viewer|team|customer";

constexpr Field kUserFields[] = {
    {"user_alias", Type::text, "a name for people"},
    {"user_email", Type::text, "unique; signs in with it"},
    {"user_role", Type::text, "what the user may do", "\"internal_user\"", false, kRoles},
    {"models", Type::list, "models the user's own keys may call; empty = all", "[]"},
    {"metadata", Type::map, "anything", "{}"},
    {"sso_user_id", Type::text, "id at the identity provider"},
    {"object_permission", Type::map, "kept for clients"},
    {"aliases", Type::map, "kept for clients"},
    {"guardrails", Type::list, "kept for clients"},
    {"policies", Type::list, "kept for clients"},
    {"allowed_cache_controls", Type::list, "kept for clients"},
    {"model_rpm_limit", Type::map, "model to requests a minute"},
    {"model_tpm_limit", Type::map, "model to tokens a minute"},
    {"max_premium_requests", Type::number, "premium requests that may be spent in one window"},
    {"max_credits", Type::number, "AI credits that may be spent in one window"},
    {"budget_id", Type::text, "a budget whose limits hold where the user has none"},
};
constexpr Field kUserState[] = {
    {"user_id", Type::text, "its id"},
    {"spend", Type::number, "US$ spent in the running window", "0.0"},
    {"teams", Type::list, "teams that the user is in", "[]"},
    {"organization_memberships", Type::list, "organizations that the user is in"},
    {"budget_reset_at", Type::time, "end of the running window"},
    {"model_spend", Type::map, "kept for clients", "{}"},
};
constexpr Field kNew[] = {
    {"user_id", Type::text, "chosen id; made up when left out"},
    {"teams", Type::list, "team ids, or [{team_id, max_budget_in_team, user_role}]"},
    {"organizations", Type::list, "organization ids"},
    {"auto_create_key", Type::boolean, "make a key too (true)"},
    {"key_alias", Type::text, "of that key"},
    {"duration", Type::duration, "how long that key lives"},
    {"team_id", Type::text, "the team of that key"},
    {"send_invite_email", Type::boolean, "accepted; no mail is sent"},
    {"spend", Type::number, "what the user has spent already, US$"},
};
constexpr Field kUpdate[] = {
    {"user_id", Type::text, "whose; or by user_email"},
    {"password", Type::text, "for the dashboard; stored hashed, never returned"},
    {"spend", Type::number, "what the user has spent, US$"},
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool in_organization_of(const Call& call, std::string_view user) {
    const auto ours = call.services.directory.list(EntityKind::org_member, [&](const auto& e) {
        return e.doc["user_id"].as_string() == user;
    });
    return std::any_of(ours.begin(), ours.end(), [&](const auto& member) {
        return call.manages_organization(member->doc["organization_id"].as_string());
    });
}

// An administrator makes any user; an organization's makes plain ones inside it.
Result<void> may_make(const Call& call) {
    if (call.is_admin()) {
        return {};
    }
    const auto organizations = call.texts("organizations");
    const bool inside =
        !organizations.empty() &&
        std::all_of(organizations.begin(), organizations.end(),
                    [&](const std::string& id) { return call.manages_organization(id); });
    const std::string role = call.text("user_role");
    const bool plain = role.empty() || role == "internal_user" || role == "internal_user_viewer";
    if (!inside || !plain) {
        return call.admin_only();
    }
    return {};
}

Result<void> check_free(const Call& call, std::string_view id) {
    if (call.exists(EntityKind::user, id)) {
        return conflict("User with id " + std::string(id) + " already exists.", "user_id");
    }
    const std::string email = call.text("user_email");
    if (!email.empty() && call.services.directory.user_by_email(lower(email))) {
        return conflict("User with email " + email + " already exists.", "user_email");
    }
    return {};
}

Result<void> join_teams(Call& call, std::string_view user, const Value& teams) {
    for (const Value& item : teams.items()) {
        const std::string team(item.is_string() ? item.as_string() : item["team_id"].as_string());
        const std::string_view role = item["user_role"].as_string();
        Value member = Value::object();
        member.set("user_id", user);
        member.set("role", role.empty() ? "user" : role);
        Value terms = Value::object();
        if (!item["max_budget_in_team"].is_null()) {
            terms.set("max_budget", item["max_budget_in_team"]);
        }
        TRY(join_team(call, team, member, terms));
    }
    return {};
}

Result<void> join_organizations(Call& call, std::string_view user) {
    for (const std::string& organization : call.texts("organizations")) {
        if (!call.exists(EntityKind::organization, organization)) {
            return not_found(
                in_error("Organization not found, passed organization_id=" + organization),
                "organizations");
        }
        const std::string id = organization + "/" + std::string(user);
        call.put(EntityKind::org_member, id,
                 Value::object({{"organization_id", Value(organization)},
                                {"user_id", Value(user)},
                                {"user_role", "internal_user"},
                                {"spend", Value(json::Number{"0.0"})}}));
    }
    return {};
}

Result<Value> make_user(Call& call) {
    TRY(may_make(call));
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    for (const json::Member& fallback : call.settings->default_internal_user_params.members()) {
        if (call.body[fallback.key].is_null()) {
            call.body.set(fallback.key, fallback.value);
        }
    }
    const std::string asked = call.text("user_id");
    const std::string id = asked.empty() ? random_uuid() : asked;
    if (id.find('/') != std::string::npos || id.size() > 256) {
        return bad_request("user_id may not hold '/' and not be longer than 256 characters",
                           "user_id");
    }
    TRY(check_free(call, id));
    Value document = Value::object({{"user_id", Value(id)}, {"teams", Value::array()}});
    TRY(merge(call, {kLimitFields, kUserFields}, document));
    if (document["user_role"].is_null()) {
        document.set("user_role", "internal_user");
    }
    if (call.body["spend"].is_number()) {
        call.set_spent(ScopeKind::user, id, document, amount_of(call.body["spend"]));
    }
    call.put(EntityKind::user, id, std::move(document));
    TRY(join_teams(call, id, call.body["teams"]));
    TRY(join_organizations(call, id));

    Value out = Value::object();
    if (call.body["auto_create_key"].as_bool(true)) {
        Value key = Value::object({{"user_id", Value(id)}});
        for (const std::string_view name : {"key_alias", "duration", "team_id"}) {
            key.set(name, call.body[name]);
        }
        out = TRY(make_key(call, key));
    } else {
        out.set("key", "");
        out.set("token", Value());
        out.set("key_name", Value());
        out.set("expires", Value());
    }
    const Value row = user_row(call, call.doc(EntityKind::user, id));
    for (const json::Member& member : row.members()) {
        out.set(member.key, member.value);
    }
    return out;
}

// ---- update --------------------------------------------------------------------------------

// What people may change about themselves.
bool is_own_business(std::string_view name) {
    return name == "user_id" || name == "user_email" || name == "user_alias" ||
           name == "password" || name == "metadata";
}

Result<std::string> named_user(const Call& call) {
    const std::string id = call.text("user_id");
    if (!id.empty()) {
        return id;
    }
    const std::string email = call.text("user_email");
    if (email.empty()) {
        return bad_request("Either user_id or user_email must be provided", "user_id");
    }
    const auto found = call.services.directory.user_by_email(lower(email));
    return found ? found->id : random_uuid();
}

Result<void> may_update(const Call& call, std::string_view id) {
    if (call.is_admin()) {
        return {};
    }
    if (call.is_self(id)) {
        for (const json::Member& member : call.body.members()) {
            if (!is_own_business(member.key)) {
                return forbidden("Only a proxy admin may change " + member.key, member.key);
            }
        }
        const Value before = call.doc(EntityKind::user, id)["metadata"];
        for (const std::string_view name : {"copilot_account", "credits_floor", "premium_floor"}) {
            if (call.body["metadata"].is_object() && call.body["metadata"][name] != before[name]) {
                return forbidden("Only a proxy admin may change metadata." + std::string(name),
                                 "metadata");
            }
        }
        return {};
    }
    return forbidden("You are not allowed to update user=" + std::string(id) +
                         ". Only proxy admins may change other users",
                     "user_id");
}

Result<void> check_email(const Call& call, std::string_view id) {
    const std::string email = call.text("user_email");
    if (email.empty()) {
        return {};
    }
    const auto holder = call.services.directory.user_by_email(lower(email));
    if (holder && holder->id != id) {
        return conflict("User with email " + email + " already exists.", "user_email");
    }
    return {};
}

Result<Value> change_user(Call& call, const std::string& id) {
    TRY(may_update(call, id));
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    TRY(check_email(call, id));
    Value document = call.doc(EntityKind::user, id);
    if (document.is_null()) {
        document = Value::object(
            {{"user_id", Value(id)}, {"teams", Value::array()}, {"user_role", "internal_user"}});
    }
    TRY(merge(call, {kLimitFields, kUserFields}, document));
    if (!call.text("password").empty()) {
        document.set("password", hash_password(call.text("password")));
    }
    if (call.body["spend"].is_number()) {
        call.set_spent(ScopeKind::user, id, document, amount_of(call.body["spend"]));
    }
    call.put(EntityKind::user, id, std::move(document));
    return user_row(call, call.doc(EntityKind::user, id));
}

Result<Value> update_user(Call& call) {
    const std::string id = TRY(named_user(call));
    Value row = TRY(change_user(call, id));
    return Value::object({{"user_id", Value(id)}, {"data", std::move(row)}});
}

Result<Value> bulk_update(Call& call) {
    Value results = Value::array();
    int64_t good = 0;
    const Value asked = call.body;
    json::Array items = asked["users"].items();
    if (asked["all_users"].as_bool()) {
        for (const auto& user : call.services.directory.list(EntityKind::user)) {
            Value item = asked["user_updates"];
            item.set("user_id", user->id);
            items.push_back(std::move(item));
        }
    }
    for (const Value& item : items) {
        call.body = item;
        const auto id = named_user(call);
        const Result<Value> changed = id.ok() ? change_user(call, *id) : Result<Value>(id.error());
        Value result = Value::object({{"user_id", item["user_id"]},
                                      {"user_email", item["user_email"]},
                                      {"success", Value(changed.ok())}});
        result.set("error", changed.ok() ? Value() : Value(changed.error().message));
        result.set("updated_user", changed.ok() ? *changed : Value());
        good += changed.ok() ? 1 : 0;
        results.push(std::move(result));
    }
    const auto total = static_cast<int64_t>(results.size());
    return Value::object({{"results", std::move(results)},
                          {"total_requested", Value(total)},
                          {"successful_updates", Value(good)},
                          {"failed_updates", Value(total - good)}});
}

// ---- reading -------------------------------------------------------------------------------

Result<void> may_see(const Call& call, std::string_view id) {
    if (call.reads_all() || call.is_self(id) || in_organization_of(call, id)) {
        return {};
    }
    return forbidden(
        "User=" + call.caller.user_id + " is not allowed to view user=" + std::string(id),
        "user_id");
}

Value keys_of(const Call& call, std::string_view user) {
    Value keys = Value::array();
    for (const auto& key : call.services.directory.keys_of_user(user)) {
        if (keys.size() < kMostShown && key->doc["team_id"].as_string() != "litellm-dashboard") {
            Value row = key_row(call, key->id, key->doc);
            row.set("token", key->id);
            keys.push(std::move(row));
        }
    }
    return keys;
}

Value team_with_memberships(const Call& call, const Value& document) {
    Value row = team_row(call, document);
    Value members = Value::array();
    for (const auto& member :
         call.services.directory.members_of_team(document["team_id"].as_string())) {
        if (members.size() < kMostShown) {
            members.push(membership_row(call, member->doc));
        }
    }
    row.set("team_memberships", std::move(members));
    return row;
}

Value everything(const Call& call) {
    Value keys = Value::array();
    for (const auto& key : call.services.directory.list(EntityKind::key)) {
        if (keys.size() < kMostShown && key->doc["active_token_id"].is_null()) {
            Value row = key_row(call, key->id, key->doc);
            row.set("token", key->id);
            keys.push(std::move(row));
        }
    }
    Value teams = Value::array();
    for (const auto& team : call.services.directory.list(EntityKind::team)) {
        if (teams.size() < kMostShown) {
            teams.push(team_row(call, team->doc));
        }
    }
    return Value::object({{"user_id", Value()},
                          {"user_info", Value()},
                          {"keys", std::move(keys)},
                          {"teams", std::move(teams)}});
}

Result<Value> user_info(Call& call) {
    std::string id = call.asked("user_id");
    if (id.empty()) {
        if (call.reads_all()) {
            return everything(call);
        }
        id = call.caller.user_id;
    }
    TRY(may_see(call, id));
    const Value document = call.doc(EntityKind::user, id);
    if (document.is_null()) {
        return not_found("User " + id + " not found", "user_id");
    }
    Value teams = Value::array();
    for (const auto& team : call.services.directory.teams_of_user(id)) {
        teams.push(team_with_memberships(call, team->doc));
    }
    return Value::object({{"user_id", Value(id)},
                          {"user_info", user_row(call, document)},
                          {"keys", keys_of(call, id)},
                          {"teams", std::move(teams)}});
}

Result<Value> user_info_v2(Call& call) {
    const std::string asked = call.asked("user_id");
    const std::string id = asked.empty() ? call.caller.user_id : asked;
    TRY(may_see(call, id));
    const Value document = call.doc(EntityKind::user, id);
    if (document.is_null()) {
        return not_found("User " + id + " not found", "user_id");
    }
    return user_row(call, document);
}

bool any_of(const std::vector<std::string>& wanted, std::string_view value) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

bool listed(const Call& call, const Value& user) {
    const std::string email = lower(call.asked("user_email"));
    const std::string role = call.asked("role");
    const std::string team = call.asked("team");
    const auto organizations = call.asked_texts("organization_ids");
    const std::string id(user["user_id"].as_string());
    const bool inside =
        organizations.empty() ||
        std::any_of(organizations.begin(), organizations.end(), [&](const std::string& o) {
            return call.exists(EntityKind::org_member, o + "/" + id);
        });
    return inside && (role.empty() || user["user_role"].as_string() == role) &&
           any_of(call.asked_texts("user_ids"), id) &&
           any_of(call.asked_texts("sso_user_ids"), user["sso_user_id"].as_string()) &&
           (email.empty() ||
            lower(user["user_email"].as_string()).find(email) != std::string::npos) &&
           (team.empty() || contains(user["teams"], team));
}

// Who is in an organization that the caller manages.
std::set<std::string, std::less<>> managed_users(const Call& call) {
    std::set<std::string, std::less<>> users;
    for (const auto& member : call.services.directory.list(EntityKind::org_member)) {
        if (call.manages_organization(member->doc["organization_id"].as_string())) {
            users.emplace(member->doc["user_id"].as_string());
        }
    }
    return users;
}

Result<Value> list_users(Call& call) {
    const std::string by = call.asked("sort_by").empty() ? "created_at" : call.asked("sort_by");
    const auto managed =
        call.reads_all() ? std::set<std::string, std::less<>>() : managed_users(call);
    if (!call.reads_all() && managed.empty()) {
        return call.admin_only();
    }
    std::vector<Value> found;
    for (const auto& user : call.services.directory.list(EntityKind::user)) {
        if ((call.reads_all() || managed.count(user->id) != 0) && listed(call, user->doc)) {
            found.push_back(Value::object({{"user_id", Value(user->id)}}));
            if (by == "spend") {
                found.back().set(by, call.spend(ScopeKind::user, user->id, user->doc));
            } else if (by != "user_id") {
                found.back().set(by, user->doc[by]);
            }
        }
    }
    sort_rows(found, by, call.asked("sort_order") == "desc");
    const Page page = page_of(found.size(), call.asked_int("page"), call.asked_int("page_size"));
    Value users = Value::array();
    for (size_t i = page.from; i < page.until; ++i) {
        const std::string_view id = found[i]["user_id"].as_string();
        Value row = user_row(call, call.doc(EntityKind::user, id));
        row.set("key_count", static_cast<int64_t>(call.services.directory.keys_of_user(id).size()));
        users.push(std::move(row));
    }
    return Value::object({{"users", std::move(users)},
                          {"total", Value(page.total)},
                          {"page", Value(page.page)},
                          {"page_size", Value(page.size)},
                          {"total_pages", Value(page.pages)}});
}

// ---- deleting ------------------------------------------------------------------------------

void delete_invitations(Call& call, std::string_view user) {
    for (const auto& invitation : call.services.directory.list(EntityKind::invitation)) {
        if (invitation->doc["user_id"].as_string() == user) {
            call.erase(EntityKind::invitation, invitation->id);
        }
    }
}

Result<Value> delete_users(Call& call) {
    const auto ids = call.texts("user_ids");
    for (const std::string& id : ids) {
        if (!call.exists(EntityKind::user, id)) {
            return not_found(in_error("User not found, passed user_id=" + id), "user_ids");
        }
        const std::string role(call.doc(EntityKind::user, id)["user_role"].as_string());
        const bool above = role == "proxy_admin" || role == "proxy_admin_viewer";
        if (!call.is_admin() && (above || !in_organization_of(call, id))) {
            return call.admin_only();
        }
    }
    for (const std::string& id : ids) {
        for (const auto& key : call.services.directory.keys_of_user(id)) {
            delete_key(call, key->id, key->doc);
        }
        for (const auto& team : call.services.directory.teams_of_user(id)) {
            leave_team(call, team->id, id);
        }
        for (const auto& member : call.services.directory.list(
                 EntityKind::org_member,
                 [&](const auto& e) { return e.doc["user_id"].as_string() == id; })) {
            call.erase(EntityKind::org_member, member->id);
        }
        delete_invitations(call, id);
        call.erase(EntityKind::user, id);
    }
    return Value(static_cast<int64_t>(ids.size()));
}

Result<Value> available_roles(Call& call) {
    (void)call;
    const auto role = [](std::string_view description, std::string_view label) {
        return Value::object({{"description", description}, {"ui_label", label}});
    };
    return Value::object(
        {{"proxy_admin", role("admin over the platform, has all permissions",
                              "Admin (All "
                              "Permissions)")},
         {"proxy_admin_viewer", role("view all keys, view all spend", "Admin (View Only)")},
         {"internal_user", role("view/create/delete their own keys, view their own spend",
                                "Internal User (Create/Delete/View)")},
         {"internal_user_viewer",
          role("view their own keys, view their own spend", "Internal User (View Only)")}});
}

constexpr Field kIdQuery[] = {{"user_id", Type::text, "left out: the caller, or everything"}};
constexpr Field kListQuery[] = {
    {"role", Type::text, "of this role", "", false, kRoles},
    {"user_ids", Type::list, "these users"},
    {"sso_user_ids", Type::list, "these ids at the identity provider"},
    {"user_email", Type::text, "a part of the address"},
    {"team", Type::text, "in this team"},
    {"organization_ids", Type::list, "in these organizations"},
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"page_size", Type::integer, "rows on a page", "25", false, "", 1, 100},
    {"sort_by", Type::text, "order", "", false,
     "user_id|user_email|created_at|spend|user_alias|user_role"},
    {"sort_order", Type::text, "direction", "\"asc\"", false, "asc|desc"},
};
constexpr Field kDelete[] = {{"user_ids", Type::list, "whom", "", true}};
constexpr Field kBulk[] = {
    {"users", Type::list, "[{user_id, ...fields of update}]"},
    {"all_users", Type::boolean, "every user; with user_updates"},
    {"user_updates", Type::map, "the fields for every user"},
};

}  // namespace

Value user_row(const Call& call, const Value& document) {
    Value row = row_of({kUserState, kUserFields, kLimitFields, kStamps}, document);
    row.erase("password");
    const std::string id(document["user_id"].as_string());
    row.set("spend", call.spend(ScopeKind::user, id, document));
    Value memberships = Value::array();
    for (const auto& member : call.services.directory.list(
             EntityKind::org_member,
             [&](const auto& e) { return e.doc["user_id"].as_string() == id; })) {
        memberships.push(member->doc);
    }
    row.set("organization_memberships", std::move(memberships));
    return row;
}

std::span<const Route> user_routes() {
    static const std::array made = {
        Route{"POST",
              "/user/new",
              "",
              "new_user",
              "users",
              "Makes a user, and a key for it",
              kManagers | kUser,
              make_user,
              Effect::writes,
              {kNew, kUserFields, kLimitFields}},
        Route{"POST",
              "/user/update",
              "",
              "update_user",
              "users",
              "Changes a user; makes one that is not known",
              kAdmin | kOrgAdmin | kUser,
              update_user,
              Effect::writes,
              {kUpdate, kUserFields, kLimitFields}},
        Route{"POST",
              "/user/bulk_update",
              "",
              "bulk_update_users",
              "users",
              "Changes several users; each answers for itself",
              kAdmin,
              bulk_update,
              Effect::writes,
              {kBulk}},
        Route{"GET",
              "/user/info",
              "",
              "user_info",
              "users",
              "A user with keys and teams",
              kPeople,
              user_info,
              Effect::reads,
              {},
              kIdQuery},
        Route{"GET",
              "/v2/user/info",
              "",
              "user_info_v2",
              "users",
              "A user's row",
              kPeople,
              user_info_v2,
              Effect::reads,
              {},
              kIdQuery},
        Route{"GET",
              "/user/list",
              "/user/get_users",
              "list_users",
              "users",
              "Users by page",
              kAdminsRead | kOrgAdmin | kUser,
              list_users,
              Effect::reads,
              {},
              kListQuery},
        Route{"POST",
              "/user/delete",
              "",
              "delete_users",
              "users",
              "Deletes users, their keys and memberships",
              kManagers | kUser,
              delete_users,
              Effect::writes,
              {kDelete}},
        Route{"GET", "/user/available_roles", "", "available_roles", "users",
              "Roles that can be given", kPeople, available_roles},
    };
    return made;
}

}  // namespace belay::admin

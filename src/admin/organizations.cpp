// /organization/*: teams of teams, with models and a budget of their own.
#include <algorithm>
#include <array>
#include <cctype>

#include "admin/call.h"
#include "admin/families.h"
#include "base/ids.h"
#include "governance/duration.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;

constexpr size_t kMostShown = 1000;
constexpr std::string_view kMemberRoles = "org_admin|internal_user|internal_user_viewer|user";

constexpr Field kFields[] = {
    {"organization_alias", Type::text, "a name for people"},
    {"models", Type::list, "models its teams may call; empty = all", "[]"},
    {"budget_id", Type::text, "a budget whose limits hold where it has none of its own"},
    {"model_rpm_limit", Type::map, "model to requests a minute"},
    {"model_tpm_limit", Type::map, "model to tokens a minute"},
    {"max_premium_requests", Type::number, "premium requests that may be spent in one window"},
    {"max_credits", Type::number, "AI credits that may be spent in one window"},
    {"metadata", Type::map, "anything", "{}"},
    {"object_permission", Type::map, "kept for clients"},
};
constexpr Field kState[] = {
    {"organization_id", Type::text, "its id"},
    {"spend", Type::number, "US$ spent in the running window", "0.0"},
    {"budget_reset_at", Type::time, "end of the running window"},
};
constexpr Field kNew[] = {{"organization_id", Type::text, "chosen id; made up when left out"}};
constexpr Field kWhich[] = {{"organization_id", Type::text, "which", "", true}};

Result<Value> find_organization(const Call& call, std::string_view id) {
    Value organization = call.doc(EntityKind::organization, id);
    if (organization.is_null()) {
        return not_found(
            in_error("Organization not found, passed organization_id=" + std::string(id)),
            "organization_id");
    }
    return organization;
}

Value member_row(const Call& call, const Value& member) {
    Value row = row_of({kStamps}, member);
    const Value user = call.doc(EntityKind::user, member["user_id"].as_string());
    row.set("user_email", user["user_email"]);
    row.set("litellm_budget_table", budget_table(call, member));
    return row;
}

std::vector<governance::Directory::EntityPtr> members_of(const Call& call, std::string_view id) {
    return call.services.directory.list(EntityKind::org_member, [&](const auto& e) {
        return e.doc["organization_id"].as_string() == id;
    });
}

Value organization_row(const Call& call, const Value& document) {
    Value row = row_of({kState, kFields, kLimitFields, kStamps}, document);
    const std::string id(document["organization_id"].as_string());
    row.set("spend", call.spend(ScopeKind::organization, id, document));
    row.set("litellm_budget_table", budget_table(call, document));
    return row;
}

Value whole_row(const Call& call, const Value& document) {
    Value row = organization_row(call, document);
    const std::string id(document["organization_id"].as_string());
    Value members = Value::array();
    for (const auto& member : members_of(call, id)) {
        if (members.size() < kMostShown) {
            members.push(member_row(call, member->doc));
        }
    }
    row.set("members", std::move(members));
    Value teams = Value::array();
    for (const auto& team : call.services.directory.list(EntityKind::team, [&](const auto& e) {
             return e.doc["organization_id"].as_string() == id;
         })) {
        if (teams.size() < kMostShown) {
            teams.push(team_row(call, team->doc));
        }
    }
    row.set("teams", std::move(teams));
    return row;
}

Result<Value> make(Call& call) {
    if (call.text("organization_alias").empty()) {
        return bad_request(in_error("organization_alias is required"), "organization_alias");
    }
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    const std::string asked = call.text("organization_id");
    const std::string id = asked.empty() ? random_uuid() : asked;
    if (id.find('/') != std::string::npos || id.size() > 256) {
        return bad_request("organization_id may not hold '/' and not be longer than 256 characters",
                           "organization_id");
    }
    if (call.exists(EntityKind::organization, id)) {
        return bad_request(in_error("Organization with id " + id + " already exists"),
                           "organization_id");
    }
    Value document =
        Value::object({{"organization_id", Value(id)}, {"spend", Value(json::Number{"0.0"})}});
    TRY(merge(call, {kLimitFields, kFields}, document));
    call.put(EntityKind::organization, id, std::move(document));
    return organization_row(call, call.doc(EntityKind::organization, id));
}

Result<Value> update(Call& call) {
    const std::string id = call.text("organization_id");
    Value document = TRY(find_organization(call, id));
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    TRY(merge(call, {kLimitFields, kFields}, document));
    call.put(EntityKind::organization, id, std::move(document));
    return organization_row(call, call.doc(EntityKind::organization, id));
}

Result<Value> remove(Call& call) {
    Value rows = Value::array();
    for (const std::string& id : call.texts("organization_ids")) {
        const Value document = TRY(find_organization(call, id));
        for (const auto& team : call.services.directory.list(EntityKind::team, [&](const auto& e) {
                 return e.doc["organization_id"].as_string() == id;
             })) {
            return bad_request(in_error("Organization " + id + " still has the team " + team->id +
                                        ": delete or move it first"),
                               "organization_ids");
        }
        for (const auto& member : members_of(call, id)) {
            call.erase(EntityKind::org_member, member->id);
        }
        rows.push(organization_row(call, document));
        call.erase(EntityKind::organization, id);
    }
    return rows;
}

Result<Value> list(Call& call) {
    const std::string id = call.asked("org_id");
    std::string alias = call.asked("org_alias");
    Value rows = Value::array();
    for (const auto& organization : call.services.directory.list(EntityKind::organization)) {
        const std::string_view have = organization->doc["organization_alias"].as_string();
        const bool seen = call.reads_all() || call.is_organization_member(organization->id);
        if (seen && (id.empty() || organization->id == id) &&
            (alias.empty() || have.find(alias) != std::string_view::npos) &&
            rows.size() < kMostShown) {
            rows.push(whole_row(call, organization->doc));
        }
    }
    return rows;
}

Result<Value> info(Call& call) {
    const std::string id = call.asked("organization_id");
    const Value document = TRY(find_organization(call, id));
    if (!call.reads_all() && !call.is_organization_member(id)) {
        return call.admin_only();
    }
    return whole_row(call, document);
}

// POST /organization/info: several.
Result<Value> info_of_many(Call& call) {
    Value rows = Value::array();
    for (const std::string& id : call.texts("organizations")) {
        rows.push(whole_row(call, TRY(find_organization(call, id))));
    }
    return rows;
}

// ---- members -----------------------------------------------------------------------------------

Result<void> may_manage(const Call& call) {
    TRY(find_organization(call, call.text("organization_id")));
    if (!call.manages_organization(call.text("organization_id"))) {
        return call.admin_only();
    }
    return {};
}

Result<std::string> named_user(const Call& call, const Value& member, std::string& email) {
    std::string id(member["user_id"].as_string());
    email = std::string(member["user_email"].as_string());
    if (id.empty() && email.empty()) {
        return bad_request(in_error("Either user_id or user_email needs to be passed in"),
                           "user_id");
    }
    if (id.empty()) {
        std::string key = email;
        std::transform(key.begin(), key.end(), key.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto user = call.services.directory.user_by_email(key);
        id = user ? user->id : std::string();
    }
    return id;
}

Result<void> set_budget(const Call& call, Value& member) {
    TRY(check_limits(call.body));
    if (call.given("max_budget_in_organization")) {
        member.set("max_budget", call.body["max_budget_in_organization"]);
    }
    return {};
}

Result<Value> add_member(Call& call) {
    TRY(may_manage(call));
    const std::string organization = call.text("organization_id");
    const Value& given = call.body["member"];
    const json::Array members = given.is_array() ? given.items() : json::Array{given};
    Value users = Value::array();
    Value rows = Value::array();
    for (const Value& one : members) {
        std::string email;
        std::string id = TRY(named_user(call, one, email));
        id = id.empty() ? random_uuid() : id;
        const std::string key = organization + "/" + id;
        if (id.find('/') != std::string::npos || call.exists(EntityKind::org_member, key)) {
            return bad_request(in_error("User already in organization. user_id=" + id), "member");
        }
        if (!call.exists(EntityKind::user, id)) {
            call.put(EntityKind::user, id,
                     Value::object({{"user_id", Value(id)},
                                    {"user_email", email.empty() ? Value() : Value(email)},
                                    {"user_role", "internal_user"},
                                    {"teams", Value::array()}}));
        }
        const std::string_view role = one["role"].as_string("internal_user");
        if (kMemberRoles.find(role) == std::string_view::npos) {
            return bad_request(in_error("role must be one of org_admin, internal_user, "
                                        "internal_user_viewer"),
                               "role");
        }
        Value member = Value::object({{"organization_id", Value(organization)},
                                      {"user_id", Value(id)},
                                      {"user_role", Value(role)},
                                      {"spend", Value(json::Number{"0.0"})}});
        TRY(set_budget(call, member));
        call.put(EntityKind::org_member, key, std::move(member));
        users.push(user_row(call, call.doc(EntityKind::user, id)));
        rows.push(member_row(call, call.doc(EntityKind::org_member, key)));
    }
    return Value::object({{"organization_id", Value(organization)},
                          {"updated_users", std::move(users)},
                          {"updated_organization_memberships", std::move(rows)}});
}

Result<std::string> present_member(const Call& call) {
    std::string email;
    const std::string id = TRY(named_user(call, call.body, email));
    const std::string key = call.text("organization_id") + "/" + id;
    if (!call.exists(EntityKind::org_member, key)) {
        return not_found(
            in_error("User not found in organization. user_id=" + (id.empty() ? email : id)),
            "user_id");
    }
    return key;
}

Result<Value> update_member(Call& call) {
    TRY(may_manage(call));
    const std::string key = TRY(present_member(call));
    Value member = call.doc(EntityKind::org_member, key);
    if (!call.text("role").empty()) {
        member.set("user_role", call.text("role"));
    }
    TRY(set_budget(call, member));
    call.put(EntityKind::org_member, key, std::move(member));
    return member_row(call, call.doc(EntityKind::org_member, key));
}

Result<Value> delete_member(Call& call) {
    TRY(may_manage(call));
    const std::string key = TRY(present_member(call));
    const Value member = call.doc(EntityKind::org_member, key);
    call.erase(EntityKind::org_member, key);
    return member;
}

constexpr Field kDelete[] = {{"organization_ids", Type::list, "which", "", true}};
constexpr Field kListQuery[] = {
    {"org_id", Type::text, "this one"},
    {"org_alias", Type::text, "a part of the alias"},
};
constexpr Field kMany[] = {{"organizations", Type::list, "ids", "", true}};
constexpr Field kAdd[] = {
    {"organization_id", Type::text, "which", "", true},
    {"member", Type::any, "{role, user_id or user_email}, or a list of them", "", true},
    {"max_budget_in_organization", Type::number, "US$ that the member may spend"},
};
constexpr Field kWho[] = {
    {"organization_id", Type::text, "which", "", true},
    {"user_id", Type::text, "who; or by user_email"},
    {"user_email", Type::text, "who"},
};
constexpr Field kTerms[] = {
    {"role", Type::text, "in the organization", "", false, kMemberRoles},
    {"max_budget_in_organization", Type::number, "US$ that the member may spend"},
};

}  // namespace

std::span<const Route> organization_routes() {
    static const std::array made = {
        Route{"POST",
              "/organization/new",
              "",
              "new_organization",
              "organizations",
              "Makes an organization",
              kAdmin,
              make,
              Effect::writes,
              {kNew, kFields, kLimitFields}},
        Route{"PATCH",
              "/organization/update",
              "",
              "update_organization",
              "organizations",
              "Changes an organization",
              kAdmin,
              update,
              Effect::writes,
              {kWhich, kFields, kLimitFields}},
        Route{"DELETE",
              "/organization/delete",
              "",
              "delete_organizations",
              "organizations",
              "Deletes organizations that hold no team",
              kAdmin,
              remove,
              Effect::writes,
              {kDelete}},
        Route{"GET",
              "/organization/list",
              "",
              "list_organizations",
              "organizations",
              "Organizations with members and teams",
              kPeople,
              list,
              Effect::reads,
              {},
              kListQuery},
        Route{"GET",
              "/organization/info",
              "",
              "organization_info",
              "organizations",
              "One organization",
              kPeople,
              info,
              Effect::reads,
              {},
              kWhich},
        Route{"POST",
              "/organization/info",
              "",
              "organizations_info",
              "organizations",
              "Several organizations",
              kAdminsRead,
              info_of_many,
              Effect::reads,
              {kMany}},
        Route{"POST",
              "/organization/member_add",
              "",
              "add_organization_member",
              "organizations",
              "Adds members; unknown users are made",
              kManagers | kUser,
              add_member,
              Effect::writes,
              {kAdd}},
        Route{"PATCH",
              "/organization/member_update",
              "",
              "update_organization_member",
              "organizations",
              "Changes a member's role and budget",
              kManagers | kUser,
              update_member,
              Effect::writes,
              {kWho, kTerms}},
        Route{"DELETE",
              "/organization/member_delete",
              "",
              "delete_organization_member",
              "organizations",
              "Removes a member",
              kManagers | kUser,
              delete_member,
              Effect::writes,
              {kWho}},
    };
    return made;
}

}  // namespace belay::admin

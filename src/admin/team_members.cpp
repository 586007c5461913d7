// Members of teams: one row per membership, and the lists in the team's and the user's rows that
// clients read. All three are written together.
#include <algorithm>
#include <array>
#include <cctype>

#include "admin/call.h"
#include "admin/families.h"
#include "base/ids.h"
#include "governance/duration.h"

namespace belay::admin {

std::span<const Route> member_routes();

namespace {

using governance::ScopeKind;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

// The id of the member that {user_id | user_email} names: an id that is not known is taken as
// given, an address that is not known gets a new id.
Result<std::string> member_id(const Call& call, const Value& member) {
    const std::string_view id = member["user_id"].as_string();
    if (!id.empty()) {
        return std::string(id);
    }
    const std::string email = lower(member["user_email"].as_string());
    if (email.empty()) {
        return bad_request(in_error("Either user_id or user_email needs to be passed in"),
                           "member");
    }
    const auto found = call.services.directory.user_by_email(email);
    return found ? found->id : random_uuid();
}

// The limits of a membership out of a body of member_add or member_update.
Result<Value> terms_of(const Call& call) {
    TRY(check_limits(call.body));
    Value terms = Value::object();
    const auto take = [&](std::string_view from, std::string_view to) {
        if (call.given(from)) {
            terms.set(to, call.body[from]);
        }
    };
    take("max_budget_in_team", "max_budget");
    take("budget_duration", "budget_duration");
    take("tpm_limit", "tpm_limit");
    take("rpm_limit", "rpm_limit");
    take("allowed_models", "allowed_models");
    const std::string duration = call.text("budget_duration");
    if (!duration.empty()) {
        const int64_t end = TRY(governance::window_end(duration, call.now_ms, call.settings->zone));
        terms.set("budget_reset_at", render_utc(Wall(milliseconds(end))));
    } else if (call.given("budget_duration")) {
        terms.set("budget_reset_at", Value());
    }
    return terms;
}

Result<Value> managed_team(const Call& call) {
    const std::string id = call.text("team_id");
    Value team = call.doc(EntityKind::team, id);
    if (team.is_null()) {
        return not_found(in_error("Team not found, passed team_id=" + id), "team_id");
    }
    if (!call.manages_team(team)) {
        return call.admin_only();
    }
    return team;
}

Result<Value> add_members(Call& call) {
    TRY(managed_team(call));
    const std::string id = call.text("team_id");
    const Value terms = TRY(terms_of(call));
    const Value& given = call.body["member"];
    const json::Array members = given.is_array() ? given.items() : json::Array{given};
    Value users = Value::array();
    Value memberships = Value::array();
    for (const Value& member : members) {
        if (!member.is_object()) {
            return bad_request(in_error("member takes {role, user_id or user_email}"), "member");
        }
        Joined joined = TRY(join_team(call, id, member, terms));
        users.push(std::move(joined.user));
        memberships.push(std::move(joined.membership));
    }
    Value row = team_row(call, call.doc(EntityKind::team, id));
    row.set("updated_users", std::move(users));
    row.set("updated_team_memberships", std::move(memberships));
    return row;
}

Result<Value> bulk_add(Call& call) {
    TRY(managed_team(call));
    const std::string id = call.text("team_id");
    const Value terms = TRY(terms_of(call));
    Value results = Value::array();
    int64_t good = 0;
    for (const Value& member : call.body["members"].items()) {
        const auto joined = join_team(call, id, member, terms);
        Value result = Value::object({{"user_id", member["user_id"]},
                                      {"user_email", member["user_email"]},
                                      {"success", Value(joined.ok())}});
        result.set("error", joined.ok() ? Value() : Value(joined.error().message));
        good += joined.ok() ? 1 : 0;
        results.push(std::move(result));
    }
    const auto total = static_cast<int64_t>(results.size());
    return Value::object({{"team_id", Value(id)},
                          {"results", std::move(results)},
                          {"total_requested", Value(total)},
                          {"successful_additions", Value(good)},
                          {"failed_additions", Value(total - good)},
                          {"updated_team", team_row(call, call.doc(EntityKind::team, id))}});
}

// The member of the team that the body names; 400 when there is none.
Result<std::string> present_member(const Call& call, const Value& team) {
    std::string id = call.text("user_id");
    const std::string email = lower(call.text("user_email"));
    if (id.empty() && email.empty()) {
        return bad_request(in_error("Either user_id or user_email needs to be passed in"),
                           "user_id");
    }
    if (id.empty()) {
        if (const auto user = call.services.directory.user_by_email(email)) {
            id = user->id;
        }
    }
    for (const Value& member : team["members_with_roles"].items()) {
        const std::string_view have = member["user_id"].as_string();
        if ((!id.empty() && have == id) ||
            (id.empty() && lower(member["user_email"].as_string()) == email)) {
            return std::string(have);
        }
    }
    return bad_request(in_error("User not found in team. Passed user_id=" +
                                (id.empty() ? call.text("user_email") : id)),
                       "user_id");
}

Result<Value> delete_member(Call& call) {
    const Value team = TRY(managed_team(call));
    const std::string user = TRY(present_member(call, team));
    const std::string id = call.text("team_id");
    leave_team(call, id, user);
    // The member's keys of this team go too: nobody outside it spends its budget.
    for (const auto& key : call.services.directory.keys_of_user(user)) {
        if (key->doc["team_id"].as_string() == id) {
            delete_key(call, key->id, key->doc);
        }
    }
    return team_row(call, call.doc(EntityKind::team, id));
}

Result<Value> update_member(Call& call) {
    Value team = TRY(managed_team(call));
    const std::string user = TRY(present_member(call, team));
    const std::string id = call.text("team_id");
    const Value terms = TRY(terms_of(call));
    const std::string key = id + "/" + user;
    Value membership = call.doc(EntityKind::team_member, key);
    if (membership.is_null()) {
        membership = Value::object({{"team_id", Value(id)}, {"user_id", Value(user)}});
    }
    for (const json::Member& term : terms.members()) {
        membership.set(term.key, term.value);
    }
    const std::string role = call.text("role");
    if (!role.empty()) {
        membership.set("role", role);
        Value members = Value::array();
        for (Value member : team["members_with_roles"].items()) {
            if (member["user_id"].as_string() == user) {
                member.set("role", role);
            }
            members.push(std::move(member));
        }
        team.set("members_with_roles", std::move(members));
        call.put(EntityKind::team, id, std::move(team));
    }
    call.put(EntityKind::team_member, key, membership);
    return Value::object({{"team_id", Value(id)},
                          {"user_id", Value(user)},
                          {"user_email", call.body["user_email"]},
                          {"role", membership["role"]},
                          {"max_budget_in_team", membership["max_budget"]},
                          {"tpm_limit", membership["tpm_limit"]},
                          {"rpm_limit", membership["rpm_limit"]},
                          {"budget_duration", membership["budget_duration"]},
                          {"allowed_models", membership["allowed_models"]}});
}

constexpr Field kTerms[] = {
    {"max_budget_in_team", Type::number, "US$ that the member may spend in one window"},
    {"budget_duration", Type::duration, "length of the window"},
    {"tpm_limit", Type::integer, "tokens a minute", "", false, "", 0},
    {"rpm_limit", Type::integer, "requests a minute", "", false, "", 0},
    {"allowed_models", Type::list, "models the member may call; empty = the team's"},
};
constexpr Field kAdd[] = {
    {"team_id", Type::text, "which team", "", true},
    {"member", Type::any, "{role, user_id or user_email}, or a list of them", "", true},
};
constexpr Field kBulk[] = {
    {"team_id", Type::text, "which team", "", true},
    {"members", Type::list, "[{role, user_id or user_email}]", "", true},
};
constexpr Field kWho[] = {
    {"team_id", Type::text, "which team", "", true},
    {"user_id", Type::text, "who; or by user_email"},
    {"user_email", Type::text, "who"},
};
constexpr Field kRole[] = {
    {"role", Type::text, "in the team", "", false, "admin|user"},
};

}  // namespace

Value membership_row(const Call& call, const Value& document) {
    const std::string id = std::string(document["team_id"].as_string()) + "/" +
                           std::string(document["user_id"].as_string());
    Value spent = call.spend(ScopeKind::team_member, id, document);
    return Value::object({{"user_id", document["user_id"]},
                          {"team_id", document["team_id"]},
                          {"budget_id", document["budget_id"]},
                          {"role", document["role"]},
                          {"spend", spent},
                          {"total_spend", spent},
                          {"allowed_models", document["allowed_models"]},
                          {"litellm_budget_table", budget_table(call, document)}});
}

Result<Joined> join_team(Call& call, std::string_view team_id, const Value& member,
                         const Value& terms) {
    Value team = call.doc(EntityKind::team, team_id);
    if (team.is_null()) {
        return not_found(in_error("Team not found, passed team_id=" + std::string(team_id)),
                         "team_id");
    }
    const std::string user = TRY(member_id(call, member));
    if (user.find('/') != std::string::npos) {
        return bad_request("user_id may not hold '/'", "user_id");
    }
    const std::string_view role = member["role"].as_string("user");
    if (role != "admin" && role != "user") {
        return bad_request(in_error("role must be 'admin' or 'user'"), "role");
    }
    for (const Value& present : team["members_with_roles"].items()) {
        if (present["user_id"].as_string() == user) {
            Error e =
                bad_request(in_error("User already in team. Member: user_id=" + user), "user_id");
            e.code = "team_member_already_in_team";
            return e;
        }
    }
    Value row = call.doc(EntityKind::user, user);
    if (row.is_null()) {
        row = Value::object({{"user_id", Value(user)},
                             {"user_email", member["user_email"]},
                             {"user_role", "internal_user"},
                             {"teams", Value::array()}});
    }
    add_to_list(row, "teams", team_id);
    const Value email = row["user_email"];
    call.put(EntityKind::user, user, std::move(row));

    Value members =
        team["members_with_roles"].is_array() ? team["members_with_roles"] : Value::array();
    members.push(
        Value::object({{"role", Value(role)}, {"user_id", Value(user)}, {"user_email", email}}));
    team.set("members_with_roles", std::move(members));
    add_to_list(team, "members", user);
    call.put(EntityKind::team, team_id, std::move(team));

    Value membership = Value::object({{"team_id", Value(team_id)},
                                      {"user_id", Value(user)},
                                      {"role", Value(role)},
                                      {"spend", Value(json::Number{"0.0"})}});
    for (const json::Member& term : terms.members()) {
        membership.set(term.key, term.value);
    }
    call.put(EntityKind::team_member, std::string(team_id) + "/" + user, membership);
    return Joined{user_row(call, call.doc(EntityKind::user, user)),
                  membership_row(call, membership)};
}

void leave_team(Call& call, std::string_view team_id, std::string_view user) {
    Value team = call.doc(EntityKind::team, team_id);
    if (!team.is_null()) {
        Value left = Value::array();
        for (const Value& member : team["members_with_roles"].items()) {
            if (member["user_id"].as_string() != user) {
                left.push(member);
            }
        }
        team.set("members_with_roles", std::move(left));
        remove_from_list(team, "members", user);
        remove_from_list(team, "admins", user);
        call.put(EntityKind::team, team_id, std::move(team));
    }
    Value row = call.doc(EntityKind::user, user);
    if (!row.is_null()) {
        remove_from_list(row, "teams", team_id);
        call.put(EntityKind::user, user, std::move(row));
    }
    const std::string id = std::string(team_id) + "/" + std::string(user);
    if (call.exists(EntityKind::team_member, id)) {
        call.erase(EntityKind::team_member, id);
    }
}

std::span<const Route> member_routes() {
    static const std::array made = {
        Route{"POST",
              "/team/member_add",
              "",
              "add_team_member",
              "teams",
              "Adds members; unknown users are made",
              kManagers | kUser,
              add_members,
              Effect::writes,
              {kAdd, kTerms}},
        Route{"POST",
              "/team/bulk_member_add",
              "",
              "bulk_add_team_members",
              "teams",
              "Adds many members; each answers for itself",
              kManagers | kUser,
              bulk_add,
              Effect::writes,
              {kBulk, kTerms}},
        Route{"POST",
              "/team/member_delete",
              "",
              "delete_team_member",
              "teams",
              "Removes a member and the member's keys of this team",
              kManagers | kUser,
              delete_member,
              Effect::writes,
              {kWho}},
        Route{"POST",
              "/team/member_update",
              "",
              "update_team_member",
              "teams",
              "Changes a member's role and limits",
              kManagers | kUser,
              update_member,
              Effect::writes,
              {kWho, kRole, kTerms}},
    };
    return made;
}

}  // namespace belay::admin

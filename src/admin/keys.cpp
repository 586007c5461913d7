// /key/*: making, changing and ending keys. Reading them is in keys_read.cpp.
#include <algorithm>

#include "admin/call.h"
#include "admin/key_fields.h"
#include "governance/keys.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;

// ---- who may ----------------------------------------------------------------------------------

// A team member's right to a key route, by the team's member permissions.
bool team_permits(const Call& call, const Value& team, std::string_view route) {
    return call.is_team_member(team) && contains(team["team_member_permissions"], route);
}

Error no_permission(const Call& call, std::string_view team) {
    return unauthorized(
        "Team member does not have permissions for endpoint: " + std::string(call.route.path) +
            " in team=" + std::string(team) + ". Ask a team admin for it",
        "team_member_permission_error");
}

// A key speaks with its owner's role: who is no administrator gets no hold of an administrator's.
bool outranks(const Call& call, std::string_view user) {
    const std::string role(call.doc(EntityKind::user, user)["user_role"].as_string());
    return !call.is_admin() && !call.is_self(user) &&
           (role == "proxy_admin" || role == "proxy_admin_viewer" || role == "org_admin");
}

Error above_you() {
    return forbidden(
        "This user's role is above yours: only a proxy admin may make or change keys "
        "of theirs",
        "user_id");
}

Result<void> may_change(const Call& call, const Value& key) {
    if (call.is_admin()) {
        return {};
    }
    if (outranks(call, key["user_id"].as_string())) {
        return above_you();
    }
    const std::string_view team_id = key["team_id"].as_string();
    if (!team_id.empty()) {
        const Value team = call.doc(EntityKind::team, team_id);
        if (call.manages_team(team) || team_permits(call, team, call.route.path)) {
            return {};
        }
    }
    if (call.is_self(key["user_id"].as_string()) && team_id.empty()) {
        return {};
    }
    if (call.manages_organization(key["organization_id"].as_string())) {
        return {};
    }
    return forbidden(
        "You are not authorized to change this key: only its owner, a team admin or a proxy admin "
        "may",
        "key");
}

// key_generation_settings.{personal_key_generation,team_key_generation}.
Result<void> role_generates(const Call& call, const Value& body, const Value& team) {
    const bool for_team = !team.is_null();
    const Value& rules =
        call.settings
            ->key_generation_settings[for_team ? "team_key_generation" : "personal_key_generation"];
    for (const Value& param : rules["required_params"].items()) {
        if (body[param.as_string()].is_null()) {
            return bad_request(
                in_error("Required param " + std::string(param.as_string()) + " not in data"),
                std::string(param.as_string()));
        }
    }
    if (call.is_admin()) {
        return {};
    }
    if (for_team && rules["allowed_team_member_roles"].is_array()) {
        std::string role;
        for (const Value& member : team["members_with_roles"].items()) {
            if (call.is_self(member["user_id"].as_string())) {
                role = member["role"].as_string();
            }
        }
        if (!contains(rules["allowed_team_member_roles"], role)) {
            return forbidden("Team member role " + role + " not in allowed_team_member_roles=" +
                             json::dump(rules["allowed_team_member_roles"]));
        }
        return {};
    }
    const auto role = governance::role_name(effective_role(call.caller));
    if (!for_team && rules["allowed_user_roles"].is_array() &&
        !contains(rules["allowed_user_roles"], role)) {
        return forbidden("Personal key creation has been restricted by admin. Allowed roles=" +
                         json::dump(rules["allowed_user_roles"]) +
                         ". Your role=" + std::string(role));
    }
    return {};
}

// A team's leader makes keys for its members, not for anybody else.
Result<void> may_own(const Call& call, const std::string& user, const Value& team) {
    if (user.empty() || call.is_self(user)) {
        return {};
    }
    if (outranks(call, user)) {
        return above_you();
    }
    if (!contains(team["members"], user)) {
        return forbidden("User=" + user + " is not a member of the team", "user_id");
    }
    return {};
}

Result<void> may_generate(const Call& call, const Value& body) {
    const std::string user(body["user_id"].as_string());
    const std::string team_id(body["team_id"].as_string());
    Value team;
    if (!team_id.empty()) {
        team = call.doc(EntityKind::team, team_id);
        if (team.is_null()) {
            return not_found(in_error("Team not found, passed team_id=" + team_id), "team_id");
        }
    }
    TRY(role_generates(call, body, team));
    if (call.is_admin()) {
        return {};
    }
    const std::string organization(body["organization_id"].as_string());
    if (!organization.empty() && !call.is_organization_member(organization) &&
        team["organization_id"].as_string() != organization) {
        return forbidden("You are not a member of organization_id=" + organization,
                         "organization_id");
    }
    if (!team.is_null()) {
        const bool manages = call.manages_team(team);
        if (!manages && !call.is_team_member(team)) {
            return forbidden("User=" + call.caller.user_id + " is not a member of team=" + team_id,
                             "team_id");
        }
        const bool by_rule =
            call.settings
                ->key_generation_settings["team_key_generation"]["allowed_team_member_roles"]
                .is_array();
        if (!manages && !by_rule && !team_permits(call, team, "/key/generate")) {
            return no_permission(call, team_id);
        }
        if (manages) {
            return may_own(call, user, team);
        }
    }
    if (!user.empty() && !call.is_self(user)) {
        return forbidden("User can only create keys for themselves. Got user_id=" + user +
                             ", Your ID=" + call.caller.user_id,
                         "user_id");
    }
    if (call.caller.user_id.empty()) {
        return call.admin_only();
    }
    return {};
}

// ---- what may be asked for ---------------------------------------------------------------------

bool says_all(const Value& models) {
    return models.size() == 0 || contains(models, "all-proxy-models") || contains(models, "*");
}

Result<void> check_models(const Call& call, const Value& models, const Value& owner,
                          std::string_view whose, std::string_view id) {
    if (owner.is_null() || says_all(owner["models"])) {
        return {};
    }
    for (const Value& model : models.items()) {
        const std::string_view name = model.as_string();
        if (name == "all-team-models" || contains(owner["models"], name)) {
            continue;
        }
        bool covered = false;
        for (const Value& pattern : owner["models"].items()) {
            const std::string_view p = pattern.as_string();
            covered = covered || (p.size() > 1 && p.back() == '*' &&
                                  name.substr(0, p.size() - 1) == p.substr(0, p.size() - 1));
        }
        if (!covered) {
            return forbidden(in_error("Model=" + std::string(name) + " is not in the models of " +
                                      std::string(whose) + "=" + std::string(id) + ": " +
                                      json::dump(owner["models"])),
                             "models");
        }
    }
    (void)call;
    return {};
}

Result<void> check_upper_bounds(const Call& call, const Value& body) {
    const Value& most = call.settings->upperbound_key_generate_params;
    for (const json::Member& bound : most.members()) {
        const Value& asked = body[bound.key];
        bool above = false;
        if (bound.value.is_number() && asked.is_number()) {
            above = *asked.as_double() > *bound.value.as_double();
        } else if (bound.value.is_string() && asked.is_string()) {
            const auto length = TRY(expiry(call, asked.as_string()));
            const auto longest = TRY(expiry(call, bound.value.as_string()));
            above = longest != 0 && (length == 0 || length > longest);
        }
        if (above) {
            const auto shown = [](const Value& v) {
                return v.is_string() ? std::string(v.as_string()) : json::dump(v);
            };
            return bad_request(in_error(bound.key +
                                        " is over max limit set in config - "
                                        "user_value=" +
                                        shown(asked) + "; max_value=" + shown(bound.value)),
                               bound.key);
        }
    }
    return {};
}

Result<void> check_alias(const Call& call, std::string_view alias, std::string_view self) {
    if (alias.empty()) {
        return {};
    }
    const auto holder = call.services.directory.key_by_alias(alias);
    if (holder && holder->id != self && !holder->is_deleted()) {
        return bad_request("Key with alias '" + std::string(alias) +
                               "' already exists. Unique key aliases across all keys are required.",
                           "key_alias");
    }
    return {};
}

void preset_routes(std::string_view type, Value& document) {
    if (document["allowed_routes"].size() != 0) {
        return;
    }
    for (const auto& [name, group] :
         {std::pair{"llm_api", "llm_api_routes"}, std::pair{"management", "management_routes"},
          std::pair{"read_only", "info_routes"}}) {
        if (type == name) {
            document.set("allowed_routes", Value::array({group}));
        }
    }
}

void merge_tags(const Value& body, Value& document) {
    if (body["tags"].is_array()) {
        Value metadata = document["metadata"].is_object() ? document["metadata"] : Value::object();
        metadata.set("tags", body["tags"]);
        document.set("metadata", std::move(metadata));
    }
}

// What only an administrator says: spend, and the members of metadata that bind a key to a sign-in,
// keep credits from it or let it be answered without a model.
Result<void> check_reserved(const Call& call, const Value& body, std::string_view hash) {
    if (call.is_admin()) {
        return {};
    }
    if (!body["spend"].is_null()) {
        return forbidden("Only a proxy admin may set spend", "spend");
    }
    if (!body["metadata"].is_object()) {
        return {};
    }
    const Value before = call.doc(EntityKind::key, hash)["metadata"];
    for (const std::string_view name :
         {"copilot_account", "credits_floor", "premium_floor", "allow_client_mock_response"}) {
        if (body["metadata"][name] != before[name]) {
            return forbidden("Only a proxy admin may change metadata." + std::string(name),
                             "metadata");
        }
    }
    return {};
}

// What generate and update check alike, the new values over the old ones.
Result<void> check_key(const Call& call, const Value& body, const Value& document,
                       std::string_view hash) {
    TRY(check_limits(body));
    TRY(check_upper_bounds(call, body));
    TRY(check_alias(call, body["key_alias"].as_string(), hash));
    const std::string_view budget = body["budget_id"].as_string();
    if (!budget.empty() && !call.exists(EntityKind::budget, budget)) {
        return bad_request(in_error("Budget not found, passed budget_id=" + std::string(budget)),
                           "budget_id");
    }
    TRY(check_reserved(call, body, hash));
    const std::string_view team = document["team_id"].as_string();
    if (!team.empty()) {
        return check_models(call, body["models"], call.doc(EntityKind::team, team), "team", team);
    }
    const std::string_view user = document["user_id"].as_string();
    if (!user.empty() && !call.is_admin()) {
        return check_models(call, body["models"], call.doc(EntityKind::user, user), "user", user);
    }
    return {};
}

// ---- changing ----------------------------------------------------------------------------------

// The hash of the key that the body or the path names; by alias when there is no key.
Result<std::string> named_key(const Call& call) {
    std::string key = call.in_path("key");
    if (key.empty()) {
        key = call.text("key");
    }
    if (key.empty() && !call.text("key_alias").empty()) {
        if (const auto found = call.services.directory.key_by_alias(call.text("key_alias"))) {
            return found->id;
        }
    }
    if (key.empty()) {
        return bad_request("No key passed in: give `key` or `key_alias`", "key");
    }
    std::string hash = call.services.directory.id_of(key);
    const Value document = call.doc(EntityKind::key, hash);
    if (document.is_null()) {
        return not_found("{'message': 'Key not found in database'}", "key");
    }
    // A secret in its grace period stands for the key it became.
    const std::string_view successor = document["active_token_id"].as_string();
    return successor.empty() ? hash : std::string(successor);
}

Value shown_key(std::string_view sent, std::string_view hash, Value row) {
    Value out = Value::object();
    out.set("key", sent);
    out.set("token", hash);
    out.set("token_id", hash);
    for (const json::Member& member : row.members()) {
        out.set(member.key, member.value);
    }
    return out;
}

// Who is given the secret of a key that is another person's does not get their Copilot seat.
void note_holder(const Call& call, Value& document) {
    const std::string_view user = document["user_id"].as_string();
    if (user.empty() || call.is_admin() || call.is_self(user)) {
        document.erase("seat_withheld");
    } else {
        document.set("seat_withheld", true);
    }
}

Result<void> set_expiry(const Call& call, Value& document) {
    if (!call.given("duration")) {
        return {};
    }
    const int64_t end = TRY(expiry(call, call.text("duration")));
    document.set("expires", end == 0 ? Value() : Value(render_utc(Wall(milliseconds(end)))));
    return {};
}

Result<void> may_reassign(const Call& call, const Value& before) {
    if (call.is_admin()) {
        return {};
    }
    const std::string user = call.text("user_id");
    if (call.given("user_id") && user != before["user_id"].as_string() && !call.is_self(user)) {
        return forbidden("User can only update keys for themselves. Got user_id=" + user +
                             ", Your ID=" + call.caller.user_id,
                         "user_id");
    }
    const std::string team_id = call.text("team_id");
    if (call.given("team_id") && team_id != before["team_id"].as_string() && !team_id.empty()) {
        const Value team = call.doc(EntityKind::team, team_id);
        if (!call.manages_team(team) && !team_permits(call, team, "/key/generate")) {
            return no_permission(call, team_id);
        }
    }
    const std::string organization = call.text("organization_id");
    if (call.given("organization_id") && organization != before["organization_id"].as_string() &&
        !call.manages_organization(organization)) {
        return forbidden("Only an organization admin may move a key into an organization",
                         "organization_id");
    }
    return {};
}

Result<Value> apply_update(Call& call, const std::string& hash) {
    Value document = call.doc(EntityKind::key, hash);
    TRY(may_change(call, document));
    TRY(may_reassign(call, document));
    if (!call.text("team_id").empty() && !call.exists(EntityKind::team, call.text("team_id"))) {
        return not_found(in_error("Team not found, passed team_id=" + call.text("team_id")),
                         "team_id");
    }
    TRY(merge(call, {kLimitFields, kKeyFields}, document));
    TRY(check_key(call, call.body, document, hash));
    TRY(set_expiry(call, document));
    merge_tags(call.body, document);
    preset_routes(call.text("key_type"), document);
    for (const std::string_view name : {"temp_budget_increase", "temp_budget_expiry"}) {
        if (call.given(name)) {
            Value metadata =
                document["metadata"].is_object() ? document["metadata"] : Value::object();
            metadata.set(name, call.body[name]);
            document.set("metadata", std::move(metadata));
        }
    }
    if (call.body["spend"].is_number()) {
        call.set_spent(ScopeKind::key, hash, document, amount_of(call.body["spend"]));
    }
    return document;
}

Result<Value> update(Call& call) {
    const std::string hash = TRY(named_key(call));
    Value document = TRY(apply_update(call, hash));
    call.put(EntityKind::key, hash, std::move(document));
    const std::string sent = call.text("key").empty() ? hash : call.text("key");
    return shown_key(sent, hash, key_row(call, hash, call.doc(EntityKind::key, hash)));
}

Result<Value> generate(Call& call) {
    TRY(may_generate(call, call.body));
    return make_key(call, call.body);
}

Result<Value> generate_for_service(Call& call) {
    if (call.text("team_id").empty()) {
        return bad_request(
            "team_id is required for service account keys. Please specify "
            "`team_id` in the request body.",
            "team_id");
    }
    call.body.erase("user_id");
    TRY(may_generate(call, call.body));
    Value body = call.body;
    Value metadata = body["metadata"].is_object() ? body["metadata"] : Value::object();
    if (metadata["service_account_id"].is_null()) {
        metadata.set("service_account_id", body["key_alias"]);
    }
    body.set("metadata", std::move(metadata));
    body.set("service_account", true);
    return make_key(call, body);
}

Result<Value> remove(Call& call) {
    std::vector<std::pair<std::string, std::string>> found;  // as sent, hash
    for (const std::string& key : call.texts("keys")) {
        std::string hash = call.services.directory.id_of(key);
        if (call.exists(EntityKind::key, hash)) {
            found.emplace_back(key, std::move(hash));
        }
    }
    for (const std::string& alias : call.texts("key_aliases")) {
        if (const auto key = call.services.directory.key_by_alias(alias)) {
            found.emplace_back(alias, key->id);
        }
    }
    if (call.texts("keys").empty() && call.texts("key_aliases").empty()) {
        return bad_request("No keys passed in: give `keys` or `key_aliases`", "keys");
    }
    if (found.empty()) {
        return not_found("{'error': 'No keys found'}", "keys");
    }
    Value deleted = Value::array();
    for (const auto& [sent, hash] : found) {
        const Value document = call.doc(EntityKind::key, hash);
        if (document.is_null()) {
            continue;  // named twice
        }
        TRY(may_change(call, document));
        delete_key(call, hash, document);
        deleted.push(Value(sent));
    }
    return Value::object({{"deleted_keys", std::move(deleted)}});
}

// The old key's identity moves to a new secret. During the grace period the old hash stays as a
// pointer (active_token_id, revoke_at): the directory takes it for the new key.
Result<Value> regenerate(Call& call) {
    const std::string hash = TRY(named_key(call));
    Value document = TRY(apply_update(call, hash));
    const std::string chosen = call.text("new_key");
    if (!chosen.empty()) {
        if (auto good = governance::check_chosen_key(chosen); !good.ok()) {
            return bad_request(good.error().message, "new_key");
        }
    }
    const Secret secret = chosen.empty() ? governance::generate_key() : Secret(chosen);
    const std::string fresh = call.services.directory.key_id(secret.reveal());
    if (call.exists(EntityKind::key, fresh)) {
        return bad_request("This key exists already", "new_key");
    }
    const NanoCredits spent = call.spend_amount(ScopeKind::key, hash, document);
    document.set("key_name", governance::key_name(secret.reveal()));
    document.erase(kSpendOffset);  // the new hash has no sum of its own yet
    call.set_spent(ScopeKind::key, fresh, document, spent);
    note_holder(call, document);
    call.keep_token(document, fresh, secret);
    document.set("rotation_count", document["rotation_count"].as_int().value_or(0) + 1);
    document.set("last_rotation_at", call.now);
    const int64_t grace =
        call.text("grace_period").empty() ? 0 : TRY(expiry(call, call.text("grace_period")));
    call.audit_action = "regenerated";
    if (grace > call.now_ms) {
        Value old = Value::object();
        old.set("active_token_id", fresh);
        old.set("revoke_at", render_utc(Wall(milliseconds(grace))));
        call.put(EntityKind::key, hash, std::move(old));
    } else {
        call.erase(EntityKind::key, hash);
    }
    call.put(EntityKind::key, fresh, std::move(document));
    return shown_key(secret.reveal(), fresh,
                     key_row(call, fresh, call.doc(EntityKind::key, fresh)));
}

Result<Value> set_blocked(Call& call, bool blocked) {
    const std::string hash = TRY(named_key(call));
    Value document = call.doc(EntityKind::key, hash);
    const std::string_view team = document["team_id"].as_string();
    const bool manages = call.is_admin() ||
                         (!team.empty() && call.manages_team(call.doc(EntityKind::team, team))) ||
                         call.manages_organization(document["organization_id"].as_string());
    if (!manages) {
        return call.admin_only();
    }
    document.set("blocked", blocked);
    call.audit_action = blocked ? "blocked" : "updated";
    call.put(EntityKind::key, hash, std::move(document));
    Value row = key_row(call, hash, call.doc(EntityKind::key, hash));
    row.set("token", hash);
    return row;
}
Result<Value> block(Call& call) { return set_blocked(call, true); }
Result<Value> unblock(Call& call) { return set_blocked(call, false); }

Result<Value> reset_spend(Call& call) {
    const std::string hash = TRY(named_key(call));
    Value document = call.doc(EntityKind::key, hash);
    const std::string_view team = document["team_id"].as_string();
    if (!call.is_admin() &&
        (team.empty() || !call.manages_team(call.doc(EntityKind::team, team)))) {
        return call.admin_only();
    }
    const double to = call.body["reset_to"].as_double().value_or(0);
    const NanoCredits spent = call.spend_amount(ScopeKind::key, hash, document);
    const NanoCredits target = amount_of(call.body["reset_to"]);
    if (to < 0) {
        return bad_request("reset_to must be >= 0", "reset_to");
    }
    if (target > spent) {
        return bad_request("reset_to must be <= current spend (" + render_usd(spent) + ")",
                           "reset_to");
    }
    call.set_spent(ScopeKind::key, hash, document, target);
    call.put(EntityKind::key, hash, std::move(document));
    Value out = key_row(call, hash, call.doc(EntityKind::key, hash));
    out.set("spend", usd(target));
    out.set("key_hash", hash);
    out.set("previous_spend", usd(spent));
    return out;
}

Result<Value> bulk_update(Call& call) {
    Value good = Value::array();
    Value bad = Value::array();
    const Value asked = call.body;
    for (const Value& item : asked["keys"].items()) {
        call.body = item;
        const Result<std::string> hash = named_key(call);
        Result<Value> changed = hash.ok() ? apply_update(call, *hash) : Result<Value>(hash.error());
        if (changed.ok()) {
            call.put(EntityKind::key, *hash, std::move(*changed));
            good.push(Value::object(
                {{"key", item["key"]},
                 {"key_info", key_row(call, *hash, call.doc(EntityKind::key, *hash))}}));
        } else {
            bad.push(Value::object(
                {{"key", item["key"]}, {"failed_reason", Value(changed.error().message)}}));
        }
    }
    return Value::object({{"total_requested", Value(static_cast<int64_t>(asked["keys"].size()))},
                          {"successful_updates", std::move(good)},
                          {"failed_updates", std::move(bad)}});
}

constexpr Field kGenerateOnly[] = {
    {"key", Type::text, "a chosen value: sk- and 16 characters or more"},
};
constexpr Field kUpdateOnly[] = {
    {"key", Type::text, "the key or its hash"},
    {"temp_budget_increase", Type::number, "US$ added to max_budget for a while"},
    {"temp_budget_expiry", Type::time, "until when"},
};
constexpr Field kRegenerateOnly[] = {
    {"key", Type::text, "the key or its hash, when the path does not say"},
    {"new_key", Type::text, "a chosen value for the new key"},
    {"new_master_key", Type::text, "not offered: the master key is configuration"},
    {"grace_period", Type::duration, "how long the old key keeps working"},
};
// regenerate shares every other field of update.
constexpr Field kDelete[] = {
    {"keys", Type::list, "keys or hashes"},
    {"key_aliases", Type::list, "aliases"},
};
constexpr Field kOneKey[] = {{"key", Type::text, "the key or its hash", "", true}};
constexpr Field kReset[] = {{"reset_to", Type::number, "US$", "", true}};
constexpr Field kBulk[] = {{"keys", Type::list, "[{key, ...fields of update}]", "", true}};

// Whose a key is that names nobody. LiteLLM's "default_user_id" for the master key's, unless an
// imported row makes that an administrator: then every such key would be one.
Value default_owner(const Call& call) {
    constexpr std::string_view kDefault = "default_user_id";
    if (!call.caller.is_master && !call.caller.user_id.empty()) {
        return call.caller.user_id;
    }
    if (!call.is_admin()) {
        return {};
    }
    const Value user = call.doc(EntityKind::user, kDefault);
    const bool is_plain =
        user.is_null() || user["user_role"].as_string("internal_user") == "internal_user";
    return is_plain ? Value(kDefault) : Value();
}

}  // namespace

Result<Value> make_key(Call& call, const Value& asked) {
    Value body = asked;
    for (const json::Member& fallback : call.settings->default_key_generate_params.members()) {
        if (body[fallback.key].is_null()) {
            body.set(fallback.key, fallback.value);
        }
    }
    const std::string chosen(body["key"].as_string());
    if (!chosen.empty()) {
        if (auto good = governance::check_chosen_key(chosen); !good.ok()) {
            return bad_request(good.error().message, "key");
        }
    }
    const Secret secret = chosen.empty() ? governance::generate_key() : Secret(chosen);
    const std::string hash = call.services.directory.key_id(secret.reveal());
    if (call.exists(EntityKind::key, hash)) {
        return bad_request("This key exists already: choose another or leave `key` out", "key");
    }
    Value document = Value::object();
    for (const Fields table : {Fields(kLimitFields), Fields(kKeyFields)}) {
        for (const Field& field : table) {
            if (!body[field.name].is_null()) {
                document.set(field.name, body[field.name]);
            }
        }
    }
    if (document["user_id"].is_null() && !body["service_account"].as_bool()) {
        document.set("user_id", default_owner(call));
    }
    if (document["organization_id"].is_null() && !document["team_id"].is_null()) {
        document.set(
            "organization_id",
            call.doc(EntityKind::team, document["team_id"].as_string())["organization_id"]);
    }
    TRY(check_key(call, body, document, hash));
    // merge() and set_expiry() read the call's body: a handler's own body stands in for it.
    const Value outer = std::exchange(call.body, body);
    const Result<void> limits = merge(call, {}, document);
    const Result<void> end = set_expiry(call, document);
    call.body = outer;
    TRY(limits);
    TRY(end);
    merge_tags(body, document);
    preset_routes(body["key_type"].as_string(), document);
    document.set("key_name", governance::key_name(secret.reveal()));
    note_holder(call, document);
    call.keep_token(document, hash, secret);
    call.set_spent(ScopeKind::key, hash, document, amount_of(body["spend"]));
    call.put(EntityKind::key, hash, document);
    return shown_key(secret.reveal(), hash, key_row(call, hash, call.doc(EntityKind::key, hash)));
}

void delete_key(Call& call, std::string_view hash, const Value& document) {
    Value copy = document;
    copy.set("token", hash);
    copy.set("spend", call.spend(ScopeKind::key, hash, document));
    copy.set("deleted_at", call.now);
    copy.set("deleted_by", call.actor());
    copy.set("deleted_by_api_key", call.caller.key_hash);
    copy.set("litellm_changed_by", call.ask.changed_by);
    call.put(EntityKind::deleted_key, hash, std::move(copy));
    call.erase(EntityKind::key, hash);
}

std::span<const Route> key_change_routes() {
    static const std::array made = {
        Route{"POST",
              "/key/generate",
              "",
              "generate_key",
              "keys",
              "Makes a key",
              kOwners,
              generate,
              Effect::writes,
              {kGenerateOnly, kLimitFields, kKeyFields, kKeyOrders}},
        Route{"POST",
              "/key/service-account/generate",
              "",
              "generate_service_account_key",
              "keys",
              "Makes a key that belongs to a team and to nobody in it",
              kOwners,
              generate_for_service,
              Effect::writes,
              {kGenerateOnly, kLimitFields, kKeyFields, kKeyOrders}},
        Route{"POST",
              "/key/update",
              "",
              "update_key",
              "keys",
              "Changes a key: null clears, what is left out stays",
              kOwners,
              update,
              Effect::writes,
              {kUpdateOnly, kLimitFields, kKeyFields, kKeyOrders}},
        Route{"POST",
              "/key/delete",
              "",
              "delete_keys",
              "keys",
              "Ends keys",
              kOwners,
              remove,
              Effect::writes,
              {kDelete}},
        Route{"POST",
              "/key/{key}/regenerate",
              "/key/regenerate",
              "regenerate_key",
              "keys",
              "Gives a key a new secret",
              kOwners,
              regenerate,
              Effect::writes,
              {kRegenerateOnly, kLimitFields, kKeyFields, kKeyOrders}},
        Route{"POST",
              "/key/block",
              "",
              "block_key",
              "keys",
              "Refuses a key's requests",
              kOwners,
              block,
              Effect::writes,
              {kOneKey}},
        Route{"POST",
              "/key/unblock",
              "",
              "unblock_key",
              "keys",
              "Admits a blocked key again",
              kOwners,
              unblock,
              Effect::writes,
              {kOneKey}},
        Route{"POST",
              "/key/{key}/reset_spend",
              "",
              "reset_key_spend",
              "keys",
              "Sets what a key has spent",
              kOwners,
              reset_spend,
              Effect::writes,
              {kReset}},
        Route{"POST",
              "/key/bulk_update",
              "",
              "bulk_update_keys",
              "keys",
              "Changes several keys; each answers for itself",
              kAdmin,
              bulk_update,
              Effect::writes,
              {kBulk}},
    };
    return made;
}

}  // namespace belay::admin

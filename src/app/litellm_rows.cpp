#include "app/litellm_rows.h"

#include <algorithm>
#include <array>
#include <utility>

#include "admin/secrets.h"
#include "base/clock.h"
#include "base/ids.h"

namespace belay::app {
namespace {

using governance::EntityKind;
using json::Value;

constexpr std::array kVolatile = {std::string_view("spend"),
                                  std::string_view("total_spend"),
                                  std::string_view("budget_reset_at"),
                                  std::string_view("updated_at"),
                                  std::string_view("last_active"),
                                  std::string_view("spend_offset_nano"),
                                  std::string_view("last_run_at"),
                                  std::string_view("reload_revision"),
                                  std::string_view("model_spend"),
                                  std::string_view("soft_budget_cooldown"),
                                  std::string_view("last_breach_check_at"),
                                  kImportMark};
// Of the same rows, those that a document of Belay has for itself.
constexpr std::array kOwnVolatile = {std::string_view("spend"), std::string_view("budget_reset_at"),
                                     std::string_view("spend_offset_nano"), kImportMark};
// Bookkeeping of LiteLLM's that nothing here reads.
constexpr std::array kNotTaken = {std::string_view("total_spend"),
                                  std::string_view("model_spend"),
                                  std::string_view("soft_budget_cooldown"),
                                  std::string_view("settings_updated_at"),
                                  std::string_view("object_permission_id"),
                                  std::string_view("last_breach_check_at"),
                                  std::string_view("password_reset_required"),
                                  std::string_view("key_rotation_at")};

constexpr std::string_view kDashboardTeam = "litellm-dashboard";
constexpr std::string_view kProxyBudget = "litellm-proxy-budget";
// Said by the file and by nobody else (admin/config_routes.cpp).
constexpr std::array kFileOnly = {
    std::string_view("master_key"),  std::string_view("database_url"),
    std::string_view("salt_key"),    std::string_view("ui_password"),
    std::string_view("ui_username"), std::string_view("encryption_algorithm")};

template <class Names>
bool is_one_of(const Names& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// "2026-11-25T03:00:00.123" is UTC in LiteLLM's columns.
Value as_time(const Value& value) {
    const std::string_view text = value.as_string();
    if (text.size() < 19 || text[10] != 'T' || text.find_first_of("Z+", 19) != text.npos) {
        return value;
    }
    return Value(std::string(text) + "Z");
}

bool is_time_column(std::string_view name) {
    return name.ends_with("_at") || name == "expires" || name == "last_active" ||
           name.ends_with("_expiry");
}

bool says_something(const Value& value) {
    return !value.is_null() && !((value.is_array() || value.is_object()) && value.size() == 0);
}

std::string text_of(const Value& row, std::string_view name) {
    return std::string(row[name].as_string());
}

void add_once(Value& list, std::string_view text) {
    for (const Value& item : list.items()) {
        if (item.as_string() == text) {
            return;
        }
    }
    list.push(Value(text));
}

// Stores may reorder members and spell numbers in their way.
Value canonical(const Value& value) {
    if (value.is_object()) {
        json::Object members = value.members();
        std::sort(members.begin(), members.end(),
                  [](const auto& left, const auto& right) { return left.key < right.key; });
        for (json::Member& member : members) {
            member.value = canonical(member.value);
        }
        return Value(std::move(members));
    }
    if (value.is_array()) {
        json::Array items = value.items();
        for (Value& item : items) {
            item = canonical(item);
        }
        return Value(std::move(items));
    }
    return value.is_number() ? Value(value.as_double().value_or(0)) : value;
}

std::string digest(const Value& value) {
    return sha256_hex(json::dump(canonical(value))).substr(0, 32);
}

std::string source_of(const Value& row) {
    Value kept = Value::object();
    for (const json::Member& member : row.members()) {
        if (!is_one_of(kVolatile, member.key)) {
            kept.members().push_back(member);
        }
    }
    return digest(kept);
}

}  // namespace

const std::vector<LitellmTable>& litellm_tables() {
    static const std::vector<LitellmTable> kTables = {
        {"LiteLLM_BudgetTable", "budgets", "budget_id"},
        {"LiteLLM_OrganizationTable", "organizations", "organization_id"},
        {"LiteLLM_UserTable", "users", "user_id"},
        {"LiteLLM_ModelTable", "team model aliases", "id"},
        {"LiteLLM_TeamTable", "teams", "team_id"},
        {"LiteLLM_OrganizationMembership", "organization members", "user_id"},
        {"LiteLLM_TeamMembership", "team members", "user_id"},
        {"LiteLLM_EndUserTable", "customers", "user_id"},
        {"LiteLLM_TagTable", "tags", "tag_name"},
        {"LiteLLM_AccessGroupTable", "access groups", "access_group_id"},
        {"LiteLLM_CredentialsTable", "credentials", "credential_name"},
        {"LiteLLM_ProxyModelTable", "models", "model_id"},
        {"LiteLLM_Config", "settings", "param_name"},
        {"LiteLLM_DeprecatedVerificationToken", "former keys", "token"},
        {"LiteLLM_VerificationToken", "keys", "token"},
    };
    return kTables;
}

std::string digest_of(const Value& doc) {
    Value kept = Value::object();
    for (const json::Member& member : doc.members()) {
        if (!is_one_of(kOwnVolatile, member.key)) {
            kept.members().push_back(member);
        }
    }
    return digest(kept);
}

void LitellmRows::add(std::string_view table, const Value& row) {
    const auto& tables = litellm_tables();
    const auto known = std::find_if(tables.begin(), tables.end(),
                                    [table](const auto& one) { return one.name == table; });
    if (known == tables.end()) {
        return;
    }
    table_ = known->name;
    ++seen_[std::string(table)];
    using Add = void (LitellmRows::*)(const Value&);
    constexpr std::array<std::pair<std::string_view, Add>, 9> kAdders = {{
        {"keys", &LitellmRows::add_key},
        {"former keys", &LitellmRows::add_former_key},
        {"users", &LitellmRows::add_user},
        {"teams", &LitellmRows::add_team},
        {"team members", &LitellmRows::add_membership},
        {"organization members", &LitellmRows::add_organization_member},
        {"models", &LitellmRows::add_model},
        {"credentials", &LitellmRows::add_credential},
        {"settings", &LitellmRows::add_config},
    }};
    for (const auto& [shown, adder] : kAdders) {
        if (shown == known->shown) {
            (this->*adder)(row);
            return;
        }
    }
    add_plain(*known, row);
}

// A row's columns as a document: nulls, empty lists and LiteLLM's bookkeeping left out.
Imported& LitellmRows::put(EntityKind kind, std::string id, std::string name, const Value& row,
                           std::initializer_list<std::string_view> without) {
    Imported one;
    one.table = table_;
    one.kind = kind;
    one.id = id;
    one.name = name.empty() ? std::move(id) : std::move(name);
    one.source = source_of(row);
    one.doc = Value::object();
    for (const json::Member& member : row.members()) {
        if (says_something(member.value) && !is_one_of(kNotTaken, member.key) &&
            std::find(without.begin(), without.end(), member.key) == without.end()) {
            one.doc.set(member.key,
                        is_time_column(member.key) ? as_time(member.value) : member.value);
        }
    }
    note_permissions(row);
    const auto [place, is_new] = places_.try_emplace({kind, one.id}, found_.size());
    if (is_new) {
        found_.push_back(std::move(one));
    } else {
        found_[place->second] = std::move(one);
    }
    return found_[place->second];
}

Imported* LitellmRows::find(EntityKind kind, std::string_view id) {
    const auto place = places_.find({kind, std::string(id)});
    return place == places_.end() ? nullptr : &found_[place->second];
}

void LitellmRows::leave_out(std::string name, std::string why) {
    left_out_.push_back({table_, std::move(name), std::move(why)});
}

void LitellmRows::note_permissions(const Value& row) {
    permissions_ += row["object_permission_id"].as_string().empty() ? 0 : 1;
}

// ---- keys --------------------------------------------------------------------------------------

void LitellmRows::add_key(const Value& row) {
    const std::string hash = text_of(row, "token");
    std::string name = text_of(row, "key_alias");
    const std::string shown = text_of(row, "key_name");
    name = name.empty() ? shown : name + (shown.empty() ? "" : " (" + shown + ")");
    if (row["team_id"].as_string() == kDashboardTeam) {
        return leave_out(name, "a session of the dashboard: sign in again");
    }
    if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != hash.npos) {
        return leave_out(name,
                         "its token is no SHA-256 in hexadecimal: regenerate it in LiteLLM "
                         "first");
    }
    put(EntityKind::key, hash, std::move(name), row, {"token", "key_type"});
}

// The secret before a regeneration, as long as it still works.
void LitellmRows::add_former_key(const Value& row) {
    const Value until = as_time(row["revoke_at"]);
    const std::string hash = text_of(row, "token");
    if (unix_millis(parse_utc(until.as_string())) <= now_ms_ || find(EntityKind::key, hash)) {
        return leave_out(hash.substr(0, 12), "its grace period is over");
    }
    put(EntityKind::key, hash, "the secret before a regeneration", row,
        {"id", "token", "created_at"});
}

// ---- people ------------------------------------------------------------------------------------

void LitellmRows::add_user(const Value& row) {
    const std::string id = text_of(row, "user_id");
    const std::string mail = text_of(row, "user_email");
    if (id == kProxyBudget) {
        return leave_out(id,
                         "LiteLLM's count for the whole proxy; litellm_settings.max_budget "
                         "begins anew here");
    }
    if (id.empty() || id.find('/') != id.npos || id.size() > 256) {
        return leave_out(id, "an id here has 1 to 256 characters and no '/'");
    }
    Imported& user = put(EntityKind::user, id, mail.empty() ? id : mail + " (" + id + ")", row);
    const std::string_view password = row["password"].as_string();
    if (!password.empty() && !password.starts_with("scrypt:")) {
        user.doc.erase("password");
        ++passwords_;
    }
}

void LitellmRows::add_team(const Value& row) {
    const std::string id = text_of(row, "team_id");
    if (id.empty() || id.find('/') != id.npos || id.size() > 256) {
        return leave_out(id, "an id here has 1 to 256 characters and no '/'");
    }
    const std::string alias = text_of(row, "team_alias");
    Imported& team = put(EntityKind::team, id, alias.empty() ? id : alias + " (" + id + ")", row);
    if (!team.doc["members_with_roles"].is_array()) {
        team.doc.set("members_with_roles", Value::array());
    }
    if (const auto model = row["model_id"].as_int()) {
        const auto aliases = team_aliases_.find(*model);
        if (aliases != team_aliases_.end() && aliases->second.is_object()) {
            team.doc.set("model_aliases", aliases->second);
            team.source = sha256_hex(team.source + json::dump(aliases->second)).substr(0, 32);
        }
        team.doc.erase("model_id");
    }
}

void LitellmRows::add_membership(const Value& row) {
    const std::string team = text_of(row, "team_id");
    const std::string user = text_of(row, "user_id");
    if (find(EntityKind::team, team) == nullptr) {
        return leave_out(user + " in " + team, "there is no such team");
    }
    put(EntityKind::team_member, team + "/" + user, user + " in " + team, row);
}

void LitellmRows::add_organization_member(const Value& row) {
    const std::string organization = text_of(row, "organization_id");
    const std::string user = text_of(row, "user_id");
    put(EntityKind::org_member, organization + "/" + user, user + " in " + organization, row);
}

void LitellmRows::add_plain(const LitellmTable& table, const Value& row) {
    if (table.shown == "team model aliases") {
        const Value& aliases = row["aliases"];
        // Old releases keep JSON in a text.
        auto parsed =
            aliases.is_string() ? json::parse(aliases.as_string()) : Result<Value>(aliases);
        team_aliases_[row["id"].as_int().value_or(0)] = parsed ? *parsed : Value();
        return;
    }
    const std::string id = text_of(row, table.id);
    if (id.empty() || id.size() > 256) {
        return leave_out(id, "an id here has 1 to 256 characters");
    }
    if (table.shown == "budgets") {
        put(EntityKind::budget, id, id, row);
    } else if (table.shown == "organizations") {
        const std::string alias = text_of(row, "organization_alias");
        put(EntityKind::organization, id, alias.empty() ? id : alias + " (" + id + ")", row);
    } else if (table.shown == "customers") {
        put(EntityKind::customer, id, id, row);
    } else if (table.shown == "tags") {
        put(EntityKind::tag, id, id, row, {"tag_name"}).doc.set("name", id);
    } else if (table.shown == "access groups") {
        put(EntityKind::access_group, id, text_of(row, "access_group_name"), row);
    }
}

// ---- what has secrets --------------------------------------------------------------------------

// Texts that LiteLLM has encrypted come out plain, or sealed with this installation's key when they
// are secret. One that no key opens is an error: a model without its key would only fail later.
Result<Value> LitellmRows::reseal(const Value& value, bool secret, const std::string& place) const {
    if (value.is_object()) {
        Value out = Value::object();
        for (const json::Member& member : value.members()) {
            out.set(member.key, TRY(reseal(member.value, secret, place + "/" + member.key)));
        }
        return out;
    }
    const std::string_view text = value.as_string();
    if (text.empty()) {
        return value;
    }
    const auto plain = opened_.open(text);
    if (!plain && LitellmSeal::looks_sealed(text)) {
        return gateway_error(Kind::internal,
                             place.substr(place.rfind('/') + 1) +
                                 " is encrypted with another key: give the installation's "
                                 "LITELLM_SALT_KEY or, where it had none, its master key");
    }
    const std::string shown = plain ? plain->reveal() : std::string(text);
    if (!secret || shown.empty() || shown.starts_with("os.environ/")) {
        return Value(shown);
    }
    return Value(TRY(seal_.seal(shown, place)));
}

void LitellmRows::add_model(const Value& row) {
    const std::string id = text_of(row, "model_id");
    const std::string name = text_of(row, "model_name");
    Value params = Value::object();
    for (const json::Member& member : row["litellm_params"].members()) {
        auto value = reseal(member.value, admin::is_secret_name(member.key),
                            "model/" + id + "/" + member.key);
        if (!value) {
            return leave_out(name + " (" + id + ")", value.error().message);
        }
        params.set(member.key, std::move(*value));
    }
    if (params["model"].as_string().empty()) {
        return leave_out(name + " (" + id + ")", "its litellm_params name no model");
    }
    Value info = row["model_info"].is_object() ? row["model_info"] : Value::object();
    for (json::Member& member : info.members()) {
        if (const auto plain = opened_.open(member.value.as_string())) {
            member.value = Value(plain->reveal());
        }
    }
    info.set("id", id);
    info.set("db_model", true);
    if (row["blocked"].as_bool()) {
        info.set("blocked", true);
    }
    Imported& model = put(EntityKind::model, id, name + " (" + id + ")", row,
                          {"model_id", "blocked", "litellm_params", "model_info"});
    model.doc.set("litellm_params", std::move(params));
    model.doc.set("model_info", std::move(info));
}

void LitellmRows::add_credential(const Value& row) {
    const std::string name = text_of(row, "credential_name");
    auto values =
        reseal(row["credential_values"].is_object() ? row["credential_values"] : Value::object(),
               true, "credential/" + name);
    if (!values) {
        return leave_out(name, values.error().message);
    }
    Imported& one =
        put(EntityKind::credential, name, name, row, {"credential_id", "credential_values"});
    one.doc.set("credential_values", std::move(*values));
    if (!one.doc["credential_info"].is_object()) {
        one.doc.set("credential_info", Value::object());
    }
}

void LitellmRows::add_config(const Value& row) {
    const std::string name = text_of(row, "param_name");
    if (name == "environment_variables") {
        std::string names;
        for (const json::Member& member : row["param_value"].members()) {
            names += (names.empty() ? "" : ", ") + member.key;
        }
        return leave_out(name, "secrets of the environment stay in the environment: set " + names);
    }
    if (name != "router_settings" && name != "litellm_settings" && name != "general_settings") {
        return leave_out(name, "it has no meaning here");
    }
    if (!row["param_value"].is_object()) {
        return leave_out(name, "it is empty");
    }
    Value kept = Value::object();
    for (const json::Member& member : row["param_value"].members()) {
        if (is_one_of(kFileOnly, member.key)) {
            leave_out(name + "." + member.key, "it is set in config.yaml or the environment");
            continue;
        }
        auto value = reseal(member.value, admin::is_secret_name(member.key),
                            "config/" + name + "/" + member.key);
        kept.set(member.key, value ? std::move(*value) : Value());
    }
    Imported& one = put(EntityKind::config, name, name, row, {"param_value"});
    one.doc = Value::object({{"param_name", Value(name)}, {"param_value", std::move(kept)}});
}

// ---- what belongs together ---------------------------------------------------------------------

// LiteLLM reads a team's members from members_with_roles; here the team's list, the user's list and
// a row of its own say the same.
void LitellmRows::finish() {
    std::vector<std::string> teams;
    for (const Imported& one : found_) {
        if (one.kind == EntityKind::team) {
            teams.push_back(one.id);
        }
    }
    for (const std::string& id : teams) {
        Imported* team = find(EntityKind::team, id);
        Value members = team->doc["members"].is_array() ? team->doc["members"] : Value::array();
        const Value with_roles = team->doc["members_with_roles"];
        for (const Value& member : with_roles.items()) {
            const std::string user = text_of(member, "user_id");
            if (user.empty()) {
                continue;
            }
            add_once(members, user);
            if (Imported* row = find(EntityKind::user, user)) {
                Value list = row->doc["teams"].is_array() ? row->doc["teams"] : Value::array();
                add_once(list, id);
                row->doc.set("teams", std::move(list));
            }
            const std::string key = id + "/" + user;
            if (find(EntityKind::team_member, key) == nullptr) {
                table_ = "LiteLLM_TeamMembership";
                put(EntityKind::team_member, key, user + " in " + id,
                    Value::object({{"team_id", Value(id)}, {"user_id", Value(user)}}));
            }
            find(EntityKind::team_member, key)->doc.set("role", member["role"].as_string("user"));
            team = find(EntityKind::team, id);  // put() may have moved it
        }
        team->doc.set("members", std::move(members));
    }
    // Brought together after their sources were taken: what was added counts as source too.
    for (Imported& one : found_) {
        if (one.kind == EntityKind::user || one.kind == EntityKind::team_member ||
            one.kind == EntityKind::team) {
            Value plain = one.doc;
            for (const std::string_view name : kVolatile) {
                plain.erase(name);
            }
            one.source = sha256_hex(one.source + digest(plain)).substr(0, 32);
        }
    }
    const auto many = [](int64_t count, std::string_view one, std::string_view more) {
        return std::to_string(count) + " " + std::string(count == 1 ? one : more);
    };
    if (passwords_ != 0) {
        notes_.push_back(many(passwords_, "user has", "users have") +
                         " a password hash of an old kind: a new password has to be set for the "
                         "dashboard. Keys are not touched by this");
    }
    if (permissions_ != 0) {
        notes_.push_back(many(permissions_, "row refers", "rows refer") +
                         " to permissions for MCP servers and vector stores, which are not here");
    }
}

}  // namespace belay::app

// /config/* and /router/settings: settings that are kept in the database and lie over the file.
// Each section is one entity, {param_name, param_value}, as LiteLLM's table has it.
#include <algorithm>
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/secrets.h"

namespace belay::admin {
namespace {

constexpr std::array kSections = {"router_settings", "litellm_settings", "general_settings",
                                  "environment_variables"};

// What is said by the file and by nobody else: who may come in, and where things are kept.
constexpr std::array kFileOnly = {"master_key",  "database_url", "salt_key",
                                  "ui_password", "ui_username",  "encryption_algorithm"};

const Value& in_file(const Call& call, std::string_view section) {
    static const Value kNone = Value::object();
    if (section == "router_settings") {
        return call.settings->router_settings;
    }
    if (section == "litellm_settings") {
        return call.settings->litellm_settings;
    }
    return section == "general_settings" ? call.settings->general_settings : kNone;
}

Value stored(const Call& call, std::string_view section) {
    const Value document = call.doc(EntityKind::config, section);
    return document["param_value"].is_object() ? document["param_value"] : Value::object();
}

Value effective(const Call& call, std::string_view section) {
    Value all = in_file(call, section).is_object() ? without_secrets(in_file(call, section))
                                                   : Value::object();
    const Value over = stored(call, section);
    for (const json::Member& member : over.members()) {
        if (!is_secret_name(member.key)) {
            all.set(member.key, member.value);
        }
    }
    return all;
}

void store_section(Call& call, std::string_view section, Value value) {
    call.put(EntityKind::config, section,
             Value::object({{"param_name", Value(section)}, {"param_value", std::move(value)}}));
}

// Variables that are read from the process's environment before there is a database: stored ones
// would not be.
bool is_read_at_start(std::string_view name) {
    for (const std::string_view one : {"LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "DATABASE_URL",
                                       "UI_USERNAME", "UI_PASSWORD", "HOME", "PATH"}) {
        if (name == one) {
            return true;
        }
    }
    for (const std::string_view prefix : {"BELAY_", "GITHUB_COPILOT_", "REDIS_", "LD_"}) {
        if (name.starts_with(prefix)) {
            return true;
        }
    }
    return false;
}

Result<void> check_variables(const Value& variables) {
    for (const json::Member& member : variables.members()) {
        const bool named = !member.key.empty() && member.key.size() <= 256 &&
                           std::all_of(member.key.begin(), member.key.end(), [](char c) {
                               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                                      (c >= '0' && c <= '9') || c == '_';
                           });
        if (!named || !(member.value.is_string() || member.value.is_null())) {
            return bad_request(in_error("environment_variables maps names of letters, digits and "
                                        "'_' to text (null removes one): " +
                                        member.key.substr(0, 64)),
                               "environment_variables");
        }
        if (is_read_at_start(member.key)) {
            return bad_request(
                in_error(member.key + " is read when the program starts: set it in its "
                                      "environment. Stored variables serve os.environ/ "
                                      "references of models and settings"),
                "environment_variables");
        }
    }
    return {};
}

Result<void> check_members(const Value& section) {
    for (const json::Member& member : section.members()) {
        if (std::find(kFileOnly.begin(), kFileOnly.end(), member.key) != kFileOnly.end()) {
            return bad_request(in_error(member.key + " is set in the configuration file or the "
                                                     "environment, not here"),
                               member.key);
        }
    }
    return {};
}

Result<Value> sealed(const Call& call, std::string_view section, const Value& value) {
    return seal_members(value,
                        section == "environment_variables" ? Which::all : Which::secret_names,
                        call.services.seal, "config/" + std::string(section));
}

Result<Value> update(Call& call) {
    for (const char* section : kSections) {
        const Value& asked = call.body[section];
        if (!asked.is_object()) {
            continue;
        }
        const bool variables = section == std::string_view("environment_variables");
        TRY(variables ? check_variables(asked) : check_members(asked));
        Value value = stored(call, section);
        const Value added = TRY(sealed(call, section, asked));
        for (const json::Member& member : added.members()) {
            if (variables && member.value.is_null()) {
                value.erase(member.key);
            } else {
                value.set(member.key, member.value);
            }
        }
        store_section(call, section, std::move(value));
    }
    return Value::object({{"message", "Config updated successfully"}});
}

// ---- fields
// --------------------------------------------------------------------------------------

constexpr Field kRouterFields[] = {
    {"routing_strategy", Type::text, "how a deployment of a group is picked", "\"simple-shuffle\"",
     false,
     "simple-shuffle|least-busy|usage-based-routing|latency-based-routing|cost-based-routing"},
    {"num_retries", Type::integer, "tries again on the same group", "2", false, "", 0},
    {"timeout", Type::number, "seconds for a whole answer"},
    {"stream_timeout", Type::number, "seconds until a stream's first token"},
    {"retry_after", Type::number, "least seconds between tries", "0"},
    {"allowed_fails", Type::integer, "failures before a deployment rests"},
    {"cooldown_time", Type::number, "seconds that a failing deployment rests", "5"},
    {"disable_cooldowns", Type::boolean, "failing deployments never rest", "false"},
    {"max_fallbacks", Type::integer, "groups tried after the first", "5"},
    {"fallbacks", Type::list, "[{model: [models]}]"},
    {"context_window_fallbacks", Type::list, "[{model: [models]}] when the prompt is too long"},
    {"content_policy_fallbacks", Type::list, "[{model: [models]}] when the content is refused"},
    {"model_group_alias", Type::map, "asked name to group"},
    {"enable_pre_call_checks", Type::boolean, "leave out models whose window is too small"},
    {"enable_tag_filtering", Type::boolean, "route by tags"},
};
constexpr Field kGeneralFields[] = {
    {"max_parallel_requests", Type::integer, "requests of each key at once"},
    {"global_max_parallel_requests", Type::integer, "requests at once over all keys"},
    {"max_request_size_mb", Type::integer, "largest body"},
    {"store_prompts_in_spend_logs", Type::boolean, "keep prompts and replies", "false"},
    {"maximum_spend_logs_retention_period", Type::text, "how long log rows are kept"},
    {"store_model_in_db", Type::boolean, "models may be added at run time", "false"},
    {"alerting", Type::list, "where alerts go"},
    {"alerting_threshold", Type::integer, "seconds after which a slow answer is told"},
    {"allowed_ips", Type::list, "addresses that may call"},
    {"disable_spend_logs", Type::boolean, "no log rows", "false"},
};

std::string_view python_type(Type type) {
    switch (type) {
        case Type::integer:
            return "Integer";
        case Type::number:
            return "Float";
        case Type::boolean:
            return "Boolean";
        case Type::list:
            return "List";
        case Type::map:
            return "Dictionary";
        case Type::text:
        case Type::any:
        case Type::duration:
        case Type::time:
            break;
    }
    return "String";
}

Value parsed_default(const Field& field) {
    auto parsed = json::parse(field.fallback);
    return field.fallback.empty() || !parsed.ok() ? Value() : std::move(*parsed);
}

Value choices_of(const Field& field) {
    if (field.choices.empty()) {
        return {};
    }
    Value list = Value::array();
    std::string_view left = field.choices;
    while (!left.empty()) {
        const size_t end = std::min(left.find('|'), left.size());
        list.push(Value(left.substr(0, end)));
        left.remove_prefix(std::min(end + 1, left.size()));
    }
    return list;
}

Value router_fields(const Value& values) {
    Value fields = Value::array();
    for (const Field& field : kRouterFields) {
        fields.push(Value::object({{"field_name", Value(field.name)},
                                   {"field_type", Value(python_type(field.type))},
                                   {"field_value", values[field.name]},
                                   {"field_description", Value(field.doc)},
                                   {"field_default", parsed_default(field)},
                                   {"options", choices_of(field)},
                                   {"ui_field_name", Value(field.name)}}));
    }
    return fields;
}

Value strategy_texts() {
    return Value::object({{"simple-shuffle", "by weight, at random"},
                          {"least-busy", "fewest requests running"},
                          {"usage-based-routing", "least used of its limits"},
                          {"latency-based-routing", "fastest of late"},
                          {"cost-based-routing", "cheapest"}});
}

Result<Value> router_settings(Call& call) {
    const Value values = effective(call, "router_settings");
    return Value::object({{"fields", router_fields(values)},
                          {"current_values", values},
                          {"routing_strategy_descriptions", strategy_texts()}});
}

Result<Value> router_field_list(Call& call) {
    (void)call;
    return Value::object({{"fields", router_fields(Value::object())},
                          {"routing_strategy_descriptions", strategy_texts()}});
}

Fields table_of(std::string_view section) {
    return section == "router_settings" ? Fields(kRouterFields) : Fields(kGeneralFields);
}

std::string section_of(const Call& call, const Value& from) {
    (void)call;
    return std::string(from["config_type"].as_string("general_settings"));
}

Value field_row(const Call& call, std::string_view section, const Field& field) {
    const Value own = stored(call, section);
    return Value::object({{"field_name", Value(field.name)},
                          {"field_type", Value(python_type(field.type))},
                          {"field_description", Value(field.doc)},
                          {"field_value", effective(call, section)[field.name]},
                          {"stored_in_db", Value(own.has(field.name))},
                          {"field_default_value", parsed_default(field)},
                          {"nested_fields", Value()}});
}

Result<Value> list(Call& call) {
    const std::string section = section_of(call, call.query);
    Value rows = Value::array();
    for (const Field& field : table_of(section)) {
        rows.push(field_row(call, section, field));
    }
    return rows;
}

Result<Value> field_info(Call& call) {
    for (const Field& field : kGeneralFields) {
        if (field.name == call.asked("field_name")) {
            return field_row(call, "general_settings", field);
        }
    }
    return bad_request(in_error("Field not in general_settings: " + call.asked("field_name")),
                       "field_name");
}

Result<Value> field_update(Call& call) {
    const std::string section = section_of(call, call.body);
    const std::string name = call.text("field_name");
    Value one = Value::object({{name, call.body["field_value"]}});
    TRY(check_members(one));
    const Fields table = table_of(section);
    if (std::none_of(table.begin(), table.end(), [&](const Field& f) { return f.name == name; })) {
        return bad_request(in_error("Invalid field=" + name + " passed in."), "field_name");
    }
    Value value = stored(call, section);
    value.set(name, TRY(sealed(call, section, one))[name]);
    store_section(call, section, std::move(value));
    return Value::object(
        {{"param_name", Value(section)}, {"param_value", effective(call, section)}});
}

Result<Value> field_delete(Call& call) {
    const std::string section = section_of(call, call.body);
    Value value = stored(call, section);
    if (!value.erase(call.text("field_name"))) {
        return bad_request(in_error("Field name=" + call.text("field_name") + " not in config"),
                           "field_name");
    }
    store_section(call, section, std::move(value));
    return Value::object(
        {{"param_name", Value(section)}, {"param_value", effective(call, section)}});
}

Result<Value> yaml(Call& call) {
    Value all = Value::object();
    for (const char* section : {"router_settings", "litellm_settings", "general_settings"}) {
        all.set(section, effective(call, section));
    }
    return all;
}

Result<Value> callbacks(Call& call) {
    const Value litellm = effective(call, "litellm_settings");
    Value rows = Value::array();
    for (const auto& [member, type] :
         {std::pair{"success_callback", "success"}, std::pair{"failure_callback", "failure"},
          std::pair{"callbacks", "success_and_failure"}}) {
        for (const std::string& name : to_texts(litellm[member])) {
            rows.push(Value::object(
                {{"name", Value(name)}, {"variables", Value::object()}, {"type", Value(type)}}));
        }
    }
    const Value general = effective(call, "general_settings");
    return Value::object(
        {{"status", "success"},
         {"callbacks", std::move(rows)},
         {"alerts", Value::array({Value::object({{"name", "slack"},
                                                 {"variables", Value::object()},
                                                 {"active_alerts", general["alert_types"]},
                                                 {"alerts_to_webhook", Value::object()}})})},
         {"router_settings", effective(call, "router_settings")},
         {"available_callbacks", Value::object()}});
}

Result<Value> callback_delete(Call& call) {
    Value value = stored(call, "litellm_settings");
    const std::string name = call.text("callback_name");
    bool found = false;
    for (const char* member : {"success_callback", "failure_callback", "callbacks"}) {
        found = found || contains(value[member], name);
        if (value[member].is_array()) {
            remove_from_list(value, member, name);
        }
    }
    if (!found) {
        return not_found(in_error("Callback '" + name + "' not found in active callbacks"),
                         "callback_name");
    }
    store_section(call, "litellm_settings", std::move(value));
    return Value::object(
        {{"message", "Successfully deleted callback: " + name}, {"removed_callback", Value(name)}});
}

constexpr Field kUpdate[] = {
    {"router_settings", Type::map, "merged over what is stored"},
    {"litellm_settings", Type::map, "merged over what is stored"},
    {"general_settings", Type::map, "merged over what is stored"},
    {"environment_variables", Type::map,
     "for os.environ/ references; stored sealed, never returned; null removes one"},
};
constexpr Field kListQuery[] = {
    {"config_type", Type::text, "which section", "\"general_settings\"", false,
     "general_settings|router_settings"},
};
constexpr Field kFieldQuery[] = {{"field_name", Type::text, "which", "", true}};
constexpr Field kFieldUpdate[] = {
    {"field_name", Type::text, "which", "", true},
    {"field_value", Type::any, "its value", "", true},
    {"config_type", Type::text, "which section", "", false, "general_settings|router_settings"},
};
constexpr Field kFieldDelete[] = {
    {"field_name", Type::text, "which", "", true},
    {"config_type", Type::text, "which section", "", false, "general_settings|router_settings"},
};
constexpr Field kCallback[] = {{"callback_name", Type::text, "which", "", true}};

}  // namespace

std::span<const Route> config_routes() {
    static const std::array made = {
        Route{"POST",
              "/config/update",
              "",
              "update_config",
              "config",
              "Stores settings that lie over the file",
              kAdmin,
              update,
              Effect::writes,
              {kUpdate}},
        Route{"GET", "/router/settings", "", "router_settings", "config",
              "Router settings in force, described", kAdminsRead, router_settings},
        Route{"GET", "/router/fields", "", "router_fields", "config", "Router settings, described",
              kAdminsRead, router_field_list},
        Route{"GET",
              "/config/list",
              "",
              "list_config",
              "config",
              "A section's fields",
              kAdminsRead,
              list,
              Effect::reads,
              {},
              kListQuery},
        Route{"GET",
              "/config/field/info",
              "",
              "config_field",
              "config",
              "One field",
              kAdminsRead,
              field_info,
              Effect::reads,
              {},
              kFieldQuery},
        Route{"POST",
              "/config/field/update",
              "",
              "update_config_field",
              "config",
              "Stores one field",
              kAdmin,
              field_update,
              Effect::writes,
              {kFieldUpdate}},
        Route{"POST",
              "/config/field/delete",
              "",
              "delete_config_field",
              "config",
              "Leaves one field to the file again",
              kAdmin,
              field_delete,
              Effect::writes,
              {kFieldDelete}},
        Route{"GET", "/config/yaml", "", "config_yaml", "config",
              "Settings in force, without secrets", kAdminsRead, yaml},
        Route{"GET", "/get/config/callbacks", "", "config_callbacks", "config",
              "Callbacks and alerts in force", kAdminsRead, callbacks},
        Route{"POST",
              "/config/callback/delete",
              "",
              "delete_config_callback",
              "config",
              "Removes a stored callback",
              kAdmin,
              callback_delete,
              Effect::writes,
              {kCallback}},
    };
    return made;
}

}  // namespace belay::admin

// The OpenAPI 3.1 document of the management API, out of the tables in schema.h.
#include <map>

#include "admin/schema.h"
#include "wire/json.h"

namespace belay::admin {
namespace {

using json::Value;

std::string_view type_name(Type type) {
    switch (type) {
        case Type::integer:
            return "integer";
        case Type::number:
            return "number";
        case Type::boolean:
            return "boolean";
        case Type::list:
            return "array";
        case Type::map:
            return "object";
        case Type::text:
        case Type::duration:
        case Type::time:
        case Type::any:
            break;
    }
    return "string";
}

Value choices_of(std::string_view choices) {
    Value list = Value::array();
    while (!choices.empty()) {
        const size_t end = std::min(choices.find('|'), choices.size());
        list.push(Value(choices.substr(0, end)));
        choices.remove_prefix(std::min(end + 1, choices.size()));
    }
    return list;
}

Value schema_of(const Field& field, bool nullable) {
    Value schema = Value::object();
    if (field.type != Type::any) {
        const Value name(type_name(field.type));
        schema.set("type", nullable ? Value::array({name, "null"}) : name);
    }
    if (field.type == Type::time) {
        schema.set("format", "date-time");
    }
    if (field.type == Type::list) {
        schema.set("items", Value::object());
    }
    if (field.least != std::numeric_limits<int64_t>::min()) {
        schema.set("minimum", field.least);
    }
    if (field.most != std::numeric_limits<int64_t>::max()) {
        schema.set("maximum", field.most);
    }
    if (!field.choices.empty()) {
        Value list = choices_of(field.choices);
        if (nullable) {
            list.push(Value());
        }
        schema.set("enum", std::move(list));
    }
    if (!field.fallback.empty()) {
        auto parsed = json::parse(field.fallback);
        schema.set("default", parsed.ok() ? *parsed : Value(field.fallback));
    }
    schema.set("description", field.doc);
    return schema;
}

Value body_of(const Route& route) {
    Value properties = Value::object();
    Value required = Value::array();
    for (const Fields table : route.body) {
        for (const Field& field : table) {
            properties.set(field.name, schema_of(field, !field.required));
            if (field.required) {
                required.push(Value(field.name));
            }
        }
    }
    Value schema = Value::object({{"type", "object"}, {"properties", std::move(properties)}});
    if (required.size() != 0) {
        schema.set("required", std::move(required));
    }
    const Value typed = Value::object({{"schema", std::move(schema)}});
    Value content = Value::object({{"application/json", typed}});
    if (route.form) {
        content.set("application/x-www-form-urlencoded", typed);
    }
    return Value::object({{"content", std::move(content)}});
}

std::string plain_path(std::string_view path) {
    std::string out(path);
    if (const size_t star = out.find("*}"); star != std::string::npos) {
        out.erase(star, 1);
    }
    return out;
}

Value parameters_of(const Route& route, std::string_view path) {
    Value list = Value::array();
    for (size_t at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1)) {
        const std::string_view name = path.substr(at + 1, path.find('}', at) - at - 1);
        list.push(Value::object({{"name", Value(name)},
                                 {"in", "path"},
                                 {"required", true},
                                 {"schema", Value::object({{"type", "string"}})}}));
    }
    for (const Field& field : route.query) {
        Value parameter = Value::object({{"name", Value(field.name)}, {"in", "query"}});
        if (field.required) {
            parameter.set("required", true);
        }
        parameter.set("schema", schema_of(field, false));
        list.push(std::move(parameter));
    }
    return list;
}

Value roles_of(const Route& route) {
    using governance::Role;
    Value roles = Value::array();
    for (const Role role :
         {Role::proxy_admin, Role::proxy_admin_viewer, Role::org_admin, Role::internal_user,
          Role::internal_user_viewer, Role::team, Role::customer}) {
        if ((route.roles & role_bit(role)) != 0) {
            roles.push(Value(governance::role_name(role)));
        }
    }
    return roles;
}

Value responses_of(const Route& route) {
    const auto refers = [](std::string_view name) {
        return Value::object({{"$ref", Value("#/components/responses/" + std::string(name))}});
    };
    Value responses = Value::object({{"200", Value::object({{"description", "Done"}})}});
    responses.set("400", refers("Error"));
    if (route.access == Access::keyed) {
        responses.set("401", refers("Error"));
        responses.set("403", refers("Error"));
    }
    responses.set("404", refers("Error"));
    responses.set("422", refers("Validation"));
    responses.set("503", refers("Error"));
    return responses;
}

Value operation_of(const Route& route, const std::string& path, bool is_alias) {
    Value operation = Value::object();
    operation.set("operationId", std::string(route.id) + (is_alias ? "_alias" : ""));
    operation.set("tags", Value::array({route.tag}));
    operation.set("summary", route.doc);
    if (route.access == Access::open) {
        operation.set("security", Value::array());
    } else {
        operation.set("x-roles", roles_of(route));
    }
    Value parameters = parameters_of(route, path);
    if (parameters.size() != 0) {
        operation.set("parameters", std::move(parameters));
    }
    if (route.has_body()) {
        operation.set("requestBody", body_of(route));
    }
    operation.set("responses", responses_of(route));
    return operation;
}

Value components() {
    auto parsed = json::parse(R"({
      "securitySchemes": {
        "key": {"type": "http", "scheme": "bearer", "description": "a virtual key or the master key"}
      },
      "responses": {
        "Error": {"description": "Refused", "content": {"application/json": {"schema": {
          "type": "object", "properties": {"error": {"type": "object", "properties": {
            "message": {"type": "string"}, "type": {"type": ["string", "null"]},
            "param": {"type": ["string", "null"]}, "code": {"type": "string"}}}}}}}},
        "Validation": {"description": "Malformed", "content": {"application/json": {"schema": {
          "type": "object", "properties": {"detail": {"type": "array", "items": {
            "type": "object", "properties": {"type": {"type": "string"}, "loc": {"type": "array",
              "items": {}}, "msg": {"type": "string"}}}}}}}}}
      }
    })");
    return parsed.ok() ? std::move(*parsed) : Value::object();
}

}  // namespace

std::string openapi_document() {
    std::map<std::string, Value> paths;
    for (const Route& route : routes()) {
        for (const std::string_view spelling : {route.path, route.also}) {
            if (spelling.empty()) {
                continue;
            }
            const std::string path = plain_path(spelling);
            std::string method(route.method);
            for (char& c : method) {
                c = static_cast<char>(c + ('a' - 'A'));
            }
            Value& item = paths[path];
            item.set(method, operation_of(route, path, spelling == route.also));
        }
    }
    Value all = Value::object();
    for (auto& [path, item] : paths) {
        all.set(path, std::move(item));
    }
    const Value document =
        Value::object({{"openapi", "3.1.0"},
                       {"info", Value::object({{"title", "Belay management API"},
                                               {"version", "1"},
                                               {"description",
                                                "Keys, users, teams, budgets, models and spend, "
                                                "by LiteLLM's names."}})},
                       {"security", Value::array({Value::object({{"key", Value::array()}})})},
                       {"paths", std::move(all)},
                       {"components", components()}});
    return json::dump_pretty(document) + "\n";
}

}  // namespace belay::admin

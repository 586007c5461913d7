#include "admin/schema.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "admin/families.h"
#include "wire/url.h"

namespace belay::admin {
namespace {

using json::Value;

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    size_t from = 0;
    while (true) {
        const size_t end = text.find(at, from);
        parts.push_back(text.substr(from, end - from));
        if (end == std::string_view::npos) {
            return parts;
        }
        from = end + 1;
    }
}

bool fits(std::string_view pattern, std::string_view path, Match& match) {
    auto wanted = split(pattern.substr(1), '/');
    size_t at = 1;
    match.path.clear();
    for (const std::string_view part : wanted) {
        if (at > path.size()) {
            return false;
        }
        const bool named = part.size() > 2 && part.front() == '{';
        const bool greedy = named && part[part.size() - 2] == '*';
        const size_t end = greedy ? path.size() : std::min(path.find('/', at), path.size());
        const std::string_view given = path.substr(at, end - at);
        if (named ? given.empty() : given != part) {
            return false;
        }
        if (named) {
            match.path.emplace_back(part.substr(1, part.size() - (greedy ? 3 : 2)),
                                    percent_decode(given));
        }
        at = end + 1;
    }
    return at > path.size();
}

struct Index {
    std::unordered_map<std::string_view, std::vector<const Route*>> exact;
    std::vector<std::pair<std::string_view, const Route*>> patterns;
};

const Index& index() {
    static const Index made = [] {
        Index i;
        for (const Route& route : routes()) {
            for (const std::string_view path : {route.path, route.also}) {
                if (path.empty()) {
                    continue;
                }
                if (path.find('{') == std::string_view::npos) {
                    i.exact[path].push_back(&route);
                } else {
                    i.patterns.emplace_back(path, &route);
                }
            }
        }
        return i;
    }();
    return made;
}

// ---- validation ------------------------------------------------------------------------------

struct Complaint {
    std::string_view type;
    std::string msg;
};

std::string either_of(std::string_view choices) {
    std::string out;
    const auto names = split(choices, '|');
    for (size_t i = 0; i < names.size(); ++i) {
        out += i == 0 ? "'" : (i + 1 == names.size() ? " or '" : ", '");
        out += names[i];
        out += "'";
    }
    return out;
}

std::optional<Complaint> take_integer(Value& value) {
    if (value.is_string()) {
        const std::string_view text = value.as_string();
        int64_t n = 0;
        const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (bad != std::errc() || end != text.data() + text.size()) {
            return Complaint{"int_parsing",
                             "Input should be a valid integer, unable to parse string as an "
                             "integer"};
        }
        value = Value(n);
        return std::nullopt;
    }
    if (!value.is_number()) {
        return Complaint{"int_type", "Input should be a valid integer"};
    }
    const auto n = value.as_int();
    if (!n) {
        return Complaint{"int_from_float",
                         "Input should be a valid integer, got a number with a fractional part"};
    }
    value = Value(*n);
    return std::nullopt;
}

std::optional<Complaint> take_number(Value& value) {
    if (value.is_string()) {
        auto parsed = json::parse(value.as_string());
        if (!parsed.ok() || !parsed->is_number()) {
            return Complaint{"float_parsing",
                             "Input should be a valid number, unable to parse string as a number"};
        }
        value = std::move(*parsed);
    }
    if (!value.is_number() || !value.as_double()) {
        return Complaint{"float_type", "Input should be a valid number"};
    }
    return std::nullopt;
}

std::optional<Complaint> take_boolean(Value& value) {
    if (value.is_bool()) {
        return std::nullopt;
    }
    const std::string text(value.is_number() ? value.number_text() : value.as_string());
    for (const std::string_view yes : {"true", "True", "TRUE", "1", "yes", "on"}) {
        if (text == yes) {
            value = Value(true);
            return std::nullopt;
        }
    }
    for (const std::string_view no : {"false", "False", "FALSE", "0", "no", "off"}) {
        if (text == no) {
            value = Value(false);
            return std::nullopt;
        }
    }
    return Complaint{"bool_parsing", "Input should be a valid boolean, unable to interpret input"};
}

std::optional<Complaint> take(const Field& field, Value& value) {
    switch (field.type) {
        case Type::any:
            return std::nullopt;
        case Type::integer: {
            if (auto complaint = take_integer(value)) {
                return complaint;
            }
            const int64_t n = *value.as_int();
            if (n < field.least) {
                return Complaint{"greater_than_equal", "Input should be greater than or equal to " +
                                                           std::to_string(field.least)};
            }
            if (n > field.most) {
                return Complaint{"less_than_equal", "Input should be less than or equal to " +
                                                        std::to_string(field.most)};
            }
            return std::nullopt;
        }
        case Type::number:
            return take_number(value);
        case Type::boolean:
            return take_boolean(value);
        case Type::list:
            return value.is_array()
                       ? std::nullopt
                       : std::optional(Complaint{"list_type", "Input should be a valid list"});
        case Type::map:
            return value.is_object() ? std::nullopt
                                     : std::optional(Complaint{
                                           "dict_type", "Input should be a valid dictionary"});
        case Type::text:
        case Type::duration:
        case Type::time:
            break;
    }
    if (!value.is_string()) {
        return Complaint{"string_type", "Input should be a valid string"};
    }
    if (!field.choices.empty()) {
        const auto names = split(field.choices, '|');
        if (std::find(names.begin(), names.end(), value.as_string()) == names.end()) {
            return Complaint{"literal_error", "Input should be " + either_of(field.choices)};
        }
    }
    return std::nullopt;
}

void complain(Checked& checked, std::string_view where, std::string_view name,
              const Complaint& complaint) {
    Value mistake = Value::object();
    mistake.set("type", complaint.type);
    mistake.set("loc", Value::array({where, name}));
    mistake.set("msg", complaint.msg);
    checked.mistakes.push_back(std::move(mistake));
}

Value parse_default(std::string_view text) {
    if (text.empty()) {
        return {};
    }
    auto parsed = json::parse(text);
    return parsed.ok() ? std::move(*parsed) : Value(text);
}

// Stored beside the rest and never shown.
bool is_hidden(std::string_view name) {
    return name == "password" || name == "spend_offset_nano" || name == "import_digest" ||
           name == "sealed_token" || name == "seat_withheld";
}

const std::vector<std::pair<std::string_view, std::string_view>>& group_prefixes() {
    static const std::vector<std::pair<std::string_view, std::string_view>> made = {
        {"spend_tracking_routes", "/spend/"},  {"spend_tracking_routes", "/global/"},
        {"info_routes", "/key/info"},          {"info_routes", "/key/list"},
        {"info_routes", "/key/aliases"},       {"info_routes", "/v2/key/info"},
        {"info_routes", "/user/info"},         {"info_routes", "/v2/user/info"},
        {"info_routes", "/user/list"},         {"info_routes", "/user/available_roles"},
        {"info_routes", "/team/info"},         {"info_routes", "/team/list"},
        {"info_routes", "/v2/team/list"},      {"info_routes", "/organization/info"},
        {"info_routes", "/organization/list"}, {"info_routes", "/customer/info"},
        {"info_routes", "/customer/list"},     {"info_routes", "/end_user/info"},
        {"info_routes", "/end_user/list"},     {"info_routes", "/model/info"},
        {"info_routes", "/v1/model/info"},     {"info_routes", "/v2/model/info"},
        {"info_routes", "/model_group/info"},
    };
    return made;
}

}  // namespace

const std::vector<Route>& routes() {
    static const std::vector<Route> made = [] {
        std::vector<Route> all;
        for (const auto family : kFamilies) {
            const std::span<const Route> some = family();
            all.insert(all.end(), some.begin(), some.end());
        }
        return all;
    }();
    return made;
}

Match find_route(std::string_view method, std::string_view path) {
    Match match;
    if (path.empty() || path[0] != '/') {
        return match;
    }
    const std::string_view asked = method == "HEAD" ? "GET" : method;
    if (const auto it = index().exact.find(path); it != index().exact.end()) {
        match.known_path = true;
        for (const Route* route : it->second) {
            if (route->method == asked) {
                match.route = route;
                return match;
            }
        }
    }
    for (const auto& [pattern, route] : index().patterns) {
        Match tried;
        if (fits(pattern, path, tried)) {
            match.known_path = true;
            if (route->method == asked) {
                match.route = route;
                match.path = std::move(tried.path);
                return match;
            }
        }
    }
    return match;
}

governance::Role effective_role(const governance::Caller& caller) {
    return caller.is_master ? governance::Role::proxy_admin : caller.role;
}

bool role_allows(const Route& route, const governance::Caller& caller) {
    return (route.roles & role_bit(effective_role(caller))) != 0;
}

bool key_allows(const Route& route, std::string_view path, const governance::Caller& caller) {
    if (caller.allowed_routes.empty() || caller.is_master) {
        return true;
    }
    for (const std::string& allowed : caller.allowed_routes) {
        const bool prefix = !allowed.empty() && allowed.back() == '*' &&
                            path.substr(0, allowed.size() - 1) ==
                                std::string_view(allowed).substr(0, allowed.size() - 1);
        if (allowed == path || allowed == route.path || prefix) {
            return true;
        }
        if (allowed == "management_routes" && route.tag != "spend" && route.tag != "models") {
            return true;
        }
        for (const auto& [group, start] : group_prefixes()) {
            if (group == allowed && path.substr(0, start.size()) == start) {
                return true;
            }
        }
    }
    return false;
}

Checked check_body(const Route& route, const Value& body) {
    Checked checked;
    checked.value = Value::object();
    if (!body.is_object()) {
        complain(checked, "body", "",
                 {"model_attributes_type", "Input should be a valid dictionary"});
        return checked;
    }
    for (const Fields table : route.body) {
        for (const Field& field : table) {
            const Value* given = body.find(field.name);
            if (given == nullptr) {
                if (field.required) {
                    complain(checked, "body", field.name, {"missing", "Field required"});
                }
                continue;
            }
            Value value = *given;
            if (!value.is_null() || field.required) {
                if (auto complaint = take(field, value)) {
                    complain(checked, "body", field.name, *complaint);
                    continue;
                }
            }
            checked.value.set(field.name, std::move(value));
        }
    }
    return checked;
}

Checked check_query(const Route& route, std::string_view query) {
    Checked checked;
    checked.value = Value::object();
    const auto given = parse_form(query);
    for (const Field& field : route.query) {
        Value value;
        bool found = false;
        for (const auto& [name, text] : given) {
            if (name != field.name) {
                continue;
            }
            found = true;
            if (field.type == Type::list) {
                // Repeated, or separated by commas: clients do both.
                for (const std::string_view part : split(text, ',')) {
                    if (!part.empty()) {
                        value.push(Value(part));
                    }
                }
                continue;
            }
            value = Value(text);
        }
        if (!found) {
            if (field.required) {
                complain(checked, "query", field.name, {"missing", "Field required"});
            } else {
                checked.value.set(field.name, parse_default(field.fallback));
            }
            continue;
        }
        if (field.type == Type::list && value.is_null()) {
            value = Value::array();
        }
        if (auto complaint = take(field, value)) {
            complain(checked, "query", field.name, *complaint);
            continue;
        }
        checked.value.set(field.name, std::move(value));
    }
    return checked;
}

Value row_of(std::initializer_list<Fields> tables, const Value& doc) {
    Value row = Value::object();
    json::Object& members = row.members();
    for (const Fields table : tables) {
        for (const Field& field : table) {
            const Value* stored = doc.find(field.name);
            members.push_back(
                {std::string(field.name), stored ? *stored : parse_default(field.fallback)});
        }
    }
    for (const json::Member& member : doc.members()) {
        if (!row.has(member.key) && !is_hidden(member.key)) {
            members.push_back(member);
        }
    }
    return row;
}

}  // namespace belay::admin

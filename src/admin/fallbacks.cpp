// /fallback: chains of one model, kept in the stored router settings.
#include <algorithm>
#include <array>

#include "admin/call.h"
#include "admin/families.h"

namespace belay::admin {
namespace {

std::string member_of(std::string_view type) {
    return type == "general" ? "fallbacks" : std::string(type) + "_fallbacks";
}

bool is_model(const Call& call, std::string_view name) {
    const auto table = call.services.table ? call.services.table() : nullptr;
    if (table) {
        if (table->aliases.find(name) != table->aliases.end()) {
            return true;
        }
        for (const auto& deployment : table->deployments) {
            const std::string_view group = deployment->group;
            const bool pattern =
                !group.empty() && group.back() == '*' &&
                name.substr(0, group.size() - 1) == group.substr(0, group.size() - 1);
            if (group == name || pattern) {
                return true;
            }
        }
    }
    return false;
}

// The chains in force: the table's, which has the stored ones over the file's.
std::vector<std::string> chain_of(const Call& call, std::string_view model, std::string_view type) {
    const Value settings = call.doc(EntityKind::config, "router_settings")["param_value"];
    for (const Value& item : settings[member_of(type)].items()) {
        if (const Value* chain = item.find(model)) {
            return to_texts(*chain);
        }
    }
    const auto table = call.services.table ? call.services.table() : nullptr;
    std::vector<std::string> names;
    if (table) {
        const routing::FallbackMap& map = type == "general" ? table->fallbacks
                                          : type == "context_window"
                                              ? table->context_window_fallbacks
                                              : table->content_policy_fallbacks;
        if (const auto at = map.find(model); at != map.end()) {
            for (const auto& target : at->second) {
                names.push_back(target.group);
            }
        }
    }
    return names;
}

void store_chain(Call& call, const std::string& model, const std::string& type,
                 const std::vector<std::string>& chain) {
    Value document = call.doc(EntityKind::config, "router_settings");
    Value settings =
        document["param_value"].is_object() ? document["param_value"] : Value::object();
    Value list = Value::array();
    for (const Value& item : settings[member_of(type)].items()) {
        Value left = item;
        left.erase(model);
        if (left.size() != 0) {
            list.push(std::move(left));
        }
    }
    // An empty chain stays as such: it lies over one that the file has.
    list.push(Value::object({{model, to_list(chain)}}));
    settings.set(member_of(type), std::move(list));
    call.put(
        EntityKind::config, "router_settings",
        Value::object({{"param_name", "router_settings"}, {"param_value", std::move(settings)}}));
}

Value shown(const std::string& model, const std::string& type,
            const std::vector<std::string>& chain) {
    return Value::object({{"model", Value(model)},
                          {"fallback_models", to_list(chain)},
                          {"fallback_type", Value(type)}});
}

Result<Value> make(Call& call) {
    const std::string model = call.text("model");
    const std::string type =
        call.text("fallback_type").empty() ? "general" : call.text("fallback_type");
    const auto chain = call.texts("fallback_models");
    if (chain.empty()) {
        return bad_request(in_error("fallback_models must not be empty"), "fallback_models");
    }
    if (!is_model(call, model)) {
        return not_found(in_error("Model '" + model + "' not found in router"), "model");
    }
    for (size_t i = 0; i < chain.size(); ++i) {
        if (chain[i] == model) {
            return bad_request(in_error("Model '" + model + "' cannot be its own fallback"),
                               "fallback_models");
        }
        if (!is_model(call, chain[i])) {
            return bad_request(in_error("Invalid fallback models: ['" + chain[i] + "']"),
                               "fallback_models");
        }
        if (std::find(chain.begin(), chain.begin() + static_cast<ptrdiff_t>(i), chain[i]) !=
            chain.begin() + static_cast<ptrdiff_t>(i)) {
            return bad_request(in_error("fallback_models has '" + chain[i] + "' twice"),
                               "fallback_models");
        }
    }
    store_chain(call, model, type, chain);
    Value out = shown(model, type, chain);
    out.set("message", "Fallback configured successfully for model '" + model + "'");
    return out;
}

Result<Value> find(Call& call) {
    const std::string& model = call.in_path("model");
    const std::string type = call.asked("fallback_type");
    const auto chain = chain_of(call, model, type);
    if (chain.empty()) {
        return not_found(in_error("No " + type + " fallbacks configured for model '" + model + "'"),
                         "model");
    }
    return shown(model, type, chain);
}

Result<Value> remove(Call& call) {
    const std::string& model = call.in_path("model");
    const std::string type = call.asked("fallback_type");
    if (chain_of(call, model, type).empty()) {
        return not_found(in_error("No " + type + " fallbacks configured for model '" + model + "'"),
                         "model");
    }
    store_chain(call, model, type, {});
    return Value::object({{"model", Value(model)},
                          {"fallback_type", Value(type)},
                          {"message", "Fallback deleted successfully for model '" + model + "'"}});
}

constexpr std::string_view kTypes = "general|context_window|content_policy";
constexpr Field kNew[] = {
    {"model", Type::text, "whose chain", "", true},
    {"fallback_models", Type::list, "in order", "", true},
    {"fallback_type", Type::text, "when it is taken", "", false, kTypes},
};
constexpr Field kTypeQuery[] = {
    {"fallback_type", Type::text, "when it is taken", "\"general\"", false, kTypes},
};

}  // namespace

std::span<const Route> fallback_routes() {
    static const std::array made = {
        Route{"POST",
              "/fallback",
              "",
              "new_fallback",
              "models",
              "Sets a model's chain; the next request takes it",
              kAdmin,
              make,
              Effect::writes,
              {kNew}},
        Route{"GET",
              "/fallback/{model*}",
              "",
              "get_fallback",
              "models",
              "A model's chain",
              kAdminsRead,
              find,
              Effect::reads,
              {},
              kTypeQuery},
        Route{"DELETE",
              "/fallback/{model*}",
              "",
              "delete_fallback",
              "models",
              "Removes a model's chain",
              kAdmin,
              remove,
              Effect::writes,
              {},
              kTypeQuery},
    };
    return made;
}

}  // namespace belay::admin

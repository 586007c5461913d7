// Every key of a file against the table: unknown ones, wrong values, keys without effect yet.
#include <algorithm>

#include "app/config_load.h"
#include "app/config_suggest.h"
#include "base/ids.h"

namespace belay::app {
namespace {

// Above this the resemblance of an unknown litellm_params key to a setting is taken for chance.
constexpr double kPlainlyMeant = 0.3;

std::string plain_dotted(const Key& key) {
    switch (key.section) {
        case Section::model_entry:
            return std::string(key.name) + " of the model_list entry";
        case Section::litellm_params:
            return "litellm_params." + std::string(key.name);
        case Section::model_info:
            return "model_info." + std::string(key.name);
        default:
            return dotted(key);
    }
}

// A value that says no more than the default does not deserve a note.
bool says_nothing(const Key& key, const yaml::Node& node) {
    if (node.is_null() || (node.is_sequence() && node.items.empty()) ||
        (node.is_mapping() && node.entries.empty())) {
        return true;
    }
    return node.is_scalar() && !key.fallback.empty() && node.text == key.fallback;
}

void note_without_effect(Load& load, const Key& key, const yaml::Entry& entry,
                         const std::string& path) {
    bool inner = key.section > Section::router_settings;  // the mapping around it is noted already
    if (key.support != Support::accepted || inner || says_nothing(key, entry.value)) {
        return;
    }
    std::string name = path.empty() ? entry.key : path + "." + entry.key;
    load.diagnostics.note(entry.place, name + " is kept, but has no effect yet").key = name;
}

bool check_entry(Load& load, const Key& key, const yaml::Entry& entry, const std::string& path,
                 Fatal fatal) {
    auto complaint = check_value(key, entry.value);
    if (!complaint) {
        note_without_effect(load, key, entry, path);
        return true;
    }
    std::string name = path.empty() ? entry.key : path + "." + entry.key;
    Diagnostic& diagnostic =
        load.diagnostics.fail(entry.value.place, name + " " + complaint->message, complaint->hint);
    diagnostic.suggestion = complaint->suggestion;
    diagnostic.fatal = fatal == Fatal::yes;
    return false;
}

void remember(Load& load, const Key& key, const yaml::Entry& entry, const std::string& path) {
    std::string name = path.empty() ? entry.key : path + "." + entry.key;
    std::string text = json::dump(to_json(entry.value));
    bool hidden =
        key.type == KeyType::secret || !entry.value.variable.empty() || !entry.value.is_scalar();
    load.config.effective[name] = {hidden ? "" : text, sha256_hex(text), key.reloadable};
}

bool is_settings(Section section) {
    return section == Section::litellm_settings || section == Section::general_settings ||
           section == Section::router_settings || section == Section::server_settings;
}

void check_each(Load& load, Section section, const yaml::Node& node, const std::string& path) {
    for (const yaml::Node& item : node.items) {
        if (item.is_mapping()) {
            check_section(load, section, item, path + "[]", Fatal::yes);
        }
    }
    for (const yaml::Entry& entry : node.entries) {
        if (entry.value.is_mapping()) {
            check_section(load, section, entry.value, path + "." + entry.key, Fatal::yes);
        }
    }
}

// The mappings inside `entry` that have a section of their own.
void check_nested(Load& load, const yaml::Entry& entry, const std::string& path) {
    const yaml::Node& value = entry.value;
    std::string inner = path.empty() ? entry.key : path + "." + entry.key;
    auto whole = [&](Section section) {
        if (value.is_mapping()) {
            check_section(load, section, value, inner, Fatal::yes);
        }
    };
    if (entry.key == "mcp_semantic_tool_filter") {
        whole(Section::mcp_semantic_tool_filter);
    } else if (entry.key == "cache_params") {
        whole(Section::cache_params);
    } else if (entry.key == "retry_policy") {
        whole(Section::retry_policy);
    } else if (entry.key == "allowed_fails_policy") {
        whole(Section::allowed_fails_policy);
    } else if (entry.key == "model_group_retry_policy") {
        check_each(load, Section::retry_policy, value, inner);
    } else if (entry.key == "model_group_alias") {
        check_each(load, Section::model_group_alias, value, inner);
    } else if (entry.key == "pass_through_endpoints") {
        check_each(load, Section::pass_through_endpoint, value, inner);
    } else if (entry.key == "mcp_servers") {
        check_each(load, Section::mcp_server, value, inner);
    } else if (entry.key == "credential_list") {
        check_each(load, Section::credential, value, inner);
    }
}

}  // namespace

std::optional<KeySuggestion> report_unknown(Load& load, Section section, const yaml::Entry& entry,
                                            const std::string& path) {
    auto guess = suggest_key(section, entry.key);
    std::string key = entry.key.substr(0, 80);
    std::string message = "unknown key '" + key + "'" + (path.empty() ? "" : " in " + path);
    if (section == Section::model_info && (!guess || guess->score > kPlainlyMeant)) {
        return std::nullopt;  // model_info may hold anything
    }
    if (section == Section::litellm_params && !guess) {
        load.diagnostics.note(entry.place, "litellm_params." + key +
                                               " is no known setting; it is sent to the model as "
                                               "a default of the request");
        return std::nullopt;
    }
    std::string hint;
    if (guess && guess->elsewhere) {
        hint = std::string(guess->key->name) == entry.key
                   ? "it belongs in " + std::string(section_name(guess->key->section))
                   : "did you mean " + plain_dotted(*guess->key) + "?";
        if (guess->key->section == Section::root) {
            hint = "it belongs at the top level" + (guess->key->name == entry.key
                                                        ? std::string()
                                                        : ", as " + std::string(guess->key->name));
        }
    } else if (guess) {
        hint = "did you mean " + std::string(guess->key->name) + "?";
    } else {
        hint = "it has no effect";
    }
    Diagnostic& diagnostic = load.diagnostics.warn(entry.place, std::move(message), hint);
    diagnostic.suggestion = guess ? std::string(guess->key->name) : "";
    return guess;
}

bool check_section(Load& load, Section section, const yaml::Node& map, const std::string& path,
                   Fatal fatal) {
    bool good = true;
    for (const yaml::Entry& entry : map.entries) {
        const Key* key = find_key(section, entry.key);
        if (key == nullptr) {
            report_unknown(load, section, entry, path);
            continue;
        }
        bool valid = check_entry(load, *key, entry, path, fatal);
        good = good && valid;
        if (valid) {
            check_nested(load, entry, path);
        }
        if (is_settings(section)) {
            remember(load, *key, entry, path);
        }
    }
    return good;
}

void check_root(Load& load) {
    check_section(load, Section::root, load.root, "", Fatal::yes);
    for (auto [name, section] : {std::pair("server_settings", Section::server_settings),
                                 std::pair("litellm_settings", Section::litellm_settings),
                                 std::pair("general_settings", Section::general_settings),
                                 std::pair("router_settings", Section::router_settings)}) {
        check_section(load, section, section_of(load, name), name, Fatal::yes);
    }
    for (const auto& [name, value] : load.config.environment_variables) {
        load.config.effective["environment_variables." + name] = {"", sha256_hex(value), false};
    }
    for (std::string_view name : {"mcp_servers", "guardrails", "credential_list"}) {
        if (const yaml::Node* node = load.root.find(name)) {
            load.config.effective[std::string(name)] = {"", sha256_hex(json::dump(to_json(*node))),
                                                        true};
        }
    }
}

const yaml::Node& section_of(const Load& load, std::string_view name) {
    static const yaml::Node empty = [] {
        yaml::Node node;
        node.type = yaml::Type::mapping;
        return node;
    }();
    const yaml::Node* node = load.root.find(name);
    return node != nullptr && node->is_mapping() ? *node : empty;
}

}  // namespace belay::app

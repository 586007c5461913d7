#include "app/keys_table.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "app/config_suggest.h"
#include "app/keys_table_rows.h"

namespace belay::app {
namespace {

// Words people write for a key whose name looks nothing like them.
struct Synonym {
    std::string_view typed;
    std::string_view name;
};

constexpr Synonym kSynonyms[] = {
    {"models", "model_list"},
    {"model_names", "model_list"},
    {"deployments", "model_list"},
    {"params", "litellm_params"},
    {"parameters", "litellm_params"},
    {"name", "model_name"},
    {"info", "model_info"},
    {"headers", "extra_headers"},
    {"body", "extra_body"},
    {"key", "api_key"},
    {"token", "api_key"},
    {"endpoint", "api_base"},
    {"api_url", "api_base"},
    {"provider", "custom_llm_provider"},
    {"retries", "num_retries"},
    {"max_retry", "max_retries"},
    {"aliases", "model_group_alias"},
    {"alias", "model_group_alias"},
    {"model_alias", "model_group_alias"},
    {"model_aliases", "model_group_alias"},
    {"strategy", "routing_strategy"},
    {"tools_support", "supports_tool_calling"},
    {"supports_tools", "supports_tool_calling"},
    {"supports_images", "supports_vision"},
    {"priority", "order"},
    {"env", "environment_variables"},
    {"environment", "environment_variables"},
    {"env_variables", "environment_variables"},
    {"env_vars", "environment_variables"},
    {"includes", "include"},
    {"admin_key", "master_key"},
    {"db_url", "database_url"},
    {"cooldown", "cooldown_time"},
    {"server", "server_settings"},
    {"listen", "host"},
    {"address", "host"},
    {"bind", "host"},
    {"verbose", "set_verbose"},
    {"input_price", "input_cost_per_token"},
    {"output_price", "output_cost_per_token"},
};

// Where a key that belongs elsewhere is looked for, the likeliest first.
constexpr std::array<Section, 8> kHomes = {Section::litellm_params,
                                           Section::router_settings,
                                           Section::litellm_settings,
                                           Section::general_settings,
                                           Section::root,
                                           Section::server_settings,
                                           Section::model_entry,
                                           Section::model_info};

std::optional<double> key_distance(std::string_view typed, std::string_view known) {
    auto score = name_distance(typed, known);
    std::string normal = normal_name(typed);
    for (const Synonym& synonym : kSynonyms) {
        if (synonym.typed == normal && synonym.name == known) {
            score = std::min(score.value_or(1), 0.08);
        }
    }
    return score;
}

// Does somebody who writes in `from` plausibly mean a key of `home`? A model's parameters are
// misplaced beside litellm_params; settings are misplaced among the settings sections.
bool plausible_home(Section from, Section home) {
    bool model_side = from == Section::model_entry || from == Section::litellm_params ||
                      from == Section::model_info;
    bool model_home = home == Section::model_entry || home == Section::litellm_params ||
                      home == Section::model_info;
    if (model_side) {
        return model_home || home == Section::router_settings || home == Section::litellm_settings;
    }
    bool settings_side = from == Section::root || from == Section::litellm_settings ||
                         from == Section::general_settings || from == Section::router_settings ||
                         from == Section::server_settings;
    return settings_side;
}

double home_penalty(Section from, Section home) {
    bool model_home = home == Section::model_entry || home == Section::litellm_params ||
                      home == Section::model_info;
    bool model_side = from == Section::model_entry || from == Section::litellm_params ||
                      from == Section::model_info;
    return model_home == model_side ? 0.12 : 0.2;
}

}  // namespace

std::span<const Key> keys() {
    static const std::vector<Key> all = [] {
        std::vector<Key> joined;
        for (auto part : {rows::model_rows(), rows::settings_rows(), rows::router_rows()}) {
            joined.insert(joined.end(), part.begin(), part.end());
        }
        std::stable_sort(joined.begin(), joined.end(),
                         [](const Key& a, const Key& b) { return a.section < b.section; });
        return joined;
    }();
    return all;
}

const Key* find_key(Section section, std::string_view name) {
    static const auto index = [] {
        std::unordered_map<std::string, const Key*> map;
        for (const Key& key : keys()) {
            map.emplace(std::to_string(static_cast<int>(key.section)) + "." + std::string(key.name),
                        &key);
        }
        return map;
    }();
    auto found = index.find(std::to_string(static_cast<int>(section)) + "." + std::string(name));
    return found == index.end() ? nullptr : found->second;
}

std::optional<KeySuggestion> suggest_key(Section section, std::string_view name) {
    KeySuggestion best;
    best.score = 0.52;
    for (const Key& key : keys()) {
        if (key.section != section) {
            continue;
        }
        auto score = key_distance(name, key.name);
        if (score && *score < best.score) {
            best = {&key, false, *score};
        }
    }
    for (size_t rank = 0; rank < kHomes.size(); ++rank) {
        Section home = kHomes[rank];
        if (home == section || !plausible_home(section, home)) {
            continue;
        }
        for (const Key& key : keys()) {
            if (key.section != home) {
                continue;
            }
            auto score = key_distance(name, key.name);
            double total =
                score.value_or(1) + home_penalty(section, home) + 0.001 * static_cast<double>(rank);
            if (score && *score <= 0.3 && total < best.score) {
                best = {&key, true, total};
            }
        }
    }
    return best.key == nullptr ? std::nullopt : std::optional(best);
}

std::string_view section_name(Section section) {
    switch (section) {
        case Section::root:
            return "";
        case Section::server_settings:
            return "server_settings";
        case Section::model_entry:
            return "model_list[]";
        case Section::litellm_params:
            return "model_list[].litellm_params";
        case Section::model_info:
            return "model_list[].model_info";
        case Section::litellm_settings:
            return "litellm_settings";
        case Section::general_settings:
            return "general_settings";
        case Section::router_settings:
            return "router_settings";
        case Section::model_group_alias:
            return "router_settings.model_group_alias.{}";
        case Section::retry_policy:
            return "router_settings.retry_policy";
        case Section::allowed_fails_policy:
            return "router_settings.allowed_fails_policy";
        case Section::credential:
            return "credential_list[]";
        case Section::mcp_server:
            return "mcp_servers.{}";
        case Section::mcp_semantic_tool_filter:
            return "litellm_settings.mcp_semantic_tool_filter";
        case Section::cache_params:
            return "litellm_settings.cache_params";
        case Section::pass_through_endpoint:
            return "general_settings.pass_through_endpoints[]";
    }
    return "";
}

std::string dotted(const Key& key) {
    std::string section(section_name(key.section));
    return section + (section.empty() ? "" : ".") + std::string(key.name);
}

std::string_view type_name(KeyType type) {
    switch (type) {
        case KeyType::text:
            return "text";
        case KeyType::secret:
            return "text (secret)";
        case KeyType::url:
            return "URL";
        case KeyType::boolean:
            return "true or false";
        case KeyType::count:
            return "whole number";
        case KeyType::port:
            return "port";
        case KeyType::number:
            return "number";
        case KeyType::seconds:
            return "seconds";
        case KeyType::duration:
            return "duration (30s, 24h, 7d)";
        case KeyType::usd:
            return "US$ (0.000005, 5e-06)";
        case KeyType::choice:
            return "choice";
        case KeyType::text_list:
            return "list of text";
        case KeyType::list:
            return "list";
        case KeyType::map:
            return "mapping";
        case KeyType::headers:
            return "mapping of header names to text";
        case KeyType::fallbacks:
            return "list of model names";
        case KeyType::fallback_map:
            return "list of {model: [model, ...]}";
        case KeyType::any:
            return "any";
    }
    return "";
}

std::string_view support_name(Support support) {
    switch (support) {
        case Support::supported:
            return "yes";
        case Support::accepted:
            return "kept, no effect yet";
        case Support::ignored:
            return "not needed";
    }
    return "";
}

}  // namespace belay::app

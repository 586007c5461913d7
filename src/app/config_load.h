#pragma once
// The steps of loading a configuration, shared between the config_*.cpp files and nobody else:
//
//   read_files      text -> one merged tree with includes, environment references filled in
//   check_root      every key against the table; typed values; what has no effect yet
//   read_models     model_list -> deployments
//   read_settings   the other sections -> Settings, GeneralSettings, ...
//   check_names     fallback and alias names against the models
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/config_values.h"
#include "app/keys_table.h"
#include "app/yaml.h"

namespace belay::app {

// A model name as it was written somewhere, to be checked once all models are known.
struct NameUse {
    enum class Role : uint8_t { target, source, alias_target };
    std::string name;
    std::string where;  // "fallbacks of gpt-5"
    std::string owner;  // the model whose chain it stands in; "" for sources
    yaml::Place place;
    Role role = Role::target;
};

// Everything one load carries along.
struct Load {
    Env env;  // environment_variables of the file on top of the process environment
    Diagnostics diagnostics;
    Config config;
    yaml::Node root;
    yaml::Node built_in;  // model_list of the built-in configuration, when it is used
    std::vector<NameUse> names;
    std::vector<std::string> left_out;    // model_names of entries that cannot be served
    std::map<std::string, int> ids_used;  // deployment id -> how often it was asked for
};

// Reads `path` (or `text`, when given) and its includes into load.root. On failure the problem has
// been added to load.diagnostics as a fatal error and false is returned.
[[nodiscard]] bool read_files(Load& load, const std::string& path, const std::string* text);
// Replaces os.environ/NAME below `node`.
void resolve_environment(Load& load, yaml::Node& node, std::string_view key);

// Checks one mapping against a section of the table, reports, and records the values under `path`
// ("router_settings") in config.effective. Returns false when a value is invalid.
enum class Fatal : uint8_t { no, yes };
bool check_section(Load& load, Section section, const yaml::Node& map, const std::string& path,
                   Fatal fatal);
void check_root(Load& load);
// Says what an unknown key is taken for. Returns the suggestion.
std::optional<KeySuggestion> report_unknown(Load& load, Section section, const yaml::Entry& entry,
                                            const std::string& path);

void read_models(Load& load);
// The built-in configuration, as text of the same format.
[[nodiscard]] std::string_view default_yaml();
void read_settings(Load& load);
// Metrics, callbacks, alerts, payloads, retention.
void read_observe(Load& load, const yaml::Node& general, const yaml::Node& litellm);
void read_redis(Load& load);
void check_names(Load& load);

// The section's mapping, or an empty one.
[[nodiscard]] const yaml::Node& section_of(const Load& load, std::string_view name);

// A fallback list in any of its shapes. {group: [names]} entries for other groups than `owner` are
// put into `others` when it is given.
[[nodiscard]] std::vector<routing::FallbackTarget> read_fallbacks(Load& load,
                                                                  const yaml::Node& node,
                                                                  const std::string& owner,
                                                                  routing::FallbackMap* others);
// [{group: [names]}, ...] or {group: [names]}.
[[nodiscard]] routing::FallbackMap read_fallback_map(Load& load, const yaml::Node& node,
                                                     const std::string& where);

}  // namespace belay::app

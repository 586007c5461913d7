#pragma once
// Typed reading of YAML nodes, as LiteLLM's users write values: a number may be text ("30"), a flag
// may be "true", a list of one may be bare. Pure. Readers give nullopt for absent and for invalid
// values; check_value() says what is wrong with an invalid one.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/keys_table.h"
#include "app/yaml.h"
#include "wire/json.h"

namespace belay::app {

using Seconds = std::chrono::duration<double>;

[[nodiscard]] std::optional<bool> to_boolean(const yaml::Node& node);
[[nodiscard]] std::optional<int64_t> to_count(const yaml::Node& node);     // 0 .. 10^15
[[nodiscard]] std::optional<double> to_number(const yaml::Node& node);     // >= 0, finite
[[nodiscard]] std::optional<Seconds> to_seconds(const yaml::Node& node);   // 0 .. 10^9
[[nodiscard]] std::optional<std::string> to_text(const yaml::Node& node);  // any scalar but null
[[nodiscard]] std::optional<std::vector<std::string>> to_text_list(const yaml::Node& node);
[[nodiscard]] json::Value to_json(const yaml::Node& node);
// The same with environment references as they were written, so that no secret is in it.
[[nodiscard]] json::Value to_json_unresolved(const yaml::Node& node);

// The member of a mapping, read; nullopt when absent or invalid.
template <class T>
[[nodiscard]] std::optional<T> read(const yaml::Node& map, std::string_view key,
                                    std::optional<T> (*convert)(const yaml::Node&)) {
    const yaml::Node* node = map.find(key);
    return node == nullptr ? std::nullopt : convert(*node);
}
[[nodiscard]] inline std::string read_text(const yaml::Node& map, std::string_view key) {
    return read<std::string>(map, key, to_text).value_or("");
}
[[nodiscard]] inline bool read_flag(const yaml::Node& map, std::string_view key, bool fallback) {
    return read<bool>(map, key, to_boolean).value_or(fallback);
}

struct Complaint {
    std::string message;  // "must be true or false, not text \"maybe\""
    std::string hint;
    std::string suggestion;
};
// What is wrong with a value of this key; null is never wrong (it means unset). The value itself is
// quoted unless it is a secret or came from the environment.
[[nodiscard]] std::optional<Complaint> check_value(const Key& key, const yaml::Node& node);

[[nodiscard]] bool is_header_name(std::string_view name);
[[nodiscard]] bool is_header_value(std::string_view value);

}  // namespace belay::app

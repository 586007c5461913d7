#pragma once
// The rows of the key table, by file, and the short words they are written with. For
// keys_table*.cpp only.
#include <span>

#include "app/keys_table.h"

namespace belay::app::rows {

using enum KeyType;
using enum Support;
inline constexpr bool kReload = true;
inline constexpr bool kRestart = false;

[[nodiscard]] std::span<const Key> model_rows();     // root, server_settings, model_list
[[nodiscard]] std::span<const Key> settings_rows();  // litellm_settings, general_settings
[[nodiscard]] std::span<const Key> router_rows();    // router_settings and the nested mappings

}  // namespace belay::app::rows

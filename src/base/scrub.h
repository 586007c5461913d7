#pragma once
// The log's last gate: finds live secrets and the shapes of known tokens in any text and takes them
// out, in one pass whose cost is linear in the text. For log.cpp; others use log::scrub().
#include <cstdint>
#include <string>
#include <string_view>

namespace belay::log {

// Secrets replaced by "[redacted]"; nothing else changes.
[[nodiscard]] std::string redact(std::string_view text);

// Laid-out lines may carry our own terminal colours (ESC '[' digits 'm') and line breaks.
enum class Colours : uint8_t { kept, escaped };
[[nodiscard]] std::string scrub_line(std::string_view text, Colours colours);

}  // namespace belay::log

#pragma once
// Laying out text for a terminal: widths in characters, wrapping, colour. Pure; used by check.
#include <string>
#include <string_view>

#include "app/check.h"

namespace belay::app {

enum class Ink : uint8_t { none, bold, dim, red, yellow, green, blue };

[[nodiscard]] std::string paint(std::string_view text, Ink ink, Colour colour);
// Paints each line by itself, so that a pager can cut anywhere.
[[nodiscard]] std::string paint_lines(std::string_view text, Ink ink, Colour colour);
[[nodiscard]] size_t display_width(std::string_view text);  // code points
// At most `columns` wide, "…" where something was left out at the end.
[[nodiscard]] std::string cut_columns(std::string_view text, size_t columns);
// The same, left out in the middle: both ends of a model name matter.
[[nodiscard]] std::string cut_middle(std::string_view text, size_t columns);
[[nodiscard]] std::string drop_columns(std::string_view text, size_t columns);
// Words filled into lines that begin with `first`, then `next`; a word that is too long is broken.
[[nodiscard]] std::string wrap(std::string_view text, std::string_view first, std::string_view next,
                               size_t columns);

}  // namespace belay::app

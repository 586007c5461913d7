#pragma once
// The inside of a JSON string to the text it means. For codecs of this layer; callers use scan.h.
#include <cstdint>
#include <string>
#include <string_view>

namespace belay::json {

// Appends `inside` (a string's text without its quotes) unescaped. What validate() refuses (a
// broken escape, a lone surrogate) becomes U+FFFD: the result is never worse than the input.
void unescape(std::string_view inside, std::string& out);

// Appends the UTF-8 of a code point below 0x110000.
void append_utf8(std::string& out, uint32_t code);

}  // namespace belay::json

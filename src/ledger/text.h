#pragma once
// Text of unknown origin on its way into JSON or a database: cut to a bound on a character's edge,
// made valid UTF-8, quoted. Used by this module and by the drivers of its port.
#include <cstdint>
#include <string>
#include <string_view>

namespace belay::ledger {

// At most `max` bytes, never ending inside a character.
[[nodiscard]] std::string_view cut(std::string_view text, size_t max);
// Appends `text` quoted and escaped; bytes that are no UTF-8 become U+FFFD.
void write_json_text(std::string& out, std::string_view text);
// Appends at most `max` bytes of `text`, control bytes as spaces, bytes that are no UTF-8 as
// U+FFFD.
void write_clean(std::string& out, std::string_view text, size_t max);
void write_number(std::string& out, int64_t value);
// `,"name":` (without the comma right after an opening brace or bracket).
void write_key(std::string& out, std::string_view name);

}  // namespace belay::ledger

#pragma once
// Bodies as they may be kept: long texts cut, embedded files replaced by their size, what looks
// like a secret taken out, an event stream put together to one reply. Pure.
#include <string>
#include <string_view>

#include "observe/redaction.h"

namespace belay::observe {

// A JSON text for any input; what is no JSON is told by its size alone.
[[nodiscard]] std::string shape_body(std::string_view body, size_t bytes,
                                     const Redaction& redaction, size_t text_most);
// The frames of a chat completion stream as one chat.completion.
[[nodiscard]] std::string shape_stream(std::string_view frames, size_t bytes,
                                       const Redaction& redaction, size_t text_most);

}  // namespace belay::observe

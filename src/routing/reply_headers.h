#pragma once
// Shared by the readers of an upstream's reply: looks up headers and reads the waits they state.
// Used by routing/outcome only.
#include <optional>
#include <string_view>

#include "routing/error_body.h"
#include "routing/outcome.h"

namespace belay::routing {

// The first header of that (lower-case) name, trimmed; "" when absent.
[[nodiscard]] std::string_view header(const ReplyFacts& reply, std::string_view name);
// RFC 3339, kept within the years that a Wall can hold; nullopt when the text is no time.
[[nodiscard]] std::optional<Wall> parse_time(std::string_view text);
// Rounded up, at least 0, at most a year; nullopt for NaN.
[[nodiscard]] std::optional<seconds> whole_seconds(double wait);
// retry-after-ms, retry-after, x-ratelimit-user-retry-after, the body's number, the body's words.
[[nodiscard]] std::optional<seconds> retry_after_of(const ReplyFacts& reply, const ErrorBody& body,
                                                    Wall now);

}  // namespace belay::routing

#pragma once
// LiteLLM's durations and budget windows: "30s", "30m", "24h", "7d", "2w", "1mo" (also spelled out:
// "daily", "weekly", "monthly", "hourly"). A window's end stands on the clock of a time zone: days
// at midnight, 7d on Monday, 30d and 1mo on the first of the month, hours and minutes on the unit.
// Pure.
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace belay::governance {

// Length in milliseconds (a month counts 30 days); fails naming the forms that are understood.
// "-1" and "" are "never": nothing.
[[nodiscard]] Result<std::optional<int64_t>> parse_duration(std::string_view text);

// The end of the window that `now_ms` is in. `zone`: an IANA name ("Europe/Berlin", "UTC"); an
// unknown one counts as UTC. Always later than now, also over changes of summer time.
[[nodiscard]] Result<int64_t> window_end(std::string_view duration, int64_t now_ms,
                                         std::string_view zone = "UTC");

}  // namespace belay::governance

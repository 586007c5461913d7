#pragma once
// Money written into memory of the caller's, for lines that every answer has.
#include <cstddef>

#include "base/money.h"

namespace belay {

inline constexpr size_t kUsdText = 24;  // bytes of the longest amount
// Writes what render_usd() gives; returns where it ends.
char* write_usd(char* at, NanoCredits amount);

}  // namespace belay

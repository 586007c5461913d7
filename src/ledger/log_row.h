#pragma once
// One request as LiteLLM's spend log shows it (LiteLLM docs, spend logs): what the management API
// prints. Bodies are not kept here, so their members are empty. Money is printed as a decimal
// number of US$ with every digit that matters.
#include <string>

#include "ledger/ledger.h"

namespace belay::ledger {

// Appends one JSON object. The trace stands under metadata.trace, as write_json() writes it; what
// LiteLLM has no name for is under metadata.belay.
void write_log_row(std::string& out, const Entry& entry);

// "2026-10-03T12:04:05.123Z" of unix milliseconds.
[[nodiscard]] std::string render_time(int64_t unix_ms);

}  // namespace belay::ledger

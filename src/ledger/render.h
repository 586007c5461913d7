#pragma once
// SpendRecords for people: one line on the terminal per request, the same facts as JSON fields, and
// the story that `belay explain ID` tells. Pure: no clock, no terminal; colour is an argument.
#include <string>
#include <string_view>
#include <vector>

#include "ledger/ledger.h"

namespace belay::ledger {

enum class Colour : uint8_t { off, on };

// "12:04:05 200 opus → gemini-3-pro (quota_month)  1.2k+800c→107  0.0534cr  0.41/2.30s  1f0c9a32"
// UTC time of day, status, asked → served, why, tokens in (+cached) → out, cost ("~" by a price
// list, "cost ?" unknown), first token (streams) and total, the beginning of the id that `belay
// explain` takes.
void render_line(std::string& out, const SpendRecord& record, Colour colour);
[[nodiscard]] std::string render_line(const SpendRecord& record, Colour colour = Colour::off);

// The whole record as one JSON object with stable keys (LiteLLM's names where it has them).
void write_json(std::string& out, const SpendRecord& record);

// The story in plain sentences, wrapped at 80 columns, ending in a newline.
[[nodiscard]] std::string explain(const Trace& trace, const SpendRecord& record);

// "1.2k", "340", "2.5M".
[[nodiscard]] std::string describe_count(int64_t count);
// "41 ms", "2.30 s", "3 min 20 s".
[[nodiscard]] std::string describe_duration(int64_t us);

}  // namespace belay::ledger

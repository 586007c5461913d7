#pragma once
// Reads LiteLLM's fields out of entity documents: money exactly, counts, times, whole Limits. A
// field that cannot be understood is read as the strictest value, never as "no limit". Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "governance/limits.h"
#include "wire/json.h"

namespace belay::governance {

// US$ in a number (or in a string of one); nothing for null. Negative and senseless amounts are 0,
// amounts beyond the range are its end.
[[nodiscard]] std::optional<NanoCredits> read_usd(const json::Value& value);
// AI credits, likewise.
[[nodiscard]] std::optional<NanoCredits> read_credits(const json::Value& value);
// A whole number >= 0; nothing for null; senseless ones are 0.
[[nodiscard]] std::optional<int64_t> read_count(const json::Value& value);
// A number x 1000.
[[nodiscard]] std::optional<int64_t> read_milli(const json::Value& value);
// ISO 8601 to unix milliseconds; 0 for null; `senseless` for what is no time.
[[nodiscard]] int64_t read_time_ms(const json::Value& value, int64_t senseless);
[[nodiscard]] std::vector<std::string> read_names(const json::Value& value);

// The member itself, or the one of `metadata`: where LiteLLM keeps some of its fields.
[[nodiscard]] const json::Value& own_or_metadata(const json::Value& doc, std::string_view name);

// LiteLLM refuses some kinds at spend >= budget, others at spend > budget.
[[nodiscard]] bool refuses_at_equal(ScopeKind kind);

// `doc`'s own fields, and those of `budget` (its budget_id's document, or null) where it has none.
[[nodiscard]] Limits read_limits(ScopeKind kind, const json::Value& doc, const json::Value& budget);

}  // namespace belay::governance

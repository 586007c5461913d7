#pragma once
// Ledger entries as LiteLLM's spend-log rows, and the dates that clients filter them by. Pure.
#include <optional>
#include <string>
#include <string_view>

#include "admin/call.h"
#include "ledger/ledger.h"
#include "ledger/query.h"

namespace belay::admin {

[[nodiscard]] Value log_row(const ledger::Entry& entry);
// The request and the reply, where they were kept and the caller may read them: administrators, and
// whoever's key or user it was; viewers only where the configuration says so.
[[nodiscard]] Value prompt_parts(const Call& call, const ledger::SpendRecord& record);
// The row with these parts in it.
[[nodiscard]] Value full_log_row(const Call& call, const ledger::Entry& entry);

// "2026-10-03", "2026-10-03 09:00:00", or RFC 3339, UTC; nothing for another form.
[[nodiscard]] std::optional<int64_t> parse_moment(std::string_view text);
// The exclusive end that `text` names: the day after a date, the second after a time.
[[nodiscard]] std::optional<int64_t> parse_end(std::string_view text);
// "2026-10-03" of a moment, and the next day's.
[[nodiscard]] std::string date_of(int64_t ms);
[[nodiscard]] std::string next_date(std::string_view date);
inline constexpr int64_t kDayMs = 86'400'000;
inline constexpr int64_t kMostDays = 3660;

// [from, until] as dates out of start_date and end_date; 400 when one is missing or senseless, or
// the range is longer than kMostDays.
struct Dates {
    std::string from, until;
};
[[nodiscard]] Result<Dates> asked_dates(const Call& call);
// The same with the last 30 days where nothing is asked.
[[nodiscard]] Result<Dates> asked_dates_or_month(const Call& call);

}  // namespace belay::admin

#pragma once
// What the verbs that work on keys and records share: how they end, the words of a period, names
// that people know instead of ids.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/check.h"
#include "app/cli.h"
#include "app/desk.h"
#include "base/result.h"
#include "wire/json.h"

namespace belay::app {

int fail_verb(const Error& error);    // says it, kExitFailed
int wrong_usage(const Error& error);  // says it, kExitUsage
// Nothing but errors is logged: a verb's words are its own.
void quiet_verb_log();
[[nodiscard]] Colour verb_colour(const Env& env);

// "a, b" -> {a, b}.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);

// Days, both included, UTC.
struct Period {
    std::string from, until;                  // "2026-11-01"
    int64_t from_ms = 0;                      // of the first day's beginning
    int64_t until_ms = 0;                     // of the last day's end
    [[nodiscard]] std::string words() const;  // "26 October to 25 November 2026"
};
// --from and --until take dates, --last a length ("7d", "24h", "1mo"; whole days). `days`: how many
// when nothing is said; 0 = all.
[[nodiscard]] Result<Period> take_period(Flags& flags, int64_t now_ms, int64_t days);
inline constexpr std::string_view kPeriodFlags[] = {"--from", "--until", "--last"};

// "3 Dec 2026".
[[nodiscard]] std::string show_date(std::string_view time);

[[nodiscard]] std::vector<std::string_view> join_flags(
    std::initializer_list<std::vector<std::string_view>> lists);

// Every row of a list that the API gives by pages: "/key/list?...", its member "keys".
[[nodiscard]] Result<json::Array> list_all(Desk& desk, const std::string& target,
                                           std::string_view member);

}  // namespace belay::app

#pragma once
// What the clocks of a place show: the TZif files of /usr/share/zoneinfo (RFC 9636), read with
// bounds. The library of GCC 12 has no zones in <chrono>, and the C library knows only one zone per
// process (TZ, tzset), which threads cannot change safely. Immutable once read.
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::governance {

// The rule for the years after the last transition of a file: "CET-1CEST,M3.5.0,M10.5.0/3".
struct ZoneRule {
    struct Change {
        enum class Form : uint8_t { month_week_day, julian, day_of_year };
        Form form = Form::month_week_day;
        int month = 0, week = 0, day = 0;  // `day` is the number of the other forms
        int64_t time = 2 * 3600;           // seconds of the local day; may be negative
    };
    int64_t standard = 0;  // seconds east of Greenwich
    int64_t summer = 0;
    bool has_summer = false;
    Change begins, ends;
};
[[nodiscard]] std::optional<ZoneRule> parse_zone_rule(std::string_view text);

class TimeZone {
  public:
    // The bytes of a TZif file.
    [[nodiscard]] static Result<TimeZone> parse(std::string_view bytes);

    // Seconds east of Greenwich at that moment.
    [[nodiscard]] int64_t offset_at(int64_t unix_s) const;
    // The first moment at which the clocks show `local` (seconds since 1970 as the clocks count)
    // or, where they jump over it, more.
    [[nodiscard]] int64_t first_moment(int64_t local) const;

  private:
    struct Transition {
        int64_t at = 0;
        int64_t offset = 0;  // from then on
    };
    int64_t before_ = 0;  // offset before the first one
    std::vector<Transition> transitions_;
    std::optional<ZoneRule> rule_;
};

// By its IANA name; UTC when there is none. Kept after the first time; thread-safe.
[[nodiscard]] std::shared_ptr<const TimeZone> find_time_zone(std::string_view name);

}  // namespace belay::governance

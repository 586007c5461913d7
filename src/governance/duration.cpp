#include "governance/duration.h"

#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <utility>

#include "governance/time_zone.h"

namespace belay::governance {
namespace {

constexpr int64_t kMinute = 60;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kMonthDays = 30;
constexpr int64_t kLongest = 100 * 366 * kDay;
constexpr size_t kTextMax = 32;

// duration = count unit / word; a week is seven days, so that only three kinds of window remain.
struct Span {
    enum class Unit : uint8_t { seconds, days, months };
    int64_t count = 0;
    Unit unit = Unit::seconds;
};

constexpr std::array<std::pair<std::string_view, Span>, 4> kWords = {{
    {"hourly", {kHour, Span::Unit::seconds}},
    {"daily", {1, Span::Unit::days}},
    {"weekly", {7, Span::Unit::days}},
    {"monthly", {1, Span::Unit::months}},
}};

struct UnitName {
    std::string_view name;
    Span::Unit unit;
    int64_t times;
};
constexpr std::array<UnitName, 6> kUnits = {{
    {"s", Span::Unit::seconds, 1},
    {"m", Span::Unit::seconds, kMinute},
    {"h", Span::Unit::seconds, kHour},
    {"d", Span::Unit::days, 1},
    {"w", Span::Unit::days, 7},
    {"mo", Span::Unit::months, 1},
}};

bool is_never(std::string_view text) { return text.empty() || text == "-1"; }

int64_t seconds_of(const Span& span) {
    switch (span.unit) {
        case Span::Unit::seconds:
            return span.count;
        case Span::Unit::days:
            return span.count * kDay;
        case Span::Unit::months:
            return span.count * kMonthDays * kDay;
    }
    return 0;
}

Error bad_duration(std::string_view text, std::string_view why) {
    return caller_error(Kind::invalid_request,
                        "\"" + std::string(text.substr(0, kTextMax)) +
                            "\" is no duration: " + std::string(why) +
                            " Use a number and a unit (30s, 30m, 24h, 7d, 2w, 1mo) or hourly, "
                            "daily, weekly, monthly.");
}

Result<Span> parse_span(std::string_view text) {
    for (const auto& [word, span] : kWords) {
        if (word == text) {
            return span;
        }
    }
    int64_t count = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
    if (code != std::errc() || count < 0 || text.front() == '-') {
        return bad_duration(text, "it does not begin with a whole number.");
    }
    for (const UnitName& one : kUnits) {
        if (one.name != unit) {
            continue;
        }
        if (count == 0) {
            return bad_duration(text, "it has no length.");
        }
        if (count > kLongest) {
            return bad_duration(text, "it is longer than 100 years.");
        }
        const Span span{count * one.times, one.unit};
        if (span.count > kLongest || seconds_of(span) > kLongest) {
            return bad_duration(text, "it is longer than 100 years.");
        }
        return span;
    }
    return bad_duration(text, "the unit is missing or unknown.");
}

using std::chrono::local_days;
using std::chrono::local_seconds;

int64_t to_seconds(local_days day) { return day.time_since_epoch().count() * kDay; }

// Where the clocks stand when the window ends.
int64_t local_end(const Span& span, int64_t local_now) {
    const auto today =
        std::chrono::floor<std::chrono::days>(local_seconds(std::chrono::seconds(local_now)));
    const std::chrono::year_month_day date(today);
    const auto first_in = [&](int64_t months) {
        const auto month = std::chrono::year_month(date.year(), date.month()) +
                           std::chrono::months(static_cast<int>(months));
        return to_seconds(local_days(month / std::chrono::day(1)));
    };
    switch (span.unit) {
        case Span::Unit::seconds: {
            const int64_t midnight = to_seconds(today);
            return midnight + ((local_now - midnight) / span.count + 1) * span.count;
        }
        case Span::Unit::days:
            if (span.count == 7) {
                const std::chrono::weekday weekday(today);
                return to_seconds(today) + (8 - weekday.iso_encoding()) * kDay;
            }
            if (span.count == kMonthDays) {
                return first_in(1);
            }
            return to_seconds(today) + span.count * kDay;
        case Span::Unit::months:
            return first_in(span.count);
    }
    return local_now;
}

}  // namespace

Result<std::optional<int64_t>> parse_duration(std::string_view text) {
    if (is_never(text)) {
        return std::optional<int64_t>();
    }
    return std::optional<int64_t>(seconds_of(TRY(parse_span(text))) * 1000);
}

Result<int64_t> window_end(std::string_view duration, int64_t now_ms, std::string_view zone) {
    if (is_never(duration)) {
        return bad_duration(duration, "it never ends.");
    }
    const Span span = TRY(parse_span(duration));
    const auto place = find_time_zone(zone);
    const int64_t now = now_ms / 1000 - (now_ms % 1000 < 0 ? 1 : 0);
    const int64_t local_now = now + place->offset_at(now);
    const int64_t local = local_end(span, local_now);
    // Up to an hour it is a length of time, not a place on the clock: when clocks are set back, an
    // hour does not last two.
    const int64_t by_length = now + (local - local_now);
    if (span.unit == Span::Unit::seconds && span.count <= kHour) {
        return by_length * 1000;
    }
    const int64_t end = place->first_moment(local);
    return (end > now ? end : by_length) * 1000;
}

}  // namespace belay::governance

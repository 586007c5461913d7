#include "governance/duration.h"

#include <doctest/doctest.h>

#include "base/clock.h"

using namespace belay;
using namespace belay::governance;

namespace {

int64_t at(const char* utc) { return unix_millis(parse_utc(utc)); }

std::string end_of(const char* duration, const char* now, const char* zone) {
    const auto end = window_end(duration, at(now), zone);
    return end ? render_utc(Wall(milliseconds(*end))) : end.error().message;
}

constexpr int64_t kDayMs = 86'400'000;

}  // namespace

// Every spelling has its length.
TEST_CASE("durations") {
    struct Case {
        const char* text;
        int64_t ms;
    };
    for (const auto& c : {Case{"30s", 30'000},
                          {"1s", 1000},
                          {"30m", 1'800'000},
                          {"1h", 3'600'000},
                          {"24h", kDayMs},
                          {"1d", kDayMs},
                          {"7d", 7 * kDayMs},
                          {"30d", 30 * kDayMs},
                          {"2w", 14 * kDayMs},
                          {"1mo", 30 * kDayMs},
                          {"12mo", 360 * kDayMs},
                          {"hourly", 3'600'000},
                          {"daily", kDayMs},
                          {"weekly", 7 * kDayMs},
                          {"monthly", 30 * kDayMs}}) {
        CAPTURE(c.text);
        const auto parsed = parse_duration(c.text);
        REQUIRE(parsed.ok());
        CHECK(parsed->value_or(-1) == c.ms);
    }
    for (const char* never : {"", "-1"}) {
        const auto parsed = parse_duration(never);
        REQUIRE(parsed.ok());
        CHECK_FALSE(parsed->has_value());
        CHECK_FALSE(window_end(never, 0).ok());
    }
}

// What is no duration says so, with the forms that are understood.
TEST_CASE("senseless durations") {
    for (const char* text : {"d", "0d", "-2d", "+3d", "1", "1y", "1D", " 1d", "1d ", "1 d", "1.5h",
                             "99999999999999999999d", "9999999999d", "40000d", "1300mo",
                             "9223372036854775807w", "1mon", "Monthly"}) {
        CAPTURE(text);
        const auto parsed = parse_duration(text);
        REQUIRE_FALSE(parsed.ok());
        CHECK(parsed.error().kind == Kind::invalid_request);
        CHECK(parsed.error().message.find("30s, 30m, 24h, 7d, 2w, 1mo") != std::string::npos);
        CHECK_FALSE(window_end(text, 0).ok());
    }
}

// Windows end on the clock of the zone.
TEST_CASE("window ends") {
    struct Case {
        const char* duration;
        const char* now;
        const char* zone;
        const char* end;
    };
    const Case cases[] = {
        {"1d", "2026-10-03T09:30:00Z", "UTC", "2026-10-04T00:00:00.000Z"},
        {"24h", "2026-10-03T09:30:00Z", "UTC", "2026-10-04T00:00:00.000Z"},
        {"daily", "2026-10-03T09:30:00Z", "UTC", "2026-10-04T00:00:00.000Z"},
        {"1d", "2026-10-04T00:00:00Z", "UTC", "2026-10-05T00:00:00.000Z"},
        {"1d", "2026-10-03T23:59:59.999Z", "UTC", "2026-10-04T00:00:00.000Z"},
        {"7d", "2026-10-03T09:30:00Z", "UTC", "2026-10-05T00:00:00.000Z"},  // a Saturday
        {"1w", "2026-10-05T00:00:00Z", "UTC", "2026-10-12T00:00:00.000Z"},  // a Monday
        {"weekly", "2026-10-04T23:00:00Z", "UTC", "2026-10-05T00:00:00.000Z"},
        {"2w", "2026-10-03T09:30:00Z", "UTC", "2026-10-17T00:00:00.000Z"},
        {"3d", "2026-10-03T09:30:00Z", "UTC", "2026-10-06T00:00:00.000Z"},
        {"30d", "2026-10-03T09:30:00Z", "UTC", "2026-11-01T00:00:00.000Z"},
        {"1mo", "2026-12-31T23:59:00Z", "UTC", "2027-01-01T00:00:00.000Z"},
        {"monthly", "2028-02-01T00:00:00Z", "UTC", "2028-03-01T00:00:00.000Z"},
        {"3mo", "2026-11-15T00:00:00Z", "UTC", "2027-02-01T00:00:00.000Z"},
        {"1h", "2026-10-03T09:30:00Z", "UTC", "2026-10-03T10:00:00.000Z"},
        {"6h", "2026-10-03T09:30:00Z", "UTC", "2026-10-03T12:00:00.000Z"},
        {"30m", "2026-10-03T09:31:07Z", "UTC", "2026-10-03T10:00:00.000Z"},
        {"15m", "2026-10-03T09:31:07Z", "UTC", "2026-10-03T09:45:00.000Z"},
        {"30s", "2026-10-03T09:31:07Z", "UTC", "2026-10-03T09:31:30.000Z"},
        {"1s", "2026-10-03T09:31:07.5Z", "UTC", "2026-10-03T09:31:08.000Z"},
        // In a zone: the local midnight.
        {"1d", "2026-07-01T21:30:00Z", "Europe/Berlin", "2026-07-01T22:00:00.000Z"},
        {"1d", "2026-07-01T22:30:00Z", "Europe/Berlin", "2026-07-02T22:00:00.000Z"},
        {"30d", "2026-10-03T09:30:00Z", "America/New_York", "2026-11-01T04:00:00.000Z"},
        {"7d", "2026-10-04T20:00:00Z", "Asia/Tokyo", "2026-10-11T15:00:00.000Z"},
        {"1h", "2026-10-03T09:40:00Z", "Asia/Kolkata", "2026-10-03T10:30:00.000Z"},
        // Summer time begins (29 March 2026, 01:00Z) and ends (25 October, 01:00Z) in Berlin.
        {"1d", "2026-03-28T23:30:00Z", "Europe/Berlin", "2026-03-29T22:00:00.000Z"},
        {"1d", "2026-10-24T22:30:00Z", "Europe/Berlin", "2026-10-25T23:00:00.000Z"},
        {"7d", "2026-10-22T12:00:00Z", "Europe/Berlin", "2026-10-25T23:00:00.000Z"},
        {"1h", "2026-10-25T00:30:00Z", "Europe/Berlin", "2026-10-25T01:00:00.000Z"},
        {"1h", "2026-10-25T01:30:00Z", "Europe/Berlin", "2026-10-25T02:00:00.000Z"},
        {"1h", "2026-03-29T00:30:00Z", "Europe/Berlin", "2026-03-29T01:00:00.000Z"},
        {"6h", "2026-03-29T00:30:00Z", "Europe/Berlin", "2026-03-29T04:00:00.000Z"},
        // Midnight is jumped over in Beirut (29 March 2026), and comes twice in Havana (1 Nov).
        {"1d", "2026-03-28T21:00:00Z", "Asia/Beirut", "2026-03-28T22:00:00.000Z"},
        {"1d", "2026-11-01T03:30:00Z", "America/Havana", "2026-11-01T04:00:00.000Z"},
        {"1d", "2026-11-01T04:30:00Z", "America/Havana", "2026-11-02T05:00:00.000Z"},
        {"1d", "2026-11-01T05:30:00Z", "America/Havana", "2026-11-02T05:00:00.000Z"},
        // Far beyond a file's last transition the rule holds.
        {"1d", "2061-07-01T12:00:00Z", "Europe/Berlin", "2061-07-01T22:00:00.000Z"},
        {"1d", "2061-01-01T12:00:00Z", "Europe/Berlin", "2061-01-01T23:00:00.000Z"},
        {"1d", "2061-01-15T12:00:00Z", "America/Sao_Paulo", "2061-01-16T03:00:00.000Z"},
        // What is no zone counts as UTC.
        {"1d", "2026-10-03T09:30:00Z", "Nowhere/Atlantis", "2026-10-04T00:00:00.000Z"},
        {"1d", "2026-10-03T09:30:00Z", "../../etc/passwd", "2026-10-04T00:00:00.000Z"},
        {"1d", "2026-10-03T09:30:00Z", "/etc/passwd", "2026-10-04T00:00:00.000Z"},
        {"1d", "2026-10-03T09:30:00Z", "Europe", "2026-10-04T00:00:00.000Z"},
        {"1d", "2026-10-03T09:30:00Z", "", "2026-10-04T00:00:00.000Z"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.duration);
        CAPTURE(c.now);
        CAPTURE(c.zone);
        CHECK(end_of(c.duration, c.now, c.zone) == c.end);
    }
}

// A window's end is always later than now, and asking a moment before it gives the same end:
// windows neither overlap nor leave a gap, over two years of summer times.
TEST_CASE("windows follow each other") {
    for (const char* zone : {"UTC", "Europe/Berlin", "America/New_York", "America/Havana",
                             "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kathmandu",
                             "Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll"}) {
        for (const char* duration : {"1h", "6h", "8h", "1d", "3d", "7d", "2w", "30d", "1mo"}) {
            CAPTURE(zone);
            CAPTURE(duration);
            int64_t now = at("2026-01-01T00:00:30Z");
            const int64_t until = at("2028-01-01T00:00:00Z");
            int wrong = 0;
            while (now < until) {
                const auto end = window_end(duration, now, zone);
                REQUIRE(end.ok());
                wrong += *end <= now;
                const auto again = window_end(duration, *end - 1, zone);
                // Days of several are counted from the day that asks.
                const bool fixed =
                    std::string_view(duration) != "3d" && std::string_view(duration) != "2w";
                wrong += fixed && (!again.ok() || *again != *end);
                now = *end;
            }
            CHECK(wrong == 0);
        }
    }
}

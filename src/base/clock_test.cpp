#include "base/clock.h"

#include <doctest/doctest.h>

using namespace belay;

// Times print in UTC with milliseconds and read back the same.
TEST_CASE("render_utc and parse_utc are inverse") {
    for (const int64_t ms : {int64_t{0}, int64_t{1'764'020'101'123}, int64_t{951'782'400'000},
                             int64_t{4'102'444'799'999}}) {
        const Wall t{std::chrono::milliseconds(ms)};
        CHECK(unix_millis(parse_utc(render_utc(t))) == ms);
    }
    CHECK(render_utc(from_unix_seconds(1'764'020'101)) == "2025-11-24T21:35:01.000Z");
}

// RFC 3339 spellings: offsets, fractions, bare dates; what is no time says so.
TEST_CASE("parse_utc") {
    CHECK(unix_seconds(parse_utc("2026-10-01T00:00:00Z")) == 1'790'812'800);
    CHECK(unix_seconds(parse_utc("2026-10-01T02:00:00+02:00")) == 1'790'812'800);
    CHECK(unix_seconds(parse_utc("2026-09-30T19:00:00.5-05:00")) == 1'790'812'800);
    CHECK(unix_seconds(parse_utc("2026-10-01")) == 1'790'812'800);
    for (const char* text :
         {"", "x", "2026", "2026-13-01", "2026-10-01T", "yesterday", "2026-10-01T00:00:nan",
          "2026-10-01T-1:00:00Z", "2026-10-01T00:-1:00Z"}) {
        CAPTURE(text);
        CHECK(parse_utc(text) == Wall::min());
    }
}

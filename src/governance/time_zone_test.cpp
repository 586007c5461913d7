#include "governance/time_zone.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "base/clock.h"

using namespace belay;
using namespace belay::governance;

namespace {

std::string read_zone(const std::string& name) {
    std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

// Our reading of the files and the C library's agree, in and beyond the years they list.
TEST_CASE("offsets are the C library's") {
    for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                             "Africa/Casablanca", "Europe/Dublin", "Asia/Kathmandu",
                             "America/Havana", "Pacific/Apia", "Asia/Tehran", "Etc/GMT+5"}) {
        CAPTURE(name);
        const auto zone = find_time_zone(name);
        setenv("TZ", name, 1);
        tzset();
        int wrong = 0;
        for (int64_t t = 0; t < int64_t{2'524'608'000}; t += 86'400 * 3 + 3599) {  // to 2050
            const std::time_t c_time = t;
            std::tm tm{};
            localtime_r(&c_time, &tm);
            wrong += zone->offset_at(t) != tm.tm_gmtoff;
        }
        CHECK(wrong == 0);
    }
    unsetenv("TZ");
    tzset();
}

// A file cut anywhere or with any byte changed is read or refused, never read beyond its end (the
// sanitizers watch).
TEST_CASE("broken files") {
    const std::string good = read_zone("Europe/Berlin");
    REQUIRE(TimeZone::parse(good).ok());
    for (size_t size = 0; size < good.size(); ++size) {
        (void)TimeZone::parse(std::string(good, 0, size));
    }
    for (size_t i = 0; i < good.size(); ++i) {
        for (const char flip : {'\xff', '\x80', '\x01'}) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ flip);
            if (const auto zone = TimeZone::parse(bad)) {
                (void)zone->offset_at(1'800'000'000);
                (void)zone->first_moment(1'800'000'000);
            }
        }
    }
    CHECK_FALSE(TimeZone::parse("").ok());
    CHECK_FALSE(TimeZone::parse("TZif").ok());
}

// The rule of a file's last line.
TEST_CASE("zone rules") {
    for (const char* good : {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30",
                             "EST5EDT,M3.2.0,M11.1.0", "IST-1GMT0,M10.5.0,M3.5.0/1",
                             "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "XXX4YYY,J60/2,300/167"}) {
        CAPTURE(good);
        CHECK(parse_zone_rule(good).has_value());
    }
    for (const char* bad : {"", "U", "UTC", "UTC99", "CET-1CEST", "CET-1CEST,M3.5.0",
                            "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
                            "CET-1CEST,M3.5.0,M10.5.0/3x", "<+03-3", "CET-1CEST,M3.5.7,M10.5.0"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_zone_rule(bad).has_value());
    }
    const auto berlin = parse_zone_rule("CET-1CEST,M3.5.0,M10.5.0/3");
    REQUIRE(berlin);
    CHECK(berlin->standard == 3600);
    CHECK(berlin->summer == 7200);
}

#include "base/clock.h"

#include <cstdio>
#include <ctime>

namespace belay {
namespace {

class SystemClock final : public Clock {
  public:
    Mono mono() const override { return std::chrono::steady_clock::now(); }
    Wall wall() const override { return std::chrono::system_clock::now(); }
};

// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's algorithm, public domain).
int64_t days_from_civil(int64_t y, unsigned m, unsigned d) {
    y -= m <= 2;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const unsigned yoe = static_cast<unsigned>(y - era * 400);
    const unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + static_cast<int64_t>(doe) - 719468;
}

}  // namespace

const Clock& system_clock() {
    static const SystemClock clock;
    return clock;
}

std::string render_utc(Wall t) {
    const int64_t ms = unix_millis(t);
    std::time_t s = static_cast<std::time_t>(ms / 1000);
    std::tm tm{};
    gmtime_r(&s, &tm);
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                  tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                  static_cast<int>(ms % 1000));
    return buffer;
}

Wall parse_utc(std::string_view text) {
    const std::string copy(text.substr(0, 40));
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, used = 0;
    double s = 0;
    if (std::sscanf(copy.c_str(), "%4d-%2d-%2d%n", &y, &mo, &d, &used) != 3 || used != 10 ||
        mo < 1 || mo > 12 || d < 1 || d > 31) {
        return Wall::min();
    }
    std::string_view rest = std::string_view(copy).substr(10);
    int64_t offset_seconds = 0;
    if (!rest.empty()) {
        if ((rest[0] != 'T' && rest[0] != 't' && rest[0] != ' ') ||
            std::sscanf(rest.data() + 1, "%2d:%2d:%lf%n", &h, &mi, &s, &used) != 3 || h < 0 ||
            h > 24 || mi < 0 || mi > 59 || !(s >= 0 && s < 61)) {
            return Wall::min();
        }
        rest = rest.substr(1 + static_cast<size_t>(used));
        if (!rest.empty() && rest != "Z" && rest != "z") {
            int oh = 0, om = 0;
            if ((rest[0] != '+' && rest[0] != '-') ||
                std::sscanf(rest.data() + 1, "%2d:%2d", &oh, &om) < 1) {
                return Wall::min();
            }
            offset_seconds = (oh * 60 + om) * 60 * (rest[0] == '-' ? -1 : 1);
        }
    }
    const int64_t base =
        days_from_civil(y, static_cast<unsigned>(mo), static_cast<unsigned>(d)) * 86400 + h * 3600 +
        mi * 60 - offset_seconds;
    return Wall(std::chrono::milliseconds(base * 1000 + static_cast<int64_t>(s * 1000)));
}

}  // namespace belay

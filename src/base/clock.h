#pragma once
// Time as values. Pure modules take Mono and Wall as arguments; only net, gateway and app ask a
// Clock. Mono never jumps and measures durations and deadlines; Wall is what people and upstreams
// speak.
#include <chrono>
#include <cstdint>
#include <string>

namespace belay {

using Mono = std::chrono::steady_clock::time_point;
using Wall = std::chrono::system_clock::time_point;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual Mono mono() const = 0;
    [[nodiscard]] virtual Wall wall() const = 0;
};

// The machine's clocks. One instance for the process.
[[nodiscard]] const Clock& system_clock();

[[nodiscard]] inline int64_t unix_seconds(Wall t) {
    return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}
[[nodiscard]] inline int64_t unix_millis(Wall t) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}
[[nodiscard]] inline Wall from_unix_seconds(int64_t s) { return Wall(std::chrono::seconds(s)); }

// "2026-11-24T21:35:01.123Z" (UTC, milliseconds).
[[nodiscard]] std::string render_utc(Wall t);
// RFC 3339 ("2026-10-01T00:00:00Z", fraction and offset allowed, or a bare date) to Wall;
// nullopt-like: returns Wall::min() when the text is no time.
[[nodiscard]] Wall parse_utc(std::string_view text);

}  // namespace belay

#include "governance/rate_window.h"

#include <doctest/doctest.h>

#include <deque>
#include <random>

using namespace belay::governance;

// Against a list of everything that was admitted: the sums are those of the last 61 seconds, and
// the second with room is the first one at which a request really fits.
TEST_CASE("the window is what a list of requests says") {
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        RateWindow window;
        struct Event {
            int64_t second, tokens;
        };
        std::deque<Event> events;
        int64_t now = static_cast<int64_t>(random() % 200);
        constexpr int64_t kLimit = 40;
        for (int step = 0; step < 400; ++step) {
            now += random() % 4 == 0 ? static_cast<int64_t>(random() % 30) : 0;
            now += random() % 100 == 0 ? 100 : 0;
            window.advance(now);
            while (!events.empty() && events.front().second < now - 60) {
                events.pop_front();
            }
            int64_t tokens = 0;
            for (const auto& event : events) {
                tokens += event.tokens;
            }
            REQUIRE(window.requests() == static_cast<int64_t>(events.size()));
            REQUIRE(window.tokens() == tokens);

            const auto second = window.second_with_room(RateWindow::What::requests, 1, kLimit);
            int64_t expected = now;
            while (true) {
                int64_t in = 0;
                for (const auto& event : events) {
                    in += event.second >= expected - 60;
                }
                if (in + 1 <= kLimit) {
                    break;
                }
                ++expected;
            }
            REQUIRE(second == expected);
            if (second == now) {
                const auto amount = static_cast<int64_t>(random() % 100);
                CHECK(window.add(1, amount) == now);
                events.push_back({now, amount});
            }
            if (!events.empty() && random() % 3 == 0) {
                Event& event = events[random() % events.size()];
                const int64_t by = static_cast<int64_t>(random() % 50) - event.tokens / 2;
                window.correct_tokens(event.second, by);
                event.tokens += by;
            }
        }
    }
}

// A clock that another thread read a moment earlier does not move the window back.
TEST_CASE("an older second counts as the newest") {
    RateWindow window;
    window.advance(100);
    window.add(1, 10);
    window.advance(99);
    CHECK(window.add(1, 5) == 100);
    CHECK(window.requests() == 2);
    window.advance(160);
    CHECK(window.requests() == 2);
    window.advance(161);
    CHECK(window.empty());
    window.correct_tokens(100, -5);  // too late
    CHECK(window.tokens() == 0);
}

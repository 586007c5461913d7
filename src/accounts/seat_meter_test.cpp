#include "accounts/seat_meter.h"

#include <doctest/doctest.h>

using namespace belay::accounts;

namespace {
constexpr int64_t kCredit = 1'000'000'000;
using Unit = SeatMeter::Unit;
}  // namespace

TEST_CASE("a floor keeps what the account counts in, and nothing that is not known") {
    struct Case {
        const char* name;
        SeatMeter::Left said;
        SeatMeter::Floors floors, bound;
        bool taken;
    };
    const Case cases[] = {
        {"room", {Unit::credits, 600 * kCredit}, {500 * kCredit, 0}, {100 * kCredit, 0}, true},
        {"one nano-credit short",
         {Unit::credits, 600 * kCredit - 1},
         {500 * kCredit, 0},
         {100 * kCredit, 0},
         false},
        {"premium requests", {Unit::requests, 12'000}, {0, 10'000}, {0, 3'000}, false},
        {"another unit's floor", {Unit::requests, 0}, {500 * kCredit, 0}, {0, 1'000}, true},
        {"nothing is known", {Unit::unknown, 0}, {500 * kCredit, 1'000}, {kCredit, 1'000}, true},
    };
    for (const Case& c : cases) {
        CAPTURE(c.name);
        SeatMeter meter;
        meter.set(c.said);
        SeatMeter::Hold hold;
        CHECK(meter.take(c.floors, c.bound, hold) == c.taken);
    }
}

TEST_CASE("running requests and what was spent since the last word count; ended ones do not") {
    SeatMeter meter;
    meter.set({Unit::credits, 10 * kCredit});
    const SeatMeter::Floors floors{5 * kCredit, 0};
    const SeatMeter::Floors bound{3 * kCredit, 0};
    SeatMeter::Hold first;
    SeatMeter::Hold second;
    CHECK(meter.take(floors, bound, first));
    CHECK_FALSE(meter.take(floors, bound, second));
    first.release();
    meter.spent(3 * kCredit, 0);
    CHECK_FALSE(meter.take(floors, bound, second));
    CHECK(meter.left().amount == 7 * kCredit);
    // A word from before that spending may not hold it yet; the next one does.
    meter.set({Unit::credits, 10 * kCredit});
    CHECK(meter.left().amount == 7 * kCredit);
    meter.set({Unit::credits, 10 * kCredit});
    CHECK(meter.take(floors, bound, second));
}

TEST_CASE("nothing is counted until somebody with a floor has asked") {
    SeatMeter meter;
    meter.set({Unit::credits, kCredit});
    meter.spent(kCredit, 0);
    CHECK(meter.left().amount == kCredit);
}

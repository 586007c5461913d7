// Several governors on one store of shared counters: whatever they do in whatever order, no limit
// is exceeded, and what is given back is free again everywhere.
#include "governance/shared.h"

#include <doctest/doctest.h>

#include <memory>
#include <random>

#include "governance/governor.h"
#include "governance/memory_meters.h"

using namespace belay;
using namespace belay::governance;
using Verdict = SharedAnswer::Verdict;

namespace {

constexpr int64_t kStart = 1'780'221'881'000;

struct Running {
    Reservation local;
    std::unique_ptr<SharedHold> hold;
    size_t instance = 0;
    int64_t bound = 0;
};

struct World {
    static constexpr size_t kInstances = 3;
    int64_t ms = 0;
    MemoryStore store{[this] { return kStart + ms; }};
    Governor governors[kInstances];
    std::vector<std::unique_ptr<MemoryMeters>> meters;
    Caller caller;

    World() {
        for (size_t i = 0; i < kInstances; ++i) {
            meters.push_back(
                std::make_unique<MemoryMeters>(store, governors[i], std::to_string(i), 3));
        }
        Scope scope;
        scope.id = "key";
        caller.scopes.push_back(std::move(scope));
    }
    Limits& limits() { return caller.scopes[0].limits; }
    [[nodiscard]] Ask ask(int64_t bound, int64_t tokens = 0) const {
        return {.caller = caller,
                .model = "m",
                .bound = {bound},
                .tokens = tokens,
                .now_ms = kStart + ms,
                .now = Mono(milliseconds(kStart + ms))};
    }
    // Nothing when either refuses.
    std::optional<Running> take(size_t i, int64_t bound, int64_t tokens = 0) {
        const Ask asked = ask(bound, tokens);
        auto local = governors[i].reserve(asked);
        if (!local) {
            return std::nullopt;
        }
        Running out{std::move(*local), std::make_unique<SharedHold>(), i, bound};
        out.hold->term = meters[i]->term();
        out.hold->rows = governors[i].shared_rows(asked, out.local, out.hold->term);
        SharedAnswer answer;
        meters[i]->take(*out.hold, [&](SharedAnswer said) { answer = std::move(said); });
        if (answer.verdict == Verdict::away) {
            governors[i].untell(out.local);
            return out;
        }
        governors[i].adopt(out.hold->rows, answer, out.hold->term, asked.now, &out.local);
        if (answer.verdict == Verdict::refused) {
            out.local.undo();
            return std::nullopt;
        }
        return out;
    }
    void settle(Running& running, int64_t cost, int64_t tokens = 0) {
        running.local.settle({cost}, tokens, 0);
        meters[running.instance]->settle(std::move(running.hold), {cost, tokens, 0});
    }
};

}  // namespace

TEST_CASE("any order of requests on any instance stays within the budget, and uses it") {
    for (uint32_t seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        std::mt19937 dice(seed);
        const auto up_to = [&](int64_t most) {
            return static_cast<int64_t>(dice() % static_cast<uint64_t>(most + 1));
        };
        World world;
        world.limits().budgets.push_back({.most = {1000}});
        std::vector<Running> running;
        int64_t spent = 0;
        int64_t held = 0;
        for (int step = 0; step < 300; ++step) {
            world.ms += up_to(30);
            if (!running.empty() && up_to(2) == 0) {
                std::swap(running[static_cast<size_t>(up_to(int64_t(running.size()) - 1))],
                          running.back());
                const int64_t cost = up_to(running.back().bound);
                held -= running.back().bound;
                spent += cost;
                world.settle(running.back(), cost);
                running.pop_back();
            } else if (auto taken = world.take(static_cast<size_t>(up_to(2)), 1 + up_to(120))) {
                held += taken->bound;
                running.push_back(std::move(*taken));
            }
            REQUIRE(spent + held <= 1000);
        }
        for (auto& one : running) {
            world.settle(one, 0);
        }
        // Nothing is lost to reservations that have ended: what is left can be spent to the end.
        world.ms += 1000;
        const size_t i = static_cast<size_t>(up_to(2));
        if (spent < 1000) {
            auto rest = world.take(i, 1000 - spent);
            REQUIRE(rest.has_value());
            world.settle(*rest, 1000 - spent);
        }
        for (size_t each = 0; each < World::kInstances; ++each) {
            CHECK_FALSE(world.take(each, 1).has_value());
        }
    }
}

TEST_CASE("no minute holds more than its requests, wherever they come in") {
    for (uint32_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        std::mt19937 dice(seed);
        World world;
        world.limits().rpm = 20;
        std::vector<int64_t> admitted;
        int64_t last_refused = -1;
        for (int step = 0; step < 1500; ++step) {
            world.ms += static_cast<int64_t>(dice() % 400);
            if (auto taken = world.take(dice() % 3, 0)) {
                admitted.push_back(world.ms);
                world.settle(*taken, 0);
            } else {
                last_refused = world.ms;
            }
        }
        CHECK(last_refused >= 0);
        for (size_t i = 20; i < admitted.size(); ++i) {
            CHECK(admitted[i] - admitted[i - 20] >= 60'000);
        }
        // Refused requests take no one's room: 20 in each 61 seconds, when that many come.
        CHECK(admitted.size() >= static_cast<size_t>(20 * (world.ms / 62'000)));
    }
}

TEST_CASE("what others charge is heard once: from the store, not from their records as well") {
    World world;
    world.limits().budgets.push_back({.most = {1'000}});
    auto mine = world.take(0, 100);
    REQUIRE(mine);
    world.settle(*mine, 40);
    auto theirs = world.take(1, 100);
    REQUIRE(theirs);
    world.settle(*theirs, 50);
    world.governors[0].add_spent({{.kind = ScopeKind::key, .id = "key", .amount = {50}}});
    auto again = world.take(0, 100);  // hears of the 50
    REQUIRE(again);
    world.settle(*again, 10);
    CHECK(world.governors[0].standing(ScopeKind::key, "key").spent.value == 100);
}

TEST_CASE("a request that is undone was never there") {
    World world;
    world.limits().rpm = 1;
    auto first = world.governors[0].reserve(world.ask(0, 10));
    REQUIRE(first.ok());
    CHECK_FALSE(world.governors[0].reserve(world.ask(0)).ok());
    first->undo();
    CHECK(world.governors[0].reserve(world.ask(0)).ok());
}

TEST_CASE("while the store is away each instance has its part, of what was left when it went") {
    World world;
    world.limits().budgets.push_back({.most = {1000}});
    world.limits().rpm = 90;
    auto first = world.take(0, 400);
    REQUIRE(first.has_value());
    world.settle(*first, 400);
    for (size_t i = 0; i < World::kInstances; ++i) {
        auto look = world.take(i, 1);
        REQUIRE(look.has_value());
        world.settle(*look, 0);
    }
    world.store.set_away(true);
    world.ms += 1000;
    for (size_t i = 0; i < World::kInstances; ++i) {
        CHECK(world.meters[i]->parts() == 3);
        Ask ask = world.ask(200);
        ask.parts = 3;
        CHECK(world.governors[i].reserve(ask).ok());
        ask.bound = {201};
        CHECK_FALSE(world.governors[i].reserve(ask).ok());
    }
    Ask ask = world.ask(0);
    ask.parts = 3;
    int served = 0;
    while (world.governors[1].reserve(ask).ok()) {
        ++served;
    }
    CHECK(served == 28);  // 30, and it has had two
}

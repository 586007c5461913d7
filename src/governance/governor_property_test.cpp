#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <random>
#include <thread>

#include "governance/governor.h"

using namespace belay;
using namespace belay::governance;

namespace {

constexpr int64_t kCost = 1'000;

Scope scope_of(ScopeKind kind, std::string id) {
    Scope scope;
    scope.kind = kind;
    scope.shown = id;
    scope.id = std::move(id);
    return scope;
}

BudgetWindow budget(int64_t most) {
    BudgetWindow window;
    window.most = {most};
    window.refuse_at_equal = true;
    return window;
}

Ask ask_of(const Caller& caller, int64_t bound, int64_t tokens, int64_t ms) {
    return {.caller = caller,
            .model = "m",
            .bound = {bound},
            .tokens = tokens,
            .now_ms = ms,
            .now = Mono(milliseconds(ms))};
}

// --- A model of the governor that is too slow to be wrong ---

struct ModelScope {
    const Scope* scope;
    int64_t spent = 0;
    struct Running {
        int id;
        int64_t bound;
    };
    std::vector<Running> running;
    struct Counted {
        int id;
        int64_t second, tokens;
    };
    std::vector<Counted> counted;

    [[nodiscard]] bool admits(int64_t bound, int64_t tokens, int64_t second) const {
        const Limits& limits = scope->limits;
        int64_t used = spent;
        for (const auto& one : running) {
            used += one.bound;
        }
        if (!limits.budgets.empty() &&
            (used >= limits.budgets[0].most.value || used + bound > limits.budgets[0].most.value)) {
            return false;
        }
        int64_t requests = 0, taken = 0;
        for (const auto& one : counted) {
            requests += one.second >= second - 60;
            taken += one.second >= second - 60 ? one.tokens : 0;
        }
        const bool rpm = !limits.rpm || requests < *limits.rpm;
        const bool tpm = !limits.tpm ||
                         taken + std::min(std::max<int64_t>(tokens, 1), *limits.tpm) <= *limits.tpm;
        const bool slots =
            !limits.max_parallel || static_cast<int64_t>(running.size()) < *limits.max_parallel;
        return rpm && tpm && slots;
    }
    void take(int id, int64_t bound, int64_t tokens, int64_t second) {
        running.push_back({id, bound});
        const int64_t held = scope->limits.tpm ? std::min(tokens, *scope->limits.tpm) : tokens;
        counted.push_back({id, second, held});
    }
    void settle(int id, int64_t cost, int64_t tokens) {
        std::erase_if(running, [&](const Running& one) { return one.id == id; });
        spent += cost;
        for (auto& one : counted) {
            if (one.id == id) {
                one.tokens = tokens;
            }
        }
    }
};

}  // namespace

// Any sequence of requests, settlements, releases and waits is judged as the slow model judges it.
TEST_CASE("the governor decides as a plain model does") {
    std::mt19937 random(42);
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
    for (int round = 0; round < 40; ++round) {
        Governor governor;
        Caller caller;
        for (const auto kind : {ScopeKind::key, ScopeKind::team, ScopeKind::global}) {
            Scope scope = scope_of(kind, "x");
            if (below(3) > 0) {
                scope.limits.budgets = {budget(below(200) * kCost)};
            }
            if (below(2) > 0) {
                scope.limits.rpm = below(30);
            }
            if (below(2) > 0) {
                scope.limits.tpm = below(3000);
            }
            if (below(2) > 0) {
                scope.limits.max_parallel = below(6);
            }
            caller.scopes.push_back(scope);
        }
        std::vector<ModelScope> model;
        for (const auto& scope : caller.scopes) {
            model.push_back({&scope});
        }
        struct Open {
            int id;
            Reservation reservation;
        };
        std::vector<Open> open;
        int64_t ms = 1'000'000'000 + below(5000);
        for (int id = 0; id < 600; ++id) {
            ms += below(4) == 0 ? below(20'000) : below(300);
            const int64_t bound = below(10) * kCost;
            const int64_t tokens = below(500);
            const bool expected = std::all_of(
                model.begin(), model.end(),
                [&](const ModelScope& scope) { return scope.admits(bound, tokens, ms / 1000); });
            auto taken = governor.reserve(ask_of(caller, bound, tokens, ms));
            REQUIRE(taken.ok() == expected);
            if (taken.ok()) {
                for (auto& scope : model) {
                    scope.take(id, bound, tokens, ms / 1000);
                }
                open.push_back({id, std::move(*taken)});
            }
            while (!open.empty() && below(3) > 0) {
                const auto at = static_cast<size_t>(below(static_cast<int64_t>(open.size())));
                const bool settled = below(4) > 0;
                const int64_t cost = settled ? below(bound + 1) : 0;
                const int64_t used = settled ? below(700) : 0;
                if (settled) {
                    open[at].reservation.settle({cost}, used, 0);
                }
                for (auto& scope : model) {
                    scope.settle(open[at].id, cost, used);
                }
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
            }
        }
        open.clear();
        for (size_t i = 0; i < caller.scopes.size(); ++i) {
            const auto standing = governor.standing(caller.scopes[i].kind, "x");
            CHECK(standing.reserved.value == 0);
            CHECK(standing.parallel == 0);
            CHECK(standing.spent.value == model[i].spent);
        }
    }
}

// A budget for exactly 100 requests, many at once, a bound ten times the cost: never above it, and
// those that wait for settlements and then ask for what is left get all of it.
TEST_CASE("a budget for exactly 100 requests") {
    for (int round = 0; round < 10; ++round) {
        Governor governor;
        Caller caller;
        caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
        caller.scopes[0].limits.budgets = {budget(100 * kCost)};
        std::atomic<int> served{0};
        std::atomic<bool> above{false};
        const auto request = [&] {
            int64_t bound = 10 * kCost;
            while (true) {
                Refusal refusal;
                auto taken = governor.reserve(ask_of(caller, bound, 0, 0), &refusal);
                const auto standing = governor.standing(ScopeKind::key, "k");
                above = above || standing.spent.value + standing.reserved.value > 100 * kCost;
                if (taken) {
                    taken->settle({kCost}, 0, 0);
                    ++served;
                    return;
                }
                if (refusal.could_fit_later) {
                    std::this_thread::yield();
                } else if (refusal.money_left.value < kCost) {
                    return;
                } else {
                    bound = refusal.money_left.value;
                }
            }
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 10; ++i) {
            threads.emplace_back([&] {
                for (int n = 0; n < 50; ++n) {
                    request();
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        CHECK_FALSE(above);
        CHECK(served == 100);
        CHECK(governor.standing(ScopeKind::key, "k").spent.value == 100 * kCost);
        CHECK(governor.standing(ScopeKind::key, "k").reserved.value == 0);
    }
}

// Threads over shared scopes: no scope is ever above its budget or its slots, and at rest every
// counter is what was settled.
TEST_CASE("threads over shared scopes") {
    constexpr int kThreads = 6;
    constexpr int64_t kTeamBudget = 3'000 * kCost;
    constexpr int64_t kTeamSlots = 4;
    Governor governor;
    std::array<Caller, kThreads> callers;
    for (size_t i = 0; i < kThreads; ++i) {
        callers[i].scopes.push_back(scope_of(ScopeKind::key, "k" + std::to_string(i % 3)));
        callers[i].scopes.push_back(scope_of(ScopeKind::team, "t"));
        callers[i].scopes.push_back(scope_of(ScopeKind::global, "g"));
        callers[i].scopes[1].limits.budgets = {budget(kTeamBudget)};
        callers[i].scopes[1].limits.max_parallel = kTeamSlots;
        callers[i].scopes[0].limits.rpm = 100'000;
    }
    std::atomic<int64_t> settled{0};
    std::atomic<bool> above{false};
    std::atomic<bool> done{false};
    std::thread keeper([&] {
        while (!done) {
            const auto standing = governor.standing(ScopeKind::team, "t");
            above = above || standing.spent.value + standing.reserved.value > kTeamBudget ||
                    standing.parallel > kTeamSlots;
            (void)governor.reset_ended(0, Mono(seconds(1)));
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            std::mt19937 random(static_cast<unsigned>(i));
            for (int n = 0; n < 2000; ++n) {
                auto taken = governor.reserve(ask_of(callers[i], 5 * kCost, 10, 1000));
                if (taken && random() % 4 > 0) {
                    const int64_t cost = static_cast<int64_t>(random() % 5) * kCost;
                    taken->settle({cost}, 10, 0);
                    settled += cost;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    done = true;
    keeper.join();
    CHECK_FALSE(above);
    CHECK(governor.standing(ScopeKind::team, "t").spent.value == settled);
    CHECK(governor.standing(ScopeKind::global, "g").spent.value == settled);
    int64_t keys = 0;
    for (const char* id : {"k0", "k1", "k2"}) {
        keys += governor.standing(ScopeKind::key, id).spent.value;
        CHECK(governor.standing(ScopeKind::key, id).reserved.value == 0);
        CHECK(governor.standing(ScopeKind::key, id).parallel == 0);
    }
    CHECK(keys == settled);
}

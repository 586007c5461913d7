#pragma once
// The counters of one scope (or of one model within it): money per budget window, requests and
// tokens of the last minute, running requests. For the governor, who locks.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "governance/limits.h"
#include "governance/rate_window.h"
#include "governance/shared.h"

namespace belay::governance {

// What is known of a window beyond this process (shared.h).
struct Beyond {
    int64_t heard = 0;  // spent, as the store last said; before that, as it was here
    int64_t untold = 0, untold_premium = 0;      // settled here, not yet there
    int64_t reserved = 0, premium_reserved = 0;  // by other instances,
    Mono fresh_until{};                          // as far as is known until then
    int64_t generation = 0;
    uint32_t store = 0;    // that has said so; another one is to be told
    bool setting = false;  // an administrator's spend is on its way to the store
};

// Money over one window. `epoch` grows with every reset, so that a reservation can tell that its
// own window is over.
struct Money {
    int64_t spent = 0;
    int64_t reserved = 0;
    int64_t premium_spent = 0;
    int64_t premium_reserved = 0;
    int64_t reset_at_ms = 0;    // 0 = never
    int64_t told_reset_ms = 0;  // what the document said last
    uint32_t epoch = 0;
    std::string duration;
    std::unique_ptr<Beyond> beyond;  // null: not shared

    [[nodiscard]] bool ended(int64_t now_ms) const {
        return reset_at_ms != 0 && now_ms >= reset_at_ms;
    }
    // Begins anew; the end of the new window by the clock of `zone`.
    void reset(int64_t now_ms, const std::string& zone);
    // Follows what a document says about the window.
    void adopt(const BudgetWindow& budget, int64_t now_ms, const std::string& zone);
};

struct Meter {
    static constexpr size_t kMostWindows = 8;
    static constexpr uint8_t kMain = 0xff;  // as an index of windows: `main`

    ScopeKind kind = ScopeKind::key;
    std::string id;
    std::string model;   // "" = all
    uint64_t stamp = 0;  // no other meter of the process ever has it
    uint64_t made = 0;   // the newest scope that spoke for it

    Money main;
    std::vector<Money> more;  // windows of budget_limits, by their duration
    std::unique_ptr<RateWindow> rate;
    std::unique_ptr<RateWindow> told;  // the part of `rate` that the shared store has
    SharedTerm told_in;
    int64_t parallel = 0;
    uint32_t holds = 0;      // of reservations that are not settled
    bool remembers = false;  // spend was seen: never dropped for being idle
    bool forgotten = false;  // the entity is deleted

    [[nodiscard]] Money& money(uint8_t window) { return window == kMain ? main : more[window]; }
    // The window of the i-th budget: the first is `main`, others share it when they last as long.
    [[nodiscard]] uint8_t window_of(const std::vector<BudgetWindow>& budgets, size_t i);
    // Takes over the windows of a scope's budgets.
    void adopt(const std::vector<BudgetWindow>& budgets, int64_t now_ms, const std::string& zone);
    // Frees what only idle scopes hold; true when nothing would be lost without the meter.
    [[nodiscard]] bool tidy(int64_t second);
};

}  // namespace belay::governance

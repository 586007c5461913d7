#pragma once
// The counters of one scope (or of one model within it): money per budget window, requests and
// tokens of the last minute, running requests. For the governor, who locks.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "governance/limits.h"
#include "governance/rate_window.h"

namespace belay::governance {

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

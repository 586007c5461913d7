#include "governance/meter.h"

#include <algorithm>

#include "governance/duration.h"

namespace belay::governance {
namespace {

int64_t end_of(const std::string& duration, int64_t now_ms, const std::string& zone) {
    if (duration.empty()) {
        return 0;
    }
    const auto end = window_end(duration, now_ms, zone);
    return end ? *end : 0;
}

}  // namespace

void Money::reset(int64_t now_ms, const std::string& zone) {
    spent = 0;
    reserved = 0;
    premium_spent = 0;
    premium_reserved = 0;
    beyond.reset();
    ++epoch;
    reset_at_ms = end_of(duration, now_ms, zone);
}

void Money::adopt(const BudgetWindow& budget, int64_t now_ms, const std::string& zone) {
    if (duration != budget.duration) {
        duration = budget.duration;
        reset_at_ms = 0;
        told_reset_ms = 0;
    }
    if (duration.empty()) {
        reset_at_ms = 0;
        return;
    }
    if (budget.reset_at_ms != told_reset_ms) {
        told_reset_ms = budget.reset_at_ms;
        // A document from before a reset names a past end: that reset has happened here.
        if (reset_at_ms == 0 || told_reset_ms > now_ms) {
            reset_at_ms = told_reset_ms;
        }
    }
    if (reset_at_ms == 0) {
        reset_at_ms = end_of(duration, now_ms, zone);
    }
}

uint8_t Meter::window_of(const std::vector<BudgetWindow>& budgets, size_t i) {
    const std::string& duration = budgets[i].duration;
    if (i == 0 || duration == main.duration) {
        return kMain;
    }
    for (size_t at = 0; at < more.size(); ++at) {
        if (more[at].duration == duration) {
            return static_cast<uint8_t>(at);
        }
    }
    if (more.size() < kMostWindows) {
        more.emplace_back();
        more.back().duration = duration;
        return static_cast<uint8_t>(more.size() - 1);
    }
    // A window that no budget speaks of any more makes room.
    for (size_t at = 0; at < more.size(); ++at) {
        const auto spoken_of = [&](const BudgetWindow& b) {
            return b.duration == more[at].duration;
        };
        if (std::none_of(budgets.begin(), budgets.end(), spoken_of)) {
            const uint32_t epoch = more[at].epoch + 1;
            more[at] = Money();
            more[at].epoch = epoch;
            more[at].duration = duration;
            return static_cast<uint8_t>(at);
        }
    }
    return kMain;
}

void Meter::adopt(const std::vector<BudgetWindow>& budgets, int64_t now_ms,
                  const std::string& zone) {
    if (budgets.empty()) {
        main.adopt(BudgetWindow(), now_ms, zone);
        return;
    }
    main.adopt(budgets.front(), now_ms, zone);
    for (size_t i = 1; i < budgets.size(); ++i) {
        if (const uint8_t window = window_of(budgets, i); window != kMain) {
            more[window].adopt(budgets[i], now_ms, zone);
        }
    }
}

bool Meter::tidy(int64_t second) {
    if (holds != 0) {
        return false;
    }
    if (rate != nullptr && second - rate->head() >= RateWindow::kBuckets) {
        rate.reset();
        told.reset();
    }
    return forgotten || (!remembers && rate == nullptr);
}

}  // namespace belay::governance

#include "governance/meter_table.h"

#include <atomic>
#include <utility>

namespace belay::governance {
namespace {

constexpr size_t kMostMeters = size_t{1} << 20;
constexpr size_t kEvictionSteps = 64;

// Unique over all governors, so that a hint of one is never taken for another's.
uint64_t next_stamp() {
    static std::atomic<uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::string meter_name(ScopeKind kind, std::string_view id, std::string_view model) {
    std::string name(1, static_cast<char>('a' + static_cast<int>(kind)));
    name.append(id);
    if (!model.empty()) {
        name.push_back('\0');
        name.append(model);
    }
    return name;
}

}  // namespace

Meter* MeterTable::find(ScopeKind kind, std::string_view id, std::string_view model) const {
    const auto at = by_name_.find(meter_name(kind, id, model));
    return at == by_name_.end() ? nullptr : meters_[at->second].get();
}

Meter* MeterTable::find_or_make(ScopeKind kind, std::string_view id, std::string_view model,
                                bool& made) {
    if (Meter* known = find(kind, id, model)) {
        made = false;
        return known;
    }
    if (by_name_.size() >= kMostMeters) {
        make_room();
    }
    made = true;
    uint32_t index = 0;
    if (free_slots_.empty()) {
        index = static_cast<uint32_t>(meters_.size());
        meters_.emplace_back();
    } else {
        index = free_slots_.back();
        free_slots_.pop_back();
    }
    meters_[index] = std::make_unique<Meter>();
    Meter* meter = meters_[index].get();
    meter->kind = kind;
    meter->id = std::string(id);
    meter->model = std::string(model);
    meter->stamp = next_stamp();
    by_name_.emplace(meter_name(kind, id, model), index);
    return meter;
}

uint64_t MeterTable::hint_of(const Meter& meter) const {
    const auto at = by_name_.find(meter_name(meter.kind, meter.id, meter.model));
    return meter.stamp << kIndexBits | at->second;
}

Meter* MeterTable::bind(const Scope& scope, int64_t now_ms) {
    bool made = false;
    Meter* meter = find_or_make(scope.kind, scope.id, {}, made);
    if (made) {
        meter->main.spent = scope.spent_before.value;
        meter->remembers = scope.spent_before.value != 0;
    }
    if (scope.made >= meter->made) {
        meter->made = scope.made;
        meter->forgotten = false;
        meter->adopt(scope.limits.budgets, now_ms, zone_);
    }
    scope.meter.store(hint_of(*meter));
    return meter;
}

Meter* MeterTable::bind(const Scope& scope, const ModelLimit& limit, int64_t now_ms) {
    bool made = false;
    Meter* meter = find_or_make(scope.kind, scope.id, limit.model, made);
    if (scope.made >= meter->made) {
        meter->made = scope.made;
        meter->forgotten = false;
        meter->main.adopt(limit.budget.value_or(BudgetWindow()), now_ms, zone_);
    }
    limit.meter.store(hint_of(*meter));
    return meter;
}

// Of the scopes that requests can make up, one that is idle gives way.
void MeterTable::make_room() {
    const auto made_up = [](const Meter& meter) {
        return meter.kind == ScopeKind::customer || meter.kind == ScopeKind::tag;
    };
    for (size_t step = 0; step < kEvictionSteps && !meters_.empty(); ++step) {
        clock_hand_ = (clock_hand_ + 1) % meters_.size();
        const Meter* meter = meters_[clock_hand_].get();
        if (meter != nullptr && meter->holds == 0 && (made_up(*meter) || !meter->remembers)) {
            drop(clock_hand_);
            return;
        }
    }
}

void MeterTable::drop(size_t slot) {
    const Meter& meter = *meters_[slot];
    by_name_.erase(meter_name(meter.kind, meter.id, meter.model));
    meters_[slot].reset();
    free_slots_.push_back(static_cast<uint32_t>(slot));
}

void MeterTable::keep_up(size_t slot, int64_t now_ms, int64_t second) {
    Meter* meter = meters_[slot].get();
    if (meter == nullptr) {
        return;
    }
    if (meter->main.ended(now_ms)) {
        roll(*meter, Meter::kMain, now_ms);
    }
    for (size_t window = 0; window < meter->more.size(); ++window) {
        if (meter->more[window].ended(now_ms)) {
            roll(*meter, static_cast<uint8_t>(window), now_ms);
        }
    }
    if (meter->tidy(second)) {
        drop(slot);
    }
}

void MeterTable::roll(Meter& meter, uint8_t window, int64_t now_ms) {
    Money& money = meter.money(window);
    const NanoCredits cleared{money.spent};
    money.reset(now_ms, zone_);
    resets_.push_back({.kind = meter.kind,
                       .id = meter.id,
                       .cleared = cleared,
                       .model = meter.model,
                       .duration = money.duration,
                       .main = window == Meter::kMain,
                       .reset_at_ms = money.reset_at_ms});
}

std::vector<Governor::Reset> MeterTable::take_resets() { return std::exchange(resets_, {}); }

void MeterTable::forget(ScopeKind kind, std::string_view id) {
    for (const auto& meter : meters_) {
        if (meter != nullptr && meter->kind == kind && meter->id == id) {
            meter->forgotten = true;
        }
    }
}

}  // namespace belay::governance

#pragma once
// Whether one meter admits a request, and what to say when it does not. For the governor, who
// locks, takes and gives back.
#include <cstdint>
#include <limits>
#include <string_view>

#include "governance/governor.h"
#include "governance/meter_table.h"

namespace belay::governance {

// a + b, clamped as money is; inline, since every request does it for every scope.
inline int64_t plus(int64_t a, int64_t b) {
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? add(NanoCredits{a}, NanoCredits{b}).value : sum;
}

// One counter that a request touches: a scope's, or a model's within a scope.
struct Unit {
    Meter* meter;
    const Scope* scope;
    const ModelLimit* model;
};

// What stands in the way, copied while the lock is held; its text is made afterwards.
struct Obstacle {
    const Scope* scope = nullptr;
    const ModelLimit* model = nullptr;
    const BudgetWindow* window = nullptr;
    std::string_view limit_type;
    int64_t spent = 0, reserved = 0, most = 0;  // money or premium requests
    int64_t remaining = 0;
    int64_t resets_in_ms = 0;
    int64_t resets_at_ms = 0;
    bool premium = false;
    bool blocked = false;

    [[nodiscard]] bool found() const { return scope != nullptr; }
};

struct Verdict {
    Obstacle obstacle;
    bool later = true;  // settlements may make room
    int64_t money_left = std::numeric_limits<int64_t>::max();
};

// Begins ended windows anew on the way.
void judge_money(const Ask& ask, const Unit& unit, MeterTable& meters, Verdict& verdict);
[[nodiscard]] inline bool has_rates(const Unit& unit) {
    const Limits& limits = unit.scope->limits;
    return unit.model != nullptr || limits.rpm || limits.tpm || limits.max_parallel;
}
void judge_rates(const Ask& ask, const Unit& unit, int64_t second, Obstacle& obstacle);

// The client's words for it, and the numbers.
[[nodiscard]] Error describe(const Ask& ask, const Obstacle& obstacle);
void fill(Refusal& refusal, const Verdict& verdict);

}  // namespace belay::governance

#pragma once
// What a refused caller reads: LiteLLM's words, which clients and its own tests look for. Pure.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/money.h"
#include "governance/limits.h"

namespace belay::governance {

// US$ as Python prints a float: with a decimal point ("10.0", "0.0", "0.25").
[[nodiscard]] std::string render_cost(NanoCredits amount);
// "2026-05-31 10:04:41 UTC".
[[nodiscard]] std::string render_reset(int64_t unix_ms);

struct OverBudget {
    const Scope& scope;
    const ModelLimit* model = nullptr;     // a model's budget within the scope
    const BudgetWindow* window = nullptr;  // one of several budgets: its duration is named
    NanoCredits spent, reserved, bound, most;
};
[[nodiscard]] Error over_budget_error(const OverBudget& over, std::string_view key_alias,
                                      std::string_view asked_model);

// Premium requests, in thousandths.
[[nodiscard]] Error over_premium_error(const Scope& scope, int64_t used_milli, int64_t most_milli);

struct OverRate {
    const Scope& scope;
    const ModelLimit* model = nullptr;
    std::string_view limit_type;  // "requests", "tokens", "max_parallel_requests"
    int64_t limit = 0;
    int64_t remaining = 0;
    int64_t resets_at_ms = 0;
    int64_t resets_in_ms = 0;
};
[[nodiscard]] Error over_rate_error(const OverRate& over);

[[nodiscard]] Error blocked_customer_error(std::string_view id);

}  // namespace belay::governance

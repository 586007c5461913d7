#include "governance/judge.h"

#include <algorithm>

#include "governance/refusal_text.h"

namespace belay::governance {
namespace {

int64_t millis_of(Mono now) {
    return std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
}

int64_t reserved_by_others(const Ask& ask, const Money& money) {
    return money.beyond != nullptr && ask.now < money.beyond->fresh_until ? money.beyond->reserved
                                                                          : 0;
}

// While the shared store is away: what was left when it was last heard is divided.
int64_t part_of(const Ask& ask, Money& money, int64_t most) {
    if (ask.parts <= 1) {
        return most;
    }
    if (money.beyond == nullptr) {
        money.beyond = std::make_unique<Beyond>();
        money.beyond->heard = money.spent;
    }
    const int64_t heard = money.beyond->heard;
    return most <= heard ? most : heard + (most - heard) / ask.parts;
}

std::optional<int64_t> part_of(const Ask& ask, std::optional<int64_t> limit) {
    return ask.parts <= 1 || !limit || *limit <= 0 ? limit
                                                   : std::max<int64_t>(*limit / ask.parts, 1);
}

void judge_window(const Ask& ask, const Unit& unit, const BudgetWindow& budget, Money& money,
                  Verdict& verdict) {
    const int64_t most = part_of(ask, money, budget.most_at(ask.now_ms).value);
    const int64_t reserved = plus(money.reserved, reserved_by_others(ask, money));
    const int64_t used = plus(money.spent, reserved);
    const int64_t bound = ask.bound.value;
    verdict.money_left = std::min(verdict.money_left, std::max<int64_t>(plus(most, -used), 0));
    const bool fits = bound > 0 || budget.refuse_at_equal
                          ? plus(used, bound) <= most && !(budget.refuse_at_equal && used >= most)
                          : used <= most;
    if (fits) {
        return;
    }
    const bool later = reserved > 0 && money.spent < most;
    // The one that no waiting cures is the one to name.
    if (!verdict.obstacle.found() || (verdict.later && !later)) {
        const bool several = unit.model == nullptr && unit.scope->limits.budgets.size() > 1 &&
                             &budget != &unit.scope->limits.budgets.front();
        verdict.obstacle = {.scope = unit.scope,
                            .model = unit.model,
                            .window = several ? &budget : nullptr,
                            .limit_type = "budget",
                            .spent = money.spent,
                            .reserved = reserved,
                            .most = most,
                            .remaining = std::max<int64_t>(plus(most, -used), 0),
                            .resets_at_ms = money.reset_at_ms};
    }
    verdict.later = verdict.later && later;
}

}  // namespace

void judge_money(const Ask& ask, const Unit& unit, MeterTable& meters, Verdict& verdict) {
    Meter& meter = *unit.meter;
    const auto ready = [&](uint8_t window) -> Money& {
        if (meter.money(window).ended(ask.now_ms)) {
            meters.roll(meter, window, ask.now_ms);
        }
        return meter.money(window);
    };
    Money& main = ready(Meter::kMain);
    if (ask.free_model || !unit.scope->budgets_apply) {
        return;
    }
    if (unit.model != nullptr) {
        if (unit.model->budget) {
            judge_window(ask, unit, *unit.model->budget, main, verdict);
        }
        return;
    }
    const Limits& limits = unit.scope->limits;
    for (size_t i = 0; i < limits.budgets.size(); ++i) {
        Money& money = i == 0 ? main : ready(meter.window_of(limits.budgets, i));
        judge_window(ask, unit, limits.budgets[i], money, verdict);
    }
    if (!limits.premium_milli || ask.premium_milli <= 0) {
        return;
    }
    const bool known = main.beyond != nullptr && ask.now < main.beyond->fresh_until;
    const int64_t reserved = plus(main.premium_reserved, known ? main.beyond->premium_reserved : 0);
    const int64_t used = plus(main.premium_spent, reserved);
    if (plus(used, ask.premium_milli) <= *limits.premium_milli) {
        return;
    }
    const bool later = reserved > 0 && main.premium_spent < *limits.premium_milli;
    verdict.money_left = 0;  // a shorter answer takes no fewer premium requests
    if (!verdict.obstacle.found() || (verdict.later && !later)) {
        verdict.obstacle = {.scope = unit.scope,
                            .limit_type = "budget",
                            .spent = used,
                            .most = *limits.premium_milli,
                            .resets_at_ms = main.reset_at_ms,
                            .premium = true};
    }
    verdict.later = verdict.later && later;
}

void judge_rates(const Ask& ask, const Unit& unit, int64_t second, Obstacle& obstacle) {
    const auto rpm = part_of(ask, unit.model != nullptr ? unit.model->rpm : unit.scope->limits.rpm);
    const auto tpm = part_of(ask, unit.model != nullptr ? unit.model->tpm : unit.scope->limits.tpm);
    Meter& meter = *unit.meter;
    const auto refuse = [&](std::string_view type, int64_t limit, int64_t used,
                            int64_t resets_in_ms) {
        obstacle = {.scope = unit.scope,
                    .model = unit.model,
                    .limit_type = type,
                    .most = limit,
                    .remaining = std::max<int64_t>(limit - used, 0),
                    .resets_in_ms = resets_in_ms,
                    .resets_at_ms = ask.now_ms + resets_in_ms};
    };
    if (rpm || tpm) {
        if (meter.rate == nullptr) {
            meter.rate = std::make_unique<RateWindow>();
        }
        RateWindow& rate = *meter.rate;
        rate.advance(second);
        const auto wait = [&](RateWindow::What what, int64_t need, int64_t limit) {
            return rate.second_with_room(what, need, limit) * 1000 - millis_of(ask.now);
        };
        if (rpm && rate.requests() + 1 > *rpm) {
            return refuse("requests", *rpm, rate.requests(),
                          wait(RateWindow::What::requests, 1, *rpm));
        }
        const int64_t need = tpm ? std::min(std::max<int64_t>(ask.tokens, 1), *tpm) : 0;
        if (tpm && (*tpm == 0 || rate.tokens() > *tpm - need)) {
            return refuse("tokens", *tpm, rate.tokens(),
                          wait(RateWindow::What::tokens, need, *tpm));
        }
    }
    const auto slots = part_of(ask, unit.scope->limits.max_parallel);
    if (unit.model == nullptr && slots && meter.parallel + 1 > *slots) {
        refuse("max_parallel_requests", *slots, meter.parallel, 1000);
    }
}

Error describe(const Ask& ask, const Obstacle& o) {
    if (o.blocked) {
        return blocked_customer_error(o.scope->id);
    }
    if (o.premium) {
        return over_premium_error(*o.scope, o.spent, o.most);
    }
    if (o.limit_type == "budget") {
        return over_budget_error({.scope = *o.scope,
                                  .model = o.model,
                                  .window = o.window,
                                  .spent = {o.spent},
                                  .reserved = {o.reserved},
                                  .bound = ask.bound,
                                  .most = {o.most}},
                                 ask.caller.key_alias, ask.model);
    }
    return over_rate_error({.scope = *o.scope,
                            .model = o.model,
                            .limit_type = o.limit_type,
                            .limit = o.most,
                            .remaining = o.remaining,
                            .resets_at_ms = o.resets_at_ms,
                            .resets_in_ms = o.resets_in_ms});
}

void fill(Refusal& refusal, const Verdict& verdict) {
    const Obstacle& o = verdict.obstacle;
    refusal.scope = o.scope->kind;
    refusal.id = o.scope->id;
    refusal.model = o.model == nullptr ? std::string() : o.model->model;
    refusal.limit_type = std::string(o.limit_type);
    refusal.limit = o.most;
    refusal.remaining = o.remaining;
    refusal.resets_at_ms = o.resets_at_ms;
    const bool budget = o.limit_type == "budget";
    refusal.could_fit_later = budget && verdict.later;
    refusal.money_left = {budget ? verdict.money_left : 0};
}

}  // namespace belay::governance

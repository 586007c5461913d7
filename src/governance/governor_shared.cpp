// The governor among other instances: what it asks of the shared counters, and what it learns.
#include <algorithm>

#include "governance/governor_impl.h"

namespace belay::governance {
namespace {

// How long what others hold is taken for true; then the store is asked again.
constexpr milliseconds kFresh{20};

SharedRow row_of(SharedRow::Kind kind, const Meter& meter) {
    SharedRow row;
    row.kind = kind;
    row.scope_kind = meter.kind;
    row.id = meter.id;
    row.model = meter.model;
    return row;
}

void point_at(SharedRow& row, const Unit& unit) {
    row.scope = unit.scope;
    row.model_limit = unit.model;
}

// A seed is what the store may lack: what is known here, less what will yet be told.
void seed_money(SharedRow& row, const Money& money, uint32_t store) {
    row.seeded = true;
    // What no store has said comes from the ledger, which knows no more than all have told.
    row.heard = money.beyond->store == store || money.beyond->store == 0;
    row.seed_spent = std::max<int64_t>(money.spent - money.beyond->untold, 0);
    row.seed_premium = std::max<int64_t>(money.premium_spent - money.beyond->untold_premium, 0);
    row.generation = money.beyond->generation;
}

void seed_rates(SharedRow& row, const Meter& meter, int64_t second) {
    row.seeded = true;
    row.seed_rates.clear();
    row.seed_second = second;
    for (int64_t age = 0; age < RateWindow::kBuckets; ++age) {
        const int64_t at = second - age;
        const int64_t requests = meter.rate->requests_in(at) - meter.told->requests_in(at);
        const int64_t tokens = meter.rate->tokens_in(at) - meter.told->tokens_in(at);
        if (requests > 0 || tokens > 0) {
            row.seed_rates.push_back(
                {age, std::max<int64_t>(requests, 0), std::max<int64_t>(tokens, 0)});
        }
    }
}

SharedRow money_row(const Ask& ask, const Unit& unit, Money& money, SharedTerm term) {
    SharedRow row = row_of(SharedRow::Kind::money, *unit.meter);
    point_at(row, unit);
    row.duration = money.duration;
    row.ends_ms = money.reset_at_ms;
    row.bound = std::max<int64_t>(ask.bound.value, 0);
    row.premium = std::max<int64_t>(ask.premium_milli, 0);
    if (money.beyond == nullptr) {
        money.beyond = std::make_unique<Beyond>();
        money.beyond->heard = money.spent;
    }
    if (money.beyond->store != term.store) {
        seed_money(row, money, term.store);
    }
    return row;
}

void narrow(SharedRow& row, const BudgetWindow& budget, int64_t now_ms) {
    const int64_t most = budget.most_at(now_ms).value;
    if (row.most == SharedRow::kNone || most < row.most) {
        row.most = most;
        row.window = &budget;
    }
    row.refuse_at_equal = row.refuse_at_equal || budget.refuse_at_equal;
}

bool has_limits(const Ask& ask) {
    const auto limited = [](const Scope& scope) { return !scope.limits.empty(); };
    return std::any_of(ask.caller.scopes.begin(), ask.caller.scopes.end(), limited) ||
           (ask.customer != nullptr && limited(*ask.customer)) ||
           (ask.tags != nullptr &&
            std::any_of(ask.tags->begin(), ask.tags->end(),
                        [&](const auto& tag) { return tag != nullptr && limited(*tag); }));
}

}  // namespace

std::vector<SharedRow> Governor::shared_rows(const Ask& ask, Reservation& reservation,
                                             SharedTerm term) {
    std::vector<SharedRow> rows;
    if (reservation.state_ == nullptr || !reservation.state_->open || !has_limits(ask)) {
        return rows;
    }
    Reservation::State& state = *reservation.state_;
    const std::lock_guard lock(impl_->mutex);
    impl_->tell(state, 1);
    impl_->gather(ask, state);
    for (const Unit& unit : state.units) {
        impl_->add_rows(ask, unit, state, term, rows);
        --unit.meter->holds;  // the reservation's own keep it
    }
    state.units.clear();
    if (std::none_of(rows.begin(), rows.end(), [](const SharedRow& r) { return r.limits(); })) {
        impl_->tell(state, -1);
        return {};
    }
    std::stable_partition(rows.begin(), rows.end(),
                          [](const SharedRow& row) { return row.kind == SharedRow::Kind::money; });
    return rows;
}

// Marks the reservation's requests as told to the store, or (-1) not.
void Governor::Impl::tell(State& state, int64_t by) {
    if (state.told == (by > 0)) {
        return;
    }
    state.told = by > 0;
    for (const Hold& hold : state.holds) {
        if (!hold.counts || !hold.rated || hold.meter->rate == nullptr) {
            continue;
        }
        if (hold.meter->told == nullptr) {
            hold.meter->told = std::make_unique<RateWindow>();
        }
        hold.meter->told->advance(hold.meter->rate->head());
        hold.meter->told->correct(hold.second, by, by * hold.tokens);
    }
}

void Governor::Impl::add_rows(const Ask& ask, const Unit& unit, const State& state, SharedTerm term,
                              std::vector<SharedRow>& rows) {
    Meter& meter = *unit.meter;
    const Limits& limits = unit.scope->limits;
    const bool apply = unit.scope->budgets_apply && !ask.free_model;
    const size_t first = rows.size();
    if (unit.model != nullptr) {
        if (unit.model->budget) {
            rows.push_back(money_row(ask, unit, meter.main, term));
            if (apply) {
                narrow(rows.back(), *unit.model->budget, ask.now_ms);
            }
        }
    } else {
        for (size_t i = 0; i < limits.budgets.size(); ++i) {
            Money& money = meter.money(meter.window_of(limits.budgets, i));
            auto row =
                std::find_if(rows.begin() + static_cast<ptrdiff_t>(first), rows.end(),
                             [&](const SharedRow& r) { return r.duration == money.duration; });
            if (row == rows.end()) {
                rows.push_back(money_row(ask, unit, money, term));
                row = rows.end() - 1;
            }
            if (apply) {
                narrow(*row, limits.budgets[i], ask.now_ms);
            }
        }
        if (limits.premium_milli) {
            if (rows.size() == first) {
                rows.push_back(money_row(ask, unit, meter.main, term));
            }
            rows[first].premium_most = apply ? *limits.premium_milli : SharedRow::kNone;
        }
    }
    const auto hold = std::find_if(state.holds.begin(), state.holds.end(),
                                   [&](const Hold& h) { return h.meter == &meter && h.counts; });
    if (has_rates(unit)) {
        add_rate_row(unit, hold == state.holds.end() ? nullptr : &*hold, state, term, rows);
    }
    if (unit.model == nullptr && limits.max_parallel) {
        SharedRow row = row_of(SharedRow::Kind::slots, meter);
        point_at(row, unit);
        row.slots_most = *limits.max_parallel;
        rows.push_back(std::move(row));
    }
}

void Governor::Impl::add_rate_row(const Unit& unit, const Hold* hold, const State& state,
                                  SharedTerm term, std::vector<SharedRow>& rows) {
    Meter& meter = *unit.meter;
    const auto rpm = unit.model != nullptr ? unit.model->rpm : unit.scope->limits.rpm;
    const auto tpm = unit.model != nullptr ? unit.model->tpm : unit.scope->limits.tpm;
    if ((!rpm && !tpm) || meter.rate == nullptr || meter.told == nullptr) {
        return;
    }
    SharedRow row = row_of(SharedRow::Kind::rate, meter);
    point_at(row, unit);
    row.rpm = rpm.value_or(SharedRow::kNone);
    row.tpm = tpm.value_or(SharedRow::kNone);
    row.need = tpm ? std::min(std::max<int64_t>(state.tokens, 1), *tpm) : 0;
    row.tokens = hold == nullptr ? 0 : hold->tokens;
    row.counted_in = hold == nullptr ? 0 : hold->second;
    begin_store(meter, row, term);
    if (meter.told_in.number != term.number) {
        seed_rates(row, meter, meter.rate->head());
    }
    rows.push_back(std::move(row));
}

// Another store knows nothing but the request that is about to be told.
void Governor::Impl::begin_store(Meter& meter, const SharedRow& row, SharedTerm term) {
    if (meter.told_in.store == term.store) {
        return;
    }
    const int64_t head = meter.told->head();
    meter.told = std::make_unique<RateWindow>();
    meter.told->advance(head);
    meter.told->correct(row.counted_in, 1, row.tokens);
    meter.told_in = {0, term.store};
}

Money* Governor::Impl::money_of(const SharedRow& row) const {
    Meter* meter = meters.find(row.scope_kind, row.id, row.model);
    if (meter == nullptr) {
        return nullptr;
    }
    const auto is_it = [&](const Money& money) {
        return money.duration == row.duration && money.reset_at_ms == row.ends_ms;
    };
    if (is_it(meter->main)) {
        return &meter->main;
    }
    const auto at = std::find_if(meter->more.begin(), meter->more.end(), is_it);
    return at == meter->more.end() ? nullptr : &*at;
}

namespace {

// `own_bound`, `own_premium`: what is reserved here and not there.
void adopt_money(Money& money, const SharedState& said, int64_t own_bound, int64_t own_premium,
                 Mono now) {
    if (money.beyond == nullptr) {
        money.beyond = std::make_unique<Beyond>();
    }
    Beyond& beyond = *money.beyond;
    if (beyond.setting) {
        return;  // the store does not yet know what an administrator has set
    }
    const int64_t spent = plus(said.spent, beyond.untold);
    const int64_t premium = plus(said.premium_spent, beyond.untold_premium);
    if (beyond.generation != said.generation) {
        beyond.generation = said.generation;
        money.spent = spent;
        money.premium_spent = premium;
    } else {
        money.spent = std::max(money.spent, spent);
        money.premium_spent = std::max(money.premium_spent, premium);
    }
    beyond.heard = money.spent;
    beyond.reserved = std::max<int64_t>(said.reserved - (money.reserved - own_bound), 0);
    beyond.premium_reserved =
        std::max<int64_t>(said.premium_reserved - (money.premium_reserved - own_premium), 0);
    beyond.fresh_until = now + kFresh;
}

void adopt_rates(const SharedRow& row, const SharedState& said, RateState& rates) {
    const auto left = [](int64_t limit, int64_t used) {
        return std::max<int64_t>(limit - used, 0);
    };
    const bool of_model = !row.model.empty();
    if (of_model && row.scope_kind != ScopeKind::key) {
        return;
    }
    if (row.rpm != SharedRow::kNone) {
        (of_model ? rates.model_remaining_requests : rates.remaining_requests) =
            left(row.rpm, said.requests);
    }
    if (row.tpm != SharedRow::kNone) {
        (of_model ? rates.model_remaining_tokens : rates.remaining_tokens) =
            left(row.tpm, said.tokens);
    }
}

}  // namespace

void Governor::adopt(const std::vector<SharedRow>& rows, const SharedAnswer& answer,
                     SharedTerm term, Mono now, Reservation* reservation) {
    const std::lock_guard lock(impl_->mutex);
    const std::vector<SharedState>& states = answer.states;
    const bool refused = answer.verdict == SharedAnswer::Verdict::refused;
    bool told_rates = false;
    for (size_t i = 0; i < rows.size() && i < states.size(); ++i) {
        const SharedRow& row = rows[i];
        if (row.kind == SharedRow::Kind::money) {
            Money* money = impl_->money_of(row);
            // What was heard from another store is told to this one before anything is heard.
            const bool untold = reservation == nullptr && money != nullptr &&
                                money->beyond != nullptr && money->beyond->store != term.store;
            if (money != nullptr && !untold) {
                adopt_money(*money, states[i], refused ? row.bound : 0, refused ? row.premium : 0,
                            now);
                money->beyond->store = term.store;
            }
            continue;
        }
        if (row.kind != SharedRow::Kind::rate) {
            continue;
        }
        Meter* meter = impl_->meters.find(row.scope_kind, row.id, row.model);
        if (meter != nullptr && meter->told != nullptr && row.seeded &&
            meter->told_in.number != term.number) {
            for (const auto& bucket : row.seed_rates) {
                meter->told->correct(row.seed_second - bucket.age, bucket.requests, bucket.tokens);
            }
            meter->told_in.number = term.number;
        }
        // The reply's headers speak of the first scope that has limits.
        if (reservation != nullptr && reservation->state_ != nullptr &&
            (!row.model.empty() || !std::exchange(told_rates, true))) {
            adopt_rates(row, states[i], reservation->state_->rates);
        }
    }
}

void Governor::untell(Reservation& reservation) {
    if (reservation.state_ != nullptr && reservation.state_->open) {
        const std::lock_guard lock(impl_->mutex);
        Impl::tell(*reservation.state_, -1);
    }
}

void Governor::owe(const std::vector<SharedRow>& rows, const SharedUse& use) {
    const std::lock_guard lock(impl_->mutex);
    for (const SharedRow& row : rows) {
        Money* money = row.kind == SharedRow::Kind::money ? impl_->money_of(row) : nullptr;
        if (money != nullptr && money->beyond != nullptr) {
            money->beyond->untold = plus(money->beyond->untold, use.cost);
            money->beyond->untold_premium += use.premium;
        }
    }
}

void Governor::paid(const std::vector<SharedRow>& rows, const SharedUse& use, SharedTerm term) {
    const std::lock_guard lock(impl_->mutex);
    for (const SharedRow& row : rows) {
        Money* money = row.kind == SharedRow::Kind::money ? impl_->money_of(row) : nullptr;
        if (money != nullptr && money->beyond != nullptr) {
            money->beyond->untold = std::max<int64_t>(money->beyond->untold - use.cost, 0);
            money->beyond->untold_premium =
                std::max<int64_t>(money->beyond->untold_premium - use.premium, 0);
            money->beyond->store = term.store;  // what was known here went along
        }
    }
}

void Governor::seed_money_of(std::vector<SharedRow>& rows, SharedTerm term) {
    const std::lock_guard lock(impl_->mutex);
    for (SharedRow& row : rows) {
        Money* money = row.kind == SharedRow::Kind::money ? impl_->money_of(row) : nullptr;
        if (money != nullptr && money->beyond != nullptr) {
            seed_money(row, *money, term.store);
        } else if (row.kind == SharedRow::Kind::money) {
            row.seeded = true;  // a window that is over here: what the row brings is all there is
        }
    }
}

void Governor::Impl::set_everywhere(const Meter& meter, Money& money) {
    if (money.beyond == nullptr) {
        money.beyond = std::make_unique<Beyond>();
    }
    money.beyond->setting = true;
    money.beyond->untold = money.beyond->untold_premium = 0;
    money.beyond->heard = money.spent;
    SharedSpend one{row_of(SharedRow::Kind::money, meter), money.spent};
    one.row.duration = money.duration;
    one.row.ends_ms = money.reset_at_ms;
    set.push_back(std::move(one));
}

void Governor::seed(std::vector<SharedRow>& rows, SharedTerm term) {
    seed_money_of(rows, term);
    const std::lock_guard lock(impl_->mutex);
    for (SharedRow& row : rows) {
        Meter* meter = row.kind == SharedRow::Kind::rate
                           ? impl_->meters.find(row.scope_kind, row.id, row.model)
                           : nullptr;
        if (meter != nullptr && meter->rate != nullptr && meter->told != nullptr) {
            Impl::begin_store(*meter, row, term);
            seed_rates(row, *meter, meter->rate->head());
        }
    }
}

std::vector<SharedRow> Governor::spent_by_ledger(const std::vector<Spent>& spent) {
    std::vector<SharedRow> rows;
    const std::lock_guard lock(impl_->mutex);
    for (const Spent& one : spent) {
        Meter* meter = impl_->meters.find(one.kind, one.id, one.model);
        const Money* money = meter == nullptr ? nullptr : &meter->main;
        if (money == nullptr || money->beyond == nullptr || money->beyond->setting ||
            !one.duration.empty()) {
            continue;
        }
        SharedRow row = row_of(SharedRow::Kind::money, *meter);
        row.duration = money->duration;
        row.ends_ms = money->reset_at_ms;
        row.seed_spent = std::max<int64_t>(one.amount.value - money->beyond->untold, 0);
        row.seed_premium = std::max<int64_t>(one.premium_milli - money->beyond->untold_premium, 0);
        row.generation = money->beyond->generation;
        rows.push_back(std::move(row));
    }
    return rows;
}

void Governor::share() {
    const std::lock_guard lock(impl_->mutex);
    impl_->shares = true;
}

void Governor::set_done(const SharedRow& row, int64_t generation) {
    const std::lock_guard lock(impl_->mutex);
    if (Money* money = impl_->money_of(row); money != nullptr && money->beyond != nullptr) {
        money->beyond->setting = false;
        money->beyond->generation = generation;
    }
}

void Governor::set_again(SharedSpend one) {
    const std::lock_guard lock(impl_->mutex);
    impl_->set.push_back(std::move(one));
}

std::vector<SharedSpend> Governor::take_set() {
    const std::lock_guard lock(impl_->mutex);
    return std::exchange(impl_->set, {});
}

Error Governor::describe_shared(const Ask& ask, const SharedRow& row, const SharedAnswer& answer,
                                Refusal* refusal) {
    const SharedState& said = answer.states[answer.row];
    Verdict verdict;
    Obstacle& o = verdict.obstacle;
    o.scope = row.scope;
    o.model = row.model_limit;
    o.limit_type = answer.refused_by;
    o.resets_in_ms = said.wait_ms;
    o.resets_at_ms = ask.now_ms + said.wait_ms;
    const auto limit = [&](int64_t most, int64_t used) {
        o.most = most;
        o.remaining = std::max<int64_t>(most - used, 0);
    };
    if (answer.refused_by == "requests") {
        limit(row.rpm, said.requests);
    } else if (answer.refused_by == "tokens") {
        limit(row.tpm, said.tokens);
    } else if (answer.refused_by == "max_parallel_requests") {
        limit(row.slots_most, said.slots);
        o.resets_in_ms = 1000;
    } else {
        o.premium = answer.refused_by == "premium";
        o.limit_type = "budget";
        o.window = row.window;
        o.spent = o.premium ? plus(said.premium_spent, said.premium_reserved) : said.spent;
        o.reserved = said.reserved;
        o.most = o.premium ? row.premium_most : row.most;
        o.resets_at_ms = row.ends_ms;
        verdict.money_left = 0;
    }
    if (refusal != nullptr) {
        fill(*refusal, verdict);
        refusal->could_fit_later = false;
    }
    return describe(ask, o);
}

}  // namespace belay::governance

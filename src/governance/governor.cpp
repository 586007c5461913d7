#include "governance/governor.h"

#include <algorithm>

#include "governance/duration.h"
#include "governance/governor_impl.h"

namespace belay::governance {
namespace {

constexpr size_t kMostStatesKept = 256;  // by each thread
constexpr size_t kKeptStep = 4096;
constexpr int64_t kWindowMs = 60'000;

}  // namespace

// --- Taking and giving back ---

void Governor::Impl::gather_scope(const Ask& ask, const Scope& scope, State& state) {
    Meter* meter = meters.meter_of(scope, ask.now_ms);
    ++meter->holds;  // from here on nothing drops it
    state.units.push_back({meter, &scope, nullptr});
    for (const ModelLimit& limit : scope.limits.models) {
        if (matches_model(limit.model, ask.model)) {
            Meter* of_model = meters.meter_of(scope, limit, ask.now_ms);
            ++of_model->holds;
            state.units.push_back({of_model, &scope, &limit});
        }
    }
}

void Governor::Impl::gather(const Ask& ask, State& state) {
    for (const Scope& scope : ask.caller.scopes) {
        gather_scope(ask, scope, state);
    }
    if (ask.customer != nullptr) {
        gather_scope(ask, *ask.customer, state);
    }
    if (ask.tags == nullptr) {
        return;
    }
    for (const auto& tag : *ask.tags) {
        const bool counted =
            tag == nullptr ||
            std::any_of(state.units.begin(), state.units.end(), [&](const Unit& u) {
                return u.scope->kind == ScopeKind::tag && u.scope->id == tag->id;
            });
        if (!counted) {
            gather_scope(ask, *tag, state);
        }
    }
}

void Governor::Impl::take_unit(const Unit& unit, State& state) {
    Meter& meter = *unit.meter;
    Hold hold;
    hold.meter = &meter;
    hold.epoch = meter.main.epoch;
    hold.counts = true;
    ++meter.parallel;
    meter.main.reserved = plus(meter.main.reserved, state.bound);
    meter.main.premium_reserved += state.premium;
    if (meter.rate != nullptr) {
        meter.rate->advance(state.second);
        const auto tpm = unit.model != nullptr ? unit.model->tpm : unit.scope->limits.tpm;
        hold.tokens = tpm ? std::min(state.tokens, *tpm) : state.tokens;
        hold.rated = true;
        hold.second = meter.rate->add(1, hold.tokens);
    }
    state.holds.push_back(hold);
    if (unit.model != nullptr) {
        return;
    }
    for (size_t i = 1; i < unit.scope->limits.budgets.size(); ++i) {
        const uint8_t window = meter.window_of(unit.scope->limits.budgets, i);
        const bool held = window == Meter::kMain ||
                          std::any_of(state.holds.begin(), state.holds.end(), [&](const Hold& h) {
                              return h.meter == &meter && h.window == window;
                          });
        if (!held) {
            Money& money = meter.more[window];
            money.reserved = plus(money.reserved, state.bound);
            state.holds.push_back({.meter = &meter, .epoch = money.epoch, .window = window});
        }
    }
}

void Governor::Impl::take(State& state) {
    bool rates_told = false;
    for (const Unit& unit : state.units) {
        take_unit(unit, state);
        if (unit.scope->kind == ScopeKind::key && unit.model == nullptr) {
            state.key_spend = {unit.meter->main.spent};
        }
        tell_rates(unit, state.rates, rates_told);
    }
}

// What is left, for the reply's headers: of the first scope that has limits, and of the key's
// limits for the model.
void Governor::Impl::tell_rates(const Unit& unit, RateState& rates, bool& told) {
    const auto left = [](int64_t limit, int64_t used) {
        return std::max<int64_t>(limit - used, 0);
    };
    if (unit.model != nullptr) {
        const RateWindow* rate = unit.meter->rate.get();
        if (unit.scope->kind != ScopeKind::key || rate == nullptr) {
            return;
        }
        if (unit.model->rpm) {
            rates.model_remaining_requests = left(*unit.model->rpm, rate->requests());
        }
        if (unit.model->tpm) {
            rates.model_remaining_tokens = left(*unit.model->tpm, rate->tokens());
        }
        return;
    }
    const Limits& limits = unit.scope->limits;
    if (told || (!limits.rpm && !limits.tpm)) {
        return;
    }
    told = true;
    const RateWindow& rate = *unit.meter->rate;
    rates.resets_in_ms = kWindowMs;
    if (limits.rpm) {
        rates.limit_requests = *limits.rpm;
        rates.remaining_requests = left(*limits.rpm, rate.requests());
    }
    if (limits.tpm) {
        rates.limit_tokens = *limits.tpm;
        rates.remaining_tokens = left(*limits.tpm, rate.tokens());
    }
}

void Governor::Impl::give_back(State& state, NanoCredits cost, int64_t tokens, int64_t premium) {
    for (const Hold& hold : state.holds) {
        Meter& meter = *hold.meter;
        Money& money = meter.money(hold.window);
        if (money.epoch == hold.epoch) {
            money.reserved -= state.bound;
            money.spent = plus(money.spent, cost.value);
            if (hold.counts) {
                money.premium_reserved -= state.premium;
                money.premium_spent = plus(money.premium_spent, premium);
            }
        }
        if (!hold.counts) {
            continue;
        }
        meter.remembers = meter.remembers || cost.value != 0 || premium != 0;
        --meter.parallel;
        --meter.holds;
        if (hold.rated && meter.rate != nullptr && tokens != hold.tokens) {
            meter.rate->correct_tokens(hold.second, tokens - hold.tokens);
            if (state.told && meter.told != nullptr) {
                meter.told->correct_tokens(hold.second, tokens - hold.tokens);
            }
        }
    }
    state.holds.clear();
    state.open = false;
}

void Governor::Impl::undo(State& state) {
    tell(state, -1);
    for (const Hold& hold : state.holds) {
        if (hold.counts && hold.rated && hold.meter->rate != nullptr) {
            hold.meter->rate->correct(hold.second, -1, 0);  // its tokens go with the rest
        }
    }
    give_back(state, {}, 0, 0);
}

std::unique_ptr<Reservation::State> Governor::Impl::new_state() {
    auto& states = kept_states();
    if (states.empty()) {
        return std::make_unique<State>();
    }
    std::unique_ptr<State> state = std::move(states.back());
    states.pop_back();
    return state;
}

void Governor::Impl::keep_state(std::unique_ptr<State> state) {
    auto& states = kept_states();
    if (states.size() < kMostStatesKept) {
        states.push_back(std::move(state));
    }
}

// --- Reservation ---

Reservation::Reservation() noexcept = default;
Reservation::Reservation(StatePtr state) noexcept : state_(std::move(state)) {}
Reservation::Reservation(Reservation&&) noexcept = default;
Reservation& Reservation::operator=(Reservation&&) noexcept = default;
Reservation::~Reservation() = default;

void Reservation::Return::operator()(State* state) const {
    std::unique_ptr<State> owned(state);
    if (owned->open) {
        const std::lock_guard lock(owned->owner->mutex);
        Governor::Impl::give_back(*owned, {}, 0, 0);
    }
    Governor::Impl::keep_state(std::move(owned));
}

void Reservation::settle(NanoCredits cost, int64_t tokens, int64_t premium_milli) {
    if (state_ == nullptr || !state_->open) {
        return;
    }
    const std::lock_guard lock(state_->owner->mutex);
    Governor::Impl::give_back(*state_, cost, std::max<int64_t>(tokens, 0),
                              std::max<int64_t>(premium_milli, 0));
}

void Reservation::undo() {
    if (state_ != nullptr && state_->open) {
        const std::lock_guard lock(state_->owner->mutex);
        Governor::Impl::undo(*state_);
    }
}

NanoCredits Reservation::held() const {
    return {state_ != nullptr && state_->open ? state_->bound : 0};
}

const RateState& Reservation::rates() const {
    static const RateState kNone;
    return state_ == nullptr ? kNone : state_->rates;
}

NanoCredits Reservation::key_spend() const {
    return state_ == nullptr ? NanoCredits() : state_->key_spend;
}

// --- Governor ---

Governor::Governor() : impl_(std::make_unique<Impl>()) {}
Governor::~Governor() = default;

Result<Reservation> Governor::reserve(const Ask& ask, Refusal* refusal) {
    if (ask.caller.scopes.empty() && ask.customer == nullptr && ask.tags == nullptr) {
        return Reservation();
    }
    Verdict verdict;
    if (ask.customer != nullptr && ask.customer->blocked) {
        verdict.obstacle = {.scope = ask.customer, .limit_type = "blocked", .blocked = true};
    } else {
        std::unique_ptr<Reservation::State> state = Impl::new_state();
        state->owner = impl_.get();
        state->bound = std::max<int64_t>(ask.bound.value, 0);
        state->tokens = std::max<int64_t>(ask.tokens, 0);
        state->premium = std::max<int64_t>(ask.premium_milli, 0);
        state->second = second_of(ask.now);
        state->key_spend = {};
        state->rates = {};
        state->told = false;
        const std::lock_guard lock(impl_->mutex);
        impl_->gather(ask, *state);
        for (const Unit& unit : state->units) {
            judge_money(ask, unit, impl_->meters, verdict);
        }
        if (!verdict.obstacle.found()) {
            for (const Unit& unit : state->units) {
                if (has_rates(unit)) {
                    judge_rates(ask, unit, state->second, verdict.obstacle);
                }
                if (verdict.obstacle.found()) {
                    break;
                }
            }
        }
        if (!verdict.obstacle.found()) {
            Impl::take(*state);
            state->units.clear();
            state->open = true;
            return Reservation(Reservation::StatePtr(state.release()));
        }
        for (const Unit& unit : state->units) {
            --unit.meter->holds;
        }
        state->units.clear();
        Impl::keep_state(std::move(state));
    }
    if (refusal != nullptr) {
        fill(*refusal, verdict);
    }
    return describe(ask, verdict.obstacle);
}

void Governor::know(const Scope& scope, int64_t now_ms) {
    const std::lock_guard lock(impl_->mutex);
    (void)impl_->meters.meter_of(scope, now_ms);
    for (const ModelLimit& limit : scope.limits.models) {
        (void)impl_->meters.meter_of(scope, limit, now_ms);
    }
}

void Governor::set_spent(const std::vector<Spent>& spent) {
    const std::lock_guard lock(impl_->mutex);
    for (const Spent& one : spent) {
        bool made = false;
        Meter& meter = *impl_->meters.find_or_make(one.kind, one.id, one.model, made);
        meter.remembers = true;
        Money* money = &meter.main;
        if (!one.duration.empty() && one.duration != meter.main.duration) {
            const std::vector<BudgetWindow> budgets = {{}, {.most = {}, .duration = one.duration}};
            money = &meter.money(meter.window_of(budgets, 1));
        }
        // A new key begins with nothing, as everywhere: there is nothing to tell.
        const bool changes = money->beyond != nullptr || money->spent != one.amount.value;
        money->spent = one.amount.value;
        money->premium_spent = one.premium_milli;
        if (impl_->shares && changes) {
            impl_->set_everywhere(meter, *money);
        }
    }
}

void Governor::add_spent(const std::vector<Spent>& more) {
    const std::lock_guard lock(impl_->mutex);
    for (const Spent& one : more) {
        bool made = false;
        Meter& meter = *impl_->meters.find_or_make(one.kind, one.id, one.model, made);
        meter.remembers = true;
        const auto charge = [&one](Money& money) {
            if (money.beyond != nullptr && money.beyond->store != 0) {
                return;  // the shared counters tell what others charge
            }
            money.spent = add(NanoCredits{money.spent}, one.amount).value;
            money.premium_spent += one.premium_milli;
        };
        charge(meter.main);
        std::for_each(meter.more.begin(), meter.more.end(), charge);
    }
}

std::vector<Spent> Governor::list_spent(size_t& from) const {
    constexpr size_t kAtOnce = 1024;
    const std::lock_guard lock(impl_->mutex);
    const size_t end = std::min(from + kAtOnce, impl_->meters.slots());
    std::vector<Spent> spent;
    for (; from < end; ++from) {
        const Meter* meter = impl_->meters.at(from);
        if (meter == nullptr) {
            continue;
        }
        const auto list = [&](const Money& money, const std::string& duration) {
            if (money.spent != 0 || money.premium_spent != 0) {
                spent.push_back({meter->kind,
                                 meter->id,
                                 meter->model,
                                 {money.spent},
                                 money.premium_spent,
                                 duration});
            }
        };
        list(meter->main, {});
        for (const Money& money : meter->more) {
            list(money, money.duration);
        }
    }
    from = from >= impl_->meters.slots() ? 0 : from;
    return spent;
}

Governor::Standing Governor::standing(ScopeKind kind, std::string_view id,
                                      std::string_view model) const {
    const std::lock_guard lock(impl_->mutex);
    const Meter* meter = impl_->meters.find(kind, id, model);
    if (meter == nullptr) {
        return {};
    }
    return {{meter->main.spent}, {meter->main.reserved}, meter->parallel};
}

Governor::Minute Governor::minute(ScopeKind kind, std::string_view id, std::string_view model,
                                  Mono now) const {
    const std::lock_guard lock(impl_->mutex);
    const Meter* meter = impl_->meters.find(kind, id, model);
    if (meter == nullptr || meter->rate == nullptr) {
        return {};
    }
    meter->rate->advance(second_of(now));
    return {meter->rate->requests(), meter->rate->tokens()};
}

std::vector<Governor::Reset> Governor::reset_ended(int64_t now_ms, Mono now) {
    const int64_t second = second_of(now);
    size_t next = 0;
    while (true) {  // requests get their turn between the steps
        const std::lock_guard lock(impl_->mutex);
        const size_t until = std::min(next + kKeptStep, impl_->meters.slots());
        for (; next < until; ++next) {
            impl_->meters.keep_up(next, now_ms, second);
        }
        if (next >= impl_->meters.slots()) {
            return impl_->meters.take_resets();
        }
    }
}

void Governor::forget(ScopeKind kind, std::string_view id) {
    const std::lock_guard lock(impl_->mutex);
    impl_->meters.forget(kind, id);
}

void Governor::set_zone(std::string_view iana) {
    // Reads the zone's file here, not under the lock.
    (void)window_end("1d", 0, iana);
    const std::lock_guard lock(impl_->mutex);
    impl_->meters.set_zone(iana);
}

size_t Governor::size() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->meters.size();
}

}  // namespace belay::governance

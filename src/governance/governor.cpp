#include "governance/governor.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "governance/duration.h"
#include "governance/meter.h"
#include "governance/refusal_text.h"

namespace belay::governance {
namespace {

constexpr size_t kMostMeters = size_t{1} << 20;
constexpr size_t kMostStatesKept = 256;  // by each thread
constexpr size_t kEvictionSteps = 64;
constexpr size_t kKeptStep = 4096;
constexpr int64_t kWindowMs = 60'000;
constexpr int kIndexBits = 24;  // of a MeterHint; the stamp above it
constexpr uint64_t kIndexMask = (uint64_t{1} << kIndexBits) - 1;

// Unique over all governors, so that a hint of one is never taken for another's.
uint64_t next_stamp() {
    static std::atomic<uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// a + b, clamped as money is; inline, since every request does it for every scope.
inline int64_t plus(int64_t a, int64_t b) {
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? add(NanoCredits{a}, NanoCredits{b}).value : sum;
}

int64_t second_of(Mono now) {
    return std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
}

int64_t millis_of(Mono now) {
    return std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
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

// One counter that a request touches: a scope's, or a model's within a scope.
struct Hold {
    Meter* meter = nullptr;
    int64_t tokens = 0;  // that it holds: at most the whole limit
    int64_t second = 0;  // where they are counted
    uint32_t epoch = 0;
    uint8_t window = Meter::kMain;
    bool counts = false;  // the meter's first hold: requests, tokens and slots are counted by it
    bool rated = false;
};

// The same while it is being judged.
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

}  // namespace

struct Reservation::State {
    Governor::Impl* owner = nullptr;
    bool open = false;
    int64_t bound = 0;
    int64_t tokens = 0;
    int64_t premium = 0;
    int64_t second = 0;
    NanoCredits key_spend;
    RateState rates;
    std::vector<Unit> units;
    std::vector<Hold> holds;
};

struct Governor::Impl {
    using State = Reservation::State;

    mutable std::mutex mutex;  // all of it
    std::vector<std::unique_ptr<Meter>> meters;
    std::vector<uint32_t> free_slots;
    std::unordered_map<std::string, uint32_t> by_name;
    std::vector<Reset> resets;  // not yet told
    std::string zone = "UTC";
    size_t clock_hand = 0;

    // Finding.
    Meter* find(ScopeKind kind, std::string_view id, std::string_view model) const;
    Meter* find_or_make(ScopeKind kind, std::string_view id, std::string_view model, bool& made);
    Meter* meter_of(const Scope& scope, int64_t now_ms);
    Meter* meter_of(const Scope& scope, const ModelLimit& limit, int64_t now_ms);
    uint32_t index_of(const Meter& meter) const;
    void make_room();
    void drop(uint32_t index);
    void keep_up(size_t index, int64_t now_ms, int64_t second);

    // Judging and taking.
    void gather(const Ask& ask, State& state);
    void gather_scope(const Ask& ask, const Scope& scope, State& state);
    void roll(Meter& meter, uint8_t window, int64_t now_ms);
    void judge_money(const Ask& ask, const Unit& unit, Verdict& verdict);
    void judge_window(const Ask& ask, const Unit& unit, const BudgetWindow& budget, Money& money,
                      Verdict& verdict);
    void judge_rates(const Ask& ask, const Unit& unit, int64_t second, Obstacle& obstacle);
    void take(State& state);
    void take_unit(const Unit& unit, State& state);
    static void tell_rates(const Unit& unit, RateState& rates, bool& told);
    void give_back(State& state, NanoCredits cost, int64_t tokens, int64_t premium);

    // The thread's states, to be used again with the memory of their lists.
    static std::vector<std::unique_ptr<State>>& kept_states() {
        thread_local std::vector<std::unique_ptr<State>> states;
        return states;
    }
    static std::unique_ptr<State> new_state();
    static void keep_state(std::unique_ptr<State> state);
};

// --- Finding ---

Meter* Governor::Impl::find(ScopeKind kind, std::string_view id, std::string_view model) const {
    const auto at = by_name.find(meter_name(kind, id, model));
    return at == by_name.end() ? nullptr : meters[at->second].get();
}

Meter* Governor::Impl::find_or_make(ScopeKind kind, std::string_view id, std::string_view model,
                                    bool& made) {
    if (Meter* known = find(kind, id, model)) {
        made = false;
        return known;
    }
    if (by_name.size() >= kMostMeters) {
        make_room();
    }
    made = true;
    uint32_t index = 0;
    if (free_slots.empty()) {
        index = static_cast<uint32_t>(meters.size());
        meters.emplace_back();
    } else {
        index = free_slots.back();
        free_slots.pop_back();
    }
    meters[index] = std::make_unique<Meter>();
    Meter* meter = meters[index].get();
    meter->kind = kind;
    meter->id = std::string(id);
    meter->model = std::string(model);
    meter->stamp = next_stamp();
    by_name.emplace(meter_name(kind, id, model), index);
    return meter;
}

uint32_t Governor::Impl::index_of(const Meter& meter) const {
    return by_name.find(meter_name(meter.kind, meter.id, meter.model))->second;
}

Meter* Governor::Impl::meter_of(const Scope& scope, int64_t now_ms) {
    const uint64_t hint = scope.meter.load();
    if (const uint64_t index = hint & kIndexMask; index < meters.size()) {
        Meter* meter = meters[index].get();
        if (meter != nullptr && meter->stamp == hint >> kIndexBits) {
            return meter;
        }
    }
    bool made = false;
    Meter* meter = find_or_make(scope.kind, scope.id, {}, made);
    if (made) {
        meter->main.spent = scope.spent_before.value;
        meter->remembers = scope.spent_before.value != 0;
    }
    if (scope.made >= meter->made) {
        meter->made = scope.made;
        meter->forgotten = false;
        meter->adopt(scope.limits.budgets, now_ms, zone);
    }
    scope.meter.store(meter->stamp << kIndexBits | index_of(*meter));
    return meter;
}

Meter* Governor::Impl::meter_of(const Scope& scope, const ModelLimit& limit, int64_t now_ms) {
    const uint64_t hint = limit.meter.load();
    if (const uint64_t index = hint & kIndexMask; index < meters.size()) {
        Meter* meter = meters[index].get();
        if (meter != nullptr && meter->stamp == hint >> kIndexBits) {
            return meter;
        }
    }
    bool made = false;
    Meter* meter = find_or_make(scope.kind, scope.id, limit.model, made);
    if (scope.made >= meter->made) {
        meter->made = scope.made;
        meter->forgotten = false;
        meter->main.adopt(limit.budget.value_or(BudgetWindow()), now_ms, zone);
    }
    limit.meter.store(meter->stamp << kIndexBits | index_of(*meter));
    return meter;
}

// Of the scopes that requests can make up, one that is idle gives way.
void Governor::Impl::make_room() {
    const auto made_up = [](const Meter& meter) {
        return meter.kind == ScopeKind::customer || meter.kind == ScopeKind::tag;
    };
    for (size_t step = 0; step < kEvictionSteps && !meters.empty(); ++step) {
        clock_hand = (clock_hand + 1) % meters.size();
        const Meter* meter = meters[clock_hand].get();
        if (meter != nullptr && meter->holds == 0 && (made_up(*meter) || !meter->remembers)) {
            drop(static_cast<uint32_t>(clock_hand));
            return;
        }
    }
}

void Governor::Impl::drop(uint32_t index) {
    const Meter& meter = *meters[index];
    by_name.erase(meter_name(meter.kind, meter.id, meter.model));
    meters[index].reset();
    free_slots.push_back(index);
}

// Begins the windows that have ended, and drops the meter when nothing is lost without it.
void Governor::Impl::keep_up(size_t index, int64_t now_ms, int64_t second) {
    Meter* meter = meters[index].get();
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
        drop(static_cast<uint32_t>(index));
    }
}

// --- Judging ---

void Governor::Impl::roll(Meter& meter, uint8_t window, int64_t now_ms) {
    Money& money = meter.money(window);
    const NanoCredits cleared{money.spent};
    money.reset(now_ms, zone);
    resets.push_back({.kind = meter.kind,
                      .id = meter.id,
                      .cleared = cleared,
                      .model = meter.model,
                      .duration = money.duration,
                      .main = window == Meter::kMain,
                      .reset_at_ms = money.reset_at_ms});
}

void Governor::Impl::gather_scope(const Ask& ask, const Scope& scope, State& state) {
    Meter* meter = meter_of(scope, ask.now_ms);
    ++meter->holds;  // from here on nothing drops it
    state.units.push_back({meter, &scope, nullptr});
    for (const ModelLimit& limit : scope.limits.models) {
        if (matches_model(limit.model, ask.model)) {
            Meter* of_model = meter_of(scope, limit, ask.now_ms);
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

void Governor::Impl::judge_window(const Ask& ask, const Unit& unit, const BudgetWindow& budget,
                                  Money& money, Verdict& verdict) {
    const int64_t most = budget.most_at(ask.now_ms).value;
    const int64_t used = plus(money.spent, money.reserved);
    const int64_t bound = ask.bound.value;
    verdict.money_left = std::min(verdict.money_left, std::max<int64_t>(plus(most, -used), 0));
    const bool fits = bound > 0 || budget.refuse_at_equal
                          ? plus(used, bound) <= most && !(budget.refuse_at_equal && used >= most)
                          : used <= most;
    if (fits) {
        return;
    }
    const bool later = money.reserved > 0 && money.spent < most;
    // The one that no waiting cures is the one to name.
    if (!verdict.obstacle.found() || (verdict.later && !later)) {
        const bool several = unit.model == nullptr && unit.scope->limits.budgets.size() > 1 &&
                             &budget != &unit.scope->limits.budgets.front();
        verdict.obstacle = {.scope = unit.scope,
                            .model = unit.model,
                            .window = several ? &budget : nullptr,
                            .limit_type = "budget",
                            .spent = money.spent,
                            .reserved = money.reserved,
                            .most = most,
                            .remaining = std::max<int64_t>(plus(most, -used), 0),
                            .resets_at_ms = money.reset_at_ms};
    }
    verdict.later = verdict.later && later;
}

void Governor::Impl::judge_money(const Ask& ask, const Unit& unit, Verdict& verdict) {
    Meter& meter = *unit.meter;
    const auto ready = [&](uint8_t window) -> Money& {
        if (meter.money(window).ended(ask.now_ms)) {
            roll(meter, window, ask.now_ms);
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
    const int64_t used = plus(main.premium_spent, main.premium_reserved);
    if (plus(used, ask.premium_milli) <= *limits.premium_milli) {
        return;
    }
    const bool later = main.premium_reserved > 0 && main.premium_spent < *limits.premium_milli;
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

void Governor::Impl::judge_rates(const Ask& ask, const Unit& unit, int64_t second,
                                 Obstacle& obstacle) {
    const auto rpm = unit.model != nullptr ? unit.model->rpm : unit.scope->limits.rpm;
    const auto tpm = unit.model != nullptr ? unit.model->tpm : unit.scope->limits.tpm;
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
    if (unit.model == nullptr && unit.scope->limits.max_parallel &&
        meter.parallel + 1 > *unit.scope->limits.max_parallel) {
        refuse("max_parallel_requests", *unit.scope->limits.max_parallel, meter.parallel, 1000);
    }
}

// --- Taking and giving back ---

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
        }
    }
    state.holds.clear();
    state.open = false;
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
        owned->owner->give_back(*owned, {}, 0, 0);
    }
    Governor::Impl::keep_state(std::move(owned));
}

void Reservation::settle(NanoCredits cost, int64_t tokens, int64_t premium_milli) {
    if (state_ == nullptr || !state_->open) {
        return;
    }
    const std::lock_guard lock(state_->owner->mutex);
    state_->owner->give_back(*state_, cost, std::max<int64_t>(tokens, 0),
                             std::max<int64_t>(premium_milli, 0));
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

namespace {

Error error_of(const Ask& ask, const Obstacle& o) {
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

}  // namespace

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
        const std::lock_guard lock(impl_->mutex);
        impl_->gather(ask, *state);
        for (const Unit& unit : state->units) {
            impl_->judge_money(ask, unit, verdict);
        }
        if (!verdict.obstacle.found()) {
            for (const Unit& unit : state->units) {
                impl_->judge_rates(ask, unit, state->second, verdict.obstacle);
                if (verdict.obstacle.found()) {
                    break;
                }
            }
        }
        if (!verdict.obstacle.found()) {
            impl_->take(*state);
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
    return error_of(ask, verdict.obstacle);
}

void Governor::know(const Scope& scope, int64_t now_ms) {
    const std::lock_guard lock(impl_->mutex);
    (void)impl_->meter_of(scope, now_ms);
    for (const ModelLimit& limit : scope.limits.models) {
        (void)impl_->meter_of(scope, limit, now_ms);
    }
}

void Governor::set_spent(const std::vector<Spent>& spent) {
    const std::lock_guard lock(impl_->mutex);
    for (const Spent& one : spent) {
        bool made = false;
        Meter& meter = *impl_->find_or_make(one.kind, one.id, one.model, made);
        meter.remembers = true;
        Money* money = &meter.main;
        if (!one.duration.empty() && one.duration != meter.main.duration) {
            const std::vector<BudgetWindow> budgets = {{}, {.most = {}, .duration = one.duration}};
            money = &meter.money(meter.window_of(budgets, 1));
        }
        money->spent = one.amount.value;
        money->premium_spent = one.premium_milli;
    }
}

Governor::Standing Governor::standing(ScopeKind kind, std::string_view id,
                                      std::string_view model) const {
    const std::lock_guard lock(impl_->mutex);
    const Meter* meter = impl_->find(kind, id, model);
    if (meter == nullptr) {
        return {};
    }
    return {{meter->main.spent}, {meter->main.reserved}, meter->parallel};
}

std::vector<Governor::Reset> Governor::reset_ended(int64_t now_ms, Mono now) {
    const int64_t second = second_of(now);
    size_t next = 0;
    while (true) {  // requests get their turn between the steps
        const std::lock_guard lock(impl_->mutex);
        const size_t until = std::min(next + kKeptStep, impl_->meters.size());
        for (; next < until; ++next) {
            impl_->keep_up(next, now_ms, second);
        }
        if (next >= impl_->meters.size()) {
            return std::exchange(impl_->resets, {});
        }
    }
}

void Governor::forget(ScopeKind kind, std::string_view id) {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& meter : impl_->meters) {
        if (meter != nullptr && meter->kind == kind && meter->id == id) {
            meter->forgotten = true;
        }
    }
}

void Governor::set_zone(std::string_view iana) {
    // Reads the zone's file here, not under the lock.
    (void)window_end("1d", 0, iana);
    const std::lock_guard lock(impl_->mutex);
    impl_->zone = std::string(iana);
}

size_t Governor::size() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->by_name.size();
}

}  // namespace belay::governance

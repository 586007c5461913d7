#pragma once
// The inside of the governor, for its own files: the table of meters behind one lock, and what a
// reservation holds.
#include <mutex>
#include <vector>

#include "governance/governor.h"
#include "governance/judge.h"
#include "governance/meter_table.h"
#include "governance/shared.h"

namespace belay::governance {

inline int64_t second_of(Mono now) {
    return std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
}

// What a reservation holds of one window of one meter.
struct Hold {
    Meter* meter = nullptr;
    int64_t tokens = 0;  // that it holds: at most the whole limit
    int64_t second = 0;  // where they are counted
    uint32_t epoch = 0;
    uint8_t window = Meter::kMain;
    bool counts = false;  // the meter's first hold: requests, tokens and slots are counted by it
    bool rated = false;
};

struct Reservation::State {
    Governor::Impl* owner = nullptr;
    bool open = false;
    int64_t bound = 0;
    int64_t tokens = 0;
    int64_t premium = 0;
    int64_t second = 0;
    bool told = false;  // the shared counters have it too
    NanoCredits key_spend;
    RateState rates;
    std::vector<Unit> units;
    std::vector<Hold> holds;
};

struct Governor::Impl {
    using State = Reservation::State;

    mutable std::mutex mutex;  // all of it
    MeterTable meters;
    bool shares = false;
    std::vector<SharedSpend> set;  // by set_spent(), for the shared store

    void gather(const Ask& ask, State& state);
    void gather_scope(const Ask& ask, const Scope& scope, State& state);
    static void take(State& state);
    static void take_unit(const Unit& unit, State& state);
    static void tell_rates(const Unit& unit, RateState& rates, bool& told);
    static void give_back(State& state, NanoCredits cost, int64_t tokens, int64_t premium);
    static void undo(State& state);
    // With other instances (governor_shared.cpp).
    void add_rows(const Ask& ask, const Unit& unit, const State& state, SharedTerm term,
                  std::vector<SharedRow>& rows);
    void add_rate_row(const Unit& unit, const Hold* hold, const State& state, SharedTerm term,
                      std::vector<SharedRow>& rows);
    [[nodiscard]] Money* money_of(const SharedRow& row) const;
    static void tell(State& state, int64_t by);
    static void begin_store(Meter& meter, const SharedRow& row, SharedTerm term);
    void set_everywhere(const Meter& meter, Money& money);

    // The thread's states, to be used again with the memory of their lists.
    static std::vector<std::unique_ptr<State>>& kept_states() {
        thread_local std::vector<std::unique_ptr<State>> states;
        return states;
    }
    static std::unique_ptr<State> new_state();
    static void keep_state(std::unique_ptr<State> state);
};

}  // namespace belay::governance

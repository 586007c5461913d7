#pragma once
// Budgets and limits at work: one atomic check-and-reserve over all scopes of a request before its
// first upstream byte, one settlement after its last. Never above a budget however many requests
// run at once; no reservation outlives its request. Thread-safe; nothing here waits.
//
//   Result<Reservation> r = governor.reserve(ask);  // or Kind::budget_exhausted, rate_limited,
//                                                   // forbidden (a blocked customer)
//   ... attempts ...
//   r->settle(cost, tokens, premium);  // or its destructor: released, nothing charged
//
// Requests count over any 60 seconds (buckets of one second, the current one and 60 before), failed
// ones too. Money and tokens are held by their bound and corrected to what was used. A reservation
// belongs to the budget window it was taken in: settled after a reset it does not touch the new
// one.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "governance/caller.h"
#include "governance/shared.h"

namespace belay::governance {

struct Ask {
    const Caller& caller;
    std::string_view model;           // the asked group, after aliases
    const Scope* customer = nullptr;  // the request's end user, when known here
    // The request's own tags that are known; those of the caller's scopes count once.
    const std::vector<std::shared_ptr<const Scope>>* tags = nullptr;
    NanoCredits bound;  // the most that the request can cost
    // What it takes, prompt and output: a fair estimate. More than a whole limit asks for the whole
    // limit.
    int64_t tokens = 0;
    int64_t premium_milli = 0;
    bool free_model = false;  // both prices are explicitly 0: budgets do not apply
    // As many instances go on without their shared store: each has its part of every limit.
    int64_t parts = 1;
    int64_t now_ms = 0;  // unix
    Mono now{};
};

// Why a request was refused, for headers and texts; the Error's message is LiteLLM's.
struct Refusal {
    ScopeKind scope = ScopeKind::key;
    std::string id;
    std::string
        model;  // a model's limit within the scope: fallbacks may help; "" = the scope's own
    std::string limit_type;  // "requests", "tokens", "max_parallel_requests", "budget"
    int64_t limit = 0;
    int64_t remaining = 0;
    int64_t resets_at_ms = 0;
    // For "budget": reservations of running requests stand in the way; when they are settled for
    // less, there is room again, for the bound or for a smaller one.
    bool could_fit_later = false;
    // For "budget": the least that any refusing scope has left, reservations taken off.
    NanoCredits money_left;
};

// What is left for the narrowest scope that has limits, after this request was counted.
struct RateState {
    std::optional<int64_t> limit_requests, remaining_requests, limit_tokens, remaining_tokens;
    int64_t resets_in_ms = 0;
    // Of the key's limits for this model.
    std::optional<int64_t> model_remaining_requests, model_remaining_tokens;
};

class Governor;

class Reservation {
  public:
    Reservation() noexcept;  // holds nothing
    Reservation(Reservation&&) noexcept;
    Reservation& operator=(Reservation&&) noexcept;
    ~Reservation();  // gives back what was not settled
    // Once; a second call does nothing.
    void settle(NanoCredits cost, int64_t tokens, int64_t premium_milli);
    // As if it had never been taken: its request does not count either.
    void undo();
    // The money still held, for a meter that cuts a stream.
    [[nodiscard]] NanoCredits held() const;
    [[nodiscard]] const RateState& rates() const;
    // The key's spend, this request's reservation left out.
    [[nodiscard]] NanoCredits key_spend() const;
    struct State;

  private:
    friend class Governor;
    struct Return {
        void operator()(State* state) const;  // releases, and keeps the memory for the next one
    };
    using StatePtr = std::unique_ptr<State, Return>;
    explicit Reservation(StatePtr state) noexcept;
    StatePtr state_;
};

// Amounts spent, by scope: what a start reads from the ledger's sums and a reset sets to zero.
struct Spent {
    ScopeKind kind = ScopeKind::key;
    std::string id;
    std::string model;  // "" = all
    NanoCredits amount;
    int64_t premium_milli = 0;
    std::string duration;  // of a window in budget_limits; "" = the entity's own budget
};

class Governor {
  public:
    Governor();
    ~Governor();  // after the last Reservation
    // `refusal` (may be null) is filled when it fails.
    [[nodiscard]] Result<Reservation> reserve(const Ask& ask, Refusal* refusal = nullptr);
    // Takes over the windows of a scope without a request: at start, so that idle scopes are reset
    // when their time comes.
    void know(const Scope& scope, int64_t now_ms);
    // Sets counters: at start, after an import, after a reset by an administrator.
    void set_spent(const std::vector<Spent>& spent);
    // Adds to counters what others have charged; scopes that nothing is known of are remembered.
    void add_spent(const std::vector<Spent>& more);
    // All counters that are not 0, some at a time: from the slot on that `from` says, which then
    // says where to go on; 0 at the end. For a copy that a start may begin with.
    [[nodiscard]] std::vector<Spent> list_spent(size_t& from) const;
    // A scope's spend now, settled only; reserved beside it.
    struct Standing {
        NanoCredits spent, reserved;
        int64_t parallel = 0;
    };
    [[nodiscard]] Standing standing(ScopeKind kind, std::string_view id,
                                    std::string_view model = {}) const;
    // Requests and tokens that a scope (a model of it) has taken within the last minute.
    struct Minute {
        int64_t requests = 0, tokens = 0;
    };
    [[nodiscard]] Minute minute(ScopeKind kind, std::string_view id, std::string_view model,
                                Mono now) const;
    // Windows that have ended begin anew; returns the scopes that were reset, for the store.
    struct Reset {
        ScopeKind kind = ScopeKind::key;
        std::string id;
        NanoCredits cleared;      // what had been settled in the window that ended
        std::string model;        // "" = all
        std::string duration;     // of the window that began
        bool main = true;         // the entity's own budget (its `spend`), not one of budget_limits
        int64_t reset_at_ms = 0;  // when the new one ends
    };
    // Also drops what idle scopes leave behind: call it every few seconds.
    [[nodiscard]] std::vector<Reset> reset_ended(int64_t now_ms, Mono now = {});
    // The entity is deleted: its counters go with its last reservation.
    void forget(ScopeKind kind, std::string_view id);
    // Where days begin: an IANA name.
    void set_zone(std::string_view iana);
    // How many scopes are counted, for metrics.
    [[nodiscard]] size_t size() const;

    // --- With other instances (shared.h) ---

    // What an open reservation asks of the shared counters; empty when nothing limits it. Counts it
    // as told to them until untell().
    [[nodiscard]] std::vector<SharedRow> shared_rows(const Ask& ask, Reservation& reservation,
                                                     SharedTerm term);
    // Takes over what the store said of the rows; `reservation` (may be null) gets the rates left.
    void adopt(const std::vector<SharedRow>& rows, const SharedAnswer& answer, SharedTerm term,
               Mono now, Reservation* reservation = nullptr);
    // The store was away: this request is for a later term to tell.
    void untell(Reservation& reservation);
    // Money settled here: not yet in the store, and there now.
    void owe(const std::vector<SharedRow>& rows, const SharedUse& use);
    void paid(const std::vector<SharedRow>& rows, const SharedUse& use, SharedTerm term);
    // What is known of the rows' money now, for a store that has lost it; and of their requests and
    // tokens, before they are taken in another store.
    void seed_money_of(std::vector<SharedRow>& rows, SharedTerm term);
    void seed(std::vector<SharedRow>& rows, SharedTerm term);
    // Of amounts that the ledger's sums say: the shared windows they belong to, as `raise` has
    // them.
    [[nodiscard]] std::vector<SharedRow> spent_by_ledger(const std::vector<Spent>& spent);
    // From now on, what set_spent() sets is also kept for take_set().
    void share();
    [[nodiscard]] std::vector<SharedSpend> take_set();
    void set_done(const SharedRow& row, int64_t generation);  // the store has it
    void set_again(SharedSpend one);                          // it has not: take_set() once more
    // Why the store refused, in the local words.
    [[nodiscard]] static Error describe_shared(const Ask& ask, const SharedRow& row,
                                               const SharedAnswer& answer, Refusal* refusal);

  private:
    friend class Reservation;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace belay::governance

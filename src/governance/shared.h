#pragma once
// What several instances decide together: the port to counters that all of them see, and the rows
// of one request there. The local governor is asked first and knows the rules; here the same
// amounts are checked and taken once more, over all instances, in one step. Drivers: memory (one
// process) and Redis. Pure; answers come by callback on the loop that asked.
//
//   rows = governor.shared_rows(ask, meters.term());  // empty: nothing limits this request
//   meters.take(hold, ask, [](SharedAnswer answer) {...});
//   granted: ... attempts ...; meters.settle(std::move(hold), used);
//   refused: governor.adopt(rows, answer, ...); the local reservation is undone
//   away:    the local reservation alone holds, with this instance's part of each limit
//
// A counter that the store does not know begins with what the governor knows (`seed`), never with
// zero. A hold that nobody renews ends by itself.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "governance/limits.h"

namespace belay::governance {

// One counter. Its name is the same on every instance; the end of a budget window is part of it.
struct SharedRow {
    enum class Kind : uint8_t { money, rate, slots };
    static constexpr int64_t kNone = -1;  // no limit

    Kind kind = Kind::money;
    ScopeKind scope_kind = ScopeKind::key;
    std::string id;
    std::string model;     // "" = all
    std::string duration;  // of a money row
    int64_t ends_ms = 0;   // of its window; 0 = never

    // What is asked, and the most there may be.
    int64_t most = kNone, bound = 0;  // nano-credits
    bool refuse_at_equal = false;
    int64_t premium_most = kNone, premium = 0;
    int64_t rpm = kNone, tpm = kNone;
    int64_t need = 0;    // tokens that must fit
    int64_t tokens = 0;  // tokens that are counted
    int64_t slots_most = kNone;

    // What this instance knows, for a store that does not (or not in this term).
    struct Bucket {
        int64_t age = 0;  // seconds
        int64_t requests = 0, tokens = 0;
    };
    bool seeded = false;
    // A money row: what is known here is what this store said, or the ledger, and is part of what
    // the store counts. Otherwise it is of an older store: what this one has counted comes on top.
    bool heard = false;
    int64_t seed_spent = 0, seed_premium = 0, generation = 0;
    std::vector<Bucket> seed_rates;
    int64_t seed_second = 0;  // of this instance's clock, where age is 0
    int64_t counted_in = 0;   // the same of this request

    // Whose limit it is, for a refusal's text; valid while the caller and its scopes live. Null
    // after the decision.
    const Scope* scope = nullptr;
    const ModelLimit* model_limit = nullptr;
    const BudgetWindow* window = nullptr;

    [[nodiscard]] bool limits() const {
        return most != kNone || premium_most != kNone || rpm != kNone || tpm != kNone ||
               slots_most != kNone;
    }
};

// A row's counters after a decision.
struct SharedState {
    int64_t spent = 0, reserved = 0;  // nano-credits
    int64_t premium_spent = 0, premium_reserved = 0;
    int64_t generation = 0;  // grows when an administrator sets the spend
    int64_t requests = 0, tokens = 0;
    int64_t wait_ms = 0;  // until there may be room, for what refused
    int64_t slots = 0;
};

struct SharedAnswer {
    enum class Verdict : uint8_t { granted, refused, away };
    Verdict verdict = Verdict::away;
    size_t row = 0;                   // that refused
    std::string_view refused_by;      // "budget", "premium", "requests", "tokens",
                                      // "max_parallel_requests"
    int64_t second = 0;               // of the store's clock, where requests and tokens are counted
    std::vector<SharedState> states;  // as the rows; empty when away
};

// What was used in the end.
struct SharedUse {
    int64_t cost = 0;  // nano-credits
    int64_t tokens = 0;
    int64_t premium = 0;
};

// Counters are told in terms: a new one begins when the store may have lost some, or has missed
// requests of this instance. `store` changes when it is another store, or one that began anew.
struct SharedTerm {
    uint32_t number = 0;
    uint32_t store = 0;
};

// A request's share of the counters, from take() to settle().
struct SharedHold {
    std::string id;               // unlike any other's, on any instance
    std::vector<SharedRow> rows;  // money before the others
    SharedTerm term;              // in which the rows tell what is known
    bool taken = false;           // false: the store was away, only the cost will be told
    int64_t second = 0;
};

// A spend that an administrator set: it holds on every instance.
struct SharedSpend {
    SharedRow row;  // its name alone
    int64_t spent = 0;
};

class SharedMeters {
  public:
    virtual ~SharedMeters() = default;
    using Done = std::function<void(SharedAnswer)>;

    [[nodiscard]] virtual SharedTerm term() = 0;
    // `done` is called once, on this thread, within the store's deadline; perhaps before take()
    // returns. `hold` stays where it is until then.
    virtual void take(SharedHold& hold, Done done) = 0;
    // Corrects to what was used. Kept and told later when the store is away.
    virtual void settle(std::unique_ptr<SharedHold> hold, SharedUse use) = 0;
    // How many instances share each limit now: 1 while the store is there, which counts for all of
    // them; else as many as were last seen.
    [[nodiscard]] virtual int64_t parts() const = 0;
};

}  // namespace belay::governance

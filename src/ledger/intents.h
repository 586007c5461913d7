#pragma once
// The requests that are on their way, noted before their first upstream byte: a process that is
// killed leaves its notes behind, and the next one makes records of them. One Intents per event
// loop, used by that loop alone; neither call waits, allocates or fails.
//
//   slot = intents.begin(record, held, slot);  // before each attempt
//   ledger.append(record, trace);
//   intents.end(slot);                         // the record tells it from now on
#include <cstdint>
#include <string>
#include <vector>

#include "base/money.h"
#include "ledger/ledger.h"
#include "ledger/record.h"

namespace belay::ledger {

class Intents {
  public:
    static constexpr uint32_t kNone = UINT32_MAX;

    virtual ~Intents() = default;
    // Notes who asks whom. `held` is what is reserved for it, `attempt` counts from 1; `slot` is
    // kNone for the first and what that returned for the next ones. kNone when there is no room.
    [[nodiscard]] virtual uint32_t begin(const SpendRecord& record, NanoCredits held, int attempt,
                                         uint32_t slot) noexcept = 0;
    virtual void end(uint32_t slot) noexcept = 0;
};

// The record of a request of which nothing but its intent is left: a failure whose usage nobody
// knows, charged with what was held for it, so that no budget is ever exceeded by a crash.
// `attempt` is the last one's number.
[[nodiscard]] Entry interrupted(SpendRecord record, NanoCredits held, int attempt);

}  // namespace belay::ledger

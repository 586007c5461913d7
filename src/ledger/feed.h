#pragma once
// What every scope has been charged, as it goes on: the sums at one moment, and then what others
// who write to the same ledger add to them. What this process charges itself is left out, for its
// governor knows it already. A ledger that only this process writes to adds nothing.
#include <vector>

#include "base/result.h"
#include "ledger/query.h"

namespace belay::ledger {

class SpendFeed {
  public:
    virtual ~SpendFeed() = default;
    // The sums of all that is saved, this process's own records of before the call included. Waits
    // for the database: never from an event loop. Kind::upstream_unavailable while it is away.
    [[nodiscard]] virtual Result<std::vector<ScopeSum>> begin_feed() = 0;
    // What others have added since begin_feed() or the call before; about a second old. Does not
    // wait.
    [[nodiscard]] virtual std::vector<ScopeSum> take_feed() = 0;
};

}  // namespace belay::ledger

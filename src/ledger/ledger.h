#pragma once
// The port to wherever SpendRecords are kept. append() is called by event loops on every request:
// it copies and returns, and never fails. What the store does not take yet stays in a journal that
// outlives the process; what neither the journal nor memory can hold is counted in stats().dropped
// and logged by the driver. Readers may be called from any thread but a loop: they wait for the
// disk.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/record.h"
#include "ledger/trace.h"

namespace belay::ledger {

struct Entry {
    SpendRecord record;
    Trace trace;
    bool operator==(const Entry&) const = default;
};

struct Stats {
    uint64_t appended = 0;  // taken by append()
    uint64_t saved = 0;     // durable in the store
    uint64_t spilled = 0;   // kept in the journal because the store refused them
    uint64_t dropped = 0;   // lost: memory and disk were both full
    uint64_t waiting = 0;   // in memory, not saved yet
    bool failing = false;   // the store refuses writes at the moment
    bool operator==(const Stats&) const = default;
};

class Ledger {
  public:
    virtual ~Ledger() = default;
    // Takes a copy. Both arguments may be reused at once. Thread-safe.
    virtual void append(const SpendRecord& record, const Trace& trace) noexcept = 0;
    // Waits until everything appended so far is saved (while the store refuses: tried once).
    virtual void flush() = 0;
    // The entry whose request_id is `id`, or whose request_id alone begins with it. Kind::not_found
    // when there is none; Kind::invalid_request when several begin with it (the message names
    // some).
    [[nodiscard]] virtual Result<Entry> find(std::string_view id) = 0;
    // The newest entries first, at most `count` (at most 1000).
    [[nodiscard]] virtual Result<std::vector<Entry>> find_last(size_t count) = 0;
    [[nodiscard]] virtual Stats stats() const = 0;
};

}  // namespace belay::ledger

#pragma once
// The writing port between the ledger's writer (ledger_writer.h) and its database: the tables of
// batches and of sums, changed in transactions. One thread.
//
// After a failure nothing is assumed: the caller disconnects, which rolls back, and connects anew.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/batch_facts.h"
#include "store/rollup.h"
#include "store/segment.h"

namespace belay::store {

class LedgerTables {
  public:
    struct Row {
        int64_t first_seq = 0;
        std::string rows;
        SegmentName mark;  // what of the journal was saved with it, where that stands with a batch
    };
    struct Size {
        int64_t first_seq = 0;
        int64_t requests = 0;
        int64_t bytes = 0;
    };
    struct Span {
        int64_t first_seq = 0;
        int64_t requests = 0;
        int64_t last_ms = 0;
    };

    virtual ~LedgerTables() = default;

    // Opens the database and prepares its tables, unless it is open. A database that cannot be
    // reached is Kind::upstream_unavailable.
    [[nodiscard]] virtual Result<void> connect() = 0;
    virtual void disconnect() = 0;
    // The journal's segment that was saved last, where that is known once connect() was well.
    [[nodiscard]] virtual SegmentName saved() const = 0;

    // Begins a transaction; until its end nobody else writes to the ledger.
    struct Begun {
        int64_t next_seq = 1;  // where the next batch begins
        bool saved = false;    // `segment`, or a later one of its journal, is in the tables
    };
    [[nodiscard]] virtual Result<Begun> begin(SegmentName segment) = 0;
    // An error does not mean that nothing was written: begin() with the same segment tells.
    [[nodiscard]] virtual Result<void> commit() = 0;

    // Within a transaction. A new batch, behind all others, of the segment that was begun with.
    [[nodiscard]] virtual Result<void> append(int64_t first_seq, const BatchFacts& facts,
                                              std::string_view rows) = 0;
    // A batch in the place of others that were removed.
    [[nodiscard]] virtual Result<void> insert(int64_t first_seq, const BatchFacts& facts,
                                              std::string_view rows, SegmentName mark) = 0;
    // Both ends are included.
    [[nodiscard]] virtual Result<void> remove(int64_t first, int64_t last) = 0;
    // The first batch behind `after`.
    [[nodiscard]] virtual Result<std::optional<Row>> next(int64_t after) = 0;
    [[nodiscard]] virtual Result<BatchFacts> facts_of(int64_t first_seq) = 0;
    // The newest first.
    [[nodiscard]] virtual Result<std::vector<Size>> newest(int64_t count) = 0;
    // Those that have rows received before `ms`, the oldest first, at most `count`.
    [[nodiscard]] virtual Result<std::vector<Span>> older_than(int64_t ms, int64_t count) = 0;
    [[nodiscard]] virtual Result<void> add_sums(const std::vector<Rollup::Sum>& sums) = 0;

    // Outside of a transaction: what others have charged since the last call. `anew`: what all
    // scopes have been charged at all. Nobody else writes to tables that do not say otherwise.
    [[nodiscard]] virtual Result<std::vector<ledger::ScopeSum>> follow(bool /*anew*/) {
        return std::vector<ledger::ScopeSum>();
    }
};

}  // namespace belay::store

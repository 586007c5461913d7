#pragma once
// The rows of the tables `batch` and `batch_summary`, written and read together. Every call stands
// in a transaction of the caller's.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/batch_facts.h"
#include "store/ledger_tables.h"
#include "store/segment.h"
#include "store/sqlite.h"

namespace belay::store {

class BatchTable {
  public:
    using Row = LedgerTables::Row;
    using Size = LedgerTables::Size;
    using Span = LedgerTables::Span;

    [[nodiscard]] Result<void> prepare(Database& database);
    // Lets the statements go.
    void forget();

    [[nodiscard]] Result<void> insert(int64_t first_seq, const BatchFacts& facts,
                                      std::string_view rows, SegmentName mark);
    // Both ends are included.
    [[nodiscard]] Result<void> remove(int64_t first, int64_t last);
    // The first batch behind `after`.
    [[nodiscard]] Result<std::optional<Row>> next(int64_t after);
    [[nodiscard]] Result<BatchFacts> facts_of(int64_t first_seq);
    // Where the next batch begins; 1 for an empty table.
    [[nodiscard]] Result<int64_t> next_seq();

    // The newest first.
    [[nodiscard]] Result<std::vector<Size>> newest(int64_t count);
    // Those that have rows received before `ms`, the oldest first, at most `count`.
    [[nodiscard]] Result<std::vector<Span>> older_than(int64_t ms, int64_t count);

  private:
    Statement insert_;
    Statement insert_summary_;
    Statement remove_;
    Statement remove_summary_;
    Statement next_;
    Statement facts_;
    Statement newest_;
    Statement last_;
    Statement older_;
};

}  // namespace belay::store

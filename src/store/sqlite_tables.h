#pragma once
// The ledger's tables in SQLite (schema.h), written by one process. After a failed transaction the
// connection is closed and opened anew before the next: a descriptor that once failed to sync is
// not trusted again.
#include <cstdint>
#include <optional>
#include <string>

#include "store/batch_table.h"
#include "store/ledger_tables.h"
#include "store/sqlite.h"
#include "store/sums.h"

namespace belay::store {

class SqliteTables final : public LedgerTables {
  public:
    struct Options {
        std::string database_path;
        std::string vfs;
        int64_t now_ms = 0;  // for the migration's row
    };
    explicit SqliteTables(Options options) : options_(std::move(options)) {}

    [[nodiscard]] Result<void> connect() override;
    void disconnect() override;
    [[nodiscard]] SegmentName saved() const override { return saved_; }
    [[nodiscard]] Result<Begun> begin(SegmentName segment) override;
    [[nodiscard]] Result<void> commit() override;

    [[nodiscard]] Result<void> append(int64_t first_seq, const BatchFacts& facts,
                                      std::string_view rows) override;
    [[nodiscard]] Result<void> insert(int64_t first_seq, const BatchFacts& facts,
                                      std::string_view rows, SegmentName mark) override {
        return batches_.insert(first_seq, facts, rows, mark);
    }
    [[nodiscard]] Result<void> remove(int64_t first, int64_t last) override {
        return batches_.remove(first, last);
    }
    [[nodiscard]] Result<std::optional<Row>> next(int64_t after) override {
        return batches_.next(after);
    }
    [[nodiscard]] Result<BatchFacts> facts_of(int64_t first_seq) override {
        return batches_.facts_of(first_seq);
    }
    [[nodiscard]] Result<std::vector<Size>> newest(int64_t count) override {
        return batches_.newest(count);
    }
    [[nodiscard]] Result<std::vector<Span>> older_than(int64_t ms, int64_t count) override {
        return batches_.older_than(ms, count);
    }
    [[nodiscard]] Result<void> add_sums(const std::vector<Rollup::Sum>& sums) override {
        return sums_.add(sums);
    }

  private:
    // A batch whose commit may have failed.
    struct Doubt {
        SegmentName segment;
        int64_t first_seq = 0;
        bool saved = false;  // known since the connection was made anew
    };

    [[nodiscard]] Result<void> prepare();

    Options options_;
    Database database_;
    Statement begin_;
    Statement commit_;
    BatchTable batches_;
    SumsWriter sums_;
    int64_t next_seq_ = 1;
    SegmentName saved_;
    SegmentName begun_;
    int64_t appended_ = 0;  // requests, in this transaction
    std::optional<Doubt> doubt_;
};

}  // namespace belay::store

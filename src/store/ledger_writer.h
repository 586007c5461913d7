#pragma once
// The writing side of the ledger's database: one connection and its prepared statements. Belongs to
// one thread. Each save is one transaction of the rows, their summary and the sums they add to.
// After a failed one the connection is closed and opened anew before the next: a descriptor that
// once failed to sync is not trusted again.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/batch_table.h"
#include "store/rollup.h"
#include "store/segment.h"
#include "store/sqlite.h"
#include "store/sums.h"

namespace belay::store {

class LedgerWriter {
  public:
    struct Options {
        std::string database_path;
        std::string vfs;
        int64_t now_ms = 0;  // for the migration's row
    };

    explicit LedgerWriter(Options options) : options_(std::move(options)) {}

    // Opens the database and prepares its tables, unless it is open.
    [[nodiscard]] Result<void> connect();
    // Commits rows (as RowWriter wrote them), all or none. Rows of a journal's segment are noted
    // with it: a segment that is saved already, though its commit seemed to fail, is not saved
    // again. Segments of one journal come in the order of their sequence.
    [[nodiscard]] Result<void> save(std::string_view rows, SegmentName from = {});
    // The last segment in the database, known once connect() was well.
    [[nodiscard]] SegmentName saved() const { return saved_; }

    // Makes one batch of neighbouring small ones, if enough of them have gathered among the newest
    // `count`. True: there may be more to do.
    [[nodiscard]] Result<bool> merge_some(int64_t count);
    // Deletes some of the rows received before `ms`; how many, 0 when none is left.
    [[nodiscard]] Result<uint64_t> drop_some(int64_t ms);

  private:
    [[nodiscard]] Result<void> prepare();
    template <class Work>
    [[nodiscard]] auto in_transaction(const Work& work) -> decltype(work());
    [[nodiscard]] Result<void> insert(std::string_view rows, SegmentName upto);
    [[nodiscard]] Result<void> merge(int64_t first, int64_t last);
    [[nodiscard]] Result<uint64_t> drop_rows(const BatchTable::Span& batch, int64_t ms);
    void disconnect();

    Options options_;
    Rollup rollup_;  // of the batch at hand
    int64_t next_seq_ = 1;
    SegmentName saved_;
    Database database_;
    Statement begin_;
    Statement commit_;
    BatchTable batches_;
    SumsWriter sums_;
};

}  // namespace belay::store

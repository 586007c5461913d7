#pragma once
// The writing side of the ledger's database: one connection and its prepared statement. Belongs to
// one thread. After a failed save the connection is closed and opened anew before the next: a
// descriptor that once failed to sync is not trusted again.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/row_codec.h"
#include "store/segment.h"
#include "store/sqlite.h"

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

  private:
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] Result<void> insert(std::string_view rows, SegmentName upto);
    void disconnect();

    Options options_;
    std::string keys_;  // of the batch at hand
    int64_t next_seq_ = 1;
    SegmentName saved_;
    Database database_;
    Statement insert_;
};

}  // namespace belay::store

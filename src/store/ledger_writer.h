#pragma once
// The writing side of the ledger: one connection, its prepared statements, the cache of routes and
// the spool. Belongs to one thread. After a failed save the connection is closed and opened anew
// before the next: a descriptor that once failed to sync is not trusted again.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/row_codec.h"
#include "store/spool.h"
#include "store/sqlite.h"

namespace belay::store {

class LedgerWriter {
  public:
    struct Options {
        std::string database_path;
        std::string vfs;
        int64_t now_ms = 0;  // for the migration's row
    };

    LedgerWriter(Options options, Spool spool)
        : options_(std::move(options)), spool_(std::move(spool)) {}

    // Opens the database and prepares its tables, unless it is open.
    [[nodiscard]] Result<void> connect();
    // Commits rows (as encode_row() wrote them) in one transaction, all or none; how many they are.
    [[nodiscard]] Result<uint64_t> save(std::string_view rows);
    // Appends rows to the spool.
    [[nodiscard]] Result<void> spill(std::string_view rows) { return spool_.append(rows); }
    // Moves the spool into the database block by block, each exactly once; how many rows.
    [[nodiscard]] Result<uint64_t> replay();
    [[nodiscard]] bool has_spilled() const { return spool_.size() != 0; }
    void disconnect();

  private:
    [[nodiscard]] Result<void> prepare_statements();
    [[nodiscard]] Result<uint64_t> commit_rows(std::string_view rows);
    [[nodiscard]] Result<uint64_t> spool_mark();
    [[nodiscard]] Result<uint64_t> move_block(std::string_view rows, uint64_t next);
    [[nodiscard]] Result<uint64_t> insert(std::string_view rows);
    [[nodiscard]] Result<void> run(Statement& statement);
    // Rolls back and gives the error back.
    Error give_up(Error error);

    Options options_;
    Spool spool_;
    std::string keys_;  // of the batch at hand
    int64_t next_seq_ = 1;
    Database database_;
    Statement begin_, commit_, insert_, mark_spool_;
};

}  // namespace belay::store

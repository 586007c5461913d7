#pragma once
// The ledger of one machine: SQLite in the data folder, fed from the journal. Reading opens a
// connection of its own each time, so an idle gateway keeps no cache for it.
//
// What a power cut can lose: records since the last checkpoint.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/journaled_ledger.h"

namespace belay::store {

struct SqliteOptions : LedgerOptions {
    std::string vfs;  // SQLite file system; tests put faults in it
};

struct SqliteLedger {
    static constexpr std::string_view kDatabaseName = "ledger.db";

    // Opens (or makes, or migrates) the ledger in `dir`, which it keeps locked. A database that is
    // damaged is set aside under another name, told in the log, and a new one is begun.
    [[nodiscard]] static Result<std::unique_ptr<JournaledLedger>> open(DataDir dir,
                                                                       SqliteOptions options = {});
};

// Reads the ledger in `dir` beside a running gateway, without its lock: `belay explain`.
[[nodiscard]] Result<ledger::Entry> find_entry(const std::string& dir, std::string_view id);
[[nodiscard]] Result<std::vector<ledger::Entry>> find_last_entries(const std::string& dir,
                                                                   size_t count);

}  // namespace belay::store

#pragma once
// The ledger of any number of Belays: PostgreSQL, fed from each one's own journal. While the server
// is away records wait in the journal, and readers are told Kind::upstream_unavailable.
#include <memory>
#include <string_view>

#include "store/journaled_ledger.h"
#include "store/postgres_tables.h"
#include "store/postgres_view.h"

namespace belay::store {

struct PostgresLedgerOptions : LedgerOptions {
    PostgresTables::Options tables;
    PostgresViews::Options views;
};

struct PostgresLedger {
    // Keeps `dir`, where the journal is, locked. Fails for a URL that cannot be used, without
    // libpq, and for tables of a newer Belay.
    [[nodiscard]] static Result<std::unique_ptr<JournaledLedger>> open(
        DataDir dir, std::string_view url, PostgresLedgerOptions options = {});
};

// Reads the ledger beside running gateways, and the journal in `dir`: `belay explain`.
[[nodiscard]] Result<ledger::Entry> find_entry(const std::string& dir, std::string_view url,
                                               std::string_view id);
[[nodiscard]] Result<std::vector<ledger::Entry>> find_last_entries(const std::string& dir,
                                                                   std::string_view url,
                                                                   size_t count);

}  // namespace belay::store

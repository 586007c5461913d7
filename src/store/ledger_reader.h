#pragma once
// Queries over the ledger: its tables, and the rows of the journal that are not in them yet, which
// are the newest. A Reader is one connection, used by one thread for one question, and sees one
// moment: each record once, whatever the writer does meanwhile.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"
#include "store/journal.h"
#include "store/sqlite.h"

namespace belay::store {

// The four bytes that `batch` keeps of a request id: its first eight characters when they are hex
// digits (as a UUID's), else a hash of them.
[[nodiscard]] uint32_t id_key(std::string_view id);
void write_id_key(std::string& out, std::string_view id);

class LedgerReader {
  public:
    [[nodiscard]] static Result<LedgerReader> open(const std::string& database_path,
                                                   const std::string& journal_path,
                                                   const std::string& vfs = {});
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id);
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count);

  private:
    // What is known of the rows that a prefix may mean.
    struct Matches;
    // A request's batch and its place in it.
    struct Place {
        int64_t first_seq = 0;
        size_t index = 0;
    };

    LedgerReader(Database database, std::vector<JournalRows> newest)
        : database_(std::move(database)), newest_(std::move(newest)) {}
    [[nodiscard]] Result<std::vector<Place>> candidates(std::string_view id);
    [[nodiscard]] Result<void> look_in_database(std::string_view id, Matches& matches);

    Database database_;
    std::vector<JournalRows> newest_;  // the oldest of them first
};

}  // namespace belay::store

#pragma once
// Queries over the ledger: its tables, and the rows of the journal that are not in them yet, which
// are the newest. A Reader is one connection, used by one thread for one question, and sees one
// moment: each record once, whatever the writer does meanwhile.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"
#include "ledger/query.h"
#include "store/journal.h"
#include "store/sqlite.h"
#include "store/sums.h"

namespace belay::store {

class LedgerReader {
  public:
    [[nodiscard]] static Result<LedgerReader> open(const std::string& database_path,
                                                   const std::string& journal_path,
                                                   const std::string& vfs = {});
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id);
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count);

    // ledger::Queries. Sums are of what the database has.
    [[nodiscard]] Result<ledger::LogPage> find_page(const ledger::LogFilter& filter);
    [[nodiscard]] Result<void> for_each(const ledger::LogFilter& filter,
                                        const std::function<bool(const ledger::Entry&)>& take);
    [[nodiscard]] Result<std::vector<ledger::DaySum>> day_sums(const ledger::DayFilter& filter) {
        return read_day_sums(database_, filter);
    }
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> scope_sums() {
        return read_scope_sums(database_);
    }
    [[nodiscard]] Result<std::vector<ledger::Queries::TagSum>> tag_sums(const std::string& from,
                                                                        const std::string& until) {
        return read_tag_sums(database_, from, until);
    }

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

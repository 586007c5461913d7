#pragma once
// Queries over the ledger: its tables, and the rows of the journal that are not in them yet, which
// are the newest. A Reader has a view of its own, is used by one thread for one question, and sees
// one moment: each record once, whatever the writer does meanwhile.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"
#include "ledger/query.h"
#include "store/journal.h"
#include "store/ledger_view.h"
#include "store/rollup.h"
#include "store/sums_reader.h"

namespace belay::store {

class LedgerReader {
  public:
    // `open_view` is called after the journal was read.
    using OpenView = std::function<Result<std::unique_ptr<LedgerView>>()>;
    [[nodiscard]] static Result<LedgerReader> open(const OpenView& open_view,
                                                   const std::string& journal_path);
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id);
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count);

    // ledger::Queries. Sums are of what the database has.
    [[nodiscard]] Result<ledger::LogPage> find_page(const ledger::LogFilter& filter);
    [[nodiscard]] Result<void> for_each(const ledger::LogFilter& filter,
                                        const std::function<bool(const ledger::Entry&)>& take);
    [[nodiscard]] Result<std::vector<ledger::DaySum>> day_sums(const ledger::DayFilter& filter) {
        return read_day_sums(*view_, filter);
    }
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> scope_sums() {
        return read_scope_sums(*view_);
    }
    [[nodiscard]] Result<std::vector<ledger::Queries::TagSum>> tag_sums(const std::string& from,
                                                                        const std::string& until) {
        return read_tag_sums(*view_, from, until);
    }
    // What the journal's rows, which the database does not have yet, add up to.
    [[nodiscard]] std::vector<Rollup::Sum> newest_sums() const;

  private:
    // What is known of the rows that a prefix may mean.
    struct Matches;
    // A request's batch and its place in it.
    struct Place {
        int64_t first_seq = 0;
        size_t index = 0;
    };

    LedgerReader(std::unique_ptr<LedgerView> view, std::vector<JournalRows> newest)
        : view_(std::move(view)), newest_(std::move(newest)) {}
    [[nodiscard]] std::string table(std::string_view name) const {
        return std::string(view_->prefix()) + std::string(name);
    }
    [[nodiscard]] Result<std::vector<Place>> candidates(std::string_view id);
    [[nodiscard]] Result<void> look_in_database(std::string_view id, Matches& matches);

    std::unique_ptr<LedgerView> view_;
    std::vector<JournalRows> newest_;  // the oldest of them first
};

}  // namespace belay::store

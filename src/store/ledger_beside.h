#pragma once
// The ledger as a process sees it that does not hold it: the command line beside a running gateway,
// or after one that was killed. Takes no lock and changes nothing; every question opens the files
// anew and counts what the journal holds too, sums included. A folder without a ledger is one in
// which nothing has been spent yet.
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/query.h"
#include "store/ledger_reader.h"

namespace belay::store {

class LedgerBeside final : public ledger::Queries {
  public:
    // The embedded one in `dir`.
    [[nodiscard]] static std::unique_ptr<LedgerBeside> open(const std::string& dir);
    // The one in PostgreSQL, and what the journal in `dir` holds for it.
    [[nodiscard]] static Result<std::unique_ptr<LedgerBeside>> open_postgres(const std::string& dir,
                                                                             std::string_view url);

    [[nodiscard]] Result<ledger::LogPage> find_page(const ledger::LogFilter& filter) override;
    [[nodiscard]] Result<std::vector<ledger::DaySum>> day_sums(
        const ledger::DayFilter& filter) override;
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> scope_sums() override;
    [[nodiscard]] Result<std::vector<TagSum>> tag_sums(const std::string& from,
                                                       const std::string& until) override;
    // Kind::unsupported: only who holds the ledger deletes.
    [[nodiscard]] Result<uint64_t> drop_before(int64_t ms) override;
    [[nodiscard]] Result<void> for_each(
        const ledger::LogFilter& filter,
        const std::function<bool(const ledger::Entry&)>& take) override;

  private:
    LedgerBeside(LedgerReader::OpenView open_view, std::string journal, std::string database)
        : open_view_(std::move(open_view)),
          journal_(std::move(journal)),
          database_(std::move(database)) {}
    [[nodiscard]] bool exists() const;
    [[nodiscard]] Result<LedgerReader> read() const;

    const LedgerReader::OpenView open_view_;
    const std::string journal_;
    const std::string database_;  // the file; "" = a server
};

}  // namespace belay::store

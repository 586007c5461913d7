#include "store/postgres_ledger.h"

#include <utility>

#include "base/log.h"

namespace belay::store {

namespace {

class Driver final : public LedgerDriver {
  public:
    Driver(PostgresUrl url, const PostgresLedgerOptions& options)
        : url_(std::move(url)), options_(options.tables), views_(url_, options.views) {}
    std::unique_ptr<LedgerTables> make_tables() override {
        return std::make_unique<PostgresTables>(url_, options_);
    }
    Result<std::unique_ptr<LedgerView>> open_view() override { return views_.open(); }
    [[nodiscard]] bool may_be_away() const override { return true; }
    [[nodiscard]] bool is_shared() const override { return true; }

  private:
    const PostgresUrl url_;
    const PostgresTables::Options options_;
    PostgresViews views_;
};

Result<std::unique_ptr<Driver>> make_driver(std::string_view url,
                                            const PostgresLedgerOptions& options) {
    PostgresUrl parsed = TRY(parse_postgres_url(url));
    log::remember_secret(parsed.password.reveal());
    (void)TRY(Libpq::load());
    return std::make_unique<Driver>(std::move(parsed), options);
}

Result<LedgerReader> open_reader(Driver& driver, const std::string& dir) {
    return LedgerReader::open([&driver] { return driver.open_view(); },
                              dir + "/" + std::string(JournaledLedger::kJournalName));
}

}  // namespace

Result<std::unique_ptr<JournaledLedger>> PostgresLedger::open(DataDir dir, std::string_view url,
                                                              PostgresLedgerOptions options) {
    auto driver = TRY(make_driver(url, options));
    return JournaledLedger::open(std::move(dir), std::move(driver), std::move(options));
}

Result<ledger::Entry> find_entry(const std::string& dir, std::string_view url,
                                 std::string_view id) {
    const auto driver = TRY(make_driver(url, {}));
    LedgerReader reader = TRY(open_reader(*driver, dir));
    return reader.find(id);
}

Result<std::vector<ledger::Entry>> find_last_entries(const std::string& dir, std::string_view url,
                                                     size_t count) {
    const auto driver = TRY(make_driver(url, {}));
    LedgerReader reader = TRY(open_reader(*driver, dir));
    return reader.find_last(count);
}

}  // namespace belay::store

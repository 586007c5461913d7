#include "store/sqlite_ledger.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/log.h"
#include "store/sqlite_tables.h"
#include "store/sqlite_view.h"

namespace belay::store {

namespace {

bool is_damage(const Error& error) {
    return error.code == "11" || error.code == "26" || error.code == "267";  // CORRUPT, NOTADB
}

// SQLite makes its files by the process's mask, and the journal with the mode of the database.
void begin_private_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file >= 0) {
        (void)::fchmod(file, 0600);
        ::close(file);
    }
}

// Moves a damaged database out of the way, its journal with it. The new name, "" when that failed.
std::string set_aside(const std::string& path, int64_t now_ms) {
    const std::string aside = path + ".damaged-" + std::to_string(now_ms);
    if (std::rename(path.c_str(), aside.c_str()) != 0) {
        return {};
    }
    (void)std::rename((path + "-wal").c_str(), (aside + "-wal").c_str());
    (void)std::remove((path + "-shm").c_str());
    begin_private_file(path);
    return aside;
}

class Driver final : public LedgerDriver {
  public:
    explicit Driver(SqliteTables::Options options) : options_(std::move(options)) {}
    std::unique_ptr<LedgerTables> make_tables() override {
        auto tables = std::make_unique<SqliteTables>(options_);
        const Result<void> connected = tables->connect();
        if (!connected.ok() && is_damage(connected.error())) {
            tables->disconnect();
            const std::string aside = set_aside(options_.database_path, options_.now_ms);
            if (!aside.empty()) {
                log::write(
                    log::Level::error, "ledger.damaged",
                    "The ledger was damaged. It is kept as " + aside + "; a new one is begun.",
                    {{"reason", connected.error().message}});
            }
        }
        return tables;  // whoever connects it is told what else may be wrong
    }
    Result<std::unique_ptr<LedgerView>> open_view() override {
        return SqliteView::open(options_.database_path, options_.vfs);
    }
    [[nodiscard]] bool may_be_away() const override { return false; }
    [[nodiscard]] bool is_shared() const override { return false; }

  private:
    const SqliteTables::Options options_;
};

Result<LedgerReader> open_reader(const std::string& dir) {
    return LedgerReader::open(
        [&dir] { return SqliteView::open(dir + "/" + std::string(SqliteLedger::kDatabaseName)); },
        dir + "/" + std::string(JournaledLedger::kJournalName));
}

}  // namespace

Result<std::unique_ptr<JournaledLedger>> SqliteLedger::open(DataDir dir, SqliteOptions options) {
    const std::string path = dir.file(kDatabaseName);
    begin_private_file(path);
    auto driver = std::make_unique<Driver>(
        SqliteTables::Options{path, options.vfs, unix_millis(system_clock().wall())});
    return JournaledLedger::open(std::move(dir), std::move(driver), std::move(options));
}

Result<ledger::Entry> find_entry(const std::string& dir, std::string_view id) {
    LedgerReader reader = TRY(open_reader(dir));
    return reader.find(id);
}

Result<std::vector<ledger::Entry>> find_last_entries(const std::string& dir, size_t count) {
    LedgerReader reader = TRY(open_reader(dir));
    return reader.find_last(count);
}

}  // namespace belay::store

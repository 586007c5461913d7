#pragma once
// The Ledger of one machine: SQLite, written by one thread in group commits. append() copies a row
// of bytes into memory under a short lock and returns; the writer takes whatever has gathered every
// few milliseconds and commits it at once. Reading opens a connection of its own each time, so an
// idle gateway keeps no cache for it.
//
// When the database refuses (disk full, I/O error, locked by a stranger) rows go to the spool file
// and from there into the database once it takes them again, exactly once each. When the spool
// refuses too they wait in memory up to a bound; only beyond that is a row dropped, counted and
// told.
//
// What a crash can lose: rows younger than `commit_delay`. What a power cut can lose: rows since
// the last checkpoint.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "store/data_dir.h"
#include "store/row_codec.h"

namespace belay::store {

struct SqliteOptions {
    milliseconds commit_delay{4};         // how long the first row of a batch waits for others
    size_t memory_bytes_max = 32u << 20;  // rows waiting in memory
    uint64_t spool_bytes_max = 1u << 30;
    milliseconds retry_delay_max{5'000};  // between attempts while the database refuses
    std::string vfs;                      // SQLite file system; tests put faults in it
};

class SqliteLedger final : public ledger::Ledger {
  public:
    static constexpr std::string_view kDatabaseName = "ledger.db";
    static constexpr std::string_view kSpoolName = "ledger.spool";

    // Opens (or makes, or migrates) the ledger in `dir`, which it keeps locked. A database that is
    // damaged is set aside under another name, told in the log, and a new one is begun.
    [[nodiscard]] static Result<std::unique_ptr<SqliteLedger>> open(DataDir dir,
                                                                    SqliteOptions options = {});
    // Saves what is waiting, then closes.
    ~SqliteLedger() override;
    SqliteLedger(const SqliteLedger&) = delete;
    SqliteLedger& operator=(const SqliteLedger&) = delete;

    void append(const ledger::SpendRecord& record, const ledger::Trace& trace) noexcept override;
    void flush() override;
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id) override;
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count) override;
    [[nodiscard]] ledger::Stats stats() const override;

  private:
    class Writer;

    SqliteLedger(DataDir dir, SqliteOptions options, std::unique_ptr<Writer> writer);
    void run();
    // Waits until there is something to do, then moves what is pending behind `rows`.
    struct Taken {
        uint64_t count = 0;
        bool stopping = false;
    };
    [[nodiscard]] Taken take(std::string& rows);

    DataDir dir_;
    SqliteOptions options_;
    std::unique_ptr<Writer> writer_;  // used by thread_ alone after open()

    mutable std::mutex mutex_;
    std::condition_variable wake_;     // the writer waits here
    std::condition_variable settled_;  // flush() waits here
    std::string pending_;
    RowWriter encoder_;  // of pending_
    uint64_t pending_count_ = 0;
    uint64_t taken_bytes_ = 0;    // held by the writer and not saved or spilled
    uint64_t settled_count_ = 0;  // saved, spilled or held
    uint64_t held_count_ = 0;     // of them: neither saved nor spilled yet
    uint64_t attempts_begun_ = 0;
    uint64_t attempts_done_ = 0;
    uint64_t flush_waiters_ = 0;
    bool stopping_ = false;
    ledger::Stats stats_;
    std::thread thread_;
};

// Reads the ledger in `dir` beside a running gateway, without its lock: `belay explain`.
[[nodiscard]] Result<ledger::Entry> find_entry(const std::string& dir, std::string_view id);
[[nodiscard]] Result<std::vector<ledger::Entry>> find_last_entries(const std::string& dir,
                                                                   size_t count);

}  // namespace belay::store

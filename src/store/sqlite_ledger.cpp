#include "store/sqlite_ledger.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <utility>

#include "base/log.h"
#include "store/ledger_reader.h"
#include "store/ledger_writer.h"
#include "store/row_codec.h"

namespace belay::store {

namespace {

// A batch this large is worth committing at once.
constexpr size_t kBatchBytes = 256 << 10;
constexpr milliseconds kFirstRetry{100};
// Buffers keep this much between batches; a burst's memory goes back.
constexpr size_t kKeptBytes = 512 << 10;

bool is_damage(const Error& error) {
    return error.code == "11" || error.code == "26" || error.code == "267";  // CORRUPT, NOTADB
}

// SQLite makes its files by the process's mask, and the journal with the mode of the database.
void make_private_file(const std::string& path) {
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
    make_private_file(path);
    return aside;
}

void forget(std::string& rows) {
    rows.clear();
    if (rows.capacity() > kKeptBytes) {
        std::string().swap(rows);
    }
}

Result<void> connect(LedgerWriter& writer, const std::string& path, int64_t now_ms) {
    Result<void> connected = writer.connect();
    if (connected.ok() || !is_damage(connected.error())) {
        return connected;
    }
    const std::string aside = set_aside(path, now_ms);
    if (aside.empty()) {
        return connected;
    }
    log::write(log::Level::error, "ledger.damaged",
               "The ledger was damaged. It is kept as " + aside + "; a new one is begun.",
               {{"reason", connected.error().message}});
    return writer.connect();
}

}  // namespace

class SqliteLedger::Writer {
  public:
    Writer(LedgerWriter writer, milliseconds retry_delay_max)
        : writer_(std::move(writer)), retry_delay_max_(retry_delay_max) {}

    // Zero while all is well, else how long to wait for more before trying again.
    [[nodiscard]] milliseconds retry_after() const { return retry_after_; }
    [[nodiscard]] bool failing() const { return retry_after_.count() != 0; }
    [[nodiscard]] bool has_spilled() const { return writer_.has_spilled(); }

    struct Done {
        uint64_t saved = 0;
        bool spilled = false;
        bool held = false;  // neither took it: `rows` must be brought again
    };
    Done settle(std::string_view rows);

  private:
    void note_failure(const Error& error);
    void note_success(uint64_t replayed);

    LedgerWriter writer_;
    milliseconds retry_delay_max_;
    milliseconds retry_after_{0};
};

// Rows in the spool are older: they go first, so the ledger keeps its order.
SqliteLedger::Writer::Done SqliteLedger::Writer::settle(std::string_view rows) {
    Done done;
    Result<uint64_t> saved = writer_.has_spilled() ? writer_.replay() : uint64_t{0};
    const uint64_t replayed = saved.ok() ? *saved : 0;
    if (saved.ok() && !rows.empty()) {
        saved = writer_.save(rows);
        done.saved = saved.ok() ? *saved : 0;
    }
    done.saved += replayed;
    if (saved.ok()) {
        note_success(replayed);
        return done;
    }
    note_failure(saved.error());
    if (!rows.empty()) {
        done.spilled = writer_.spill(rows).ok();
        done.held = !done.spilled;
    }
    return done;
}

void SqliteLedger::Writer::note_failure(const Error& error) {
    if (!failing()) {
        log::write(log::Level::error, "ledger.failing",
                   "The ledger cannot be written: " + error.message +
                       ". Records are kept aside until it can.",
                   {{"code", error.code}});
        retry_after_ = kFirstRetry;
        return;
    }
    retry_after_ = std::min(retry_after_ * 2, retry_delay_max_);
}

void SqliteLedger::Writer::note_success(uint64_t replayed) {
    if (failing() || replayed != 0) {
        log::write(log::Level::info, "ledger.recovered",
                   "The ledger is written again; nothing is kept aside any more.",
                   {{"rows", replayed}});
    }
    retry_after_ = milliseconds(0);
}

Result<std::unique_ptr<SqliteLedger>> SqliteLedger::open(DataDir dir, SqliteOptions options) {
    const std::string path = dir.file(kDatabaseName);
    const int64_t now_ms = unix_millis(system_clock().wall());
    Spool spool = TRY(Spool::open(dir.file(kSpoolName), options.spool_bytes_max));
    make_private_file(path);
    LedgerWriter writer({path, options.vfs, now_ms}, std::move(spool));
    TRY(connect(writer, path, now_ms));
    auto owned = std::make_unique<Writer>(std::move(writer), options.retry_delay_max);
    return std::unique_ptr<SqliteLedger>(
        new SqliteLedger(std::move(dir), std::move(options), std::move(owned)));
}

SqliteLedger::SqliteLedger(DataDir dir, SqliteOptions options, std::unique_ptr<Writer> writer)
    : dir_(std::move(dir)), options_(std::move(options)), writer_(std::move(writer)) {
    thread_ = std::thread([this] { run(); });
}

SqliteLedger::~SqliteLedger() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void SqliteLedger::append(const ledger::SpendRecord& record, const ledger::Trace& trace) noexcept {
    bool notify = false;
    {
        const std::lock_guard lock(mutex_);
        ++stats_.appended;
        if (pending_.size() + taken_bytes_ > options_.memory_bytes_max) {
            ++stats_.dropped;
            return;
        }
        const size_t before = pending_.size();
        try {
            encoder_.write(pending_, record, trace);
        } catch (const std::bad_alloc&) {
            pending_.resize(before);
            encoder_.clear();
            ++stats_.dropped;
            return;
        }
        ++pending_count_;
        notify = before == 0 || (before < kBatchBytes && pending_.size() >= kBatchBytes);
    }
    if (notify) {
        wake_.notify_one();
    }
}

void SqliteLedger::flush() {
    std::unique_lock lock(mutex_);
    const uint64_t goal = stats_.appended - stats_.dropped;
    ++flush_waiters_;
    wake_.notify_one();
    // While the store refuses, one attempt that begins after this call is waited for as well.
    const uint64_t next_attempt = attempts_begun_ + 1;
    settled_.wait(lock, [&] {
        return settled_count_ >= goal && (!stats_.failing || attempts_done_ >= next_attempt);
    });
    --flush_waiters_;
}

SqliteLedger::Taken SqliteLedger::take(std::string& rows) {
    std::unique_lock lock(mutex_);
    const auto asked = [this] { return stopping_ || flush_waiters_ != 0; };
    if (writer_->failing()) {
        wake_.wait_for(lock, writer_->retry_after(),
                       [&] { return asked() || pending_.size() >= options_.memory_bytes_max / 8; });
    } else if (!writer_->has_spilled()) {
        wake_.wait(lock, [&] { return asked() || !pending_.empty(); });
        wake_.wait_for(lock, options_.commit_delay,
                       [&] { return asked() || pending_.size() >= kBatchBytes; });
    }
    const Taken taken{pending_count_, stopping_};
    if (rows.empty()) {
        std::swap(rows, pending_);
    } else {
        rows.append(pending_);
        pending_.clear();
    }
    encoder_.clear();
    pending_count_ = 0;
    taken_bytes_ = rows.size();
    ++attempts_begun_;
    return taken;
}

void SqliteLedger::run() {
    std::string rows;
    uint64_t held = 0;
    bool stopping = false;
    while (!stopping) {
        const Taken taken = take(rows);
        stopping = taken.stopping;
        held += taken.count;
        const Writer::Done done = writer_->settle(rows);

        const std::lock_guard lock(mutex_);
        stats_.saved += done.saved;
        stats_.spilled += done.spilled ? held : 0;
        stats_.failing = writer_->failing();
        // What is held counts as settled too: flush() must not hang while every disk is full.
        settled_count_ += taken.count;
        ++attempts_done_;
        if (!done.held) {
            forget(rows);
            held = 0;
            taken_bytes_ = 0;
        }
        held_count_ = held;
        settled_.notify_all();
    }
    if (held != 0) {
        const std::lock_guard lock(mutex_);
        stats_.dropped += held;
        settled_count_ -= held;
        held_count_ = 0;
        log::write(log::Level::error, "ledger.lost", "Records are lost: no disk would take them.",
                   {{"rows", held}});
    }
}

Result<ledger::Entry> SqliteLedger::find(std::string_view id) {
    flush();
    LedgerReader reader = TRY(LedgerReader::open(dir_.file(kDatabaseName), options_.vfs));
    return reader.find(id);
}

Result<std::vector<ledger::Entry>> SqliteLedger::find_last(size_t count) {
    flush();
    LedgerReader reader = TRY(LedgerReader::open(dir_.file(kDatabaseName), options_.vfs));
    return reader.find_last(count);
}

ledger::Stats SqliteLedger::stats() const {
    const std::lock_guard lock(mutex_);
    ledger::Stats stats = stats_;
    stats.waiting = stats.appended - stats.dropped - settled_count_ + held_count_;
    return stats;
}

Result<ledger::Entry> find_entry(const std::string& dir, std::string_view id) {
    LedgerReader reader =
        TRY(LedgerReader::open(dir + "/" + std::string(SqliteLedger::kDatabaseName)));
    return reader.find(id);
}

Result<std::vector<ledger::Entry>> find_last_entries(const std::string& dir, size_t count) {
    LedgerReader reader =
        TRY(LedgerReader::open(dir + "/" + std::string(SqliteLedger::kDatabaseName)));
    return reader.find_last(count);
}

}  // namespace belay::store

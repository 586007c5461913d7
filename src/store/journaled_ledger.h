#pragma once
// The Ledger of one process: a journal that one thread moves into a database in group commits.
// append() writes the row into a mapped file under a short lock and returns: from then on the
// record survives the death of the process, and no system call was made for it (but in a burst that
// fills segments faster than the writer saves them). The writer commits what has gathered a few
// times a second and frees the journal's segment; the database notes with each commit which segment
// it was, so that each record comes into it exactly once. Which database that is, its driver knows
// (sqlite_ledger.h, postgres_ledger.h). Readers look at the journal too.
//
// When the database refuses (disk full, I/O error, locked by a stranger, away) records wait in the
// journal, which grows up to a bound. When it cannot grow they wait in memory up to another; only
// beyond that is a record dropped, counted and told.
//
// What a kill can lose: what waits in memory because the journal has no room, and nothing else.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "ledger/feed.h"
#include "ledger/ledger.h"
#include "ledger/query.h"
#include "store/data_dir.h"
#include "store/drain.h"
#include "store/ledger_reader.h"
#include "store/ledger_tables.h"
#include "store/ledger_view.h"
#include "store/row_codec.h"

namespace belay::store {

struct LedgerOptions {
    milliseconds commit_delay{500};       // how long the first row of a batch waits for others
    milliseconds merge_delay{1'000};      // how long nobody calls before batches are joined
    milliseconds memory_delay{4};         // the same for a row that the journal had no room for
    size_t memory_bytes_max = 32u << 20;  // rows waiting in memory
    Journal::Options journal;
    milliseconds retry_delay_max{5'000};  // between attempts while the database refuses
    milliseconds follow_every{1'000};     // looks at what others have charged
};

// How a database is written to and read.
class LedgerDriver {
  public:
    virtual ~LedgerDriver() = default;
    [[nodiscard]] virtual std::unique_ptr<LedgerTables> make_tables() = 0;
    // From any thread.
    [[nodiscard]] virtual Result<std::unique_ptr<LedgerView>> open_view() = 0;
    // Whether tables that cannot be reached are one more reason to keep records aside, and none not
    // to start. What they have of the journal is then told by each transaction alone.
    [[nodiscard]] virtual bool may_be_away() const = 0;
    // Whether others write to the same tables.
    [[nodiscard]] virtual bool is_shared() const = 0;
};

class JournaledLedger final : public ledger::Ledger,
                              public ledger::Queries,
                              public ledger::SpendFeed {
  public:
    static constexpr std::string_view kJournalName = "ledger.journal";

    // Keeps `dir` locked.
    [[nodiscard]] static Result<std::unique_ptr<JournaledLedger>> open(
        DataDir dir, std::unique_ptr<LedgerDriver> driver, LedgerOptions options);
    // Saves what is waiting, then closes.
    ~JournaledLedger() override;
    JournaledLedger(const JournaledLedger&) = delete;
    JournaledLedger& operator=(const JournaledLedger&) = delete;

    void append(const ledger::SpendRecord& record, const ledger::Trace& trace) noexcept override;
    void flush() override;
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id) override;
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count) override;
    [[nodiscard]] ledger::Stats stats() const override;

    [[nodiscard]] Result<ledger::LogPage> find_page(const ledger::LogFilter& filter) override;
    [[nodiscard]] Result<std::vector<ledger::DaySum>> day_sums(
        const ledger::DayFilter& filter) override;
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> scope_sums() override;
    [[nodiscard]] Result<std::vector<TagSum>> tag_sums(const std::string& from,
                                                       const std::string& until) override;
    [[nodiscard]] Result<uint64_t> drop_before(int64_t ms) override;
    [[nodiscard]] Result<void> for_each(
        const ledger::LogFilter& filter,
        const std::function<bool(const ledger::Entry&)>& take) override;

    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> begin_feed() override;
    [[nodiscard]] std::vector<ledger::ScopeSum> take_feed() override;

  private:
    JournaledLedger(DataDir dir, std::unique_ptr<LedgerDriver> driver, LedgerOptions options,
                    Drain drain);

    // Under mutex_. Where append() writes; true: the writer must be woken.
    [[nodiscard]] bool put(const ledger::SpendRecord& record, const ledger::Trace& trace);
    [[nodiscard]] bool put_in_journal(const ledger::SpendRecord& record,
                                      const ledger::Trace& trace);
    [[nodiscard]] bool put_in_memory(const ledger::SpendRecord& record, const ledger::Trace& trace);
    void seal_segment();
    void seal_memory();

    // The writer thread.
    void run();
    void wait(std::unique_lock<std::mutex>& lock);
    void attempt(std::unique_lock<std::mutex>& lock);
    void settle(std::unique_lock<std::mutex>& lock);
    void provide_segments(std::unique_lock<std::mutex>& lock);
    void merge(std::unique_lock<std::mutex>& lock);
    void drop(std::unique_lock<std::mutex>& lock);
    void follow(std::unique_lock<std::mutex>& lock);
    [[nodiscard]] bool follow_due() const;
    [[nodiscard]] Result<LedgerReader> read();
    void tell_lost();

    DataDir dir_;
    std::unique_ptr<LedgerDriver> driver_;
    LedgerOptions options_;
    Drain drain_;  // used by thread_ alone after open()

    mutable std::mutex mutex_;
    std::condition_variable wake_;     // the writer waits here
    std::condition_variable settled_;  // flush() waits here
    // Rows stand in this order: sealed_, segment_, memory_. While memory_ has some, segment_ is
    // not written to. Both are written with encoder_, one after the other.
    std::deque<Batch> sealed_;
    Segment segment_;
    Segment spare_;
    std::string memory_;
    uint64_t memory_count_ = 0;
    RowWriter encoder_;
    uint64_t newest_sequence_ = 0;  // of segment_ and spare_
    size_t held_bytes_ = 0;         // in memory, with the writer
    uint64_t accepted_count_;       // by append(), or left by an earlier process
    uint64_t attempts_begun_ = 0;
    uint64_t attempts_done_ = 0;
    uint64_t attempt_asked_ = 0;   // by flush()
    bool segment_wanted_ = false;  // append() has begun the spare one
    bool journal_full_ = false;    // append() need not ask it
    bool stopping_ = false;
    // drop_before() asks, the writer does it between its commits.
    std::optional<int64_t> drop_before_ms_;
    std::optional<Result<uint64_t>> dropped_;
    std::mutex drop_mutex_;  // one at a time
    // begin_feed() asks, and then the writer looks every now and then.
    bool feed_asked_ = false;
    bool feeding_ = false;
    Mono next_follow_{};
    std::optional<Result<std::vector<ledger::ScopeSum>>> feed_begun_;
    std::vector<ledger::ScopeSum> fed_;  // not yet taken
    std::mutex feed_mutex_;              // one at a time
    ledger::Stats stats_;
    std::thread thread_;
};

}  // namespace belay::store

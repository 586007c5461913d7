#include "store/journaled_ledger.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/log.h"
#include "store/ledger_writer.h"

namespace belay::store {

namespace {

// A batch this large is worth committing at once.
constexpr size_t kBatchBytes = 256 << 10;

// A journal that cannot be used is none: the ledger goes on without.
std::unique_ptr<Journal> open_journal(const std::string& path, const Journal::Options& options,
                                      SegmentName saved) {
    Result<std::unique_ptr<Journal>> journal = Journal::open(path, options, saved);
    if (journal.ok()) {
        return std::move(*journal);
    }
    log::write(log::Level::error, "ledger.no_journal",
               "The newest records wait in memory, where a kill would lose them: " +
                   journal.error().message + ". Move the file away, or look at its folder.");
    return {};
}

}  // namespace

Result<std::unique_ptr<JournaledLedger>> JournaledLedger::open(DataDir dir,
                                                               std::unique_ptr<LedgerDriver> driver,
                                                               LedgerOptions options) {
    LedgerWriter writer(driver->make_tables());
    const Result<void> connected = writer.connect();
    if (!connected.ok() &&
        !(driver->may_be_away() && connected.error().kind == Kind::upstream_unavailable)) {
        return connected.error();
    }
    options.journal.new_identity = driver->may_be_away();
    auto journal = open_journal(dir.file(kJournalName), options.journal, writer.saved());
    Drain drain(std::move(writer), std::move(journal), options.retry_delay_max);
    return std::unique_ptr<JournaledLedger>(new JournaledLedger(
        std::move(dir), std::move(driver), std::move(options), std::move(drain)));
}

JournaledLedger::JournaledLedger(DataDir dir, std::unique_ptr<LedgerDriver> driver,
                                 LedgerOptions options, Drain drain)
    : dir_(std::move(dir)),
      driver_(std::move(driver)),
      options_(std::move(options)),
      drain_(std::move(drain)),
      segment_(drain_.next_segment()),
      spare_(segment_.exists() ? drain_.next_segment() : Segment()),
      accepted_count_(drain_.count()),
      thread_([this] { run(); }) {}

JournaledLedger::~JournaledLedger() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void JournaledLedger::append(const ledger::SpendRecord& record,
                             const ledger::Trace& trace) noexcept {
    bool notify = false;
    {
        const std::lock_guard lock(mutex_);
        ++stats_.appended;
        try {
            notify = put(record, trace);
        } catch (const std::bad_alloc&) {
            ++stats_.dropped;
        }
    }
    if (notify) {
        wake_.notify_one();
    }
}

bool JournaledLedger::put(const ledger::SpendRecord& record, const ledger::Trace& trace) {
    if (memory_.empty()) {
        const size_t before = segment_.used();
        if (put_in_journal(record, trace)) {
            ++accepted_count_;
            const size_t after = segment_.used();
            return segment_wanted_ || before == 0 || (before < kBatchBytes && after >= kBatchBytes);
        }
        encoder_.clear();
    }
    return put_in_memory(record, trace);
}

bool JournaledLedger::put_in_journal(const ledger::SpendRecord& record,
                                     const ledger::Trace& trace) {
    if (segment_.exists() && segment_.append(encoder_, record, trace)) {
        return true;
    }
    if (segment_.exists() && segment_.used() == 0) {
        return false;  // it fits into none
    }
    if (!spare_.exists() && !journal_full_) {
        // A burst while the writer is busy: it is worth a system call to keep these out of memory.
        spare_ = drain_.next_segment();
        journal_full_ = !spare_.exists();
    }
    if (!spare_.exists()) {
        return false;
    }
    newest_sequence_ = std::max(newest_sequence_, spare_.name().sequence);
    seal_segment();
    segment_wanted_ = true;
    return segment_.append(encoder_, record, trace);
}

bool JournaledLedger::put_in_memory(const ledger::SpendRecord& record, const ledger::Trace& trace) {
    if (memory_.size() + held_bytes_ > options_.memory_bytes_max) {
        ++stats_.dropped;
        return false;
    }
    const size_t before = memory_.size();
    encoder_.write(memory_, record, trace);
    ++memory_count_;
    ++accepted_count_;
    return before == 0 || (before < kBatchBytes && memory_.size() >= kBatchBytes);
}

void JournaledLedger::seal_segment() {
    if (segment_.exists() && segment_.used() != 0) {
        sealed_.emplace_back();
        sealed_.back().count = segment_.count();
        sealed_.back().segment = std::move(segment_);
    }
    if (!segment_.exists()) {
        segment_ = std::move(spare_);
    }
    encoder_.clear();
}

void JournaledLedger::seal_memory() {
    if (!memory_.empty()) {
        sealed_.emplace_back();
        sealed_.back().count = std::exchange(memory_count_, 0);
        sealed_.back().memory = std::exchange(memory_, {});
        encoder_.clear();
    }
}

void JournaledLedger::flush() {
    std::unique_lock lock(mutex_);
    const uint64_t goal = accepted_count_;
    // While the store refuses, one attempt that begins after this call is waited for.
    const uint64_t attempt = attempts_begun_ + 1;
    const auto settled = [&] {
        return (stats_.saved >= goal && !stats_.failing) || attempts_done_ >= attempt;
    };
    if (!settled()) {
        attempt_asked_ = attempt;
        wake_.notify_one();
        settled_.wait(lock, settled);
    }
}

void JournaledLedger::run() {
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
        wait(lock);
        last = stopping_;
        if (!last || !drain_.failing() || drain_.memory_count() + memory_count_ != 0) {
            attempt(lock);  // else the journal has it all, and the next start another try
        }
        drop(lock);
        follow(lock);
        lock.unlock();
        (void)drain_.merge(Drain::Pace::busy);
        lock.lock();
    }
    tell_lost();
}

void JournaledLedger::wait(std::unique_lock<std::mutex>& lock) {
    const auto asked = [this] {
        return stopping_ || segment_wanted_ || attempts_begun_ < attempt_asked_ ||
               drop_before_ms_.has_value() || feed_asked_;
    };
    if (drain_.failing()) {
        wake_.wait_for(lock, drain_.retry_after(), asked);
        return;
    }
    if (!drain_.empty()) {
        return;  // an earlier process left it
    }
    const auto has_rows = [this] { return segment_.used() != 0 || !memory_.empty(); };
    if (!asked() && !has_rows()) {
        drain_.rest();
        const auto woken = [&] { return asked() || has_rows(); };
        // Small batches are joined while nobody calls: a record is not worth moving twice.
        if (!wake_.wait_for(lock, options_.merge_delay, woken)) {
            merge(lock);
            if (feeding_) {
                wake_.wait_for(lock, next_follow_ - system_clock().mono(), woken);
            } else {
                wake_.wait(lock, woken);
            }
        }
        if (follow_due() && !has_rows()) {
            return;
        }
    }
    if (!memory_.empty()) {
        wake_.wait_for(lock, options_.memory_delay, asked);
        return;
    }
    wake_.wait_for(lock, options_.commit_delay,
                   [&] { return asked() || !memory_.empty() || segment_.used() >= kBatchBytes; });
}

// What is still being written is taken only once the database takes what is older: while it
// refuses, segments fill up before the journal grows.
void JournaledLedger::attempt(std::unique_lock<std::mutex>& lock) {
    ++attempts_begun_;
    if (!drain_.empty()) {
        settle(lock);
    }
    if (drain_.empty()) {
        seal_segment();
        seal_memory();
        settle(lock);
    }
    ++attempts_done_;
    settled_.notify_all();
}

void JournaledLedger::settle(std::unique_lock<std::mutex>& lock) {
    while (!sealed_.empty()) {
        drain_.add(std::move(sealed_.front()));
        sealed_.pop_front();
    }
    held_bytes_ = drain_.memory_bytes();
    provide_segments(lock);
    lock.unlock();
    const Drain::Done done = drain_.settle();
    lock.lock();
    held_bytes_ = drain_.memory_bytes();
    stats_.saved += done.saved;
    stats_.spilled += done.refused;
    stats_.failing = drain_.failing();
}

// Before the database is asked, which may take long: append() goes on meanwhile. Segments are used
// in the order of their sequence, for the database notes only how far it has come.
void JournaledLedger::provide_segments(std::unique_lock<std::mutex>& lock) {
    segment_wanted_ = false;
    while (!segment_.exists() || !spare_.exists()) {
        lock.unlock();
        Segment next = drain_.next_segment();
        lock.lock();
        journal_full_ = !next.exists();
        if (journal_full_) {
            return;
        }
        Segment& place = segment_.exists() ? spare_ : segment_;
        if (place.exists() || next.name().sequence < newest_sequence_) {
            drain_.give_back(std::move(next));  // append() was faster
            continue;
        }
        newest_sequence_ = next.name().sequence;
        place = std::move(next);
    }
}

// At the end of the last attempt: what a segment has is read at the next start, the rest is not.
void JournaledLedger::tell_lost() {
    const uint64_t lost = drain_.memory_count() + memory_count_;
    if (lost != 0) {
        stats_.dropped += lost;
        accepted_count_ -= lost;
        log::write(log::Level::error, "ledger.lost", "Records are lost: no disk would take them.",
                   {{"rows", lost}});
    }
}

// Between commits, a step at a time, and only then when nobody waits or too much is left.
void JournaledLedger::merge(std::unique_lock<std::mutex>& lock) {
    for (bool more = true; more && !stopping_;) {
        const bool quiet = segment_.used() == 0 && memory_.empty() && sealed_.empty();
        lock.unlock();
        more = quiet && drain_.merge(Drain::Pace::quiet);
        lock.lock();
    }
}

void JournaledLedger::drop(std::unique_lock<std::mutex>& lock) {
    if (!drop_before_ms_) {
        return;
    }
    const int64_t ms = *drop_before_ms_;
    lock.unlock();
    Result<uint64_t> some = drain_.drop_some(ms);
    lock.lock();
    const bool done = !some.ok() || *some == 0 || stopping_;
    if (some.ok() && dropped_ && dropped_->ok()) {
        *some += **dropped_;
    }
    dropped_ = std::move(some);
    if (done) {
        drop_before_ms_.reset();
        settled_.notify_all();
    }
}

bool JournaledLedger::follow_due() const {
    return feed_asked_ || (feeding_ && system_clock().mono() >= next_follow_);
}

// Behind an attempt, so that sums that are asked for have all that was appended before.
void JournaledLedger::follow(std::unique_lock<std::mutex>& lock) {
    if (!follow_due()) {
        return;
    }
    const bool anew = feed_asked_;
    if (drain_.failing()) {
        if (anew) {
            feed_begun_ =
                gateway_error(Kind::upstream_unavailable, "the database cannot be reached");
            feed_asked_ = false;
            settled_.notify_all();
        }
        return;
    }
    lock.unlock();
    Result<std::vector<ledger::ScopeSum>> sums = drain_.follow(anew);
    lock.lock();
    // After a failure it is not asked for a while: the connection is the writer's, too.
    next_follow_ =
        system_clock().mono() + (sums.ok() ? options_.follow_every : options_.retry_delay_max);
    if (anew) {
        feeding_ = sums.ok();
        fed_.clear();
        feed_begun_ = std::move(sums);
        feed_asked_ = false;
        settled_.notify_all();
    } else if (sums.ok()) {
        fed_.insert(fed_.end(), std::make_move_iterator(sums->begin()),
                    std::make_move_iterator(sums->end()));
    }
}

Result<std::vector<ledger::ScopeSum>> JournaledLedger::begin_feed() {
    if (!driver_->is_shared()) {
        return scope_sums();
    }
    const std::lock_guard one_at_a_time(feed_mutex_);
    flush();
    std::unique_lock lock(mutex_);
    feed_asked_ = true;
    wake_.notify_one();
    settled_.wait(lock, [this] { return !feed_asked_; });
    return *std::exchange(feed_begun_, std::nullopt);
}

std::vector<ledger::ScopeSum> JournaledLedger::take_feed() {
    const std::lock_guard lock(mutex_);
    return std::exchange(fed_, {});
}

Result<uint64_t> JournaledLedger::drop_before(int64_t ms) {
    const std::lock_guard one_at_a_time(drop_mutex_);
    flush();
    std::unique_lock lock(mutex_);
    dropped_.reset();
    drop_before_ms_ = ms;
    wake_.notify_one();
    settled_.wait(lock, [this] { return !drop_before_ms_; });
    return *std::exchange(dropped_, std::nullopt);
}

// While the database refuses, nobody waits for it: what it has not taken is in the journal.
Result<LedgerReader> JournaledLedger::read() {
    if (!stats().failing) {
        flush();
    }
    return LedgerReader::open([this] { return driver_->open_view(); }, dir_.file(kJournalName));
}

Result<ledger::Entry> JournaledLedger::find(std::string_view id) { return TRY(read()).find(id); }

Result<std::vector<ledger::Entry>> JournaledLedger::find_last(size_t count) {
    return TRY(read()).find_last(count);
}

Result<ledger::LogPage> JournaledLedger::find_page(const ledger::LogFilter& filter) {
    return TRY(read()).find_page(filter);
}

Result<std::vector<ledger::DaySum>> JournaledLedger::day_sums(const ledger::DayFilter& filter) {
    return TRY(read()).day_sums(filter);
}

Result<std::vector<ledger::ScopeSum>> JournaledLedger::scope_sums() {
    return TRY(read()).scope_sums();
}

Result<std::vector<ledger::Queries::TagSum>> JournaledLedger::tag_sums(const std::string& from,
                                                                       const std::string& until) {
    return TRY(read()).tag_sums(from, until);
}

Result<void> JournaledLedger::for_each(const ledger::LogFilter& filter,
                                       const std::function<bool(const ledger::Entry&)>& take) {
    return TRY(read()).for_each(filter, take);
}

ledger::Stats JournaledLedger::stats() const {
    const std::lock_guard lock(mutex_);
    ledger::Stats stats = stats_;
    stats.waiting = accepted_count_ - stats.saved;
    return stats;
}

}  // namespace belay::store

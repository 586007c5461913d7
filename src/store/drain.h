#pragma once
// What the ledger's writer thread holds: batches of rows on their way into the database, oldest
// first, and the journal whose segments they stand in. A batch leaves when the database has it;
// while the database refuses, all wait here and are tried again after a growing delay.
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/clock.h"
#include "store/journal.h"
#include "store/ledger_writer.h"

namespace belay::store {

// Rows of one segment of the journal, or rows in memory when the journal had no room.
struct Batch {
    Segment segment;
    std::string memory;
    uint64_t count = 0;
    bool refused = false;  // once, at least
    SegmentName name;      // of the segment, or of the rows in memory

    [[nodiscard]] std::string_view rows() const {
        return segment.exists() ? segment.rows() : std::string_view(memory);
    }
};

class Drain {
  public:
    // Begins with what an earlier process left in the journal.
    // `journal` may be null.
    Drain(LedgerWriter writer, std::unique_ptr<Journal> journal, milliseconds retry_delay_max);

    void add(Batch batch);
    [[nodiscard]] bool empty() const { return batches_.empty(); }
    // How many rows it holds, and how many bytes of memory those take that no segment has.
    [[nodiscard]] uint64_t count() const;
    [[nodiscard]] uint64_t memory_count() const;
    [[nodiscard]] size_t memory_bytes() const;

    struct Done {
        uint64_t saved = 0;
        uint64_t refused = 0;  // rows in the journal that were refused for the first time
    };
    // Saves batch after batch until none is left or one is refused.
    Done settle();
    // Zero while all is well, else how long to wait before trying again.
    [[nodiscard]] milliseconds retry_after() const { return retry_after_; }
    [[nodiscard]] bool failing() const { return retry_after_.count() != 0; }

    // A segment to write to; one that does not exist when the journal has no room. Thread-safe.
    [[nodiscard]] Segment next_segment() { return journal_ ? journal_->acquire() : Segment(); }
    // One that was not needed after all.
    void give_back(Segment segment) { journal_->release(std::move(segment)); }
    // Joins small batches of the database when enough have gathered, one step, sooner while all is
    // quiet; a failure shows in the next commit. True: there is more to do.
    enum class Pace : uint8_t { quiet, busy };
    bool merge(Pace pace);
    [[nodiscard]] Result<uint64_t> drop_some(int64_t ms) { return writer_.drop_some(ms); }
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> follow(bool anew) {
        return writer_.follow(anew);
    }
    // Nothing will happen for a while.
    void rest();

  private:
    void note_failure(const Error& error);
    void note_success(uint64_t saved);

    LedgerWriter writer_;
    std::unique_ptr<Journal> journal_;
    std::deque<Batch> batches_;
    milliseconds retry_delay_max_;
    milliseconds retry_after_{0};
    int64_t saves_since_merge_;
    SegmentName memory_name_;  // of the last batch that no segment had
};

}  // namespace belay::store

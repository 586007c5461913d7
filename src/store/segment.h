#pragma once
// One segment of the journal: rows in memory that outlives the process, because it is a mapped
// file. A row is there as soon as append() has published it, with no system call; the kernel has
// the bytes. Segments know no file (journal.h does) and read_segment() trusts no byte.
//
//   segment = head:SegmentHead row* ... check*
//   row     = row_codec.h; they begin behind the head. `published` bytes of them are there
//   check   = u32 per row, the first at the segment's very end and the next ones below it: a hash
//             of the segment's name, the row's place and its bytes
//
// A kill leaves exactly what was published. A power cut may leave pages of different ages; the
// checks then tell how many rows, from the first on, are whole and of this segment's own time.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "store/row_codec.h"

namespace belay::store {

// Which segment of which journal: a journal numbers its segments in the order they are begun, and
// never twice the same. sequence 0 = none. Rows that only memory holds have names as well, of a
// journal of their process alone, whose last bit is 0: nobody asks for them after its end.
struct SegmentName {
    uint64_t journal = 0;
    uint64_t sequence = 0;
    bool operator==(const SegmentName&) const = default;
    // It stands in a file, and may be brought again by a later process.
    [[nodiscard]] bool is_kept() const { return sequence != 0 && (journal & 1U) != 0; }
};

struct SegmentHead {
    uint64_t mark = 0;
    uint64_t journal = 0;
    uint64_t sequence = 0;
    uint64_t size = 0;  // of the segment, this head and the checks included
    uint64_t check = 0;
    uint64_t published = 0;
    uint64_t reserved[2] = {};

    // Whether it was written by begin() and not damaged since.
    [[nodiscard]] bool valid() const;
    [[nodiscard]] SegmentName name() const { return {journal, sequence}; }
};
static_assert(sizeof(SegmentHead) == 64);

inline constexpr size_t kSegmentBytesMin = 4 << 10;
inline constexpr size_t kSegmentBytesMax = 64 << 20;

// What a segment's bytes hold.
struct SegmentContent {
    SegmentName name;       // sequence 0: no segment
    std::string_view rows;  // the whole ones, from the first on; a view of the bytes
    uint64_t count = 0;     // of them
    bool torn = false;      // more was published than is whole
};
[[nodiscard]] SegmentContent read_segment(std::string_view bytes);

// A segment being written, or read after it was. One owner at a time; the memory is the journal's.
class Segment {
  public:
    Segment() = default;
    // Makes `memory` the empty segment `name`; its size is a multiple of kSegmentBytesMin.
    Segment(char* memory, size_t size, SegmentName name);
    // One that was left behind: `content` as read_segment() gave it for this memory.
    Segment(char* memory, size_t size, const SegmentContent& content);
    Segment(Segment&& other) noexcept { swap(other); }
    Segment& operator=(Segment&& other) noexcept {
        swap(other);
        return *this;
    }
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    ~Segment() = default;

    [[nodiscard]] bool exists() const { return memory_ != nullptr; }
    // Writes the row and publishes it. False: it does not fit, and nothing is changed. The encoder
    // is this segment's alone since it was begun.
    [[nodiscard]] bool append(RowWriter& encoder, const ledger::SpendRecord& record,
                              const ledger::Trace& trace);
    // The same for rows that stand in a buffer of their own, as far as they fit and are whole.
    void append_rows(std::string_view rows);
    // Forgets the rows: nobody needs to read them again.
    void clear();

    [[nodiscard]] std::string_view rows() const { return {memory_ + sizeof(SegmentHead), used_}; }
    [[nodiscard]] size_t used() const { return used_; }
    [[nodiscard]] uint64_t count() const { return count_; }
    [[nodiscard]] SegmentName name() const { return name_; }
    [[nodiscard]] const char* memory() const { return memory_; }

  private:
    // Where rows must end so that one more has a check.
    [[nodiscard]] size_t capacity() const;
    void publish_row(size_t size);
    void swap(Segment& other) noexcept;

    char* memory_ = nullptr;
    size_t size_ = 0;
    size_t used_ = 0;  // by rows
    uint64_t count_ = 0;
    SegmentName name_;
};

}  // namespace belay::store

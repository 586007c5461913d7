#pragma once
// The journal's file: segments (segment.h) that follow each other, mapped so that a row is in the
// kernel's keeping the moment it is written. The file's blocks are allocated before they are
// mapped, so a full disk is an error here and never a signal in the middle of a row; it is the
// user's alone (0600). It grows by a segment when all are in use and gives the blocks back later.
//
// Thread-safe; a segment that acquire() gave belongs to whoever asked until it is released.
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/segment.h"

namespace belay::store {

class Journal {
  public:
    struct Options {
        size_t segment_bytes = 1 << 20;
        uint64_t bytes_max = 1u << 30;
        // Segments of this run have a journal name of their own, whatever the file was named.
        bool new_identity = false;
    };

    // Opens or makes the file. Segments with rows in them wait in take_recovered(), unless they are
    // `saved` or older ones of the same journal.
    [[nodiscard]] static Result<std::unique_ptr<Journal>> open(const std::string& path,
                                                               Options options, SegmentName saved);
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal();

    // What an earlier process left, the oldest first. Once.
    [[nodiscard]] std::vector<Segment> take_recovered();
    // An empty segment, with a name that was never used. One that does not exist when the disk or
    // bytes_max is full; that is told in the log, once until it is otherwise.
    [[nodiscard]] Segment acquire();
    // Takes a segment back whose rows are saved.
    void release(Segment segment);
    // Lets go of memory that a burst has touched; the file keeps the bytes.
    void trim();

  private:
    struct Slot {
        char* memory = nullptr;  // null: not mapped yet
        bool allocated = false;  // its blocks are on the disk for certain
        bool free = true;
        size_t touched = 0;  // bytes from its beginning on
    };

    Journal(int file, Options options) : file_(file), options_(options) {}
    [[nodiscard]] Result<void> scan(SegmentName saved);
    [[nodiscard]] Result<void> recover(size_t index);
    [[nodiscard]] Result<Segment> begin_segment();
    [[nodiscard]] Result<void> map(size_t index);
    [[nodiscard]] Result<void> allocate(size_t index);
    void shrink();
    [[nodiscard]] int64_t offset_of(size_t index) const;

    const int file_;
    Options options_;
    std::mutex mutex_;
    uint64_t id_ = 0;
    uint64_t last_sequence_ = 0;
    std::vector<Slot> slots_;
    std::vector<Segment> recovered_;
    bool full_ = false;  // and told
};

// The rows of each segment that has some, the oldest first: for a process that reads beside the one
// that writes. What is being overwritten while it is read is told apart and left out, for it is in
// the database by then. At most the newest 64 MiB; a file that is not there holds nothing.
struct JournalRows {
    SegmentName name;
    std::string rows;
};
[[nodiscard]] std::vector<JournalRows> read_journal(const std::string& path);

}  // namespace belay::store

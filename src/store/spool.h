#pragma once
// The spill file: rows that the database would not take, appended in blocks until it does. A block
// cut short by a crash ends the file; whatever stands before it is whole (each block carries its
// checksum).
//
//   file  = "BLSPOOL1" epoch:u64 block*      (nothing at all while it is empty)
//   block = "BLSP" size:u32 checksum:u64 rows
//
// The epoch is drawn anew each time the file begins, so a reader's mark of an earlier file is told
// from a mark of this one.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace belay::store {

class Spool {
  public:
    // Opens or makes the file, 0600. A torn block at the end is cut off.
    [[nodiscard]] static Result<Spool> open(const std::string& path, uint64_t max_bytes);
    Spool() = default;
    Spool(Spool&& other) noexcept;
    Spool& operator=(Spool&& other) noexcept;
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;
    ~Spool();

    // Appends one block. Fails when the disk or max_bytes is full; the file is then as it was.
    [[nodiscard]] Result<void> append(std::string_view rows);
    [[nodiscard]] uint64_t size() const { return size_; }
    [[nodiscard]] uint64_t epoch() const { return epoch_; }
    [[nodiscard]] static uint64_t first_block();
    // The rows of the block at `offset`, and in `next` where the one after begins. Empty rows: a
    // block that does not check, or the end; then `next` is size().
    [[nodiscard]] Result<std::string> read_block(uint64_t offset, uint64_t& next) const;
    [[nodiscard]] Result<void> clear();

  private:
    int file_ = -1;
    uint64_t size_ = 0;
    uint64_t max_bytes_ = 0;
    uint64_t epoch_ = 0;
};

}  // namespace belay::store

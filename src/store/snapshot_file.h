#pragma once
// A file of lines that is there whole or not at all: a copy of what another place keeps, to begin
// with while that is away. The user's alone (0600); written beside the old one, synced, and put in
// its place. A format on disk:
//
//   "belay-snapshot 1 " what " " origin " " saved_ms "\n"     then the lines, each with its "\n"
//   a chained SHA-256 of all that in blocks of 64 KiB, as 64 hexadecimal digits and "\n"
//
// `what` and `origin` are words without spaces; a file of others is none.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::store {

class SnapshotWriter {
  public:
    [[nodiscard]] static Result<SnapshotWriter> open(const std::string& path, std::string_view what,
                                                     std::string_view origin, int64_t saved_ms);
    SnapshotWriter(SnapshotWriter&& other) noexcept;
    SnapshotWriter& operator=(SnapshotWriter&&) = delete;
    ~SnapshotWriter();  // without finish() the old file stays

    // Without a line's end in it. An error is kept for finish().
    void add(std::string_view line);
    [[nodiscard]] Result<void> finish();

  private:
    SnapshotWriter(std::string path, int file) : path_(std::move(path)), file_(file) {}
    void flush(size_t size);

    std::string path_;
    int file_;
    int failure_ = 0;  // errno
    std::string block_;
    std::string digest_;
};

struct Snapshot {
    int64_t saved_ms = 0;
    std::vector<std::string> lines;
};
// Kind::not_found without a file; a file that is damaged, or a copy of something else, is
// Kind::invalid_request.
[[nodiscard]] Result<Snapshot> read_snapshot(const std::string& path, std::string_view what,
                                             std::string_view origin);

}  // namespace belay::store

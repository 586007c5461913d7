#pragma once
// The part of tar that a backup is made of (POSIX.1-2017, pax, "ustar Interchange Format"): plain
// files, one after the other, so that any tar lists and unpacks it. Sizes beyond 8 GiB stand in
// GNU's base-256 form. Streams: a file's size does not matter.
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace belay::app {

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;

class TarWriter {
  public:
    // Makes the file, 0600; fails when it is there.
    [[nodiscard]] static Result<TarWriter> make(const std::string& path, int64_t now_ms);
    [[nodiscard]] Result<void> add(std::string_view name, std::string_view content);
    // What the file at `path` holds; fails when that is not `size` bytes (it was changed).
    [[nodiscard]] Result<void> add_file(std::string_view name, const std::string& path,
                                        uint64_t size);
    // Ends the archive; it is on the disk afterwards.
    [[nodiscard]] Result<void> finish();

  private:
    TarWriter(FilePtr file, int64_t now_ms) : file_(std::move(file)), now_ms_(now_ms) {}
    [[nodiscard]] Result<void> head(std::string_view name, uint64_t size);
    [[nodiscard]] Result<void> write(std::string_view bytes);
    [[nodiscard]] Result<void> pad(uint64_t size);
    FilePtr file_;
    int64_t now_ms_;
};

class TarReader {
  public:
    struct Member {
        std::string name;
        uint64_t size = 0;
    };
    [[nodiscard]] static Result<TarReader> open(const std::string& path);
    // False at the archive's end. Anything but a plain file is an error.
    [[nodiscard]] Result<bool> next(Member& member);
    // The member's bytes, once, in pieces; stops with take's error.
    [[nodiscard]] Result<void> read(const Member& member,
                                    const std::function<Result<void>(std::string_view)>& take);

  private:
    explicit TarReader(FilePtr file) : file_(std::move(file)) {}
    FilePtr file_;
};

// SHA-256 of what comes in pieces, in lower-case hexadecimal.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    void add(std::string_view bytes);
    [[nodiscard]] std::string finish();

  private:
    void* context_;
};
[[nodiscard]] Result<std::string> sha256_of_file(const std::string& path, uint64_t& size);

}  // namespace belay::app

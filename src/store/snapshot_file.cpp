#include "store/snapshot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/ids.h"

namespace belay::store {

namespace {

constexpr size_t kBlock = 64 << 10;
constexpr size_t kDigest = 64;
constexpr size_t kBytesMax = size_t{2} << 30;

Error file_error(const std::string& path, std::string_view what, int code) {
    return gateway_error(code == ENOENT ? Kind::not_found : Kind::internal,
                         std::string(what) + " " + path + ": " + std::strerror(code));
}

Error no_snapshot(const std::string& path, std::string_view why) {
    return gateway_error(Kind::invalid_request, path + " " + std::string(why));
}

std::string head_of(std::string_view what, std::string_view origin) {
    return "belay-snapshot 1 " + std::string(what) + " " + std::string(origin) + " ";
}

Result<std::string> read_whole(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        return file_error(path, "cannot open", errno);
    }
    std::string bytes;
    std::string piece(kBlock, '\0');
    ssize_t size = 0;
    do {
        size = ::read(file, piece.data(), piece.size());
        bytes.append(piece, 0, static_cast<size_t>(std::max<ssize_t>(size, 0)));
    } while ((size > 0 && bytes.size() <= kBytesMax) || (size < 0 && errno == EINTR));
    const int code = errno;
    ::close(file);
    if (size < 0) {
        return file_error(path, "cannot read", code);
    }
    return bytes;
}

std::string digest_of(std::string_view bytes) {
    std::string digest;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(kBlock, bytes.size()))) {
        digest = sha256_hex(digest + std::string(bytes.substr(0, kBlock)));
    }
    return digest;
}

}  // namespace

Result<SnapshotWriter> SnapshotWriter::open(const std::string& path, std::string_view what,
                                            std::string_view origin, int64_t saved_ms) {
    const std::string beside = path + ".new";
    const int file =
        ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return file_error(beside, "cannot make", errno);
    }
    SnapshotWriter writer(path, file);
    writer.failure_ = ::fchmod(file, 0600) != 0 ? errno : 0;
    writer.add(head_of(what, origin) + std::to_string(saved_ms));
    return writer;
}

SnapshotWriter::SnapshotWriter(SnapshotWriter&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      failure_(other.failure_),
      block_(std::move(other.block_)),
      digest_(std::move(other.digest_)) {}

SnapshotWriter::~SnapshotWriter() {
    if (file_ >= 0) {
        ::close(file_);
        ::unlink((path_ + ".new").c_str());
    }
}

void SnapshotWriter::add(std::string_view line) {
    block_ += line;
    block_ += '\n';
    while (block_.size() >= kBlock) {
        digest_ = sha256_hex(digest_ + block_.substr(0, kBlock));
        flush(kBlock);
    }
}

void SnapshotWriter::flush(size_t size) {
    size_t done = 0;
    while (done < size && failure_ == 0) {
        const ssize_t wrote = ::write(file_, block_.data() + done, size - done);
        if (wrote >= 0) {
            done += static_cast<size_t>(wrote);
        } else if (errno != EINTR) {
            failure_ = errno;
        }
    }
    block_.erase(0, size);
}

Result<void> SnapshotWriter::finish() {
    if (!block_.empty()) {
        digest_ = sha256_hex(digest_ + block_);
    }
    block_ += digest_ + "\n";
    flush(block_.size());
    if (failure_ == 0 && ::fsync(file_) != 0) {
        failure_ = errno;
    }
    const std::string beside = path_ + ".new";
    if (failure_ == 0 && std::rename(beside.c_str(), path_.c_str()) != 0) {
        failure_ = errno;
    }
    if (failure_ != 0) {
        return file_error(path_, "cannot write", failure_);
    }
    ::close(std::exchange(file_, -1));
    const std::string folder = path_.substr(0, path_.rfind('/') + 1);
    const int dir = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (dir >= 0) {
        (void)::fsync(dir);
        ::close(dir);
    }
    return {};
}

Result<Snapshot> read_snapshot(const std::string& path, std::string_view what,
                               std::string_view origin) {
    const std::string bytes = TRY(read_whole(path));
    std::string_view rest = bytes;
    if (rest.size() <= kDigest + 1 || rest.back() != '\n') {
        return no_snapshot(path, "is cut short");
    }
    const std::string_view digest = rest.substr(rest.size() - kDigest - 1, kDigest);
    rest.remove_suffix(kDigest + 1);
    if (digest_of(rest) != digest) {
        return no_snapshot(path, "is damaged");
    }
    const std::string head = head_of(what, origin);
    if (!rest.starts_with(head)) {
        return no_snapshot(path, "is a copy of something else");
    }
    rest.remove_prefix(head.size());
    Snapshot snapshot;
    (void)std::from_chars(rest.data(), rest.data() + rest.size(), snapshot.saved_ms);
    rest.remove_prefix(std::min(rest.find('\n') + 1, rest.size()));
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        snapshot.lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return snapshot;
}

}  // namespace belay::store

#include "store/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/ids.h"

namespace belay::store {

namespace {

constexpr char kFileMark[8] = {'B', 'L', 'S', 'P', 'O', 'O', 'L', '1'};
constexpr char kMark[4] = {'B', 'L', 'S', 'P'};

struct FileHead {
    char mark[8];
    uint64_t epoch;
};

struct BlockHead {
    char mark[4];
    uint32_t size;
    uint64_t checksum;
};

uint64_t checksum(std::string_view bytes) {
    uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
    for (const char c : bytes) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return hash;
}

Error spool_error(std::string_view what) {
    return gateway_error(Kind::internal, "the ledger's spill file: " + std::string(what) + ": " +
                                             std::strerror(errno));
}

bool write_whole(int file, std::string_view bytes, uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t written =
            ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written <= 0) {
            if (written < 0 && errno == EINTR) {
                continue;
            }
            return false;
        }
        bytes.remove_prefix(static_cast<size_t>(written));
        offset += static_cast<uint64_t>(written);
    }
    return true;
}

bool read_whole(int file, char* out, size_t size, uint64_t offset) {
    while (size != 0) {
        const ssize_t got = ::pread(file, out, size, static_cast<off_t>(offset));
        if (got <= 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            return false;
        }
        out += got;
        size -= static_cast<size_t>(got);
        offset += static_cast<uint64_t>(got);
    }
    return true;
}

}  // namespace

Result<Spool> Spool::open(const std::string& path, uint64_t max_bytes) {
    Spool spool;
    spool.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    spool.max_bytes_ = max_bytes;
    struct stat info {};
    if (spool.file_ < 0 || ::fstat(spool.file_, &info) != 0) {
        return spool_error("cannot open " + path);
    }
    spool.size_ = static_cast<uint64_t>(info.st_size);
    FileHead head{};
    if (spool.size_ >= sizeof head &&
        read_whole(spool.file_, reinterpret_cast<char*>(&head), sizeof head, 0) &&
        std::memcmp(head.mark, kFileMark, sizeof kFileMark) == 0) {
        spool.epoch_ = head.epoch;
    } else {
        TRY(spool.clear());
    }
    for (uint64_t at = first_block(); at < spool.size_;) {
        uint64_t next = 0;
        if (TRY(spool.read_block(at, next)).empty()) {
            if (::ftruncate(spool.file_, static_cast<off_t>(at)) != 0) {
                return spool_error("cannot cut a torn block off");
            }
            spool.size_ = at;
        }
        at = next;
    }
    return spool;
}

Spool::Spool(Spool&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      size_(other.size_),
      max_bytes_(other.max_bytes_),
      epoch_(other.epoch_) {}

Spool& Spool::operator=(Spool&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(size_, other.size_);
    std::swap(max_bytes_, other.max_bytes_);
    std::swap(epoch_, other.epoch_);
    return *this;
}

Spool::~Spool() {
    if (file_ >= 0) {
        ::close(file_);
    }
}

uint64_t Spool::first_block() { return sizeof(FileHead); }

Result<void> Spool::append(std::string_view rows) {
    BlockHead block{};
    if (size_ + sizeof(FileHead) + sizeof block + rows.size() > max_bytes_) {
        errno = ENOSPC;
        return spool_error("its bound is reached");
    }
    std::string head;
    if (size_ == 0) {
        FileHead file{};
        std::memcpy(file.mark, kFileMark, sizeof kFileMark);
        file.epoch = quick_random();
        head.append(reinterpret_cast<const char*>(&file), sizeof file);
        epoch_ = file.epoch;
    }
    std::memcpy(block.mark, kMark, sizeof kMark);
    block.size = static_cast<uint32_t>(rows.size());
    block.checksum = checksum(rows);
    head.append(reinterpret_cast<const char*>(&block), sizeof block);
    if (!write_whole(file_, head, size_) || !write_whole(file_, rows, size_ + head.size())) {
        const Error error = spool_error("cannot write");
        (void)!::ftruncate(file_, static_cast<off_t>(size_));
        return error;
    }
    size_ += head.size() + rows.size();
    return {};
}

Result<std::string> Spool::read_block(uint64_t offset, uint64_t& next) const {
    next = size_;
    BlockHead head{};
    if (offset + sizeof head > size_) {
        return std::string();
    }
    if (!read_whole(file_, reinterpret_cast<char*>(&head), sizeof head, offset)) {
        return spool_error("cannot read");
    }
    if (std::memcmp(head.mark, kMark, sizeof kMark) != 0 ||
        head.size > size_ - offset - sizeof head) {
        return std::string();
    }
    std::string rows(head.size, '\0');
    if (!read_whole(file_, rows.data(), rows.size(), offset + sizeof head)) {
        return spool_error("cannot read");
    }
    if (checksum(rows) != head.checksum) {
        return std::string();
    }
    next = offset + sizeof head + rows.size();
    return rows;
}

Result<void> Spool::clear() {
    if (::ftruncate(file_, 0) != 0) {
        return spool_error("cannot empty");
    }
    size_ = 0;
    return {};
}

}  // namespace belay::store

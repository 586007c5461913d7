#include "store/journal.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/ids.h"
#include "base/log.h"

namespace belay::store {

namespace {

constexpr size_t kSlotsKept = 3;            // one is written, one waits, one is being saved
constexpr size_t kTouchedKept = 64 << 10;   // of a segment, while all is quiet
constexpr uint64_t kSegmentsMax = 1 << 16;  // however large the file is
constexpr size_t kReadBytesMax = 64 << 20;
constexpr size_t kPage = 4096;

Error journal_error(std::string_view what, int code) {
    return gateway_error(Kind::internal,
                         "the ledger's journal: " + std::string(what) + ": " + std::strerror(code));
}

// How many bytes were read, fewer than asked at the end of the file.
size_t read_at(int file, char* out, size_t size, int64_t offset) {
    size_t done = 0;
    while (done < size) {
        const ssize_t got =
            ::pread(file, out + done, size - done, offset + static_cast<int64_t>(done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        done += static_cast<size_t>(got);
    }
    return done;
}

SegmentHead read_head(int file, int64_t offset) {
    SegmentHead head;
    if (read_at(file, reinterpret_cast<char*>(&head), sizeof head, offset) != sizeof head) {
        return {};
    }
    return head;
}

// The heads of all segments, damaged ones too. The size of the first valid one is everyone's.
std::vector<SegmentHead> read_heads(int file, size_t& segment_bytes) {
    struct stat info {};
    if (::fstat(file, &info) != 0) {
        return {};
    }
    const SegmentHead first = read_head(file, 0);
    if (first.valid()) {
        segment_bytes = static_cast<size_t>(first.size);
    }
    const uint64_t count =
        std::min(static_cast<uint64_t>(info.st_size) / segment_bytes, kSegmentsMax);
    std::vector<SegmentHead> heads;
    heads.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
        const SegmentHead head = read_head(file, static_cast<int64_t>(i * segment_bytes));
        heads.push_back(head.size == segment_bytes ? head : SegmentHead{});
    }
    return heads;
}

bool is_older(SegmentName left, SegmentName right) { return left.sequence < right.sequence; }

void touch(char* memory) {
    volatile char* const byte = memory;
    *byte = *byte;
}

// A file system that writes changed blocks elsewhere would need room for them when a row is
// written; told so before the first block, it writes them in place. Others do not know the request.
void write_in_place(int file) {
    int flags = 0;
    if (::ioctl(file, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)::ioctl(file, FS_IOC_SETFLAGS, &flags);
    }
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, Options options,
                                               SegmentName saved) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return journal_error("cannot open " + path, errno);
    }
    std::unique_ptr<Journal> journal(new Journal(file, options));
    struct stat info {};
    if (::fstat(file, &info) != 0 || ::fchmod(file, 0600) != 0) {
        return journal_error("cannot use " + path, errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return journal_error(path + " is no file", EINVAL);
    }
    if (info.st_size == 0) {
        write_in_place(file);
    }
    TRY(journal->scan(saved));
    return journal;
}

Journal::~Journal() {
    for (const Slot& slot : slots_) {
        if (slot.memory != nullptr) {
            ::munmap(slot.memory, options_.segment_bytes);
        }
    }
    ::close(file_);
}

Result<void> Journal::scan(SegmentName saved) {
    const std::vector<SegmentHead> heads = read_heads(file_, options_.segment_bytes);
    SegmentName newest;
    for (const SegmentHead& head : heads) {
        if (head.valid() && is_older(newest, head.name())) {
            newest = head.name();
        }
    }
    const bool named = newest.journal != 0 && !options_.new_identity;
    id_ = named ? newest.journal : quick_random() | 1U;
    last_sequence_ =
        saved.journal == id_ ? std::max(newest.sequence, saved.sequence) : newest.sequence;
    slots_.resize(heads.size());
    for (size_t i = 0; i < heads.size(); ++i) {
        const SegmentHead& head = heads[i];
        const bool done = head.journal == saved.journal && head.sequence <= saved.sequence;
        if (head.valid() && head.published != 0 && !done) {
            TRY(recover(i));
        }
    }
    std::sort(recovered_.begin(), recovered_.end(), [](const Segment& left, const Segment& right) {
        return is_older(left.name(), right.name());
    });
    return {};
}

Result<void> Journal::recover(size_t index) {
    TRY(map(index));
    Slot& slot = slots_[index];
    const SegmentContent content = read_segment({slot.memory, options_.segment_bytes});
    if (content.torn) {
        log::write(
            log::Level::warn, "ledger.journal_torn",
            "The end of a journal segment is not whole and is left out; the machine seems to "
            "have lost power.",
            {{"rows_kept", content.count}});
    }
    if (content.count != 0) {
        slot.free = false;
        slot.touched = options_.segment_bytes;
        recovered_.emplace_back(slot.memory, options_.segment_bytes, content);
    }
    return {};
}

std::vector<Segment> Journal::take_recovered() {
    const std::lock_guard lock(mutex_);
    return std::move(recovered_);
}

Segment Journal::acquire() {
    const std::lock_guard lock(mutex_);
    Result<Segment> segment = begin_segment();
    if (segment.ok()) {
        full_ = false;
        return std::move(*segment);
    }
    if (!full_) {
        full_ = true;
        log::write(log::Level::warn, "ledger.journal_full",
                   "The newest records wait in memory, where a kill would lose them: " +
                       segment.error().message + ". Make room on the disk of the data folder.");
    }
    return {};
}

Result<Segment> Journal::begin_segment() {
    const auto found =
        std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.free; });
    const auto index = static_cast<size_t>(found - slots_.begin());
    TRY(allocate(index));
    if (index == slots_.size()) {
        slots_.push_back({nullptr, true, true, 0});
    }
    TRY(map(index));
    Slot& slot = slots_[index];
    slot.free = false;
    // The kernel may have to make a page writable again, which can wait for the disk: here rather
    // than under a request.
    for (size_t at = 0; at < slot.touched; at += kPage) {
        touch(slot.memory + at);
    }
    touch(slot.memory + options_.segment_bytes - 1);
    return Segment(slot.memory, options_.segment_bytes, SegmentName{id_, ++last_sequence_});
}

Result<void> Journal::allocate(size_t index) {
    if (index < slots_.size() && slots_[index].allocated) {
        return {};
    }
    const auto size = static_cast<off_t>(options_.segment_bytes);
    const int64_t offset = offset_of(index);
    if (static_cast<uint64_t>(offset + size) > options_.bytes_max) {
        return journal_error("its bound is reached", ENOSPC);
    }
    int code = EINTR;
    while (code == EINTR) {
        code = ::posix_fallocate(file_, offset, size);
    }
    if (code != 0) {
        return journal_error("no room for another segment", code);
    }
    if (index < slots_.size()) {
        slots_[index].allocated = true;
    }
    return {};
}

Result<void> Journal::map(size_t index) {
    Slot& slot = slots_[index];
    if (slot.memory != nullptr) {
        return {};
    }
    void* const memory = ::mmap(nullptr, options_.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                                file_, offset_of(index));
    if (memory == MAP_FAILED) {
        return journal_error("cannot map it", errno);
    }
    slot.memory = static_cast<char*>(memory);
    return {};
}

void Journal::release(Segment segment) {
    const std::lock_guard lock(mutex_);
    for (Slot& slot : slots_) {
        if (slot.memory != nullptr && slot.memory == segment.memory()) {
            slot.touched = std::max(slot.touched, sizeof(SegmentHead) + segment.used());
            slot.free = true;
        }
    }
    segment.clear();
    shrink();
}

void Journal::trim() {
    const std::lock_guard lock(mutex_);
    for (Slot& slot : slots_) {
        if (slot.touched > kTouchedKept) {
            (void)::madvise(slot.memory + kTouchedKept, options_.segment_bytes - kTouchedKept,
                            MADV_DONTNEED);
            slot.touched = kTouchedKept;
        }
    }
}

void Journal::shrink() {
    const size_t before = slots_.size();
    while (slots_.size() > kSlotsKept && slots_.back().free) {
        if (slots_.back().memory != nullptr) {
            ::munmap(slots_.back().memory, options_.segment_bytes);
        }
        slots_.pop_back();
    }
    if (slots_.size() != before) {
        (void)!::ftruncate(file_, offset_of(slots_.size()));
    }
}

int64_t Journal::offset_of(size_t index) const {
    return static_cast<int64_t>(index * options_.segment_bytes);
}

namespace {

// A copy of the segment; none when it was begun anew in the meantime.
JournalRows copy_segment(int file, int64_t offset, const SegmentHead& head) {
    std::string bytes(static_cast<size_t>(head.size), '\0');
    bytes.resize(read_at(file, bytes.data(), bytes.size(), offset));
    const SegmentContent content = read_segment(bytes);
    if (content.name != head.name() || read_head(file, offset).name() != head.name()) {
        return {};
    }
    return {content.name, std::string(content.rows)};
}

}  // namespace

std::vector<JournalRows> read_journal(const std::string& path) {
    std::vector<JournalRows> found;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        return found;
    }
    size_t segment_bytes = Journal::Options().segment_bytes;
    const std::vector<SegmentHead> heads = read_heads(file, segment_bytes);
    std::vector<size_t> order;
    for (size_t i = 0; i < heads.size(); ++i) {
        if (heads[i].valid() && heads[i].published != 0) {
            order.push_back(i);
        }
    }
    std::sort(order.begin(), order.end(), [&heads](size_t left, size_t right) {
        return is_older(heads[right].name(), heads[left].name());
    });
    size_t total = 0;
    for (const size_t i : order) {
        JournalRows rows = copy_segment(file, static_cast<int64_t>(i * segment_bytes), heads[i]);
        total += rows.rows.size();
        if (total > kReadBytesMax) {
            break;
        }
        if (!rows.rows.empty()) {
            found.push_back(std::move(rows));
        }
    }
    ::close(file);
    std::reverse(found.begin(), found.end());
    return found;
}

}  // namespace belay::store

#include "store/segment.h"

#include <atomic>
#include <cstring>
#include <utility>

namespace belay::store {

namespace {

constexpr uint64_t kMark = 0x314C4E524A4C4542;  // "BELJRNL1"
constexpr uint64_t kStir = 0x9E3779B97F4A7C15U;
constexpr uint64_t kStirMore = 0xD6E8FEB86659FD93U;
using Check = uint32_t;

uint64_t word_at(const char* at) {
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// Multiplication by an odd number loses nothing, so any single word that differs shows; the high
// half of the product is where it shows best.
Check check_of(SegmentName name, size_t place, std::string_view row) {
    uint64_t even = (name.journal ^ name.sequence * kStir) + place;
    uint64_t odd = row.size();
    const char* at = row.data();
    size_t left = row.size();
    for (; left >= 2 * sizeof even; left -= 2 * sizeof even, at += 2 * sizeof even) {
        even = (even ^ word_at(at)) * kStir;
        odd = (odd ^ word_at(at + sizeof even)) * kStirMore;
    }
    if (left >= sizeof even) {
        even = (even ^ word_at(at)) * kStir;
        left -= sizeof even;
        at += sizeof even;
    }
    uint64_t rest = 0;
    std::memcpy(&rest, at, left);
    odd = (odd ^ rest) * kStirMore;
    return static_cast<Check>(((even ^ odd >> 29U) * kStir + odd) * kStirMore >> 32U);
}

uint64_t head_check(const SegmentHead& head) {
    return ((head.journal ^ kMark) * kStir + head.sequence) * kStirMore + head.size * kStir;
}

// The place of a row's check in a segment of this size.
size_t check_place(size_t size, uint64_t index) {
    return size - static_cast<size_t>(index + 1) * sizeof(Check);
}

SegmentHead& head_of(char* memory) { return *reinterpret_cast<SegmentHead*>(memory); }

// What is stored before is there when this is: for the kernel that keeps the page, and for a reader
// in another process.
void publish(uint64_t& field, uint64_t value) {
    std::atomic_ref(field).store(value, std::memory_order_release);
}

bool check_holds(std::string_view bytes, SegmentName name, uint64_t index, std::string_view row,
                 size_t place) {
    // A check that would reach into the rows is none of ours.
    const size_t rows_end = sizeof(SegmentHead) + place + row.size();
    if ((index + 1) * sizeof(Check) > bytes.size() - rows_end) {
        return false;
    }
    Check stored = 0;
    std::memcpy(&stored, bytes.data() + check_place(bytes.size(), index), sizeof stored);
    return stored == check_of(name, place, row);
}

}  // namespace

bool SegmentHead::valid() const {
    return mark == kMark && sequence != 0 && check == head_check(*this) &&
           size >= kSegmentBytesMin && size <= kSegmentBytesMax && size % kSegmentBytesMin == 0;
}

SegmentContent read_segment(std::string_view bytes) {
    SegmentContent content;
    SegmentHead head;
    if (bytes.size() < sizeof head) {
        return content;
    }
    std::memcpy(&head, bytes.data(), sizeof head);
    if (!head.valid() || head.size != bytes.size()) {
        return content;
    }
    content.name = head.name();
    const std::string_view room = bytes.substr(sizeof head);
    const std::string_view published =
        room.substr(0, head.published < room.size() ? static_cast<size_t>(head.published) : 0);
    RowReader reader(published);
    for (size_t at = 0; reader.next(); at = reader.position()) {
        const std::string_view row = published.substr(at, reader.position() - at);
        if (!check_holds(bytes, content.name, content.count, row, at)) {
            break;
        }
        ++content.count;
        content.rows = published.substr(0, reader.position());
    }
    content.torn = content.rows.size() != head.published;
    return content;
}

Segment::Segment(char* memory, size_t size, SegmentName name)
    : memory_(memory), size_(size), name_(name) {
    SegmentHead& head = head_of(memory);
    // In this order: whatever a kill leaves of it is an empty segment or none.
    publish(head.published, 0);
    publish(head.check, 0);
    head.mark = kMark;
    head.journal = name.journal;
    head.sequence = name.sequence;
    head.size = size;
    publish(head.check, head_check(head));
}

Segment::Segment(char* memory, size_t size, const SegmentContent& content)
    : memory_(memory),
      size_(size),
      used_(content.rows.size()),
      count_(content.count),
      name_(content.name) {}

bool Segment::append(RowWriter& encoder, const ledger::SpendRecord& record,
                     const ledger::Trace& trace) {
    if (capacity() < used_) {
        return false;
    }
    const size_t written =
        encoder.write(memory_ + sizeof(SegmentHead), used_, capacity(), record, trace);
    if (written != 0) {
        publish_row(written);
    }
    return written != 0;
}

void Segment::append_rows(std::string_view rows) {
    RowReader reader(rows);
    for (size_t at = 0; reader.next(); at = reader.position()) {
        const std::string_view row = rows.substr(at, reader.position() - at);
        if (capacity() < used_ + row.size()) {
            return;
        }
        std::memcpy(memory_ + sizeof(SegmentHead) + used_, row.data(), row.size());
        publish_row(row.size());
    }
}

size_t Segment::capacity() const {
    const size_t taken = sizeof(SegmentHead) + static_cast<size_t>(count_ + 1) * sizeof(Check);
    return taken < size_ ? size_ - taken : 0;
}

void Segment::publish_row(size_t size) {
    const Check check = check_of(name_, used_, {memory_ + sizeof(SegmentHead) + used_, size});
    std::memcpy(memory_ + check_place(size_, count_), &check, sizeof check);
    used_ += size;
    ++count_;
    publish(head_of(memory_).published, used_);
}

void Segment::clear() {
    publish(head_of(memory_).published, 0);
    used_ = 0;
    count_ = 0;
}

void Segment::swap(Segment& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    std::swap(used_, other.used_);
    std::swap(count_, other.count_);
    std::swap(name_, other.name_);
}

}  // namespace belay::store

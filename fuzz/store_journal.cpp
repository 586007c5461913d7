// The journal's bytes on the disk: anything at all is read without harm, and rows that carry their
// checks decode, whatever they say. The first byte chooses: a segment as it is, or rows that are
// put into a whole segment first.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "store/segment.h"

using namespace belay;

namespace {

constexpr size_t kSize = store::kSegmentBytesMin;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// Decodes every row that the segment gives; how many.
uint64_t read_all(std::string_view bytes) {
    const store::SegmentContent content = store::read_segment(bytes);
    require(content.rows.empty() ||
            (content.rows.data() >= bytes.data() &&
             content.rows.data() + content.rows.size() <= bytes.data() + bytes.size()));
    store::RowReader reader(content.rows);
    uint64_t count = 0;
    while (const auto row = reader.next()) {
        const ledger::Entry entry = store::restore_entry(*row);
        require(entry.record.request_id.size() <= row->id.size() * 3);
        ++count;
    }
    require(count == content.count);
    require(reader.position() == content.rows.size());
    return count;
}

// A segment with `rows` in it and the checks that belong to them.
std::vector<char> segment_of(std::string_view rows) {
    std::vector<char> bytes(kSize);
    store::Segment segment(bytes.data(), bytes.size(), store::SegmentName{1, 1});
    segment.append_rows(rows);
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 != 0) {
        // An exact copy, so that reading beyond it is seen.
        const std::vector<char> bytes(input.begin(), input.end());
        (void)read_all({bytes.data(), bytes.size()});
        return 0;
    }
    const std::vector<char> bytes = segment_of(input);
    const uint64_t count = read_all({bytes.data(), bytes.size()});
    store::RowReader reader(input);
    uint64_t expected = 0;
    for (size_t at = 0; reader.next(); at = reader.position()) {
        ++expected;
    }
    require(count <= expected);
    return 0;
}

// What the journal promises: what was published is there after any end, is read once and in order,
// and no bytes on the disk can do harm.
#include "store/journal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "store/test_support.h"

namespace belay::store {
namespace {

constexpr size_t kSize = 16 << 10;

struct Memory {
    alignas(64) char bytes[kSize] = {};
    [[nodiscard]] std::string_view view() const { return {bytes, sizeof bytes}; }
};

uint64_t fill(Segment& segment, const std::string& prefix, uint64_t max = 1'000'000) {
    RowWriter encoder;
    uint64_t count = 0;
    for (; count < max; ++count) {
        const ledger::Entry entry = plain_entry(prefix + std::to_string(count));
        if (!segment.append(encoder, entry.record, entry.trace)) {
            break;
        }
    }
    return count;
}

std::vector<std::string> ids_of(std::string_view rows) {
    std::vector<std::string> ids;
    RowReader reader(rows);
    while (const auto row = reader.next()) {
        ids.emplace_back(row->id);
    }
    return ids;
}

std::unique_ptr<Journal> open_journal(const TempDir& dir, SegmentName saved = {},
                                      uint64_t bytes_max = 1 << 20) {
    auto journal = Journal::open(dir.file("journal"), {kSize, bytes_max}, saved);
    REQUIRE(journal.ok());
    return std::move(*journal);
}

// Guarantee: a segment takes rows until it is full, gives all of them back, and a full one is not
// harmed by another row.
TEST_CASE("a segment is filled to its end and read back") {
    Memory memory;
    Segment segment(memory.bytes, kSize, SegmentName{7, 1});
    const uint64_t count = fill(segment, "id-");
    CHECK(count > 50);
    const SegmentContent content = read_segment(memory.view());
    CHECK(content.name == SegmentName{7, 1});
    CHECK(!content.torn);
    CHECK(content.count == count);
    CHECK(content.rows == segment.rows());
    CHECK(ids_of(content.rows).back() == "id-" + std::to_string(count - 1));
    // Rows and checks meet without a gap that another row would fit into, and without overlap.
    CHECK(sizeof(SegmentHead) + segment.used() + count * 4 <= kSize);
    CHECK(kSize - (sizeof(SegmentHead) + segment.used() + count * 4) < 400);
}

// Guarantee: a row is there once it is published, and one whose publication did not happen is not.
TEST_CASE("what is not published is not there") {
    Memory memory;
    Segment segment(memory.bytes, kSize, SegmentName{7, 1});
    (void)fill(segment, "id-", 3);
    const size_t published = segment.used();
    (void)fill(segment, "late-", 1);
    std::memcpy(memory.bytes + offsetof(SegmentHead, published), &published, sizeof published);
    CHECK(ids_of(read_segment(memory.view()).rows) ==
          std::vector<std::string>{"id-0", "id-1", "id-2"});
}

// Guarantee: rows of a segment's earlier use are never taken for its own, whatever it says is
// published.
TEST_CASE("rows of an earlier time are not read") {
    Memory memory;
    {
        Segment segment(memory.bytes, kSize, SegmentName{7, 1});
        (void)fill(segment, "old-");
    }
    Segment segment(memory.bytes, kSize, SegmentName{7, 2});
    const uint64_t everything = kSize / 2;
    std::memcpy(memory.bytes + offsetof(SegmentHead, published), &everything, sizeof everything);
    const SegmentContent content = read_segment(memory.view());
    CHECK(content.name.sequence == 2);
    CHECK(content.count == 0);
    CHECK(content.torn);
}

// Guarantee: a changed byte costs rows from there on at most; those before it are whole, and no row
// is read that was not written.
TEST_CASE("any changed byte is noticed") {
    Memory memory;
    Segment segment(memory.bytes, kSize, SegmentName{7, 1});
    const std::vector<std::string> written = [&] {
        (void)fill(segment, "id-", 20);
        return ids_of(segment.rows());
    }();
    std::mt19937 random(1);
    for (int i = 0; i < 4000; ++i) {
        Memory damaged = memory;
        const size_t at = random() % (sizeof(SegmentHead) + segment.used());
        CAPTURE(at);
        damaged.bytes[at] = static_cast<char>(damaged.bytes[at] ^ (1 << random() % 8));
        const SegmentContent content = read_segment(damaged.view());
        const std::vector<std::string> read = ids_of(content.rows);
        REQUIRE(read.size() <= written.size());
        REQUIRE(std::equal(read.begin(), read.end(), written.begin()));
        const bool in_row = at >= sizeof(SegmentHead);
        CHECK((!in_row || content.torn));
    }
}

// Guarantee: random bytes, and segments with runs of random bytes in them, never crash the reader,
// and whatever it gives decodes.
TEST_CASE("random bytes do no harm") {
    std::mt19937_64 random(2);
    Memory whole;
    Segment segment(whole.bytes, kSize, SegmentName{7, 1});
    (void)fill(segment, "id-");
    for (int round = 0; round < 2000; ++round) {
        Memory memory = whole;
        const size_t begin = round % 2 == 0 ? sizeof(SegmentHead) : random() % kSize;
        const size_t count = random() % (kSize - begin);
        for (size_t i = 0; i < count; ++i) {
            memory.bytes[begin + i] = static_cast<char>(random());
        }
        const SegmentContent content =
            read_segment(memory.view().substr(0, round % 3 == 0 ? random() % kSize : kSize));
        RowReader reader(content.rows);
        uint64_t rows = 0;
        while (const auto row = reader.next()) {
            (void)restore_entry(*row);
            ++rows;
        }
        CHECK(rows == content.count);
    }
}

// Guarantee: what a process leaves is found by the next, the oldest first, but for what is saved.
TEST_CASE("segments left behind are recovered in order") {
    const TempDir dir;
    SegmentName first;
    {
        const auto journal = open_journal(dir);
        Segment freed = journal->acquire();
        (void)fill(freed, "freed-", 2);
        journal->release(std::move(freed));
        for (const char* prefix : {"a-", "b-", "c-"}) {
            Segment segment = journal->acquire();
            (void)fill(segment, prefix, 2);
            first = first.sequence == 0 ? segment.name() : first;
        }
    }
    for (int again = 0; again < 2; ++again) {
        std::vector<std::string> ids;
        const auto journal = open_journal(dir);
        for (const Segment& segment : journal->take_recovered()) {
            ids.push_back(ids_of(segment.rows()).front());
            CHECK(segment.count() == 2);
        }
        CHECK(ids == std::vector<std::string>{"a-0", "b-0", "c-0"});
    }
    CHECK(open_journal(dir, first)->take_recovered().size() == 2);
    CHECK(open_journal(dir, {first.journal, first.sequence + 2})->take_recovered().empty());
    CHECK(open_journal(dir, {first.journal + 1, ~0ULL})->take_recovered().size() == 3);
}

// Guarantee: no name is given twice, even when the file was lost and only the database remembers.
TEST_CASE("names go on") {
    const TempDir dir;
    SegmentName last;
    {
        const auto journal = open_journal(dir);
        last = journal->acquire().name();
    }
    for (int i = 0; i < 3; ++i) {
        const auto journal = open_journal(dir, {last.journal, last.sequence + 10});
        const SegmentName next = journal->acquire().name();
        CHECK(next.journal == last.journal);
        CHECK(next.sequence > last.sequence + 10);
        last = next;
    }
}

// Guarantee: the file grows to its bound and no further, and gives its blocks back.
TEST_CASE("the file grows and shrinks") {
    const TempDir dir;
    const auto journal = open_journal(dir, {}, 8 * kSize);
    std::vector<Segment> segments;
    for (int i = 0; i < 8; ++i) {
        segments.push_back(journal->acquire());
        REQUIRE(segments.back().exists());
        (void)fill(segments.back(), "id-");
    }
    CHECK(!journal->acquire().exists());
    CHECK(std::filesystem::file_size(dir.file("journal")) == 8 * kSize);
    for (Segment& segment : segments) {
        journal->release(std::move(segment));
    }
    CHECK(std::filesystem::file_size(dir.file("journal")) == 3 * kSize);
    Segment again = journal->acquire();
    CHECK(fill(again, "again-", 5) == 5);
    CHECK(read_journal(dir.file("journal")).size() == 1);
}

// Guarantee: a file that is no journal, or another one's, is used as if it were empty; what cannot
// be a file is an error.
TEST_CASE("a foreign file is overwritten") {
    const TempDir dir;
    std::ofstream(dir.file("journal")) << std::string(5 * kSize + 17, 'x');
    CHECK(read_journal(dir.file("journal")).empty());
    const auto journal = open_journal(dir);
    CHECK(journal->take_recovered().empty());
    Segment segment = journal->acquire();
    CHECK(fill(segment, "id-", 5) == 5);
    std::filesystem::create_directory(dir.file("folder"));
    CHECK(!Journal::open(dir.file("folder"), {}, {}).ok());
    CHECK(read_journal(dir.file("nothing")).empty());
}

// Guarantee: the size of segments may change between versions; what is there is read by its own.
TEST_CASE("segments of another size are read") {
    const TempDir dir;
    {
        const auto journal = open_journal(dir);
        Segment segment = journal->acquire();
        (void)fill(segment, "id-", 5);
    }
    const auto journal = Journal::open(dir.file("journal"), {2 * kSize, 1 << 20}, {});
    REQUIRE(journal.ok());
    CHECK((*journal)->take_recovered().front().count() == 5);
}

}  // namespace
}  // namespace belay::store

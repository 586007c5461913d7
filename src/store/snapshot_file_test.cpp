// What a snapshot promises: it reads back as it was written, or not at all.
#include "store/snapshot_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "store/test_support.h"

namespace belay::store {
namespace {

void write(const std::string& path, const std::vector<std::string>& lines) {
    Result<SnapshotWriter> writer = SnapshotWriter::open(path, "keys", "here", 1234);
    REQUIRE(writer.ok());
    for (const std::string& line : lines) {
        writer->add(line);
    }
    REQUIRE(writer->finish().ok());
}

// Guarantee: any number of lines, of any length around the block's, come back; nobody else reads
// the file.
TEST_CASE("a snapshot reads back") {
    const TempDir dir;
    const std::string path = dir.file("copy");
    for (const size_t length : {0U, 1U, 1000U, 65'500U, 65'536U, 200'000U}) {
        for (const size_t count : {0U, 1U, 3U, 700U}) {
            if (length * count > (1U << 24)) {
                continue;
            }
            const std::vector<std::string> lines(count, std::string(length, 'x'));
            write(path, lines);
            const Result<Snapshot> snapshot = read_snapshot(path, "keys", "here");
            REQUIRE(snapshot.ok());
            CHECK(snapshot->saved_ms == 1234);
            CHECK(snapshot->lines == lines);
        }
    }
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
}

// Guarantee: a copy of another place, a cut or a changed one is refused.
TEST_CASE("a snapshot that is not the one is refused") {
    const TempDir dir;
    const std::string path = dir.file("copy");
    CHECK(read_snapshot(path, "keys", "here").error().kind == Kind::not_found);
    write(path, {"one", "two"});
    CHECK(!read_snapshot(path, "keys", "there").ok());
    CHECK(!read_snapshot(path, "spend", "here").ok());
    std::ifstream file(path);
    const std::string whole{std::istreambuf_iterator<char>(file), {}};
    for (size_t size = 0; size < whole.size(); ++size) {
        std::ofstream(path) << whole.substr(0, size);
        REQUIRE(!read_snapshot(path, "keys", "here").ok());
    }
    for (size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] ^= 1;
        std::ofstream(path) << changed;
        REQUIRE(!read_snapshot(path, "keys", "here").ok());
    }
}

// Guarantee: until the new one is whole, the old one is there.
TEST_CASE("a snapshot that is not finished leaves the old one") {
    const TempDir dir;
    const std::string path = dir.file("copy");
    write(path, {"old"});
    {
        Result<SnapshotWriter> writer = SnapshotWriter::open(path, "keys", "here", 5);
        writer->add(std::string(100'000, 'n'));
        CHECK(read_snapshot(path, "keys", "here")->lines == std::vector<std::string>{"old"});
    }
    CHECK(read_snapshot(path, "keys", "here")->lines == std::vector<std::string>{"old"});
    CHECK(!std::filesystem::exists(path + ".new"));
}

}  // namespace
}  // namespace belay::store

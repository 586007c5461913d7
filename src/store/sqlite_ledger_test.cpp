// What SQLite's ledger promises beyond the port: nothing is lost to a kill, a restart, a full disk,
// a stranger's lock or a damaged file, and the files are private.
#include "store/sqlite_ledger.h"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "store/faulty_vfs.h"
#include "store/sqlite.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

int mode_of(const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return static_cast<int>(info.st_mode & 0777);
}

void append_many(ledger::Ledger& ledger, const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
        const ledger::Entry entry = plain_entry(prefix + std::to_string(i));
        ledger.append(entry.record, entry.trace);
    }
}

size_t count_of(ledger::Ledger& ledger) {
    const auto entries = ledger.find_last(1000);
    REQUIRE(entries.ok());
    return entries->size();
}

std::string first_id(ledger::Ledger& ledger) {
    return ledger.find_last(1000)->back().record.request_id;
}

// Guarantee: what was appended before a clean end is there after the next start, in order.
TEST_CASE("entries outlive the process") {
    const TempDir dir;
    append_many(*open_ledger(dir), "first-run-", 300);
    const auto again = open_ledger(dir);
    append_many(*again, "second-run-", 5);
    CHECK(count_of(*again) == 305);
    CHECK(first_id(*again) == "first-run-0");
    CHECK(again->find_last(1)->front().record.request_id == "second-run-4");
}

// Guarantee: kill -9 loses nothing that flush() said was saved.
TEST_CASE("a killed process has lost nothing that was flushed") {
    const TempDir dir;
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        auto data = DataDir::open(dir.path());
        auto ledger = SqliteLedger::open(std::move(*data));
        append_many(**ledger, "before-the-kill-", 500);
        (*ledger)->flush();
        (void)!::write(ready[1], "x", 1);
        ::pause();
        ::_exit(1);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    ::close(ready[0]);
    ::close(ready[1]);
    CHECK(count_of(*open_ledger(dir)) == 500);
}

// Guarantee: one process per folder; the second is told who holds it, and a released folder is
// free.
TEST_CASE("a second process on the same data is refused by name") {
    const TempDir dir;
    {
        const auto first = open_ledger(dir);
        const Result<DataDir> second = DataDir::open(dir.path());
        REQUIRE(!second.ok());
        CHECK(second.error().message.find(dir.path()) != std::string::npos);
        CHECK(second.error().message.find("process " + std::to_string(::getpid())) !=
              std::string::npos);
    }
    CHECK(DataDir::open(dir.path()).ok());
}

// Guarantee: folder and files are the user's alone, even if they were made open.
TEST_CASE("files are private") {
    const TempDir dir;
    const std::string path = dir.file("a/b");
    std::filesystem::create_directories(path);
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
    Result<DataDir> data = DataDir::open(path);
    REQUIRE(data.ok());
    const auto ledger = SqliteLedger::open(std::move(*data));
    REQUIRE(ledger.ok());
    append_many(**ledger, "id-", 1);
    (*ledger)->flush();
    CHECK(mode_of(path) == 0700);
    for (const char* name :
         {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.journal", "lock"}) {
        CAPTURE(std::string(name));
        CHECK(mode_of(path + "/" + name) == 0600);
    }
}

// Guarantee: a folder that cannot be used is told with the reason and the cure.
TEST_CASE("an unusable folder is explained") {
    const TempDir dir;
    std::ofstream(dir.file("file")) << "x";
    for (const std::string& path : {dir.file("file"), dir.file("file/below"), std::string()}) {
        CAPTURE(path);
        const Result<DataDir> data = DataDir::open(path);
        REQUIRE(!data.ok());
        CHECK(data.error().message.find("BELAY_DATA_DIR") != std::string::npos);
    }
}

TEST_CASE("the default folder") {
    CHECK(default_data_dir("/d", "/x", "/h") == "/d");
    CHECK(default_data_dir({}, "/x", "/h") == "/x/belay");
    CHECK(default_data_dir("", "relative", "/h") == "/h/.local/share/belay");
    CHECK(default_data_dir({}, {}, {}).empty());
}

// Guarantee: a ledger from a newer Belay is refused and left as it is.
TEST_CASE("a newer schema is refused") {
    const TempDir dir;
    open_ledger(dir).reset();
    {
        Result<Database> db = Database::open(dir.file("ledger.db"), Database::Mode::existing);
        REQUIRE(db.ok());
        REQUIRE(db->run("INSERT INTO migration VALUES(99, 0)").ok());
    }
    Result<DataDir> data = DataDir::open(dir.path());
    const auto refused = SqliteLedger::open(std::move(*data));
    REQUIRE(!refused.ok());
    CHECK(refused.error().kind == Kind::unsupported);
    CHECK(refused.error().message.find("newer") != std::string::npos);
    CHECK(!find_entry(dir.path(), "x").ok());
}

// Guarantee: a damaged database is kept under another name and work goes on.
TEST_CASE("a damaged database is set aside") {
    const TempDir dir;
    std::ofstream(dir.file("ledger.db")) << std::string(8192, 'x');
    const auto ledger = open_ledger(dir);
    append_many(*ledger, "id-", 3);
    CHECK(count_of(*ledger) == 3);
    bool kept = false;
    for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
        kept |= file.path().filename().string().find("ledger.db.damaged-") == 0;
    }
    CHECK(kept);
}

// Guarantee: a full disk costs nothing: records go aside and come into the ledger, once each and in
// order, when it takes them again.
TEST_CASE("a full disk loses nothing") {
    const TempDir dir;
    FaultyVfs vfs;
    SqliteOptions options;
    options.vfs = vfs.name();
    const auto ledger = open_ledger(dir, options);
    append_many(*ledger, "a-", 10);
    ledger->flush();
    vfs.fail_writes(SQLITE_FULL);
    append_many(*ledger, "b-", 10);
    ledger->flush();
    CHECK(ledger->stats().failing);
    CHECK(ledger->stats().spilled == 10);
    CHECK(ledger->stats().dropped == 0);
    vfs.heal();
    append_many(*ledger, "c-", 10);
    ledger->flush();
    CHECK(!ledger->stats().failing);
    CHECK(ledger->stats().saved == 30);
    CHECK(count_of(*ledger) == 30);
    CHECK(first_id(*ledger) == "a-0");
    CHECK(ledger->find_last(1)->front().record.request_id == "c-9");
    CHECK(read_journal(dir.file("ledger.journal")).empty());
}

// Guarantee: what went aside before the end comes into the ledger at the next start.
TEST_CASE("the journal is read at the next start") {
    const TempDir dir;
    {
        FaultyVfs vfs;
        SqliteOptions options;
        options.vfs = vfs.name();
        const auto ledger = open_ledger(dir, options);
        vfs.fail_writes(SQLITE_IOERR_FSYNC);
        append_many(*ledger, "aside-", 20);
        ledger->flush();
        CHECK(ledger->stats().spilled == 20);
    }
    const auto ledger = open_ledger(dir);
    append_many(*ledger, "later-", 1);
    ledger->flush();
    CHECK(count_of(*ledger) == 21);
    CHECK(first_id(*ledger) == "aside-0");
}

// Guarantee: whichever write fails first, nothing is lost and nothing is doubled.
TEST_CASE("the nth write fails, for every n") {
    for (int n = 1; n <= 40; ++n) {
        CAPTURE(n);
        const TempDir dir;
        FaultyVfs vfs;
        SqliteOptions options;
        options.vfs = vfs.name();
        {
            const auto ledger = open_ledger(dir, options);
            vfs.fail_nth_write(n, SQLITE_IOERR_WRITE);
            for (int i = 0; i < 4; ++i) {
                append_many(*ledger, "r" + std::to_string(i) + "-", 5);
                ledger->flush();
            }
            vfs.heal();
        }
        const auto ledger = open_ledger(dir);
        append_many(*ledger, "end-", 1);
        ledger->flush();
        CHECK(count_of(*ledger) == 21);
    }
}

// Guarantee: when neither the database nor the journal takes records, memory holds them up to its
// bound; beyond it they are counted as dropped, and the caller is never held up.
TEST_CASE("the last bound is told, not hidden") {
    const TempDir dir;
    FaultyVfs vfs;
    SqliteOptions options;
    options.vfs = vfs.name();
    options.journal.bytes_max = 0;
    options.memory_bytes_max = 16 << 10;
    const auto ledger = open_ledger(dir, options);
    vfs.fail_writes(SQLITE_FULL);
    append_many(*ledger, "id-", 1000);
    ledger->flush();
    const ledger::Stats full = ledger->stats();
    CHECK(full.dropped > 0);
    CHECK(full.dropped < 1000);
    CHECK(full.appended == 1000);
    vfs.heal();
    append_many(*ledger, "after-", 1);
    ledger->flush();
    CHECK(ledger->stats().saved + ledger->stats().dropped == 1001);
}

// Guarantee: another process may read while the gateway writes, without its lock.
TEST_CASE("a reader beside the writer") {
    const TempDir dir;
    const auto ledger = open_ledger(dir);
    const ledger::Entry entry = full_entry("cafe0001");
    ledger->append(entry.record, entry.trace);
    ledger->flush();
    const Result<ledger::Entry> found = find_entry(dir.path(), "cafe");
    REQUIRE(found.ok());
    CHECK(*found == entry);
    CHECK(find_last_entries(dir.path(), 10)->size() == 1);
    CHECK(!find_entry(dir.file("nowhere"), "cafe").ok());
}

// Guarantee: the sums beside each commit add up, for whoever asks with SQL.
TEST_CASE("a commit carries its sums") {
    const TempDir dir;
    {
        const auto ledger = open_ledger(dir);
        append_many(*ledger, "id-", 3);
        ledger::Entry failed = full_entry("failed");
        failed.record.status = ledger::Status::failure;
        failed.record.cost_source = chat::CostSource::unknown;
        failed.record.cost = {};
        ledger->append(failed.record, failed.trace);
    }
    Result<Database> db = Database::open(dir.file("ledger.db"), Database::Mode::existing);
    Result<Statement> sums = db->prepare(
        "SELECT sum(requests), sum(failures), sum(prompt_tokens), sum(output_tokens), sum(cost), "
        "sum(cost_unknown) FROM batch");
    REQUIRE(sums.ok());
    REQUIRE(*sums->step());
    CHECK(sums->integer(0) == 4);
    CHECK(sums->integer(1) == 1);
    CHECK(sums->integer(2) == 3 * 2000 + 6);
    CHECK(sums->integer(3) == 3 * 107 + 4);
    CHECK(sums->integer(4) == 3 * 53'400'000);
    CHECK(sums->integer(5) == 1);
}

}  // namespace
}  // namespace belay::store

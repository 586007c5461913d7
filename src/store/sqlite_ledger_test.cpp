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

// Guarantee: that reader sees a record as soon as it is appended, each once and in order, wherever
// it stands by then.
TEST_CASE("a reader sees what is not committed yet") {
    const TempDir dir;
    SqliteOptions options;
    options.commit_delay = milliseconds(3'600'000);
    const auto ledger = open_ledger(dir, options);
    append_many(*ledger, "early-", 3);
    ledger->flush();
    append_many(*ledger, "late-", 3);
    CHECK(ledger->stats().waiting == 3);
    const auto last = find_last_entries(dir.path(), 5);
    REQUIRE(last.ok());
    REQUIRE(last->size() == 5);
    CHECK((*last)[0].record.request_id == "late-2");
    CHECK((*last)[2].record.request_id == "late-0");
    CHECK((*last)[3].record.request_id == "early-2");
    CHECK(find_entry(dir.path(), "late-1").ok());
    CHECK(find_entry(dir.path(), "early-1").ok());
    CHECK(find_entry(dir.path(), "late-").error().kind == Kind::invalid_request);
    ledger->flush();
    CHECK(find_last_entries(dir.path(), 100)->size() == 6);
}

// Guarantee: while the database refuses, what was appended can be found all the same.
TEST_CASE("records are found while the database refuses") {
    const TempDir dir;
    FaultyVfs vfs;
    SqliteOptions options;
    options.vfs = vfs.name();
    const auto ledger = open_ledger(dir, options);
    append_many(*ledger, "before-", 2);
    ledger->flush();
    vfs.fail_writes(SQLITE_FULL);
    append_many(*ledger, "after-", 2);
    ledger->flush();
    REQUIRE(ledger->stats().failing);
    vfs.heal();  // the reader's own connection needs to write, to join the others
    CHECK(find_entry(dir.path(), "after-1").ok());
    CHECK(find_last_entries(dir.path(), 9)->size() == 4);
}

// Guarantee: a long refusal fills the journal in whole segments, and all comes into the ledger in
// order, what came last too.
TEST_CASE("a long refusal loses nothing") {
    const TempDir dir;
    FaultyVfs vfs;
    SqliteOptions options;
    options.vfs = vfs.name();
    options.journal.segment_bytes = 16 << 10;
    options.journal.bytes_max = 6 * (16 << 10);
    const auto ledger = open_ledger(dir, options);
    vfs.fail_writes(SQLITE_BUSY);
    for (int i = 0; i < 9; ++i) {
        append_many(*ledger, std::to_string(i) + "-", 100);  // more than the journal takes
        ledger->flush();
    }
    CHECK(ledger->stats().failing);
    CHECK(ledger->stats().spilled > 300);
    CHECK(ledger->stats().spilled < 900);
    vfs.heal();
    append_many(*ledger, "end-", 1);
    ledger->flush();
    CHECK(ledger->stats().dropped == 0);
    CHECK(ledger->stats().waiting == 0);
    const auto last = ledger->find_last(1000);
    REQUIRE(last->size() == 901);
    CHECK(last->front().record.request_id == "end-0");
    for (size_t i = 0; i < 900; ++i) {
        REQUIRE((*last)[900 - i].record.request_id ==
                std::to_string(i / 100) + "-" + std::to_string(i % 100));
    }
    for (int i = 0; i < 3; ++i) {  // those that are being written are given back in their turn
        append_many(*ledger, "more-", 1);
        ledger->flush();
    }
    CHECK(std::filesystem::file_size(dir.file("ledger.journal")) <= 4 * (16 << 10));
}

// Guarantee: a row that fits into no segment is kept all the same, and those around it too.
TEST_CASE("a row larger than a segment") {
    const TempDir dir;
    SqliteOptions options;
    options.journal.segment_bytes = 4 << 10;
    const auto ledger = open_ledger(dir, options);
    append_many(*ledger, "a-", 5);
    ledger::Entry large = full_entry("large");
    large.trace.warnings.assign(100, std::string(200, 'w'));
    ledger->append(large.record, large.trace);
    append_many(*ledger, "b-", 5);
    ledger->flush();
    CHECK(ledger->find("large").ok());
    CHECK(count_of(*ledger) == 11);
    CHECK(first_id(*ledger) == "a-0");
    CHECK(ledger->find_last(1)->front().record.request_id == "b-4");
}

// Guarantee: a journal that cannot be used, or is damaged, keeps nobody from work.
TEST_CASE("work goes on without a journal") {
    const TempDir dir;
    std::filesystem::create_directory(dir.file("ledger.journal"));
    const auto ledger = open_ledger(dir);
    append_many(*ledger, "id-", 50);
    CHECK(count_of(*ledger) == 50);
    CHECK(ledger->stats().saved == 50);
}

TEST_CASE("a damaged journal is left behind") {
    const TempDir dir;
    std::ofstream(dir.file("ledger.journal")) << std::string(3 << 20, 'J');
    const auto ledger = open_ledger(dir);
    append_many(*ledger, "id-", 50);
    CHECK(count_of(*ledger) == 50);
}

// Guarantee: a kill between the commit and the moment the journal forgets doubles nothing, however
// often the journal is read again.
TEST_CASE("a journal that is saved already is not saved again") {
    const TempDir dir;
    SqliteOptions options;
    options.commit_delay = milliseconds(3'600'000);
    {
        const auto ledger = open_ledger(dir, options);
        append_many(*ledger, "first-", 2);
        ledger->flush();
        append_many(*ledger, "id-", 3);
        std::filesystem::copy_file(dir.file("ledger.journal"), dir.file("before"));
    }
    for (int again = 0; again < 3; ++again) {
        std::filesystem::copy_file(dir.file("before"), dir.file("ledger.journal"),
                                   std::filesystem::copy_options::overwrite_existing);
        CHECK(find_last_entries(dir.path(), 100)->size() == 5);
        const auto ledger = open_ledger(dir, options);
        CHECK(ledger->stats().waiting == 0);
        ledger->flush();
        CHECK(count_of(*ledger) == 5);
    }
}

// Guarantee: what the journal holds comes into a new database too, when the old one was damaged.
TEST_CASE("the journal outlives its database") {
    const TempDir dir;
    {
        FaultyVfs vfs;
        SqliteOptions options;
        options.vfs = vfs.name();
        const auto ledger = open_ledger(dir, options);
        append_many(*ledger, "saved-", 3);
        ledger->flush();
        vfs.fail_writes(SQLITE_FULL);
        append_many(*ledger, "aside-", 3);
    }
    std::filesystem::remove(dir.file("ledger.db-wal"));
    std::ofstream(dir.file("ledger.db")) << std::string(8192, 'x');
    const auto ledger = open_ledger(dir);
    ledger->flush();
    CHECK(count_of(*ledger) == 3);
    CHECK(ledger->find("aside-2").ok());
}

// A ledger as version 2 of the schema and format 1 of its rows left it: four requests.
void restore_golden(const TempDir& dir) {
    std::ifstream file(BELAY_SOURCE_DIR "/tests/ledger/schema-2.sql");
    const std::string sql{std::istreambuf_iterator<char>(file), {}};
    REQUIRE(!sql.empty());
    Result<Database> db = Database::open(dir.file("ledger.db"), Database::Mode::create);
    REQUIRE(db.ok());
    REQUIRE(db->run(sql.c_str()).ok());
}

// Guarantee: a ledger of an older version is brought up to date whole: its records read as they
// were written, and its sums are those of its records.
TEST_CASE("an older schema is brought up to date") {
    const TempDir dir;
    restore_golden(dir);
    const auto ledger = open_ledger(dir);
    append_many(*ledger, "new-", 1);
    CHECK(count_of(*ledger) == 5);
    CHECK(first_id(*ledger) == "00000001-0000-4000-8000-000000000000");
    const auto old = ledger->find("00000003");
    REQUIRE(old.ok());
    ledger::Entry wanted = full_entry("00000003-0000-4000-8000-000000000000");
    wanted.record.team.clear();  // it had none then
    wanted.record.organization.clear();
    CHECK(*old == wanted);
    const auto days = ledger->day_sums({});
    REQUIRE(days.ok());
    ledger::Metrics all;
    for (const ledger::DaySum& sum : *days) {
        all += sum.metrics;
    }
    CHECK(all.requests == 5);
    CHECK(all.cost.value == 3 * 53'400'000 + 99);
    CHECK(days->back().date == "2026-09-22");
    CHECK(ledger->tag_sums("", "")->size() == 2);
}

// Guarantee: rows that a killed older version left in the journal come into the tables as well.
TEST_CASE("rows of the older format are replayed") {
    const TempDir dir;
    restore_golden(dir);
    std::string rows;
    {
        Result<Database> db = Database::open(dir.file("ledger.db"), Database::Mode::existing);
        Result<Statement> old = db->prepare("SELECT rows FROM batch ORDER BY first_seq LIMIT 1");
        REQUIRE(*old->step());
        rows = old->blob(0);
    }
    {
        auto journal = Journal::open(dir.file("ledger.journal"), {}, {});
        REQUIRE(journal.ok());
        Segment segment = (*journal)->acquire();
        segment.append_rows(rows);
        CHECK(segment.count() == 2);
    }
    const auto ledger = open_ledger(dir);
    CHECK(count_of(*ledger) == 6);
    const auto scopes = ledger->scope_sums();
    REQUIRE(scopes.ok());
    for (const ledger::ScopeSum& sum : *scopes) {
        if (sum.kind == ledger::ScopeSum::Kind::global) {
            CHECK(sum.cost.value == 4 * 53'400'000 + 99);
        }
    }
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

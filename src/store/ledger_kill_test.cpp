// The promise that matters most, tried the hard way: a process that appends as fast as it can is
// killed at any moment, and every record it was told is taken is in the ledger exactly once.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <random>

#include "store/row_codec.h"
#include "store/sqlite.h"
#include "store/sqlite_ledger.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

std::string id_of(int round, uint32_t number) {
    return "r" + std::to_string(round) + "-" + std::to_string(number);
}

[[noreturn]] void append_until_killed(const std::string& path, const SqliteOptions& options,
                                      int round, int told) {
    Result<DataDir> dir = DataDir::open(path);
    auto ledger = SqliteLedger::open(std::move(*dir), options);
    for (uint32_t number = 0; ledger.ok(); ++number) {
        ledger::Entry entry = plain_entry(id_of(round, number));
        entry.record.session_id = std::string(number % 40, 's');
        entry.record.end_user = "customer-" + std::to_string(number % 7);
        entry.record.tags = {"tag-" + std::to_string(number % 3)};
        (*ledger)->append(entry.record, entry.trace);
        if (::write(told, &number, sizeof number) != sizeof number) {
            break;
        }
    }
    ::_exit(1);
}

// Kills a child once it has told of `wanted` records; how many it had told of in the end.
uint32_t run_and_kill(const std::string& path, const SqliteOptions& options, int round,
                      uint32_t wanted) {
    int told[2];
    REQUIRE(::pipe(told) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(told[0]);
        append_until_killed(path, options, round, told[1]);
    }
    ::close(told[1]);
    uint32_t count = 0;
    uint32_t number = 0;
    while (count < wanted && ::read(told[0], &number, sizeof number) == sizeof number) {
        REQUIRE(number == count++);
    }
    REQUIRE(::kill(child, SIGKILL) == 0);
    while (::read(told[0], &number, sizeof number) == sizeof number) {
        REQUIRE(number == count++);
    }
    ::close(told[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    return count;
}

// How often each id stands in the database; rows from `first_seq` on, which is moved behind them.
// Merging batches does not move rows.
std::map<std::string, int> count_ids(const std::string& database, int64_t& first_seq) {
    std::map<std::string, int> counts;
    Result<Database> db = Database::open(database, Database::Mode::existing);
    REQUIRE(db.ok());
    Result<Statement> query = db->prepare(
        "SELECT rows, first_seq, requests FROM batch WHERE first_seq + requests > ? "
        "ORDER BY first_seq");
    REQUIRE(query.ok());
    query->bind(1, first_seq);
    while (*query->step()) {
        RowReader reader(query->blob(0));
        int64_t seq = query->integer(1);
        CHECK(seq + query->integer(2) > first_seq);
        for (; const auto row = reader.next(); ++seq) {
            if (seq >= first_seq) {
                ++counts[std::string(row->id)];
            }
        }
        first_seq = seq;
    }
    return counts;
}

// The sums of all rows, as each table tells them: requests and cost.
void check_sums(const std::string& database) {
    Result<Database> db = Database::open(database, Database::Mode::existing);
    REQUIRE(db.ok());
    int64_t requests = 0;
    int64_t cost = 0;
    Result<Statement> batches = db->prepare("SELECT rows FROM batch");
    REQUIRE(batches.ok());
    while (*batches->step()) {
        for (RowReader reader(batches->blob(0)); const auto row = reader.next(); ++requests) {
            cost += row->fixed.cost;
        }
    }
    for (const char* sql : {"SELECT sum(requests), sum(cost) FROM batch",
                            "SELECT sum(requests), sum(cost) FROM day_sum WHERE kind = 0",
                            "SELECT sum(requests), sum(cost) FROM day_sum WHERE kind = 1",
                            "SELECT sum(requests), sum(cost) FROM day_sum WHERE kind = 2"}) {
        CAPTURE(sql);
        Result<Statement> sums = db->prepare(sql);
        REQUIRE(sums.ok());
        REQUIRE(*sums->step());
        CHECK(sums->integer(0) == requests);
        CHECK(sums->integer(1) == cost);
    }
}

TEST_CASE("killed at any moment, every record told of is there once") {
    const TempDir dir;
    std::mt19937 random(3);
    int64_t first_seq = 0;
    for (int round = 0; round < 40; ++round) {
        CAPTURE(round);
        SqliteOptions options;
        options.commit_delay = milliseconds(round % 4 == 0 ? 0 : round % 4 == 1 ? 1 : 100);
        options.journal.segment_bytes = 64 << 10;
        const uint32_t told = run_and_kill(dir.path(), options, round, random() % 3000);
        // Half the time the reader beside it is asked first, with nobody there to help it.
        if (round % 2 == 0 && told != 0) {
            CHECK(find_entry(dir.path(), id_of(round, told - 1)).ok());
        }
        open_ledger(dir).reset();
        std::map<std::string, int> counts = count_ids(dir.file("ledger.db"), first_seq);
        for (uint32_t number = 0; number < told; ++number) {
            REQUIRE(counts[id_of(round, number)] == 1);
        }
        // The one that was taken but not told of may be there, and nothing else.
        CHECK(counts.size() - told <= 1);
        if (counts.size() > told) {
            CHECK(counts[id_of(round, told)] == 1);
        }
        if (first_seq > 1) {
            check_sums(dir.file("ledger.db"));
        }
    }
}

// Guarantee: the same when the process dies while it moves what the last one left.
TEST_CASE("killed again while replaying") {
    const TempDir dir;
    SqliteOptions options;
    options.commit_delay = milliseconds(60'000);
    options.journal.segment_bytes = 16 << 10;
    const uint32_t told = run_and_kill(dir.path(), options, 0, 2000);
    // The first record is told of while the writer has most of the replay before it.
    constexpr int kAgain = 12;
    for (int again = 1; again <= kAgain; ++again) {
        REQUIRE(run_and_kill(dir.path(), options, again, 1) != 0);
    }
    open_ledger(dir).reset();
    int64_t first_seq = 0;
    std::map<std::string, int> counts = count_ids(dir.file("ledger.db"), first_seq);
    for (uint32_t number = 0; number < told; ++number) {
        REQUIRE(counts[id_of(0, number)] == 1);
    }
    for (int again = 1; again <= kAgain; ++again) {
        CHECK(counts[id_of(again, 0)] == 1);
    }
    check_sums(dir.file("ledger.db"));
}

}  // namespace
}  // namespace belay::store

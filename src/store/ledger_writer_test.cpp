// What the database remembers of the journal: a segment whose commit seemed to fail, or that is
// brought again after a kill, is in it once.
#include "store/ledger_writer.h"

#include <doctest/doctest.h>

#include "store/sqlite_tables.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

LedgerWriter open_writer(const TempDir& dir) {
    return LedgerWriter(
        std::make_unique<SqliteTables>(SqliteTables::Options{dir.file("db"), {}, 0}));
}

std::string rows_of(const std::string& id) {
    std::string rows;
    const ledger::Entry entry = plain_entry(id);
    RowWriter().write(rows, entry.record, entry.trace);
    return rows;
}

int64_t count_requests(const TempDir& dir) {
    Result<Database> db = Database::open(dir.file("db"), Database::Mode::existing);
    REQUIRE(db.ok());
    Result<Statement> sum = db->prepare("SELECT sum(requests) FROM batch");
    REQUIRE(*sum->step());
    return sum->integer(0);
}

TEST_CASE("a segment is saved once") {
    const TempDir dir;
    for (int run = 0; run < 2; ++run) {
        LedgerWriter writer = open_writer(dir);
        REQUIRE(writer.connect().ok());
        for (const uint64_t sequence : {3U, 4U, 4U, 3U}) {
            REQUIRE(writer.save(rows_of("id"), {7, sequence}).ok());
        }
        CHECK(writer.saved() == SegmentName{7, 4});
        CHECK(count_requests(dir) == 2);
    }
}

// Guarantee: rows of no segment do not make the database forget how far the journal is saved; a
// journal of another name begins anew.
TEST_CASE("rows of memory leave the mark") {
    const TempDir dir;
    LedgerWriter writer = open_writer(dir);
    REQUIRE(writer.save(rows_of("a"), {7, 9}).ok());
    REQUIRE(writer.save(rows_of("b")).ok());
    REQUIRE(writer.save(rows_of("a"), {7, 9}).ok());
    CHECK(count_requests(dir) == 2);
    LedgerWriter again = open_writer(dir);
    REQUIRE(again.connect().ok());
    CHECK(again.saved() == SegmentName{7, 9});
    REQUIRE(again.save(rows_of("c"), {9, 1}).ok());
    CHECK(count_requests(dir) == 3);
}

}  // namespace
}  // namespace belay::store

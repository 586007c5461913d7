// What PostgreSQL's ledger promises beyond the port: several Belays write one ledger, a commit
// whose answer is lost is not repeated, a server that is away costs no record and nobody a wait,
// and schemas only grow.
#include "store/postgres_ledger.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <random>
#include <thread>

#include "store/ledger_writer.h"
#include "store/postgres_schema.h"
#include "store/postgres_server.h"

namespace belay::store {
namespace {

constexpr auto kSoon = seconds(10);

Mono soon() { return system_clock().mono() + kSoon; }

void append_many(ledger::Ledger& ledger, const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
        ledger::Entry entry = plain_entry(prefix + std::to_string(i));
        entry.record.end_user = "customer-" + std::to_string(i % 3);
        entry.record.tags = {"tag-" + std::to_string(i % 2)};
        ledger.append(entry.record, entry.trace);
    }
}

PgConnection connect(const std::string& url) {
    const Result<PostgresUrl> parsed = parse_postgres_url(url);
    REQUIRE(parsed.ok());
    Result<PgConnection> connection = PgConnection::open(*parsed, seconds(3));
    REQUIRE(connection.ok());
    REQUIRE(connection->run("SET search_path TO " + quote_name(parsed->schema), soon()).ok());
    return std::move(*connection);
}

int64_t ask_number(PgConnection& connection, const std::string& sql) {
    const Result<PgResult> result = connection.run(sql, soon());
    REQUIRE(result.ok());
    return result->integer(0, 0);
}

// How often each id is there, and that all tables tell the same sums.
std::map<std::string, int> count_ids(const std::string& url) {
    PgConnection connection = connect(url);
    const Result<PgResult> batches = connection.query_binary(
        "SELECT rows, first_seq, requests FROM belay_batch ORDER BY first_seq", {}, soon());
    REQUIRE(batches.ok());
    std::map<std::string, int> counts;
    int64_t requests = 0;
    int64_t cost = 0;
    int64_t seq = 0;
    for (int i = 0; i < batches->rows(); ++i) {
        CHECK(batches->number(i, 1) >= seq);
        seq = batches->number(i, 1) + batches->number(i, 2);
        for (RowReader reader(batches->text(i, 0)); const auto row = reader.next(); ++requests) {
            ++counts[std::string(row->id)];
            cost += row->fixed.cost;
        }
    }
    for (const char* sums :
         {"FROM belay_batch", "FROM belay_day_sum WHERE kind = 0",
          "FROM belay_day_sum WHERE kind = 1", "FROM belay_day_sum WHERE kind = 2"}) {
        CAPTURE(sums);
        CHECK(ask_number(connection, std::string("SELECT coalesce(sum(requests), 0)::bigint ") +
                                         sums) == requests);
        CHECK(ask_number(connection,
                         std::string("SELECT coalesce(sum(cost), 0)::bigint ") + sums) == cost);
    }
    CHECK(ask_number(connection,
                     "SELECT coalesce(sum(total_cost), 0)::bigint FROM belay_series WHERE kind = "
                     "0") == cost);
    return counts;
}

// Guarantee: Belays that write to one ledger at once lose nothing, double nothing, stand in
// nobody's way for good, and each sees all.
TEST_CASE("several instances write one ledger") {
    const std::string url = PostgresServer::shared().fresh_url();
    constexpr int kInstances = 3;
    constexpr int kEach = 400;
    std::array<TempDir, kInstances> dirs;
    std::vector<std::unique_ptr<JournaledLedger>> ledgers;
    PostgresLedgerOptions options;
    options.commit_delay = milliseconds(1);
    options.merge_delay = milliseconds(1);
    for (const TempDir& dir : dirs) {
        ledgers.push_back(open_postgres_ledger(dir, url, options));
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < kInstances; ++i) {
        threads.emplace_back([&ledgers, i] {
            for (int round = 0; round < 40; ++round) {
                append_many(*ledgers[static_cast<size_t>(i)],
                            "i" + std::to_string(i) + "-" + std::to_string(round) + "-",
                            kEach / 40);
                ledgers[static_cast<size_t>(i)]->flush();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const auto& ledger : ledgers) {
        CHECK(ledger->stats().spilled == 0);  // nobody was refused
        const auto page = ledger->find_page({});
        REQUIRE(page.ok());
        CHECK(page->total == kInstances * kEach);
        CHECK(ledger->find("i2-39-0").ok());
        CHECK(ledger->find_last(1000)->size() == 1000);
    }
    ledgers.clear();
    const std::map<std::string, int> counts = count_ids(url);
    CHECK(counts.size() == kInstances * kEach);
    for (const auto& [id, count] : counts) {
        REQUIRE_MESSAGE(count == 1, id);
    }
}

// Guarantee: neighbours are joined whoever wrote them, and nothing else changes.
TEST_CASE("small batches of several instances are merged") {
    const std::string url = PostgresServer::shared().fresh_url();
    const TempDir first;
    const TempDir second;
    PostgresLedgerOptions options;
    options.merge_delay = milliseconds(1);
    {
        const auto one = open_postgres_ledger(first, url, options);
        const auto other = open_postgres_ledger(second, url, options);
        for (int i = 0; i < 60; ++i) {
            append_many(*one, "one-" + std::to_string(i) + "-", 1);
            one->flush();
            append_many(*other, "other-" + std::to_string(i) + "-", 1);
            other->flush();
        }
        PgConnection connection = connect(url);
        while (ask_number(connection, "SELECT count(*) FROM belay_batch") > 20) {
            std::this_thread::yield();
        }
        const auto last = one->find_last(120);
        REQUIRE(last->size() == 120);
        CHECK((*last)[0].record.request_id == "other-59-0");
        CHECK((*last)[119].record.request_id == "one-0-0");
    }
    CHECK(count_ids(url).size() == 120);
}

// What all have been charged, of these.
int64_t total(const std::vector<ledger::ScopeSum>& sums) {
    int64_t cost = 0;
    for (const ledger::ScopeSum& sum : sums) {
        cost += sum.kind == ledger::ScopeSum::Kind::global ? sum.cost.value : 0;
    }
    return cost;
}

int64_t hear(JournaledLedger& ledger, int64_t wanted) {
    int64_t heard = 0;
    for (const Mono until = soon(); heard < wanted && system_clock().mono() < until;) {
        heard += total(ledger.take_feed());
        std::this_thread::yield();
    }
    return heard;
}

// Guarantee: a feed begins with what there is, and then tells what others have charged, once, and
// never what this process has charged itself, whether the tables were empty at its beginning or
// not.
TEST_CASE("what others charge is heard once") {
    constexpr int64_t kEach = 53'400'000;
    const std::string url = PostgresServer::shared().fresh_url();
    const TempDir first;
    const TempDir second;
    PostgresLedgerOptions options;
    options.follow_every = milliseconds(5);
    options.merge_delay = milliseconds(1);
    const auto one = open_postgres_ledger(first, url, options);
    const auto other = open_postgres_ledger(second, url, options);
    for (int round = 0; round < 2; ++round) {
        const int64_t before = round * 7 * kEach;
        append_many(*one, "one-" + std::to_string(round) + "-", 4);
        if (round == 0) {
            one->flush();
        }
        const auto begun = one->begin_feed();  // counts what was appended before
        REQUIRE(begun.ok());
        CHECK(total(*begun) == before + 4 * kEach);
        REQUIRE(other->begin_feed().ok());
        append_many(*other, "other-" + std::to_string(round) + "-", 3);
        CHECK(hear(*one, 3 * kEach) == 3 * kEach);
        CHECK(total(other->take_feed()) == 0);
    }
    // Both at once, in the same series.
    for (int i = 0; i < 50; ++i) {
        append_many(*one, "more-one-" + std::to_string(i) + "-", 2);
        append_many(*other, "more-other-" + std::to_string(i) + "-", 1);
        i % 7 == 0 ? one->flush() : other->flush();
    }
    CHECK(hear(*one, 50 * kEach) == 50 * kEach);
    CHECK(hear(*other, 100 * kEach) == 100 * kEach);
    one->flush();
    CHECK(total(one->take_feed()) == 0);
}

std::string rows_of(const std::string& id) {
    std::string rows;
    ledger::Entry entry = plain_entry(id);
    entry.record.end_user = "e";
    entry.record.tags = {"t"};
    RowWriter().write(rows, entry.record, entry.trace);
    return rows;
}

// Guarantee: a segment, or rows in memory, that are saved already are not saved again, whoever asks
// and however long ago the answer was lost.
TEST_CASE("a segment is saved once in PostgreSQL") {
    const std::string url = PostgresServer::shared().fresh_url();
    const Result<PostgresUrl> parsed = parse_postgres_url(url);
    for (int run = 0; run < 2; ++run) {
        LedgerWriter writer(std::make_unique<PostgresTables>(*parsed, PostgresTables::Options{}));
        for (const auto& [journal, sequence] :
             {std::pair(7U, 3U), {7U, 4U}, {8U, 1U}, {7U, 4U}, {7U, 3U}, {8U, 1U}}) {
            REQUIRE(writer
                        .save(rows_of("id-" + std::to_string(journal) + std::to_string(sequence)),
                              {journal, sequence})
                        .ok());
        }
    }
    CHECK(count_ids(url) == std::map<std::string, int>{{"id-73", 1}, {"id-74", 1}, {"id-81", 1}});
}

// Guarantee: a connection that dies between the rows and the commit leaves neither rows nor sums,
// and the next try brings both.
TEST_CASE("a cut transaction is made again whole") {
    const std::string url = PostgresServer::shared().fresh_url();
    const Result<PostgresUrl> parsed = parse_postgres_url(url);
    PostgresTables tables(*parsed, {});
    Rollup rollup;
    const std::string rows = rows_of("cut");
    REQUIRE(rollup.read(rows));
    REQUIRE(tables.connect().ok());
    const auto begun = tables.begin({7, 1});
    REQUIRE(begun.ok());
    REQUIRE(tables.append(begun->next_seq, rollup.facts(), rows).ok());
    REQUIRE(tables.add_sums(rollup.sums()).ok());
    {
        PgConnection other = connect(url);
        REQUIRE(other
                    .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = "
                         "'idle in transaction' AND pid <> pg_backend_pid()",
                         soon())
                    .ok());
    }
    CHECK(!tables.commit().ok());
    tables.disconnect();
    LedgerWriter writer(std::make_unique<PostgresTables>(*parsed, PostgresTables::Options{}));
    REQUIRE(writer.save(rows, {7, 1}).ok());
    CHECK(count_ids(url) == std::map<std::string, int>{{"cut", 1}});
}

// Guarantee: while the server is away records are taken and nobody waits for it; a question is
// answered with that; when it is back every record is there once.
TEST_CASE("a server that is away costs no record") {
    PostgresServer server;
    const std::string url = server.fresh_url();
    const TempDir dir;
    const auto ledger = open_postgres_ledger(dir, url);
    append_many(*ledger, "before-", 10);
    ledger->flush();
    server.stop(SIGINT);
    append_many(*ledger, "away-", 500);
    ledger->flush();
    CHECK(ledger->stats().failing);
    CHECK(ledger->stats().dropped == 0);
    const auto found = ledger->find("before-1");
    REQUIRE(!found.ok());
    CHECK(found.error().kind == Kind::upstream_unavailable);
    server.launch();
    while (ledger->stats().failing) {
        ledger->flush();
    }
    CHECK(ledger->stats().waiting == 0);
    const auto counts = count_ids(url);
    CHECK(counts.size() == 510);
    CHECK(counts.at("away-499") == 1);
    while (!ledger->find("before-1").ok()) {  // a reader tries again a moment later
        std::this_thread::yield();
    }
}

// Guarantee: a ledger opens without its server, takes records, survives another start without it,
// and brings everything over once it is there.
TEST_CASE("a start without the server") {
    PostgresServer server;
    const std::string url = server.fresh_url();
    const TempDir dir;
    server.stop(SIGINT);
    for (int run = 0; run < 3; ++run) {
        const auto ledger = open_postgres_ledger(dir, url);
        append_many(*ledger, "run-" + std::to_string(run) + "-", 100);
    }
    server.launch();
    {
        const auto ledger = open_postgres_ledger(dir, url);
        append_many(*ledger, "run-3-", 100);
        ledger->flush();
        CHECK(ledger->find_page({})->total == 400);
    }
    const auto counts = count_ids(url);
    CHECK(counts.size() == 400);
    for (const auto& [id, count] : counts) {
        REQUIRE_MESSAGE(count == 1, id);
    }
}

// Guarantee: as with SQLite: whatever was taken before a kill is in the ledger once, the server
// being killed now and then as well.
TEST_CASE("killed at any moment, every record is in PostgreSQL once") {
    PostgresServer server;
    const std::string url = server.fresh_url();
    const TempDir dir;
    std::mt19937 random(5);
    std::map<std::string, int> told_of;
    for (int round = 0; round < 8; ++round) {
        CAPTURE(round);
        int told[2];
        REQUIRE(::pipe(told) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            Result<DataDir> data = DataDir::open(dir.path());
            PostgresLedgerOptions options;
            options.commit_delay = milliseconds(round % 2);
            options.journal.segment_bytes = 16 << 10;
            auto ledger = PostgresLedger::open(std::move(*data), url, options);
            for (uint32_t number = 0; ledger.ok(); ++number) {
                append_many(**ledger,
                            "r" + std::to_string(round) + "-" + std::to_string(number) + "-", 1);
                if (::write(told[1], &number, sizeof number) != sizeof number) {
                    break;
                }
            }
            ::_exit(1);
        }
        ::close(told[1]);
        const uint32_t wanted = 1 + random() % 1500;
        uint32_t number = 0;
        uint32_t count = 0;
        while (count < wanted && ::read(told[0], &number, sizeof number) == sizeof number) {
            ++count;
        }
        if (round % 4 == 3) {
            server.stop(SIGQUIT);
        }
        REQUIRE(::kill(child, SIGKILL) == 0);
        while (::read(told[0], &number, sizeof number) == sizeof number) {
            ++count;
        }
        ::close(told[0]);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (round % 4 == 3) {
            server.launch();
        }
        for (uint32_t i = 0; i < count; ++i) {
            ++told_of["r" + std::to_string(round) + "-" + std::to_string(i) + "-0"];
        }
    }
    open_postgres_ledger(dir, url).reset();
    const auto counts = count_ids(url);
    for (const auto& [id, count] : counts) {
        REQUIRE_MESSAGE(count == 1, id);
    }
    for (const auto& [id, count] : told_of) {
        REQUIRE_MESSAGE(counts.count(id) == 1, id);
    }
    CHECK(counts.size() - told_of.size() <= 8);
}

// Guarantee: tables of the version before grow with their contents; those of a newer Belay are
// refused in words and not touched.
TEST_CASE("PostgreSQL's schema grows, and is never taken back") {
    const std::string url = PostgresServer::shared().fresh_url();
    {
        const TempDir dir;
        open_postgres_ledger(dir, url).reset();
    }
    PgConnection connection = connect(url);
    // As version 1 left it.
    REQUIRE(connection
                .run("DROP TABLE belay_batch, belay_batch_summary, belay_series, belay_day_sum, "
                     "belay_journal, belay_ledger; DELETE FROM belay_migration WHERE version = 2",
                     soon())
                .ok());
    {
        const TempDir dir;
        const auto ledger = open_postgres_ledger(dir, url);
        append_many(*ledger, "id-", 1);
        CHECK(ledger->find("id-0").ok());
    }
    CHECK(ask_number(connection, "SELECT max(version) FROM belay_migration") ==
          kPostgresSchemaVersion);
    REQUIRE(connection.run("INSERT INTO belay_migration VALUES(99)", soon()).ok());
    const TempDir dir;
    Result<DataDir> data = DataDir::open(dir.path());
    const auto refused = PostgresLedger::open(std::move(*data), url);
    REQUIRE(!refused.ok());
    CHECK(refused.error().message.find("newer Belay (schema 99") != std::string::npos);
}

// Guarantee: Belays that start at once on an empty database make its tables once.
TEST_CASE("two migrations at once do not collide") {
    const std::string url = PostgresServer::shared().fresh_url();
    const Result<PostgresUrl> parsed = parse_postgres_url(url);
    std::vector<std::thread> threads;
    std::atomic<int> ready{0};
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            PostgresTables tables(*parsed, {});
            ready += tables.connect().ok() ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(ready == 8);
    PgConnection connection = connect(url);
    CHECK(ask_number(connection, "SELECT count(*) FROM belay_migration") == kPostgresSchemaVersion);
    CHECK(ask_number(connection, "SELECT count(*) FROM belay_ledger") == 1);
}

}  // namespace
}  // namespace belay::store

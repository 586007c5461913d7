// What is asked of the ledger afterwards: a database's answers are those of a naive look at every
// record (MemoryLedger), whatever was asked, however the batches lie.
#include <doctest/doctest.h>
#include <thread>

#include <algorithm>
#include <functional>
#include <random>

#include "store/memory_ledger.h"
#include "store/postgres_server.h"
#include "store/sqlite.h"
#include "store/sqlite_ledger.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

using ledger::DayFilter;
using ledger::Entry;
using ledger::LogFilter;
using Random = std::mt19937;

constexpr int64_t kStart = 1'790'000'000'000;

std::string pick(Random& random, const char* prefix, unsigned count) {
    const unsigned value = random() % (count + 1);
    return value == 0 ? std::string() : prefix + std::to_string(value);
}

Entry random_entry(Random& random, int number) {
    Entry entry = plain_entry("id-" + std::to_string(number % 4001) + "-x");
    ledger::SpendRecord& record = entry.record;
    record.key_fingerprint = pick(random, "key-", 5);
    record.key_alias = record.key_fingerprint.empty() ? "" : "alias of " + record.key_fingerprint;
    record.user = pick(random, "user-", 3);
    record.team = pick(random, "team-", 2);
    record.organization = pick(random, "org-", 1);
    record.end_user = pick(random, "customer-", 4);
    record.session_id = pick(random, "session-", 40);
    record.asked = record.model_group = pick(random, "group-", 3);
    record.upstream_model = pick(random, "model-", 4);
    record.deployment_id = pick(random, "deployment-", 3);
    record.client_api = static_cast<ledger::Api>(random() % 6);
    for (unsigned i = random() % 4; i != 0; --i) {
        record.tags.push_back(pick(random, "tag-", 3));
    }
    if (random() % 4 == 0) {
        record.status =
            random() % 2 == 0 ? ledger::Status::failure : ledger::Status::client_aborted;
        record.error_code = pick(random, "code-", 2);
        record.http_status = 400 + static_cast<int>(random() % 3);
        record.error_message = "it \"failed\" in way " + std::to_string(random() % 3);
    }
    record.attempted_fallbacks = random() % 3 == 0 ? 1 : 0;
    record.received_ms = kStart + number * 3'000LL - random() % 90'000;
    record.total_us = random() % 1'000'000;
    record.first_token_us = random() % 100;
    record.usage.output = random() % 50;
    record.usage.upstream_cost.reset();
    record.cost_source = static_cast<chat::CostSource>(1 + random() % 4);
    record.cost.value = random() % 20;
    record.premium_milli = random() % 3 * 1000;
    return entry;
}

LogFilter random_filter(Random& random, int count) {
    LogFilter filter;
    const auto maybe = [&random](unsigned odds) { return random() % odds == 0; };
    if (maybe(3)) {
        filter.from_ms = kStart + random() % (count * 3'000LL);
    }
    if (maybe(3)) {
        filter.until_ms = kStart + random() % (count * 3'000LL);
    }
    const struct {
        std::string LogFilter::*field;
        const char* prefix;
        unsigned count;
    } fields[] = {{&LogFilter::key, "key-", 6},
                  {&LogFilter::user, "user-", 3},
                  {&LogFilter::team, "team-", 2},
                  {&LogFilter::organization, "org-", 1},
                  {&LogFilter::end_user, "customer-", 4},
                  {&LogFilter::session_id, "session-", 40},
                  {&LogFilter::model, "model-", 4},
                  {&LogFilter::model_id, "deployment-", 3},
                  {&LogFilter::model_group, "group-", 3},
                  {&LogFilter::error_code, "code-", 2},
                  {&LogFilter::key_alias, "alias of key-", 5}};
    for (const auto& field : fields) {
        if (maybe(9)) {
            filter.*field.field = pick(random, field.prefix, field.count);
        }
    }
    if (maybe(15)) {
        filter.error_code = std::to_string(400 + random() % 3);
    }
    if (maybe(20)) {
        filter.request_id = "id-" + std::to_string(random() % static_cast<unsigned>(count)) + "-x";
    }
    if (maybe(5)) {
        filter.status = static_cast<ledger::Status>(random() % 3);
    }
    if (maybe(15)) {
        filter.error_message = "\" in way 1";
    }
    if (maybe(8)) {
        filter.min_cost = NanoCredits{static_cast<int64_t>(random() % 22)};
    }
    if (maybe(8)) {
        filter.max_cost = NanoCredits{static_cast<int64_t>(random() % 22)};
    }
    filter.sort = maybe(2) ? LogFilter::Sort::start : static_cast<LogFilter::Sort>(random() % 6);
    filter.descending = !maybe(3);
    filter.page_size = 1 + random() % 120;
    filter.page = maybe(2) ? 1 : 1 + random() % 12;
    return filter;
}

DayFilter random_day_filter(Random& random) {
    DayFilter filter;
    const auto maybe = [&random](unsigned odds) { return random() % odds == 0; };
    if (maybe(2)) {
        filter.from = ledger::render_date(ledger::day_of(kStart) + random() % 4);
    }
    if (maybe(2)) {
        filter.until = ledger::render_date(ledger::day_of(kStart) + random() % 4);
    }
    const struct {
        std::vector<std::string> DayFilter::*field;
        const char* prefix;
    } fields[] = {{&DayFilter::keys, "key-"},      {&DayFilter::users, "user-"},
                  {&DayFilter::teams, "team-"},    {&DayFilter::end_users, "customer-"},
                  {&DayFilter::models, "model-"},  {&DayFilter::tags, "tag-"},
                  {&DayFilter::not_teams, "team-"}};
    for (const auto& field : fields) {
        for (unsigned i = maybe(5) ? 1 + random() % 2 : 0; i != 0; --i) {
            (filter.*field.field).push_back(field.prefix + std::to_string(1 + random() % 4));
        }
    }
    filter.by = static_cast<DayFilter::By>(random() % 3);
    return filter;
}

// Day sums in an order of their own: the port promises one by date alone.
std::vector<ledger::DaySum> sorted(Result<std::vector<ledger::DaySum>> sums) {
    REQUIRE(sums.ok());
    CHECK(std::is_sorted(sums->begin(), sums->end(), [](const auto& left, const auto& right) {
        return left.date < right.date;
    }));
    const auto name = [](const ledger::DaySum& sum) {
        return std::tie(sum.date, sum.key, sum.key_alias, sum.user, sum.team, sum.organization,
                        sum.end_user, sum.tag, sum.model, sum.model_group, sum.provider,
                        sum.endpoint);
    };
    std::sort(sums->begin(), sums->end(),
              [&name](const auto& left, const auto& right) { return name(left) < name(right); });
    return std::move(*sums);
}

void compare_pages(JournaledLedger& ledger, MemoryLedger& naive, Random& random, int count) {
    const LogFilter filter = random_filter(random, count);
    const Result<ledger::LogPage> page = ledger.find_page(filter);
    const Result<ledger::LogPage> wanted = naive.find_page(filter);
    REQUIRE(page.ok());
    CHECK(page->total == wanted->total);
    CHECK(page->total_is_exact);
    REQUIRE(page->entries.size() == wanted->entries.size());
    for (size_t i = 0; i < page->entries.size(); ++i) {
        REQUIRE(page->entries[i] == wanted->entries[i]);
    }
    std::vector<Entry> all;
    std::vector<Entry> all_wanted;
    const auto into = [](std::vector<Entry>& entries) {
        return [&entries](const Entry& entry) {
            entries.push_back(entry);
            return entries.size() < 200;
        };
    };
    REQUIRE(ledger.for_each(filter, into(all)).ok());
    REQUIRE(naive.for_each(filter, into(all_wanted)).ok());
    CHECK(all == all_wanted);
}

void compare(JournaledLedger& ledger, MemoryLedger& naive, Random& random, int count) {
    for (int i = 0; i < 60; ++i) {
        CAPTURE(i);
        compare_pages(ledger, naive, random, count);
        const DayFilter filter = random_day_filter(random);
        CHECK(sorted(ledger.day_sums(filter)) == sorted(naive.day_sums(filter)));
    }
    CHECK(*ledger.scope_sums() == *naive.scope_sums());
    const auto tags = ledger.tag_sums("", "");
    const auto tags_wanted = naive.tag_sums("", "");
    REQUIRE(tags->size() == tags_wanted->size());
    for (size_t i = 0; i < tags->size(); ++i) {
        CHECK((*tags)[i].tag == (*tags_wanted)[i].tag);
        CHECK((*tags)[i].metrics == (*tags_wanted)[i].metrics);
    }
}

// Guarantee: with batches of every size, merged or not, with rows still in the journal, before and
// after old records are dropped, every answer is that of the naive look.
void compare_drivers(const std::function<std::unique_ptr<JournaledLedger>(const TempDir&)>& open,
                     unsigned seeds) {
    for (unsigned seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        const TempDir dir;
        const auto ledger = open(dir);
        MemoryLedger naive(1'000'000);
        const int count = 300 << (seed % 4);
        const unsigned flush_odds = seed % 2 == 0 ? 40 : 5;
        for (int number = 0; number < count; ++number) {
            const Entry entry = random_entry(random, number);
            ledger->append(entry.record, entry.trace);
            naive.append(entry.record, entry.trace);
            if (random() % flush_odds == 0) {
                ledger->flush();
            }
        }
        compare(*ledger, naive, random, count);
        const int64_t cut = kStart + count * 1'000LL;
        const Result<uint64_t> dropped = ledger->drop_before(cut);
        REQUIRE(dropped.ok());
        CHECK(*dropped == *naive.drop_before(cut));
        CHECK(*dropped != 0);
        compare(*ledger, naive, random, count);
    }
}

TEST_CASE("queries answer as a look at every record does: SQLite") {
    SqliteOptions options;
    options.commit_delay = milliseconds(3'600'000);
    compare_drivers([&options](const TempDir& dir) { return open_ledger(dir, options); }, 6);
}

TEST_CASE("queries answer as a look at every record does: PostgreSQL") {
    PostgresLedgerOptions options;
    options.commit_delay = milliseconds(3'600'000);
    compare_drivers(
        [&options](const TempDir& dir) {
            return open_postgres_ledger(dir, PostgresServer::shared().fresh_url(), options);
        },
        2);
}

// Guarantee: small batches become large ones, and nothing else changes: the order, the marks.
TEST_CASE("small batches are merged") {
    const TempDir dir;
    {
        SqliteOptions options;
        options.merge_delay = milliseconds(1);
        const auto ledger = open_ledger(dir, options);
        for (int i = 0; i < 600; ++i) {
            const Entry entry = plain_entry("id-" + std::to_string(i));
            ledger->append(entry.record, entry.trace);
            ledger->flush();
        }
        // Nobody calls any more: that is when they are joined.
        Result<Database> db = Database::open(dir.file("ledger.db"), Database::Mode::existing);
        Result<Statement> count = db->prepare("SELECT count(*) FROM batch");
        for (bool joined = false; !joined; std::this_thread::yield()) {
            REQUIRE(*count->step());
            joined = count->integer(0) < 40;
            count->reset();
        }
    }
    const auto again = open_ledger(dir);
    const auto last = again->find_last(1000);
    REQUIRE(last->size() == 600);
    for (size_t i = 0; i < 600; ++i) {
        REQUIRE((*last)[599 - i].record.request_id == "id-" + std::to_string(i));
    }
    Result<Database> db = Database::open(dir.file("ledger.db"), Database::Mode::existing);
    Result<Statement> batches = db->prepare("SELECT count(*), max(requests) FROM batch");
    REQUIRE(*batches->step());
    CHECK(batches->integer(0) < 40);
    CHECK(batches->integer(1) >= 64);
}

// Guarantee: dropping everything loses neither the sums nor the mark of what the journal has saved,
// and later records come behind.
TEST_CASE("all records may be dropped") {
    const TempDir dir;
    SqliteOptions options;
    options.commit_delay = milliseconds(3'600'000);
    const auto add = [](ledger::Ledger& ledger, const char* id) {
        const Entry entry = plain_entry(id);
        ledger.append(entry.record, entry.trace);
        ledger.flush();
    };
    {
        const auto ledger = open_ledger(dir, options);
        add(*ledger, "a");
        add(*ledger, "b");
        const Entry entry = plain_entry("c");
        ledger->append(entry.record, entry.trace);
        std::filesystem::copy_file(dir.file("ledger.journal"), dir.file("before"));
        CHECK(*ledger->drop_before(INT64_MAX) == 3);
        CHECK(*ledger->drop_before(INT64_MAX) == 0);
    }
    std::filesystem::copy_file(dir.file("before"), dir.file("ledger.journal"),
                               std::filesystem::copy_options::overwrite_existing);
    const auto ledger = open_ledger(dir, options);
    add(*ledger, "d");
    const auto page = ledger->find_page({});
    REQUIRE(page.ok());
    CHECK(page->total == 1);
    CHECK(page->entries.front().record.request_id == "d");
    const auto days = ledger->day_sums({});
    REQUIRE(days->size() == 1);
    CHECK(days->front().metrics.requests == 4);
}

// Guarantee: a sum that outgrows 64 bits stays at the end of the range, as money does everywhere.
TEST_CASE("sums do not wrap") {
    const TempDir dir;
    const auto ledger = open_ledger(dir);
    for (int i = 0; i < 3; ++i) {
        Entry entry = plain_entry("huge-" + std::to_string(i));
        entry.record.cost.value = INT64_MAX - 5;
        entry.record.cost_source = chat::CostSource::configured;
        ledger->append(entry.record, entry.trace);
        ledger->flush();
    }
    const auto days = ledger->day_sums({});
    REQUIRE(days->size() == 1);
    CHECK(days->front().metrics.cost.value == INT64_MAX);
    CHECK(days->front().metrics.requests == 3);
}

// Guarantee: what is no date is told to whoever asked.
TEST_CASE("dates are checked") {
    const TempDir dir;
    const auto ledger = open_ledger(dir);
    DayFilter filter;
    filter.from = "last week";
    CHECK(ledger->day_sums(filter).error().kind == Kind::invalid_request);
    CHECK(MemoryLedger().day_sums(filter).error().kind == Kind::invalid_request);
}

}  // namespace
}  // namespace belay::store

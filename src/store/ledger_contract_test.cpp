// What every Ledger promises, asked of each driver: what goes in comes out whole, is found by id
// and by the beginning of an id, and the newest comes first.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "store/memory_ledger.h"
#include "store/postgres_server.h"
#include "store/sqlite_ledger.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

using ledger::Entry;

struct Driver {
    std::string name;
    std::function<std::unique_ptr<ledger::Ledger>(const TempDir&)> make;
};

const Driver kDrivers[] = {
    {"memory", [](const TempDir&) { return std::make_unique<MemoryLedger>(); }},
    {"sqlite", [](const TempDir& dir) { return open_ledger(dir); }},
    {"postgres",
     [](const TempDir& dir) {
         return open_postgres_ledger(dir, PostgresServer::shared().fresh_url());
     }},
};

void for_each_driver(const std::function<void(ledger::Ledger&)>& check) {
    for (const Driver& driver : kDrivers) {
        CAPTURE(driver.name);
        const TempDir dir;
        const std::unique_ptr<ledger::Ledger> ledger = driver.make(dir);
        REQUIRE(ledger != nullptr);
        check(*ledger);
    }
}

// Guarantee: no field of a record or a trace is lost or changed on the way through.
TEST_CASE("every field comes back") {
    for_each_driver([](ledger::Ledger& ledger) {
        const Entry entry = full_entry("11112222-aaaa");
        ledger.append(entry.record, entry.trace);
        const Result<Entry> found = ledger.find("11112222-aaaa");
        REQUIRE(found.ok());
        CHECK(found->record == entry.record);
        CHECK(found->trace == entry.trace);
    });
}

// Guarantee: an unknown cost stays unknown and a free call stays free; neither turns into the
// other.
TEST_CASE("unknown and zero cost are different") {
    for_each_driver([](ledger::Ledger& ledger) {
        Entry unknown = plain_entry("00000001");
        unknown.record.cost = {};
        unknown.record.cost_source = chat::CostSource::unknown;
        unknown.record.usage.upstream_cost.reset();
        Entry free_call = plain_entry("00000002");
        free_call.record.cost = {};
        free_call.record.cost_source = chat::CostSource::configured;
        free_call.record.usage.upstream_cost.reset();
        ledger.append(unknown.record, unknown.trace);
        ledger.append(free_call.record, free_call.trace);
        CHECK(ledger.find("00000001")->record.cost_source == chat::CostSource::unknown);
        CHECK(ledger.find("00000002")->record.cost_source == chat::CostSource::configured);
    });
}

// Guarantee: the plain success, whose trace is not stored, reads back as the same trace.
TEST_CASE("a trace that follows from its record is restored") {
    for_each_driver([](ledger::Ledger& ledger) {
        const Entry entry = plain_entry("abcdef0123");
        REQUIRE(ledger::follows_from(entry.trace, entry.record));
        ledger.append(entry.record, entry.trace);
        CHECK(ledger.find("abcdef0123")->trace == entry.trace);
    });
}

// Guarantee: any beginning that only one request has finds it; others say so, and name what they
// mean.
TEST_CASE("requests are found by the beginning of their id") {
    for_each_driver([](ledger::Ledger& ledger) {
        for (const char* id : {"1f0c9a32-0001", "1f0c9a32-0002", "1f0d0000-0003", "call_abc-xyz",
                               "chatcmpl-4", "chatcmpl-45"}) {
            const Entry entry = plain_entry(id);
            ledger.append(entry.record, entry.trace);
        }
        struct Case {
            std::string asked;
            const char* found;  // "" = several, nullptr = none
        };
        for (const Case& c :
             {Case{"1f0d", "1f0d0000-0003"}, Case{"1f0c9a32-0002", "1f0c9a32-0002"},
              Case{"1f0c", ""}, Case{"1f0c9a32", ""}, Case{"call_abc", "call_abc-xyz"},
              Case{"chatcmpl-4", "chatcmpl-4"}, Case{"chatcmpl-", ""}, Case{"2f0c", nullptr},
              Case{"1f0c9a32-0002-more", nullptr}}) {
            CAPTURE(c.asked);
            const Result<Entry> found = ledger.find(c.asked);
            if (c.found == nullptr) {
                REQUIRE(!found.ok());
                CHECK(found.error().kind == Kind::not_found);
            } else if (*c.found == '\0') {
                REQUIRE(!found.ok());
                CHECK(found.error().kind == Kind::invalid_request);
            } else {
                REQUIRE(found.ok());
                CHECK(found->record.request_id == c.found);
            }
        }
        CHECK(!ledger.find("").ok());
    });
}

// Guarantee: find_last gives the newest first and never more than asked for.
TEST_CASE("the newest come first") {
    for_each_driver([](ledger::Ledger& ledger) {
        for (int i = 0; i < 700; ++i) {
            const Entry entry = plain_entry("id-" + std::to_string(i));
            ledger.append(entry.record, entry.trace);
        }
        const Result<std::vector<Entry>> last = ledger.find_last(3);
        REQUIRE(last.ok());
        REQUIRE(last->size() == 3);
        CHECK((*last)[0].record.request_id == "id-699");
        CHECK((*last)[2].record.request_id == "id-697");
    });
}

// Guarantee: a reused request id finds the latest call that bore it.
TEST_CASE("a reused id finds the latest") {
    for_each_driver([](ledger::Ledger& ledger) {
        Entry entry = plain_entry("same-id-1");
        ledger.append(entry.record, entry.trace);
        entry.record.http_status = 503;
        ledger.append(entry.record, entry.trace);
        CHECK(ledger.find("same-id-1")->record.http_status == 503);
    });
}

// Guarantee: hostile text (control bytes, broken UTF-8, separators, megabytes) is kept harmless and
// bounded, and does not shift other fields.
TEST_CASE("hostile text stays in its field") {
    for_each_driver([](ledger::Ledger& ledger) {
        Entry entry = plain_entry("feedbeef");
        entry.record.asked = std::string(
                                 "a\x1F"
                                 "b\n\"\\\xFF",
                                 7) +
                             std::string(1 << 20, 'x');
        entry.record.user_agent =
            "agent\x1F"
            "x";
        entry.record.tags = {"t\xC0\x80", "two"};
        entry.record.error_message = std::string(4096, 'm');
        entry.trace.warnings = {"w\x01\xFF"};
        ledger.append(entry.record, entry.trace);
        const Result<Entry> found = ledger.find("feedbeef");
        REQUIRE(found.ok());
        CHECK(found->record.asked.size() <= ledger::kMaxText + 8);
        CHECK(found->record.asked.substr(0, 6) == "a b \"\\");
        CHECK(found->record.user_agent == "agent x");
        CHECK(found->record.model_group == entry.record.model_group);
        CHECK(found->record.error_message.size() == ledger::kMaxErrorMessage);
        CHECK(found->record.tags.size() == 2);
        CHECK(found->trace.warnings.size() == 1);
    });
}

// Guarantee: loops may append at once; every record arrives exactly once.
TEST_CASE("many threads append") {
    for_each_driver([](ledger::Ledger& ledger) {
        constexpr int kThreads = 4;
        constexpr int kEach = 500;
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&ledger, t] {
                for (int i = 0; i < kEach; ++i) {
                    const Entry entry =
                        plain_entry("t" + std::to_string(t) + "-" + std::to_string(i) + "-end");
                    ledger.append(entry.record, entry.trace);
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        ledger.flush();
        CHECK(ledger.stats().appended == kThreads * kEach);
        CHECK(ledger.stats().saved == kThreads * kEach);
        CHECK(ledger.stats().dropped == 0);
        for (int t = 0; t < kThreads; ++t) {
            CHECK(ledger.find("t" + std::to_string(t) + "-499-end").ok());
        }
    });
}

}  // namespace
}  // namespace belay::store

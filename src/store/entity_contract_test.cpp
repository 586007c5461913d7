// What every store of entities promises, asked of each driver: memory, SQLite, a real PostgreSQL.
// Most of it is asked through two handles on the same data, as two processes would have them.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "store/memory_entities.h"
#include "store/postgres_entities.h"
#include "store/postgres_server.h"
#include "store/sqlite_entities.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

using governance::Change;
using governance::Entity;
using governance::EntityKind;
using governance::EntityStore;
using json::Value;
using Entities = std::vector<Entity>;

using StorePtr = std::shared_ptr<EntityStore>;

// Where a driver keeps its data; open() gives another handle on the same.
struct Place {
    std::function<StorePtr(milliseconds tombstone_age)> make;
    bool durable = true;

    [[nodiscard]] StorePtr open(milliseconds tombstone_age = kTombstoneAge) const {
        return make(tombstone_age);
    }
};

template <class Store>
StorePtr opened(Result<std::unique_ptr<Store>> store) {
    if (!store.ok()) {
        FAIL(store.error().message << " " << store.error().detail);
    }
    return std::move(*store);
}

Place memory_place(const TempDir&) {
    auto only = std::make_shared<StorePtr>();
    return {[only](milliseconds age) {
                if (!*only) {
                    *only = std::make_shared<MemoryEntities>(age);
                }
                return *only;
            },
            false};
}

Place sqlite_place(const TempDir& dir) {
    return {[path = dir.file("belay.db")](milliseconds age) {
        return opened(SqliteEntities::open(path, age));
    }};
}

Place postgres_place(const TempDir&) {
    return {[url = PostgresServer::shared().fresh_url()](milliseconds age) {
        PostgresOptions options;
        options.tombstone_age = age;
        return opened(PostgresEntities::open(url, options));
    }};
}

void for_each_place(const std::function<void(const Place&)>& check) {
    struct Driver {
        const char* name;
        Place (*place)(const TempDir&);
    };
    for (const Driver& driver : {Driver{"memory", memory_place}, Driver{"sqlite", sqlite_place},
                                 Driver{"postgres", postgres_place}}) {
        INFO("store: " << std::string(driver.name));
        const TempDir dir;
        check(driver.place(dir));
    }
}

Value number(int64_t n) { return Value::object({{"n", n}}); }

Change put(std::string id, Value doc, std::optional<int64_t> expected = {}) {
    return {EntityKind::user, std::move(id), std::move(doc), expected};
}

Change remove(std::string id, std::optional<int64_t> expected = {}) {
    return put(std::move(id), {}, expected);
}

Entities must_apply(EntityStore& store, const std::vector<Change>& changes) {
    Result<Entities> written = store.apply(changes);
    if (!written.ok()) {
        FAIL(written.error().message << " " << written.error().detail);
    }
    return std::move(*written);
}

Entities must_read(EntityStore& store, int64_t since = 0, size_t limit = 10'000) {
    Result<Entities> found = store.changes_since(since, limit);
    if (!found.ok()) {
        FAIL(found.error().message << " " << found.error().detail);
    }
    return std::move(*found);
}

// Everything, without the tombstones.
Entities must_read_existing(EntityStore& store) {
    Entities found = must_read(store);
    std::erase_if(found, [](const Entity& entity) { return entity.is_deleted(); });
    return found;
}

std::string fails(const Result<Entities>& result) {
    return result.ok() ? "ok" : result.error().code;
}

// Guarantee: what is read is what was written, to the digit, the order of members and the last
// byte.
TEST_CASE("entities: documents come back as they were") {
    const Value documents[] = {
        Value::object(),
        Value::object({{"z", 1}, {"a", Value::array({nullptr, true, ""})}, {"", "empty name"}}),
        Value::object({{"number", json::Number{"1.10"}}, {"big", json::Number{"1e400"}}}),
        Value::object({{"text", "Grüße 日本語 👩‍🚀 \u202e"}, {"ключ", "значение"}}),
        Value::object({{"control", std::string("\0\x01\t\n\x7f", 5)}, {"quote", "\"\\'{},NULL"}}),
        Value::object({{"large", std::string(4 << 20, 'x')}}),
    };
    for_each_place([&](const Place& place) {
        const StorePtr store = place.open();
        const StorePtr other = place.open();
        for (const Value& document : documents) {
            const Entities written = must_apply(*store, {put("document", document)});
            REQUIRE(written.size() == 1);
            CHECK(written[0].doc == document);
            CHECK(must_read(*other) == written);
        }
    });
}

// Guarantee: any text is an id, and its look never changes what a statement does.
TEST_CASE("entities: ids are text") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        std::vector<Change> changes;
        for (const char* id :
             {"a", "A", " a", "a ", "ä", "a/b", "'; DROP TABLE entity; --", "\"", "\\", "\\\"",
              "{a,b}", "NULL", "null", "$1", "%", "?1", "日本語", "\x01\n\t", "a\xcc\x88"}) {
            changes.push_back(put(id, number(static_cast<int64_t>(changes.size())), 0));
        }
        changes.push_back(put(std::string(kEntityIdBytes, 'x'), number(-1), 0));
        const Entities written = must_apply(*store, changes);
        CHECK(must_read(*store) == written);
        for (const Entity& entity : written) {
            CHECK(store->apply({put(entity.id, number(7), entity.version)}).ok());
        }
        // The same id in another kind is another entity.
        CHECK(store->apply({{EntityKind::team, "a", number(1), 0}}).ok());
    });
}

// Guarantee: every kind has its own name in the store and comes back as itself.
TEST_CASE("entities: all kinds are kept") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        std::vector<Change> changes;
        for (size_t i = 0; i < governance::kEntityKinds; ++i) {
            changes.push_back({static_cast<EntityKind>(i), "same", number(1), 0});
        }
        CHECK(must_read(*store).empty());
        const Entities written = must_apply(*store, changes);
        CHECK(must_read(*store) == written);
    });
}

// Guarantee: what could not be read back is refused, and nothing of its batch is written.
TEST_CASE("entities: what cannot be kept is refused") {
    Value deep;
    for (int i = 0; i < 100; ++i) {
        deep = Value::object({{"d", std::move(deep)}});
    }
    const Value twice(json::Object{{"a", 1}, {"a", 2}});
    const Change refused[] = {
        put("", number(1)),
        put(std::string("a\0b", 3), number(1)),
        put("\xff", number(1)),
        put(std::string(kEntityIdBytes + 1, 'x'), number(1)),
        put("a", Value("text")),
        put("a", Value::array()),
        put("a", Value(true)),
        put("a", Value::object({{"text", "\xff"}})),
        put("a", deep),
        put("a", twice),
        put("a", Value::object({{"large", std::string(kEntityDocBytes, 'x')}})),
    };
    for_each_place([&](const Place& place) {
        const StorePtr store = place.open();
        for (const Change& change : refused) {
            const Result<Entities> result = store->apply({put("good", number(1)), change});
            REQUIRE(!result.ok());
            CHECK(result.error().origin == Origin::caller);
        }
        CHECK(!store->apply(std::vector<Change>(kChangesCount + 1, put("a", number(1)))).ok());
        CHECK(must_read(*store).empty());
        CHECK(must_apply(*store, {}).empty());
        CHECK(store->reachable());
    });
}

// Guarantee: a change with an expected version happens only while the entity has it.
TEST_CASE("entities: expected versions") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        const StorePtr other = place.open();
        const int64_t first = must_apply(*store, {put("a", number(1), 0)})[0].version;
        CHECK(fails(other->apply({put("a", number(2), 0)})) == "conflict");
        const int64_t second = must_apply(*other, {put("a", number(2), first)})[0].version;
        CHECK(second > first);
        CHECK(fails(store->apply({put("a", number(3), first)})) == "conflict");
        CHECK(fails(store->apply({remove("a", first)})) == "conflict");
        CHECK(fails(store->apply({remove("nobody", 5)})) == "conflict");
        const int64_t gone = must_apply(*store, {remove("a", second)})[0].version;
        // A tombstone is nothing that could be changed.
        CHECK(fails(store->apply({put("a", number(4), gone)})) == "conflict");
        CHECK(fails(store->apply({put("a", number(4), second)})) == "conflict");
        CHECK(must_apply(*other, {put("a", number(5), 0)})[0].doc == number(5));
        const Result<Entities> conflict = store->apply({put("a", number(6), first)});
        CHECK(conflict.error().kind == Kind::invalid_request);
        CHECK(store->reachable());
    });
}

// Guarantee: a batch that fails at its end has changed nothing and used no version.
TEST_CASE("entities: all or none") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        const Entities before = must_apply(*store, {put("a", number(1)), put("b", number(1))});
        CHECK(fails(store->apply({put("a", number(2)), remove("b"), put("c", number(2)),
                                  put("a", number(3), 999)})) == "conflict");
        CHECK(must_read(*store) == before);
        CHECK(must_read(*store, before.back().version).empty());
        CHECK(must_apply(*store, {put("d", number(1))})[0].version > before.back().version);
    });
}

// Guarantee: a batch is a sequence: later changes of an entity see the earlier ones, readers see
// the last.
TEST_CASE("entities: the same entity twice in a batch") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        const Entities written =
            must_apply(*store, {put("a", number(1), 0), put("b", number(1)), put("a", number(2)),
                                remove("b"), put("b", number(3), 0), remove("a")});
        REQUIRE(written.size() == 6);
        CHECK(std::is_sorted(written.begin(), written.end(), [](const Entity& a, const Entity& b) {
            return a.version < b.version;
        }));
        CHECK(fails(store->apply({put("c", number(1)), put("c", number(2), 0)})) == "conflict");
        CHECK(must_read_existing(*store) == Entities{written[4]});
        CHECK(must_read(*store, written[0].version) == Entities{written[4], written[5]});
    });
}

// Guarantee: deletions reach a reader that knew the entity, in their place among the changes; for
// one that begins the deleted does not exist.
TEST_CASE("entities: deletions") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        const Entities before = must_apply(*store, {put("a", number(1)), put("b", number(1))});
        const Entities deleted = must_apply(*store, {remove("a"), remove("never was")});
        CHECK(deleted[0].is_deleted());
        CHECK(must_read(*store, before.back().version) == deleted);
        CHECK(must_read_existing(*store) == Entities{before[1]});
        const Entities again = must_apply(*store, {put("a", number(2), 0)});
        CHECK(must_read(*store, before.back().version) == Entities{deleted[1], again[0]});
    });
}

// Guarantee: pages put together give everything once, oldest first, whatever their size.
TEST_CASE("entities: paging") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open();
        std::vector<Change> changes;
        for (int i = 0; i < 100; ++i) {
            changes.push_back(put("e" + std::to_string(i), number(i)));
        }
        const int64_t begin = must_apply(*store, {put("first", number(0))})[0].version;
        must_apply(*store, changes);
        must_apply(*store, {put("e7", number(1007)), remove("e8"), put("e99", number(1099))});
        const Entities all = must_read(*store, begin);
        CHECK(all.size() == 100);
        for (const size_t limit : {size_t{1}, size_t{7}, size_t{100}, size_t{101}}) {
            Entities paged;
            for (int64_t since = begin;;) {
                const Entities page = must_read(*store, since, limit);
                CHECK(page.size() <= limit);
                if (page.empty()) {
                    break;
                }
                since = page.back().version;
                paged.insert(paged.end(), page.begin(), page.end());
            }
            CHECK(paged == all);
        }
        CHECK(must_read(*store, begin, 0).empty());
        CHECK(std::is_sorted(all.begin(), all.end(), [](const Entity& a, const Entity& b) {
            return a.version < b.version;
        }));
    });
}

// Guarantee: a reader that missed a deletion whose tombstone is gone is told to begin again, and
// so is one that is ahead of a store from a backup; nobody goes on with a key that was deleted.
TEST_CASE("entities: forgotten deletions") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open(milliseconds(0));
        const Entities before = must_apply(*store, {put("a", number(1)), put("b", number(1))});
        const int64_t deletion = must_apply(*store, {remove("a")})[0].version;
        CHECK(must_read(*store, before.back().version).size() == 1);
        const Entities after = must_apply(*store, {put("c", number(1))});
        CHECK(fails(store->changes_since(before.back().version, 10)) == "reload");
        CHECK(must_read(*store, deletion) == after);
        CHECK(must_read_existing(*store) == Entities{before[1], after[0]});
        CHECK(fails(store->changes_since(after[0].version + 1, 10)) == "reload");
        CHECK(must_read(*store, after[0].version).empty());
        CHECK(must_apply(*store, {put("a", number(9), 0)})[0].version > after[0].version);
        CHECK(store->reachable());
    });
}

// Guarantee: a reader that began anew goes on from there, also when the last thing that happened
// was a deletion and all others are forgotten.
TEST_CASE("entities: beginning anew after deletions") {
    for_each_place([](const Place& place) {
        const StorePtr store = place.open(milliseconds(0));
        must_apply(*store, {put("a", number(1)), put("b", number(1)), put("c", number(1))});
        must_apply(*store, {remove("b")});
        must_apply(*store, {remove("c")});
        const Entities all = must_read(*store);
        CHECK(must_read_existing(*store).size() == 1);
        CHECK(must_read(*store, all.back().version).empty());
        const Entities more = must_apply(*store, {put("d", number(1))});
        CHECK(must_read(*store, all.back().version) == more);
    });
}

// Guarantee: what was written is there after the store is closed and opened, and versions go on.
TEST_CASE("entities: reopening") {
    for_each_place([](const Place& place) {
        if (!place.durable) {
            return;
        }
        Entities written = must_apply(*place.open(), {put("a", number(1)), put("b", number(2))});
        const StorePtr store = place.open();
        CHECK(must_read(*store) == written);
        CHECK(must_apply(*store, {put("c", number(3))})[0].version == written.back().version + 1);
        CHECK(must_read(*place.open()).size() == 3);
    });
}

// Guarantee: writers in many threads and through two handles never lose each other's update.
TEST_CASE("entities: concurrent updates of one entity") {
    constexpr int kThreads = 4;
    constexpr int kEach = 15;
    for_each_place([](const Place& place) {
        const StorePtr stores[] = {place.open(), place.open()};
        must_apply(*stores[0], {put("counter", number(0))});
        std::atomic<int> failures{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, store = stores[t % 2]] {
                for (int done = 0; done < kEach && failures == 0;) {
                    const Result<Entities> now = store->changes_since(0, 10);
                    if (!now.ok() || now->size() != 1) {
                        ++failures;
                        return;
                    }
                    const int64_t n = now->front().doc["n"].as_int().value_or(-1);
                    const Result<Entities> written =
                        store->apply({put("counter", number(n + 1), now->front().version)});
                    done += written.ok() ? 1 : 0;
                    failures += written.ok() || written.error().code == "conflict" ? 0 : 1;
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(failures == 0);
        CHECK(must_read(*stores[0]).at(0).doc == number(kThreads * kEach));
    });
}

// Guarantee: a reader that asks for what is new while many write sees every write, each once and in
// the order of versions: none is committed behind its back.
TEST_CASE("entities: a reader misses nothing") {
    constexpr int kThreads = 4;
    constexpr int kBatches = 25;
    for_each_place([](const Place& place) {
        const StorePtr stores[] = {place.open(), place.open()};
        const StorePtr mine = place.open();
        std::atomic<int> failures{0};
        std::atomic<int> running{kThreads};
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < kBatches; ++i) {
                    const std::string id = std::to_string(t) + "-" + std::to_string(i);
                    const Result<Entities> written = stores[t % 2]->apply(
                        {put(id, number(i), 0), put(id + "-too", number(i), 0)});
                    failures += written.ok() ? 0 : 1;
                }
                --running;
            });
        }
        std::set<std::string> seen;
        int64_t since = 0;
        for (bool last = false; !last;) {
            last = running == 0;
            const Result<Entities> news = mine->changes_since(since, 10'000);
            failures += news.ok() ? 0 : 1;
            for (const Entity& entity : news.ok() ? *news : Entities()) {
                failures += entity.version > since && seen.insert(entity.id).second ? 0 : 1;
                since = entity.version;
            }
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(failures == 0);
        CHECK(seen.size() == kThreads * kBatches * 2);
    });
}

// Guarantee: two writers that take the same entities in opposite order both come to an end.
TEST_CASE("entities: opposite orders") {
    for_each_place([](const Place& place) {
        const StorePtr stores[] = {place.open(), place.open()};
        std::atomic<int> failures{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 20; ++i) {
                    const std::vector<Change> changes = {put(t == 0 ? "a" : "b", number(i)),
                                                         put(t == 0 ? "b" : "a", number(i))};
                    failures += stores[t]->apply(changes).ok() ? 0 : 1;
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(failures == 0);
        CHECK(must_read(*stores[0]).back().version == 80);
    });
}

}  // namespace
}  // namespace belay::store

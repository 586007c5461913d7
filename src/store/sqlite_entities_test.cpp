// belay.db as a file: who may read it, and what happens when it is not what it should be. What it
// keeps is asked in entity_contract_test.cpp.
#include "store/sqlite_entities.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include "store/test_support.h"

namespace belay::store {
namespace {

using governance::Change;
using governance::EntityKind;

Change change(const std::string& id) {
    return {EntityKind::key, id, json::Value::object({{"models", json::Value::array()}}), {}};
}

std::unique_ptr<SqliteEntities> open_entities(const std::string& path) {
    auto store = SqliteEntities::open(path);
    if (!store.ok()) {
        FAIL(store.error().message);
    }
    return std::move(*store);
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

int mode_of(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : -1;
}

// Guarantee: nobody but the owner reads the file or what SQLite puts beside it, also when it was
// open to others before.
TEST_CASE("sqlite entities: the files are private") {
    const TempDir dir;
    const std::string path = dir.file("belay.db");
    write_file(path, "");
    REQUIRE(::chmod(path.c_str(), 0666) == 0);
    const auto store = open_entities(path);
    REQUIRE(store->apply({change("a")}).ok());
    CHECK(mode_of(path) == 0600);
    CHECK(mode_of(path + "-wal") == 0600);
    CHECK(mode_of(path + "-shm") == 0600);
}

// Guarantee: a link in the file's place is refused: it may lead to someone else's file.
TEST_CASE("sqlite entities: no links") {
    const TempDir dir;
    write_file(dir.file("other"), "");
    REQUIRE(::symlink(dir.file("other").c_str(), dir.file("belay.db").c_str()) == 0);
    CHECK(!SqliteEntities::open(dir.file("belay.db")).ok());
}

// Guarantee: a damaged file stops the start, stays as it is, and the message says how to go on.
TEST_CASE("sqlite entities: damage is refused") {
    const TempDir dir;
    const std::string path = dir.file("belay.db");
    {
        const auto store = open_entities(path);
        for (int i = 0; i < 200; ++i) {
            REQUIRE(store->apply({change(std::string(200, 'k') + std::to_string(i))}).ok());
        }
    }
    const std::string whole = read_file(path);
    REQUIRE(whole.size() > 8 * 4096);
    std::string torn = whole;
    torn.replace(4 * 4096, 2 * 4096, std::string(2 * 4096, '\x55'));
    for (const std::string& bytes :
         {std::string("this is no database, but it is here").append(5000, '.'), torn,
          whole.substr(0, whole.size() / 2)}) {
        write_file(path, bytes);
        const auto store = SqliteEntities::open(path);
        REQUIRE(!store.ok());
        CHECK(store.error().message.find("is damaged") != std::string::npos);
        CHECK(store.error().message.find("Put a backup in its place") != std::string::npos);
        CHECK(read_file(path) == bytes);
    }
    write_file(path, whole);
    CHECK(open_entities(path)->changes_since(0, 1000)->size() == 200);
}

// Guarantee: a file from a newer Belay is refused in words and not touched.
TEST_CASE("sqlite entities: newer schema") {
    const TempDir dir;
    const std::string path = dir.file("belay.db");
    REQUIRE(open_entities(path)->apply({change("a")}).ok());
    {
        auto database = Database::open(path, Database::Mode::existing);
        REQUIRE(database->run("INSERT INTO migration VALUES(99, 0)").ok());
    }
    const std::string before = read_file(path);
    const auto store = SqliteEntities::open(path);
    REQUIRE(!store.ok());
    CHECK(store.error().kind == Kind::unsupported);
    CHECK(store.error().message.find("newer Belay") != std::string::npos);
    CHECK(read_file(path) == before);
}

// Guarantee: a row that makes no sense takes only itself away.
TEST_CASE("sqlite entities: unreadable rows are passed over") {
    const TempDir dir;
    const std::string path = dir.file("belay.db");
    const auto store = open_entities(path);
    REQUIRE(store->apply({change("a"), change("b"), change("c"), change("d")}).ok());
    {
        auto database = Database::open(path, Database::Mode::existing);
        REQUIRE(database
                    ->run("UPDATE entity SET doc = '{\"cut' WHERE id = 'a';"
                          "UPDATE entity SET doc = '[]' WHERE id = 'b';"
                          "UPDATE entity SET kind = 'hologram' WHERE id = 'c'")
                    .ok());
    }
    const auto found = store->changes_since(0, 1);
    REQUIRE(found->size() == 1);
    CHECK(found->front().id == "d");
}

// Guarantee: while another program holds the file, writing fails as unreachable, without a trace,
// and works again when it lets go.
TEST_CASE("sqlite entities: a file that is held") {
    const TempDir dir;
    const std::string path = dir.file("belay.db");
    const auto store = open_entities(path);
    auto other = Database::open(path, Database::Mode::existing);
    REQUIRE(other->run("BEGIN IMMEDIATE").ok());
    const auto refused = store->apply({change("a")});
    REQUIRE(!refused.ok());
    CHECK(refused.error().kind == Kind::upstream_unavailable);
    CHECK(!store->reachable());
    REQUIRE(other->run("ROLLBACK").ok());
    CHECK(store->apply({change("b")})->front().version == 1);
    CHECK(store->reachable());
}

// Guarantee: several processes may open a new file at once.
TEST_CASE("sqlite entities: opened by many at once") {
    const TempDir dir;
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            auto store = SqliteEntities::open(dir.file("belay.db"));
            failures += store.ok() && (*store)->apply({change(std::to_string(t))}).ok() ? 0 : 1;
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(failures == 0);
    CHECK(open_entities(dir.file("belay.db"))->changes_since(0, 10)->size() == 4);
}

}  // namespace
}  // namespace belay::store

// PostgreSQL as something that goes away, answers late or never, and belongs to others too. What it
// keeps is asked in entity_contract_test.cpp.
#include "store/postgres_entities.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <future>

#include "store/postgres_server.h"

namespace belay::store {
namespace {

using governance::Change;
using governance::Entity;
using governance::EntityKind;

Change change(const std::string& id, std::optional<int64_t> expected = {}) {
    return {EntityKind::team, id, json::Value::object({{"team_alias", id}}), expected};
}

// Tries again at once, so that no test has to wait.
PostgresOptions eager() {
    PostgresOptions options;
    options.backoff_max = milliseconds(0);
    return options;
}

std::unique_ptr<PostgresEntities> open_entities(const std::string& url,
                                                PostgresOptions options = eager()) {
    auto store = PostgresEntities::open(url, options);
    if (!store.ok()) {
        FAIL(store.error().message << " " << store.error().detail);
    }
    return std::move(*store);
}

Mono soon() { return system_clock().mono() + seconds(20); }

PgConnection connect(const std::string& url) {
    auto connection = PgConnection::open(*parse_postgres_url(url), seconds(5));
    REQUIRE(connection.ok());
    return std::move(*connection);
}

std::string schema_of(const std::string& url) { return parse_postgres_url(url)->schema; }

// A socket before the server's that can lose a commit: on its way there, or its answer.
class LossyProxy {
  public:
    enum class Lose : uint8_t { nothing, commit, answer };

    explicit LossyProxy(std::string server) : server_(std::move(server)) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(folder_.file(".s.PGSQL.5432"));
        REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
        REQUIRE(::listen(listener_, 8) == 0);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~LossyProxy() {
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (std::thread& thread : threads_) {
            thread.join();
        }
        ::close(listener_);
    }

    void lose_next(Lose what) { lose_ = what; }
    [[nodiscard]] bool lost() const { return lose_ == Lose::nothing; }
    [[nodiscard]] const std::string& folder() const { return folder_.path(); }

  private:
    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        REQUIRE(path.size() < sizeof address.sun_path);
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        return address;
    }

    void accept_all() {
        for (;;) {
            const int client = ::accept(listener_, nullptr, nullptr);
            if (client < 0) {
                return;
            }
            threads_.emplace_back([this, client] { relay(client); });
        }
    }

    void relay(int client) {
        const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(server_);
        if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            pass(client, server);
        }
        ::close(client);
        ::close(server);
    }

    void pass(int client, int server) {
        for (;;) {
            pollfd ends[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
            if (::poll(ends, 2, -1) < 0) {
                return;
            }
            for (int i = 0; i < 2; ++i) {
                if (ends[i].revents != 0 && !pass_some(ends[i].fd, ends[1 - i].fd, i == 0)) {
                    return;
                }
            }
        }
    }

    bool pass_some(int from, int to, bool from_client) {
        char buffer[65536];
        const ssize_t size = ::recv(from, buffer, sizeof buffer, 0);
        if (size <= 0) {
            return false;
        }
        const std::string_view bytes(buffer, static_cast<size_t>(size));
        const bool commits = from_client && bytes.find("COMMIT") != std::string_view::npos;
        const Lose lose = commits ? lose_.exchange(Lose::nothing) : Lose::nothing;
        if (lose == Lose::commit) {
            return false;
        }
        if (::send(to, buffer, bytes.size(), MSG_NOSIGNAL) != size) {
            return false;
        }
        if (lose == Lose::answer) {
            (void)::recv(to, buffer, sizeof buffer, 0);  // it has been carried out
            return false;
        }
        return true;
    }

    const std::string server_;
    TempDir folder_;
    int listener_ = -1;
    std::atomic<Lose> lose_{Lose::nothing};
    std::thread acceptor_;
    std::vector<std::thread> threads_;  // the acceptor's
};

// Guarantee: a change whose commit was lost on the way is made once, and one whose answer was lost
// is neither repeated nor reported as failed.
TEST_CASE("postgres entities: a lost commit") {
    PostgresServer& server = PostgresServer::shared();
    LossyProxy proxy(server.socket());
    const auto store = open_entities(server.fresh_url(proxy.folder()));
    int64_t version = 0;
    for (const auto lose : {LossyProxy::Lose::commit, LossyProxy::Lose::answer,
                            LossyProxy::Lose::answer, LossyProxy::Lose::commit}) {
        proxy.lose_next(lose);
        const auto written = store->apply({change("t" + std::to_string(version), 0)});
        if (!written.ok()) {
            FAIL(written.error().message << " " << written.error().detail);
        }
        CHECK(proxy.lost());
        CHECK(written->front().version == ++version);
        CHECK(*store->changes_since(version - 1, 10) == *written);
    }
}

// Guarantee: with the server away the store opens, fails as unreachable, and works by itself once
// the server is there; a crash in between loses nothing that was acknowledged.
TEST_CASE("postgres entities: the server goes and comes back") {
    PostgresServer server;
    const std::string url = server.fresh_url();
    server.stop(SIGINT);
    const auto store = open_entities(url);
    CHECK(!store->reachable());
    const auto refused = store->apply({change("a")});
    REQUIRE(!refused.ok());
    CHECK(refused.error().kind == Kind::upstream_unavailable);
    CHECK(store->changes_since(0, 10).error().kind == Kind::upstream_unavailable);

    server.launch();
    CHECK(store->apply({change("a")}).ok());
    CHECK(store->changes_since(0, 10)->size() == 1);
    CHECK(store->reachable());

    server.stop(SIGQUIT);
    CHECK(store->apply({change("b")}).error().kind == Kind::upstream_unavailable);
    CHECK(store->changes_since(0, 10).error().kind == Kind::upstream_unavailable);
    CHECK(!store->reachable());
    server.launch();
    CHECK(store->changes_since(0, 10)->size() == 1);
    CHECK(store->apply({change("b", 0)}).ok());
}

// Guarantee: connections that the server ended are replaced within the call.
TEST_CASE("postgres entities: ended connections") {
    const std::string url = PostgresServer::shared().fresh_url();
    const auto store = open_entities(url);
    PgConnection admin = connect(url);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(store->apply({change(std::to_string(i))}).ok());
        REQUIRE(store->changes_since(0, 10).ok());
        // Only this store's connections name its schema, in what they ran first.
        const auto ended = admin.run(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> "
            "pg_backend_pid() AND (query LIKE '%\"" +
                schema_of(url) + "\"%' OR query = 'COMMIT')",
            soon());
        REQUIRE(ended.ok());
        CHECK(ended->rows() == 2);
    }
    CHECK(store->changes_since(0, 10)->size() == 3);
    CHECK(store->apply({change("more")}).ok());
}

// Guarantee: after a failed connection nobody waits for the next attempt.
TEST_CASE("postgres entities: attempts to connect are spaced") {
    const TempDir nowhere;
    PostgresOptions options;
    options.backoff_max = std::chrono::hours(1);
    const auto store = open_entities(PostgresServer::shared().fresh_url(nowhere.path()), options);
    const auto first = store->changes_since(0, 10);
    REQUIRE(!first.ok());
    CHECK(first.error().detail.find("again soon") != std::string::npos);
    CHECK(first.error().kind == Kind::upstream_unavailable);
}

// Guarantee: a transaction that is held up gives up in time, changes nothing, and the next one
// works on the same connection.
TEST_CASE("postgres entities: a busy server") {
    const std::string url = PostgresServer::shared().fresh_url();
    PostgresOptions options = eager();
    options.statement_timeout = milliseconds(50);
    const auto store = open_entities(url, options);
    PgConnection other = connect(url);
    REQUIRE(other.run("BEGIN;SELECT FROM " + schema_of(url) + ".belay_counter FOR UPDATE", soon())
                .ok());
    const auto late = store->apply({change("a")});
    REQUIRE(!late.ok());
    CHECK(late.error().kind == Kind::upstream_unavailable);
    CHECK(!store->reachable());
    CHECK(store->changes_since(0, 10).ok());
    CHECK(store->reachable());
    REQUIRE(other.run("ROLLBACK", soon()).ok());
    CHECK(store->apply({change("a")})->front().version == 1);
}

// Guarantee: a server that does not answer costs a caller its deadline and no more.
TEST_CASE("postgres: deadlines") {
    PgConnection connection = connect(PostgresServer::shared().fresh_url());
    CHECK(connection.run("SELECT 1", soon())->text(0, 0) == "1");
    const auto late =
        connection.run("SELECT pg_sleep(600)", system_clock().mono() + milliseconds(20));
    REQUIRE(!late.ok());
    CHECK(late.error().kind == Kind::upstream_unavailable);
    CHECK(!connection.alive());
}

// Guarantee: one transaction stuck behind another's deadlock is repeated, and both are done.
TEST_CASE("postgres entities: collisions are repeated") {
    const std::string url = PostgresServer::shared().fresh_url();
    const auto store = open_entities(url);
    REQUIRE(store->apply({change("a")}).ok());
    PgConnection other = connect(url);
    const std::string schema = schema_of(url);
    // The other one has the row and comes for the counter, which the store's write takes first.
    REQUIRE(other
                .run("SET deadlock_timeout='1h';BEGIN;SELECT FROM " + schema +
                         ".belay_entity WHERE id = 'a' FOR UPDATE",
                     soon())
                .ok());
    auto written = std::async(std::launch::async, [&] { return store->apply({change("a")}); });
    PgConnection watcher = connect(url);
    const std::string waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "
        "'INSERT INTO belay_entity%'";
    for (Mono end = soon(); watcher.run(waiting, soon())->text(0, 0) == "0";) {
        REQUIRE(system_clock().mono() < end);
    }
    CHECK(other.run("UPDATE " + schema + ".belay_counter SET purged = 0;COMMIT", soon()).ok());
    const auto result = written.get();
    REQUIRE(result.ok());
    CHECK(store->changes_since(0, 10)->front() == result->front());
}

// Guarantee: any number of Belays may prepare a fresh database at once.
TEST_CASE("postgres entities: prepared by many at once") {
    const std::string url = PostgresServer::shared().fresh_url();
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            auto store = PostgresEntities::open(url, eager());
            failures += store.ok() && (*store)->apply({change(std::to_string(t))}).ok() ? 0 : 1;
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(failures == 0);
    CHECK(open_entities(url)->changes_since(0, 10)->back().version == 4);
}

// Guarantee: tables of a newer Belay are refused in words, at the start and in a running one that
// meets them with its next connection.
TEST_CASE("postgres entities: newer schema") {
    const std::string url = PostgresServer::shared().fresh_url();
    const auto running = open_entities(url);
    PgConnection other = connect(url);
    REQUIRE(
        other.run("INSERT INTO " + schema_of(url) + ".belay_migration VALUES(99)", soon()).ok());
    const auto store = PostgresEntities::open(url, eager());
    REQUIRE(!store.ok());
    CHECK(store.error().kind == Kind::unsupported);
    CHECK(store.error().message.find("newer Belay") != std::string::npos);
    CHECK(running->apply({change("a")}).error().kind == Kind::unsupported);
}

// Guarantee: a database in which no text can be kept is refused, with what would do.
TEST_CASE("postgres entities: encoding") {
    const std::string url = PostgresServer::shared().fresh_url();
    REQUIRE(connect(url)
                .run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0", soon())
                .ok());
    std::string latin = url;
    latin.replace(latin.find("/postgres?"), 10, "/latin?");
    const auto store = PostgresEntities::open(latin, eager());
    REQUIRE(!store.ok());
    CHECK(store.error().message.find("UTF8") != std::string::npos);
}

// Guarantee: a user who may not make tables is told so at the start.
TEST_CASE("postgres entities: missing rights") {
    const std::string url = PostgresServer::shared().fresh_url();
    REQUIRE(connect(url).run("CREATE ROLE guest LOGIN", soon()).ok());
    std::string guest = url;
    guest.replace(guest.find("belay@"), 6, "guest@");
    const auto store = PostgresEntities::open(guest, eager());
    REQUIRE(!store.ok());
    CHECK(store.error().message.find("permission denied") != std::string::npos);
}

// Guarantee: a row that makes no sense takes only itself away, also when it fills a page.
TEST_CASE("postgres entities: unreadable rows are passed over") {
    const std::string url = PostgresServer::shared().fresh_url();
    const auto store = open_entities(url);
    REQUIRE(store->apply({change("a"), change("b"), change("c")}).ok());
    const std::string table = schema_of(url) + ".belay_entity";
    REQUIRE(connect(url)
                .run("UPDATE " + table + " SET doc = '[]' WHERE id = 'a';UPDATE " + table +
                         " SET kind = 'hologram' WHERE id = 'b'",
                     soon())
                .ok());
    const auto found = store->changes_since(0, 1);
    REQUIRE(found->size() == 1);
    CHECK(found->front().id == "c");
}

// Guarantee: a server that takes no writes is not settled for.
TEST_CASE("postgres entities: read-only servers") {
    PostgresServer& server = PostgresServer::shared();
    const std::string url = server.fresh_url();
    const auto store = open_entities(url);
    REQUIRE(store->apply({change("a")}).ok());
    REQUIRE(connect(url)
                .run("CREATE ROLE standby LOGIN SUPERUSER;ALTER ROLE standby SET "
                     "default_transaction_read_only = on",
                     soon())
                .ok());
    std::string standby = url;
    standby.replace(standby.find("belay@"), 6, "standby@");
    const auto refused = open_entities(standby);
    CHECK(refused->apply({change("b")}).error().kind == Kind::upstream_unavailable);
    CHECK(!refused->reachable());
}

// Guarantee: arrays and names carry any text through the server unchanged.
TEST_CASE("postgres: text in arrays and names") {
    PgConnection connection = connect(PostgresServer::shared().fresh_url());
    const std::vector<std::optional<std::string_view>> items = {
        "", "NULL", std::nullopt, "a,b", "{}", "\"", "\\", "\\\"", "  ", "\n\t\x01", "日本語", "'"};
    const auto rows =
        connection.query("SELECT * FROM unnest($1::text[])", {render_array(items)}, soon());
    REQUIRE(rows.ok());
    REQUIRE(rows->rows() == static_cast<int>(items.size()));
    for (int i = 0; i < rows->rows(); ++i) {
        CHECK(rows->is_null(i, 0) == !items[static_cast<size_t>(i)]);
        CHECK(rows->text(i, 0) == items[static_cast<size_t>(i)].value_or(""));
    }
    CHECK(connection.run("SELECT 1 AS " + quote_name("a\"b; --"), soon()).ok());
    CHECK(
        connection.query("SELECT * FROM unnest($1::text[])", {render_array({})}, soon())->rows() ==
        0);
}

}  // namespace
}  // namespace belay::store

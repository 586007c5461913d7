#include "store/postgres_entities.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "store/postgres_schema.h"
#include "store/postgres_view.h"

namespace belay::store {

using governance::Change;
using governance::Entity;
using governance::EntityKind;

namespace {

constexpr int kRepetitions = 20;
constexpr milliseconds kBackoffFirst{100};
// How long the server keeps the counter for a Belay that has gone silent.
constexpr const char* kIdle = "SET LOCAL idle_in_transaction_session_timeout=10000;";

// Worth doing again as it was: two transactions stood in each other's way.
bool is_collision(const Error& error) { return error.code == "40001" || error.code == "40P01"; }

// This server is not, or no longer, the one that can be written to.
bool is_farewell(const Error& error) {
    return error.code == "25006" || error.code.starts_with("57P") || error.code.starts_with("08");
}

template <class Item>
std::string column(const std::vector<EntityWrite>& writes, Item item) {
    std::vector<std::optional<std::string_view>> items;
    items.reserve(writes.size());
    for (const EntityWrite& write : writes) {
        items.push_back(item(write));
    }
    return render_array(items);
}

std::string render_kinds(const std::vector<EntityWrite>& writes) {
    return column(writes, [](const EntityWrite& w) { return entity_kind_name(w.entity.kind); });
}

std::string render_ids(const std::vector<EntityWrite>& writes) {
    return column(writes, [](const EntityWrite& w) { return std::string_view(w.entity.id); });
}

std::string render_docs(const std::vector<EntityWrite>& writes) {
    return column(writes, [](const EntityWrite& w) -> std::optional<std::string_view> {
        return w.entity.is_deleted() ? std::nullopt : std::optional<std::string_view>(w.text);
    });
}

std::string render_versions(const std::vector<EntityWrite>& writes) {
    std::string out = "{";
    for (const EntityWrite& write : writes) {
        out += (out.size() > 1 ? "," : "") + std::to_string(write.entity.version);
    }
    return out + "}";
}

// One statement cannot write a row twice: of the same entity's writes the last one stays.
std::vector<EntityWrite> last_of_each(const std::vector<EntityWrite>& writes) {
    std::map<std::pair<EntityKind, std::string_view>, size_t> last;
    for (size_t i = 0; i < writes.size(); ++i) {
        last[{writes[i].entity.kind, writes[i].entity.id}] = i;
    }
    std::vector<EntityWrite> kept;
    for (size_t i = 0; i < writes.size(); ++i) {
        if (last.at({writes[i].entity.kind, writes[i].entity.id}) == i) {
            kept.push_back(writes[i]);
        }
    }
    return kept;
}

using Versions = std::map<std::pair<std::string, std::string>, int64_t>;

Result<Versions> find_versions(PgConnection& connection, const std::vector<EntityWrite>& writes,
                               Mono deadline) {
    Versions versions;
    const bool asked = std::any_of(writes.begin(), writes.end(),
                                   [](const EntityWrite& write) { return write.expected; });
    if (!asked) {
        return versions;
    }
    const PgResult rows = TRY(connection.query(
        "SELECT kind, id, version FROM belay_entity WHERE deleted IS NULL AND (kind, id) IN "
        "(SELECT * FROM unnest($1::text[], $2::text[]))",
        {render_kinds(writes), render_ids(writes)}, deadline));
    for (int i = 0; i < rows.rows(); ++i) {
        versions[{std::string(rows.text(i, 0)), std::string(rows.text(i, 1))}] = rows.integer(i, 2);
    }
    return versions;
}

// The counter's row is free once the transaction has ended, one way or the other.
Result<bool> find_committed(PgConnection& connection, const std::string& setup,
                            const std::string& transaction, Mono deadline) {
    const std::vector<PgResult> results = TRY(connection.run_all(
        setup + "SELECT FROM belay_counter FOR UPDATE;SELECT txid_status(" + transaction + ")",
        deadline));
    return results.back().text(0, 0) == "committed";
}

Error outcome_unknown(Error error) {
    error.message += "; whether the change was made is not known, read it again";
    error.code = "outcome_unknown";
    return error;
}

}  // namespace

PostgresEntities::PostgresEntities(PostgresUrl url, PostgresOptions options)
    : url_(std::move(url)),
      options_(options),
      setup_(render_setup(url_, options_.statement_timeout)) {}

Result<std::unique_ptr<PostgresEntities>> PostgresEntities::open(std::string_view url,
                                                                 PostgresOptions options) {
    PostgresUrl parsed = TRY(parse_postgres_url(url));
    log::remember_secret(parsed.password.reveal());
    (void)TRY(Libpq::load());
    auto store =
        std::unique_ptr<PostgresEntities>(new PostgresEntities(std::move(parsed), options));
    Result<PgConnection*> connected = store->connect(store->reading_, store->deadline());
    if (!connected.ok()) {
        if (connected.error().kind != Kind::upstream_unavailable) {
            return std::move(connected).error();
        }
        log::write(log::Level::warn, "postgres.unreachable",
                   "PostgreSQL cannot be reached; it is tried again.",
                   {{"database", store->url_.describe()}, {"reason", connected.error().detail}});
    }
    return store;
}

Mono PostgresEntities::deadline() const { return system_clock().mono() + options_.call_timeout; }

Result<std::vector<Entity>> PostgresEntities::changes_since(int64_t version, size_t limit) {
    std::vector<Entity> found;
    const std::lock_guard lock(reading_.mutex);
    const Mono until = system_clock().mono() + options_.read_timeout;
    Result<void> done = repeat(reading_, until, [&](PgConnection& connection) -> Result<void> {
        found = TRY(read(connection, version, limit, until));
        return {};
    });
    if (!done.ok()) {
        return told(std::move(done).error());
    }
    return found;
}

Result<std::vector<Entity>> PostgresEntities::apply(const std::vector<Change>& changes) {
    std::vector<EntityWrite> writes = TRY(prepare_writes(changes));
    if (writes.empty()) {
        return std::vector<Entity>();
    }
    const std::lock_guard lock(writing_.mutex);
    const Mono until = deadline();
    if (Result<void> done = write(writes, until); !done.ok()) {
        return told(std::move(done).error());
    }
    return entities_of(std::move(writes));
}

// Does the work until it succeeds or fails for a reason that repeating does not mend.
Result<void> PostgresEntities::repeat(Line& line, Mono deadline, const Work& work) {
    for (int i = 0;; ++i) {
        PgConnection& connection = *TRY(connect(line, deadline));
        Result<void> done = work(connection);
        if (done.ok()) {
            reachable_ = true;
            return done;
        }
        const bool gone = !connection.alive() || is_farewell(done.error());
        if (gone) {
            line.connection.reset();
        } else {
            (void)connection.run("ROLLBACK", deadline);
        }
        if ((!gone && !is_collision(done.error())) || i == kRepetitions ||
            system_clock().mono() >= deadline) {
            return done;
        }
    }
}

Result<PgConnection*> PostgresEntities::connect(Line& line, Mono deadline) {
    if (line.connection && line.connection->alive()) {
        return &*line.connection;
    }
    line.connection.reset();
    const Mono now = system_clock().mono();
    if (now < line.next_attempt) {
        return gateway_error(Kind::upstream_unavailable, "the database cannot be reached",
                             "it is tried again soon");
    }
    Result<PgConnection> connection = PgConnection::open(url_, options_.connect_timeout);
    Result<void> ready = connection.ok()
                             ? prepare_postgres_schema(*connection, url_.schema, setup_, deadline)
                             : Result<void>(connection.error());
    if (!ready.ok()) {
        line.backoff = std::min(std::max(line.backoff * 2, kBackoffFirst), options_.backoff_max);
        // Many Belays do not come back to a server all at once.
        const auto jittered = line.backoff * (0.5 + quick_random_unit() / 2);
        line.next_attempt =
            system_clock().mono() + std::chrono::duration_cast<milliseconds>(jittered);
        reachable_ = false;
        return std::move(ready).error();
    }
    line.backoff = {};
    line.next_attempt = {};
    reachable_ = true;
    line.connection.emplace(std::move(*connection));
    return &*line.connection;
}

// One round trip. The text is made of numbers alone; the counter comes after the rows, so that
// tombstones purged between the two are noticed.
Result<std::vector<Entity>> PostgresEntities::read(PgConnection& connection, int64_t version,
                                                   size_t limit, Mono deadline) {
    const size_t bounded = std::min<size_t>(limit, std::numeric_limits<int32_t>::max());
    for (int64_t from = version;;) {
        const std::vector<PgResult> results = TRY(connection.run_all(
            setup_ + "SELECT kind, id, doc, version FROM belay_entity WHERE version > " +
                std::to_string(from) + " ORDER BY version LIMIT " + std::to_string(bounded) +
                ";SELECT version, purged FROM belay_counter",
            deadline));
        const PgResult& counter = results.back();
        const PgResult& rows = results[results.size() - 2];
        TRY(check_reader(version, {counter.integer(0, 0), counter.integer(0, 1)}));
        std::vector<Entity> found;
        for (int i = 0; i < rows.rows(); ++i) {
            from = rows.integer(i, 3);
            std::optional<std::string_view> doc;
            if (!rows.is_null(i, 2)) {
                doc = rows.text(i, 2);
            }
            std::optional<Entity> entity = read_entity(rows.text(i, 0), rows.text(i, 1), doc, from);
            if (entity) {
                found.push_back(std::move(*entity));
            }
        }
        if (!found.empty() || rows.rows() == 0) {
            return found;
        }
    }
}

Result<void> PostgresEntities::write(std::vector<EntityWrite>& writes, Mono deadline) {
    std::string in_doubt;  // the transaction whose commit was sent and not answered
    Result<void> done = repeat(writing_, deadline, [&](PgConnection& connection) -> Result<void> {
        if (!in_doubt.empty()) {
            if (TRY(find_committed(connection, setup_, in_doubt, deadline))) {
                return {};
            }
            in_doubt.clear();
        }
        const PgResult begun = TRY(
            connection.run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;" + setup_ + kIdle +
                               "UPDATE belay_counter SET version = version + " +
                               std::to_string(writes.size()) + " RETURNING version, txid_current()",
                           deadline));
        const auto count = static_cast<int64_t>(writes.size());
        TRY(fill(connection, writes, begun.integer(0, 0) - count, deadline));
        Result<PgResult> committed = connection.run("COMMIT", deadline);
        if (!committed.ok()) {
            if (!connection.alive() || is_farewell(committed.error())) {
                in_doubt = begun.text(0, 1);
            }
            return std::move(committed).error();
        }
        return {};
    });
    if (!done.ok() && !in_doubt.empty()) {
        return outcome_unknown(std::move(done).error());
    }
    return done;
}

Result<void> PostgresEntities::fill(PgConnection& connection, std::vector<EntityWrite>& writes,
                                    int64_t last, Mono deadline) {
    TRY(purge(connection, deadline));
    const Versions versions = TRY(find_versions(connection, writes, deadline));
    TRY(number_writes(writes, last, [&](EntityKind kind, const std::string& id) -> Result<int64_t> {
        const auto at = versions.find({std::string(entity_kind_name(kind)), id});
        return at != versions.end() ? at->second : 0;
    }));
    const std::vector<EntityWrite> rows = last_of_each(writes);
    (void)TRY(connection.query(
        "INSERT INTO belay_entity(kind, id, doc, version, deleted) SELECT kind, id, doc, version, "
        "CASE WHEN doc IS NULL THEN now() END FROM unnest($1::text[], $2::text[], $3::json[], "
        "$4::bigint[]) AS row(kind, id, doc, version) ON CONFLICT (kind, id) DO UPDATE SET doc = "
        "excluded.doc, version = excluded.version, deleted = excluded.deleted",
        {render_kinds(rows), render_ids(rows), render_docs(rows), render_versions(rows)},
        deadline));
    return {};
}

Result<void> PostgresEntities::purge(PgConnection& connection, Mono deadline) {
    const Mono now = system_clock().mono();
    if (now < next_purge_) {
        return {};
    }
    (void)TRY(connection.query(
        "WITH gone AS (DELETE FROM belay_entity WHERE version IN (SELECT version FROM belay_entity "
        "WHERE deleted <= now() - $1::bigint * interval '1 millisecond' ORDER BY deleted LIMIT "
        "$2::bigint) RETURNING version) UPDATE belay_counter SET purged = greatest(purged, (SELECT "
        "max(version) FROM gone)) WHERE EXISTS (SELECT FROM gone)",
        {std::to_string(options_.tombstone_age.count()), std::to_string(kPurgeCount)}, deadline));
    next_purge_ = now + std::min(options_.tombstone_age, kPurgeInterval);
    return {};
}

Error PostgresEntities::told(Error error) {
    if (error.code == "57014" || error.code == "55P03") {
        error.kind = Kind::upstream_unavailable;
        error.message = "the database did not answer in time";
    }
    if (error.kind == Kind::upstream_unavailable) {
        reachable_ = false;
    }
    return error;
}

}  // namespace belay::store

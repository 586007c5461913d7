#include "store/sqlite_entities.h"

#include <poll.h>

#include <algorithm>
#include <limits>

#include "store/entity_schema.h"

namespace belay::store {

using governance::Change;
using governance::Entity;
using governance::EntityKind;

namespace {

constexpr int kOpenTries = 200;
constexpr int kOpenPauseMs = 10;

Error damaged(const std::string& path, const std::string& reason) {
    return gateway_error(Kind::internal,
                         path + ", which holds the keys, is damaged (" + reason +
                             "). Belay does not start without them. Put a backup in its place, or "
                             "move " +
                             path + ", " + path + "-wal and " + path +
                             "-shm elsewhere to begin without keys");
}

// Reads every page once; what it finds is better found before keys are asked for.
Result<void> check_whole(Database& database, const std::string& path) {
    Statement check = TRY(database.prepare("PRAGMA quick_check(1)"));
    if (!TRY(check.step()) || check.text(0) != "ok") {
        return damaged(path, std::string(check.text(0)));
    }
    return {};
}

Result<void> connect(Database& database, const std::string& path) {
    TRY(prepare_entity_schema(database, unix_millis(system_clock().wall())));
    return check_whole(database, path);
}

}  // namespace

Result<std::unique_ptr<SqliteEntities>> SqliteEntities::open(const std::string& path,
                                                             milliseconds tombstone_age) {
    TRY(make_private_file(path));
    Database database = TRY(Database::open(path, Database::Mode::create));
    Result<void> connected = connect(database, path);
    // Several that make a new file at once: the change to WAL does not wait for its lock by itself.
    for (int tries = 0; tries < kOpenTries && !connected.ok() &&
                        failure_of(connected.error()) == SqliteFailure::busy;
         ++tries) {
        (void)::poll(nullptr, 0, kOpenPauseMs);
        connected = connect(database, path);
    }
    if (!connected.ok()) {
        if (failure_of(connected.error()) == SqliteFailure::corrupt) {
            return damaged(path, connected.error().message);
        }
        return std::move(connected).error();
    }
    return std::unique_ptr<SqliteEntities>(new SqliteEntities(std::move(database), tombstone_age));
}

Result<std::vector<Entity>> SqliteEntities::changes_since(int64_t version, size_t limit) {
    const std::lock_guard lock(mutex_);
    Result<std::vector<Entity>> found = read(version, limit);
    if (!found.ok()) {
        return failed(std::move(found).error());
    }
    reachable_ = true;
    return found;
}

Result<std::vector<Entity>> SqliteEntities::read(int64_t version, size_t limit) {
    Statement rows = TRY(
        database_.prepare("SELECT kind, id, doc, version FROM entity WHERE version > ? ORDER BY "
                          "version"));
    rows.bind(1, version);
    std::vector<Entity> found;
    while (found.size() < limit && TRY(rows.step())) {
        std::optional<std::string_view> doc;
        if (!rows.is_null(2)) {
            doc = rows.text(2);
        }
        std::optional<Entity> entity =
            read_entity(rows.text(0), rows.text(1), doc, rows.integer(3));
        if (entity) {
            found.push_back(std::move(*entity));
        }
    }
    // After the rows: tombstones that were purged while they were read are noticed.
    Statement counter = TRY(database_.prepare("SELECT version, purged FROM counter"));
    (void)TRY(counter.step());
    TRY(check_reader(version, {counter.integer(0), counter.integer(1)}));
    return found;
}

Result<std::vector<Entity>> SqliteEntities::apply(const std::vector<Change>& changes) {
    std::vector<EntityWrite> writes = TRY(prepare_writes(changes));
    if (writes.empty()) {
        return std::vector<Entity>();
    }
    const std::lock_guard lock(mutex_);
    Result<void> done = database_.run("BEGIN IMMEDIATE");
    if (done.ok()) {
        done = write(writes);
    }
    if (done.ok()) {
        done = database_.run("COMMIT");
    }
    if (!done.ok()) {
        Error error = failed(std::move(done).error());
        if (database_.in_transaction()) {
            (void)database_.run("ROLLBACK");
        }
        return error;
    }
    reachable_ = true;
    return entities_of(std::move(writes));
}

Result<void> SqliteEntities::write(std::vector<EntityWrite>& writes) {
    const int64_t now_ms = unix_millis(system_clock().wall());
    TRY(purge(now_ms));
    Statement counter = TRY(database_.prepare("SELECT version FROM counter"));
    (void)TRY(counter.step());
    TRY(number_writes(writes, counter.integer(0), [this](EntityKind kind, const std::string& id) {
        return find_version(kind, id);
    }));
    for (const EntityWrite& row : writes) {
        TRY(put(row, now_ms));
    }
    Statement advance = TRY(database_.prepare("UPDATE counter SET version = ?"));
    advance.bind(1, writes.back().entity.version);
    (void)TRY(advance.step());
    return {};
}

Result<int64_t> SqliteEntities::find_version(EntityKind kind, const std::string& id) {
    Statement row = TRY(
        database_.prepare("SELECT version FROM entity WHERE kind = ? AND id = ? AND deleted = 0"));
    row.bind(1, entity_kind_name(kind));
    row.bind(2, id);
    return TRY(row.step()) ? row.integer(0) : int64_t{0};
}

Result<void> SqliteEntities::put(const EntityWrite& write, int64_t now_ms) {
    Statement row = TRY(database_.prepare(
        "INSERT INTO entity(kind, id, doc, version, deleted) VALUES(?,?,?,?,?) ON CONFLICT(kind, "
        "id) DO UPDATE SET doc = excluded.doc, version = excluded.version, deleted = "
        "excluded.deleted"));
    const bool deleted = write.entity.is_deleted();
    row.bind(1, entity_kind_name(write.entity.kind));
    row.bind(2, write.entity.id);
    if (deleted) {
        row.bind_null(3);
    } else {
        row.bind(3, write.text);
    }
    row.bind(4, write.entity.version);
    row.bind(5, deleted ? now_ms : 0);
    (void)TRY(row.step());
    return {};
}

Result<void> SqliteEntities::purge(int64_t now_ms) {
    if (now_ms < purge_ms_) {
        return {};
    }
    Statement newest = TRY(database_.prepare(
        "SELECT max(version) FROM (SELECT version FROM entity WHERE deleted <> 0 AND deleted <= "
        "?1 ORDER BY version LIMIT ?2)"));
    newest.bind(1, now_ms - tombstone_age_.count());
    newest.bind(2, static_cast<int64_t>(kPurgeCount));
    (void)TRY(newest.step());
    const int64_t purged = newest.integer(0);
    if (purged != 0) {
        Statement remove = TRY(database_.prepare(
            "DELETE FROM entity WHERE deleted <> 0 AND deleted <= ? AND version <= ?"));
        remove.bind(1, now_ms - tombstone_age_.count());
        remove.bind(2, purged);
        (void)TRY(remove.step());
        Statement note = TRY(database_.prepare("UPDATE counter SET purged = max(purged, ?)"));
        note.bind(1, purged);
        (void)TRY(note.step());
    }
    purge_ms_ = now_ms + std::min(tombstone_age_, kPurgeInterval).count();
    return {};
}

Error SqliteEntities::failed(Error error) {
    if (error.code == "conflict" || error.code == "reload") {
        return error;
    }
    reachable_ = false;
    const SqliteFailure failure = failure_of(error);
    if (failure == SqliteFailure::busy) {
        error.kind = Kind::upstream_unavailable;
        error.message += "; another program holds it";
    } else if (failure == SqliteFailure::corrupt) {
        error.message += "; put a backup in its place";
    } else if (failure == SqliteFailure::full) {
        error.message += "; make room on its disk";
    }
    return error;
}

}  // namespace belay::store

#include "store/sqlite_payloads.h"

#include <unistd.h>

#include "wire/encoding.h"

namespace belay::store {
namespace {

// auto_vacuum works only where it is said before the first table.
constexpr const char* kSchema =
    "PRAGMA auto_vacuum=INCREMENTAL;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=NORMAL;"
    "PRAGMA secure_delete=ON;"
    "PRAGMA busy_timeout=2000;"
    "CREATE TABLE IF NOT EXISTS payload("
    " request_id TEXT PRIMARY KEY NOT NULL, received_ms INTEGER NOT NULL, key TEXT NOT NULL,"
    " user TEXT NOT NULL, team TEXT NOT NULL, request BLOB NOT NULL, response BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS payload_received ON payload(received_ms);";
constexpr const char* kRows = "256";  // deleted in one transaction, so that writers get their turn

Result<std::string> unpack(std::string_view packed) {
    Inflater inflater(64U << 20, 2'000);
    std::string out;
    TRY(inflater.feed(packed, out));
    return out;
}

Result<void> finish(Statement& statement) {
    const auto stepped = statement.step();
    statement.reset();
    return stepped.ok() ? Result<void>() : Result<void>(stepped.error());
}

}  // namespace

Result<bool> SqlitePayloads::connect(Database::Mode mode) {
    if (database_.is_open()) {
        return true;
    }
    if (mode == Database::Mode::existing && ::access(path_.c_str(), F_OK) != 0) {
        return false;
    }
    TRY(make_private_file(path_));
    Database database = TRY(Database::open(path_, Database::Mode::create));
    TRY(database.run(kSchema));
    database_ = std::move(database);
    return true;
}

Result<void> SqlitePayloads::save(const std::vector<ledger::KeptPayload>& payloads) {
    const std::lock_guard lock(mutex_);
    TRY(connect(Database::Mode::create));
    TRY(database_.run("BEGIN IMMEDIATE"));
    Result<void> done = insert(payloads);
    if (done.ok()) {
        done = database_.run("COMMIT");
    }
    if (!done.ok()) {
        database_ = Database();  // rolls back; the next one begins with a fresh connection
    }
    return done;
}

Result<void> SqlitePayloads::insert(const std::vector<ledger::KeptPayload>& payloads) {
    Statement put =
        TRY(database_.prepare("INSERT OR REPLACE INTO payload VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
    for (const auto& payload : payloads) {
        const std::string request = gzip_compress(payload.request);
        const std::string response = gzip_compress(payload.response);
        put.bind(1, payload.request_id);
        put.bind(2, payload.received_ms);
        put.bind(3, payload.key);
        put.bind(4, payload.user);
        put.bind(5, payload.team);
        put.bind_blob(6, request);
        put.bind_blob(7, response);
        TRY(finish(put));
    }
    return {};
}

Result<std::optional<ledger::KeptPayload>> SqlitePayloads::find(std::string_view request_id) {
    const std::lock_guard lock(mutex_);
    if (!TRY(connect(Database::Mode::existing))) {
        return std::optional<ledger::KeptPayload>();
    }
    Statement row = TRY(database_.prepare(
        "SELECT received_ms, key, user, team, request, response FROM payload WHERE request_id=?1"));
    row.bind(1, request_id);
    if (!TRY(row.step())) {
        return std::optional<ledger::KeptPayload>();
    }
    ledger::KeptPayload out;
    out.request_id = request_id;
    out.received_ms = row.integer(0);
    out.key = row.text(1);
    out.user = row.text(2);
    out.team = row.text(3);
    out.request = TRY(unpack(row.blob(4)));
    out.response = TRY(unpack(row.blob(5)));
    return std::optional(std::move(out));
}

Result<uint64_t> SqlitePayloads::drop_before(int64_t ms) {
    uint64_t dropped = 0;
    while (true) {
        const std::lock_guard lock(mutex_);
        if (!TRY(connect(Database::Mode::existing))) {
            return dropped;
        }
        Statement erase = TRY(database_.prepare(
            "DELETE FROM payload WHERE request_id IN (SELECT request_id FROM payload"
            " WHERE received_ms < ?1 ORDER BY received_ms LIMIT " +
            std::string(kRows) + ")"));
        erase.bind(1, ms);
        TRY(finish(erase));
        Statement changes = TRY(database_.prepare("SELECT changes()"));
        TRY(changes.step());
        const auto some = static_cast<uint64_t>(changes.integer(0));
        changes.reset();
        dropped += some;
        if (some == 0) {
            break;
        }
    }
    if (dropped != 0) {
        const std::lock_guard lock(mutex_);
        TRY(database_.run("PRAGMA incremental_vacuum"));
        TRY(database_.run("PRAGMA wal_checkpoint(TRUNCATE)"));  // the old pages go too
    }
    return dropped;
}

}  // namespace belay::store

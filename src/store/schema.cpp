#include "store/schema.h"

#include <string>

namespace belay::store {

namespace {

// In WAL mode synchronous=NORMAL syncs at checkpoints: a killed process loses nothing that was
// committed, a power cut at most what was written since the last checkpoint.
constexpr const char* kConnection =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=NORMAL;"
    "PRAGMA cache_size=-512;"
    "PRAGMA wal_autocheckpoint=2000;"
    "PRAGMA journal_size_limit=16777216;"
    "PRAGMA temp_store=MEMORY;";

constexpr const char* kBookkeeping =
    "CREATE TABLE IF NOT EXISTS migration(version INTEGER PRIMARY KEY, applied_ms INTEGER NOT "
    "NULL)";

// Steps[i] leads from version i to version i + 1.
constexpr const char* kSteps[] = {
    R"sql(
CREATE TABLE route(
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    call_type INTEGER NOT NULL, client_api INTEGER NOT NULL, api INTEGER NOT NULL,
    asked TEXT NOT NULL, model_group TEXT NOT NULL, deployment_id TEXT NOT NULL,
    provider TEXT NOT NULL, upstream_model TEXT NOT NULL, api_base TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL, key_alias TEXT NOT NULL, user TEXT NOT NULL,
    user_agent TEXT NOT NULL);
CREATE TABLE request(
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    route INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    status INTEGER NOT NULL, http_status INTEGER NOT NULL, flags INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,
    output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    cost INTEGER, cost_source INTEGER NOT NULL, premium_milli INTEGER NOT NULL,
    queue_us INTEGER NOT NULL, first_byte_us INTEGER NOT NULL, first_token_us INTEGER NOT NULL,
    total_us INTEGER NOT NULL,
    extra TEXT, trace TEXT);
CREATE TABLE batch(
    first_seq INTEGER PRIMARY KEY,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    id_keys BLOB NOT NULL);
CREATE TABLE spool(only INTEGER PRIMARY KEY CHECK(only = 1),
    epoch INTEGER NOT NULL, done_bytes INTEGER NOT NULL);
INSERT INTO spool VALUES(1, 0, 0);
CREATE VIEW spend AS SELECT
    request.id AS request_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', received_ms / 1000.0, 'unixepoch') AS received,
    CASE status WHEN 0 THEN 'success' WHEN 1 THEN 'failure' ELSE 'client_aborted' END AS status,
    http_status, asked, model_group, provider, upstream_model, deployment_id,
    input AS input_tokens, cache_read AS cache_read_tokens, cache_write AS cache_write_tokens,
    output AS output_tokens, reasoning AS reasoning_tokens,
    cost AS cost_nanocredits,
    CASE cost_source WHEN 0 THEN 'upstream' WHEN 1 THEN 'configured' WHEN 2 THEN 'catalogue'
        WHEN 3 THEN 'price_table' ELSE 'unknown' END AS cost_source,
    premium_milli, first_token_us, total_us, flags & 1 AS stream,
    key_fingerprint, key_alias, user, user_agent, extra, trace
    FROM request JOIN route ON request.route = route.id;
)sql",
};
static_assert(sizeof kSteps / sizeof kSteps[0] == kSchemaVersion);

Result<int64_t> read_version(Database& database) {
    Statement query = TRY(database.prepare("SELECT max(version) FROM migration"));
    if (TRY(query.step())) {
        return query.integer(0);
    }
    return int64_t{0};
}

Error too_new(int64_t version) {
    return gateway_error(Kind::unsupported,
                         "the ledger was written by a newer Belay (schema " +
                             std::to_string(version) + ", this one knows " +
                             std::to_string(kSchemaVersion) +
                             "); update Belay, or name another folder in BELAY_DATA_DIR");
}

Result<void> apply_step(Database& database, int64_t version, int64_t now_ms) {
    TRY(database.run("BEGIN IMMEDIATE"));
    Result<void> done = database.run(kSteps[version]);
    if (done.ok()) {
        const std::string row = "INSERT INTO migration VALUES(" + std::to_string(version + 1) +
                                "," + std::to_string(now_ms) + ")";
        done = database.run(row.c_str());
    }
    if (done.ok()) {
        done = database.run("COMMIT");
    }
    if (!done.ok() && database.in_transaction()) {
        (void)database.run("ROLLBACK");
    }
    return done;
}

}  // namespace

Result<void> prepare_schema(Database& database, int64_t now_ms) {
    TRY(database.run(kConnection));
    TRY(database.run(kBookkeeping));
    int64_t version = TRY(read_version(database));
    if (version > kSchemaVersion) {
        return too_new(version);
    }
    for (; version < kSchemaVersion; ++version) {
        TRY(apply_step(database, version, now_ms));
    }
    return {};
}

Result<void> check_schema(Database& database) {
    TRY(database.run("PRAGMA query_only=1"));
    const int64_t version = TRY(read_version(database));
    if (version > kSchemaVersion) {
        return too_new(version);
    }
    if (version < kSchemaVersion) {
        return gateway_error(Kind::unsupported,
                             "the ledger is from an older Belay; start `belay serve` once");
    }
    return {};
}

}  // namespace belay::store

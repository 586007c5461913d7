#include "store/postgres_schema.h"

namespace belay::store {

namespace {

// Any number will do, if all Belays have the same: the first eight letters of "belay sc".
constexpr const char* kLock = "SELECT pg_advisory_xact_lock(7090178283010716515);";

constexpr const char* kBookkeeping =
    "CREATE TABLE IF NOT EXISTS belay_migration(version integer PRIMARY KEY, "
    "applied timestamptz NOT NULL DEFAULT now());";

// Steps[i] leads from version i to version i + 1. `json` keeps a document's text as it was written;
// jsonb would sort its members and reject an escaped NUL.
constexpr const char* kSteps[] = {
    R"sql(
CREATE TABLE belay_entity(
    kind text NOT NULL, id text NOT NULL,
    doc json,
    version bigint NOT NULL,
    deleted timestamptz,
    PRIMARY KEY(kind, id));
CREATE UNIQUE INDEX belay_entity_version ON belay_entity(version);
CREATE INDEX belay_entity_deleted ON belay_entity(deleted) WHERE deleted IS NOT NULL;
CREATE TABLE belay_counter(only_row boolean PRIMARY KEY DEFAULT true CHECK(only_row),
    version bigint NOT NULL DEFAULT 0, purged bigint NOT NULL DEFAULT 0);
INSERT INTO belay_counter DEFAULT VALUES;
)sql",
    R"sql(
CREATE TABLE belay_batch(
    first_seq bigint PRIMARY KEY,
    first_ms bigint NOT NULL, last_ms bigint NOT NULL,
    requests bigint NOT NULL, failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
    cost bigint NOT NULL, cost_unknown bigint NOT NULL,
    format integer NOT NULL,
    id_keys bytea NOT NULL,
    rows bytea NOT NULL);
CREATE INDEX belay_batch_by_time ON belay_batch(last_ms, first_ms);
CREATE TABLE belay_batch_summary(
    first_seq bigint PRIMARY KEY,
    cost_min bigint NOT NULL, cost_max bigint NOT NULL,
    tokens_min bigint NOT NULL, tokens_max bigint NOT NULL,
    total_us_min bigint NOT NULL, total_us_max bigint NOT NULL,
    first_token_us_min bigint NOT NULL, first_token_us_max bigint NOT NULL,
    common bytea NOT NULL, varied bytea NOT NULL, mixes bytea NOT NULL);
CREATE TABLE belay_series(
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind smallint NOT NULL, digest uuid NOT NULL,
    "key" text NOT NULL, key_alias text NOT NULL, "user" text NOT NULL, team text NOT NULL,
    organization text NOT NULL, end_user text NOT NULL, tag text NOT NULL, model text NOT NULL,
    model_group text NOT NULL, provider text NOT NULL, endpoint text NOT NULL,
    total_cost bigint NOT NULL DEFAULT 0, total_premium bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    UNIQUE(digest, kind));
CREATE INDEX belay_series_by_change ON belay_series(changed);
CREATE INDEX belay_series_by_end_user ON belay_series(end_user) WHERE end_user <> '';
CREATE INDEX belay_series_by_tag ON belay_series(tag) WHERE tag <> '';
CREATE TABLE belay_day_sum(
    kind smallint NOT NULL, day integer NOT NULL, series bigint NOT NULL,
    cost bigint NOT NULL, prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL, cache_write_tokens bigint NOT NULL,
    requests bigint NOT NULL, successes bigint NOT NULL, failures bigint NOT NULL,
    premium_milli bigint NOT NULL, fallbacks bigint NOT NULL, total_us bigint NOT NULL,
    first_token_us bigint NOT NULL, unknown_cost bigint NOT NULL,
    PRIMARY KEY(kind, day, series));
CREATE TABLE belay_journal(
    journal bigint PRIMARY KEY, sequence bigint NOT NULL,
    saved timestamptz NOT NULL DEFAULT now());
CREATE TABLE belay_ledger(only_row boolean PRIMARY KEY DEFAULT true CHECK(only_row),
    next_seq bigint NOT NULL DEFAULT 1);
INSERT INTO belay_ledger DEFAULT VALUES;
)sql",
};
static_assert(sizeof kSteps / sizeof kSteps[0] == kPostgresSchemaVersion);

Result<int64_t> read_version(PgConnection& connection, const std::string& before, Mono deadline) {
    const PgResult table =
        TRY(connection.run(before + "SELECT to_regclass('belay_migration') IS NOT NULL", deadline));
    if (table.text(0, 0) != "t") {
        return int64_t{0};
    }
    const PgResult version = TRY(
        connection.run(before + "SELECT coalesce(max(version), 0) FROM belay_migration", deadline));
    return version.integer(0, 0);
}

Result<void> check_version(int64_t version) {
    if (version > kPostgresSchemaVersion) {
        return gateway_error(Kind::unsupported,
                             "the database was prepared by a newer Belay (schema " +
                                 std::to_string(version) + ", this one knows " +
                                 std::to_string(kPostgresSchemaVersion) +
                                 "); update Belay, or name another database or ?schema= in "
                                 "database_url");
    }
    return {};
}

Result<void> climb(PgConnection& connection, const std::string& schema, Mono deadline) {
    if (!schema.empty()) {
        (void)TRY(connection.run("CREATE SCHEMA IF NOT EXISTS " + quote_name(schema), deadline));
    }
    (void)TRY(connection.run(kBookkeeping, deadline));
    int64_t version = TRY(read_version(connection, {}, deadline));
    TRY(check_version(version));
    for (; version < kPostgresSchemaVersion; ++version) {
        (void)TRY(connection.run(kSteps[version] +
                                     std::string("INSERT INTO belay_migration "
                                                 "VALUES(") +
                                     std::to_string(version + 1) + ");",
                                 deadline));
    }
    (void)TRY(connection.run("COMMIT", deadline));
    return {};
}

}  // namespace

Result<void> prepare_postgres_schema(PgConnection& connection, const std::string& schema,
                                     const std::string& setup, Mono deadline) {
    if (connection.parameter("server_encoding") != "UTF8") {
        return gateway_error(Kind::unsupported,
                             "the database's encoding is " +
                                 std::string(connection.parameter("server_encoding")) +
                                 "; Belay needs one that was created with ENCODING 'UTF8'");
    }
    // The usual case takes no lock and needs no right to create.
    const int64_t version = TRY(read_version(connection, setup, deadline));
    TRY(check_version(version));
    if (version == kPostgresSchemaVersion) {
        return {};
    }
    (void)TRY(connection.run("BEGIN ISOLATION LEVEL READ COMMITTED;" + setup + kLock, deadline));
    Result<void> done = climb(connection, schema, deadline);
    if (!done.ok() && connection.alive()) {
        (void)connection.run("ROLLBACK", deadline);
        if (!done.error().code.empty()) {
            done.error().message =
                "PostgreSQL does not let Belay make its tables: " + done.error().detail;
        }
    }
    return done;
}

}  // namespace belay::store

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

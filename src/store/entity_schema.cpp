#include "store/entity_schema.h"

#include <string>

#include "store/sqlite_entities.h"

namespace belay::store {

namespace {

// synchronous=FULL: a key that was revoked stays revoked through a power cut.
constexpr const char* kConnection =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA cache_size=-1024;"
    "PRAGMA journal_size_limit=4194304;"
    "PRAGMA temp_store=MEMORY;";

constexpr const char* kBookkeeping =
    "CREATE TABLE IF NOT EXISTS migration(version INTEGER PRIMARY KEY, applied_ms INTEGER NOT "
    "NULL)";

// Steps[i] leads from version i to version i + 1.
constexpr const char* kSteps[] = {
    R"sql(
CREATE TABLE entity(
    kind TEXT NOT NULL, id TEXT NOT NULL,
    doc TEXT,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, -- when, in Unix milliseconds; 0 = it exists
    PRIMARY KEY(kind, id));
CREATE UNIQUE INDEX entity_version ON entity(version);
CREATE INDEX entity_deleted ON entity(deleted) WHERE deleted <> 0;
CREATE TABLE counter(only INTEGER PRIMARY KEY CHECK(only = 1),
    version INTEGER NOT NULL, purged INTEGER NOT NULL);
INSERT INTO counter VALUES(1, 0, 0);
)sql",
};
static_assert(sizeof kSteps / sizeof kSteps[0] == kEntitySchemaVersion);

Result<int64_t> read_version(Database& database) {
    Statement query = TRY(database.prepare("SELECT max(version) FROM migration"));
    return TRY(query.step()) ? query.integer(0) : int64_t{0};
}

Error too_new(int64_t version) {
    return gateway_error(
        Kind::unsupported,
        "belay.db was written by a newer Belay (schema " + std::to_string(version) +
            ", this one knows " + std::to_string(kEntitySchemaVersion) +
            "); update Belay, restore a backup of that time, or name another folder in "
            "BELAY_DATA_DIR");
}

// Inside the transaction: another process may have been faster.
Result<void> climb(Database& database, int64_t now_ms) {
    TRY(database.run(kBookkeeping));
    int64_t version = TRY(read_version(database));
    if (version > kEntitySchemaVersion) {
        return too_new(version);
    }
    for (; version < kEntitySchemaVersion; ++version) {
        TRY(database.run(kSteps[version]));
        const std::string row = "INSERT INTO migration VALUES(" + std::to_string(version + 1) +
                                "," + std::to_string(now_ms) + ")";
        TRY(database.run(row.c_str()));
    }
    return {};
}

}  // namespace

Result<void> prepare_entity_schema(Database& database, int64_t now_ms) {
    TRY(database.run(kConnection));
    TRY(database.run("BEGIN IMMEDIATE"));
    Result<void> done = climb(database, now_ms);
    if (done.ok()) {
        done = database.run("COMMIT");
    }
    if (!done.ok() && database.in_transaction()) {
        (void)database.run("ROLLBACK");
    }
    return done;
}

}  // namespace belay::store

#include "store/schema.h"

#include <optional>
#include <string>

#include "store/batch_table.h"
#include "store/rollup.h"
#include "store/sums.h"

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
CREATE TABLE batch(
    first_seq INTEGER PRIMARY KEY,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    requests INTEGER NOT NULL, failures INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL, cost_unknown INTEGER NOT NULL,
    format INTEGER NOT NULL,
    id_keys BLOB NOT NULL,
    rows BLOB NOT NULL);
CREATE TABLE spool(only INTEGER PRIMARY KEY CHECK(only = 1),
    epoch INTEGER NOT NULL, done_bytes INTEGER NOT NULL);
INSERT INTO spool VALUES(1, 0, 0);
)sql",
    R"sql(
ALTER TABLE batch ADD COLUMN journal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batch ADD COLUMN journal_sequence INTEGER NOT NULL DEFAULT 0;
DROP TABLE spool;
)sql",
    R"sql(
CREATE TABLE batch_summary(
    first_seq INTEGER PRIMARY KEY,
    cost_min INTEGER NOT NULL, cost_max INTEGER NOT NULL,
    tokens_min INTEGER NOT NULL, tokens_max INTEGER NOT NULL,
    total_us_min INTEGER NOT NULL, total_us_max INTEGER NOT NULL,
    first_token_us_min INTEGER NOT NULL, first_token_us_max INTEGER NOT NULL,
    common BLOB NOT NULL, varied BLOB NOT NULL, mixes BLOB NOT NULL);
CREATE INDEX batch_by_time ON batch(last_ms, first_ms, requests);
CREATE TABLE series(
    id INTEGER PRIMARY KEY,
    digest INTEGER NOT NULL, kind INTEGER NOT NULL,
    "key" TEXT NOT NULL, key_alias TEXT NOT NULL, user TEXT NOT NULL, team TEXT NOT NULL,
    organization TEXT NOT NULL, end_user TEXT NOT NULL, tag TEXT NOT NULL, model TEXT NOT NULL,
    model_group TEXT NOT NULL, provider TEXT NOT NULL, endpoint TEXT NOT NULL);
CREATE INDEX series_by_digest ON series(digest);
CREATE INDEX series_by_end_user ON series(end_user) WHERE end_user <> '';
CREATE INDEX series_by_tag ON series(tag) WHERE tag <> '';
CREATE TABLE day_sum(
    kind INTEGER NOT NULL, day INTEGER NOT NULL, series INTEGER NOT NULL,
    cost INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
    requests INTEGER NOT NULL, successes INTEGER NOT NULL, failures INTEGER NOT NULL,
    premium_milli INTEGER NOT NULL, fallbacks INTEGER NOT NULL, total_us INTEGER NOT NULL,
    first_token_us INTEGER NOT NULL, unknown_cost INTEGER NOT NULL,
    PRIMARY KEY(kind, day, series)) WITHOUT ROWID;
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

// What the tables of version 3 say of rows that were there before them.
constexpr int64_t kSummedFrom = 3;

Result<void> sum_old_batches(Database& database) {
    BatchTable batches;
    SumsWriter sums;
    TRY(batches.prepare(database));
    TRY(sums.prepare(database));
    Rollup rollup;
    for (int64_t after = 0;;) {
        std::optional<BatchTable::Row> batch = TRY(batches.next(after));
        if (!batch) {
            return {};
        }
        after = batch->first_seq;
        if (std::optional<std::string> renewed = renew_rows(batch->rows)) {
            batch->rows = std::move(*renewed);
        }
        if (!rollup.read(batch->rows)) {
            return gateway_error(Kind::internal, "a batch of the ledger does not read back");
        }
        TRY(batches.remove(batch->first_seq, batch->first_seq));
        TRY(batches.insert(batch->first_seq, rollup.facts(), batch->rows, batch->mark));
        TRY(sums.add(rollup.sums()));
    }
}

Result<void> apply_step(Database& database, int64_t version, int64_t now_ms) {
    TRY(database.run("BEGIN IMMEDIATE"));
    Result<void> done = database.run(kSteps[version]);
    if (done.ok() && version + 1 == kSummedFrom) {
        done = sum_old_batches(database);
    }
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

Result<SegmentName> find_saved_segment(Database& database) {
    Statement last = TRY(database.prepare(
        "SELECT journal, journal_sequence FROM batch ORDER BY first_seq DESC LIMIT 1"));
    if (!TRY(last.step())) {
        return SegmentName{};
    }
    return SegmentName{static_cast<uint64_t>(last.integer(0)),
                       static_cast<uint64_t>(last.integer(1))};
}

}  // namespace belay::store

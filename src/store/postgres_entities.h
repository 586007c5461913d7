#pragma once
// Entities in PostgreSQL, shared by any number of Belays (tables belay_*, which may lie beside
// others). Thread-safe: reads and writes have a connection each, so that a poll does not wait for
// an import.
//
//   belay_entity     one row per entity, tombstones included: doc is JSON, NULL once deleted
//   belay_counter    one row: the last version, and the newest version among purged tombstones
//   belay_migration  the schema's steps that were applied, and when
//
// Order: a write takes the counter's row first and keeps it until it is committed. So versions are
// committed in their order, and a reader that has seen one has seen all before it; a sequence would
// let a late commit slip in behind a reader. Writes are administrators' and wait for each other.
//
// A server that is away costs nobody a wait: after a failed connection calls fail at once until it
// is tried again, at growing distances. Each call has one deadline for all it does.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "governance/entity_store.h"
#include "store/entity_rules.h"
#include "store/postgres.h"
#include "store/postgres_url.h"

namespace belay::store {

struct PostgresOptions {
    seconds connect_timeout{3};             // per host of the URL
    milliseconds statement_timeout{5'000};  // at the server
    milliseconds call_timeout{10'000};      // of a write, with its repetitions
    milliseconds read_timeout{5'000};       // the same of a reading
    milliseconds backoff_max{5'000};        // between attempts to connect
    milliseconds tombstone_age = kTombstoneAge;
};

class PostgresEntities final : public governance::EntityStore {
  public:
    // Makes the tables, or brings them to this Belay's schema. Fails for a URL that cannot be used,
    // without libpq, and for tables of a newer Belay; a server that is away is told in the log and
    // tried again later.
    [[nodiscard]] static Result<std::unique_ptr<PostgresEntities>> open(
        std::string_view url, PostgresOptions options = {});

    [[nodiscard]] Result<std::vector<governance::Entity>> changes_since(int64_t version,
                                                                        size_t limit) override;
    // A commit whose answer was lost is looked up, so that it is neither repeated nor taken for
    // failed; when even that cannot be asked, the error's code is "outcome_unknown".
    [[nodiscard]] Result<std::vector<governance::Entity>> apply(
        const std::vector<governance::Change>& changes) override;
    [[nodiscard]] bool reachable() const override { return reachable_; }

  private:
    // A connection and when it may be made anew.
    struct Line {
        std::mutex mutex;
        std::optional<PgConnection> connection;
        Mono next_attempt{};
        milliseconds backoff{};
    };
    using Work = std::function<Result<void>(PgConnection&)>;

    PostgresEntities(PostgresUrl url, PostgresOptions options);

    [[nodiscard]] Mono deadline() const;
    [[nodiscard]] Result<void> repeat(Line& line, Mono deadline, const Work& work);
    [[nodiscard]] Result<PgConnection*> connect(Line& line, Mono deadline);
    [[nodiscard]] Result<std::vector<governance::Entity>> read(PgConnection& connection,
                                                               int64_t version, size_t limit,
                                                               Mono deadline);
    [[nodiscard]] Result<void> write(std::vector<EntityWrite>& writes, Mono deadline);
    [[nodiscard]] Result<void> fill(PgConnection& connection, std::vector<EntityWrite>& writes,
                                    int64_t last, Mono deadline);
    [[nodiscard]] Result<void> purge(PgConnection& connection, Mono deadline);
    [[nodiscard]] Error told(Error error);

    const PostgresUrl url_;
    const PostgresOptions options_;
    const std::string setup_;  // SQL that begins every transaction's work
    Line reading_;
    Line writing_;
    Mono next_purge_{};  // under writing_.mutex
    std::atomic<bool> reachable_{false};
};

}  // namespace belay::store

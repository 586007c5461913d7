#pragma once
// Entities in an SQLite file of their own (belay.db), apart from the ledger: it is small, worth a
// sync per write, and a backup of it is a copy. Several processes may use it at once (a command
// line beside a server). Thread-safe; one connection, so calls wait for each other.
//
//   entity     one row per entity, tombstones included: doc is JSON, NULL once deleted
//   counter    one row: the last version, and the newest version among purged tombstones
//   migration  the schema's steps that were applied, and when
//
// A damaged file is refused, not replaced: without its keys a gateway turns everyone away, and one
// that began anew would forget what was blocked or revoked.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "governance/entity_store.h"
#include "store/entity_rules.h"
#include "store/sqlite.h"

namespace belay::store {

inline constexpr int64_t kEntitySchemaVersion = 1;

class SqliteEntities final : public governance::EntityStore {
  public:
    static constexpr std::string_view kDatabaseName = "belay.db";

    // Makes the file (0600) when there is none. Fails on a damaged file and on one from a newer
    // Belay; messages name the file and the cure.
    [[nodiscard]] static Result<std::unique_ptr<SqliteEntities>> open(
        const std::string& path, milliseconds tombstone_age = kTombstoneAge);

    [[nodiscard]] Result<std::vector<governance::Entity>> changes_since(int64_t version,
                                                                        size_t limit) override;
    [[nodiscard]] Result<std::vector<governance::Entity>> apply(
        const std::vector<governance::Change>& changes) override;
    // False after a call that found the file locked, full or failing, until one succeeds.
    [[nodiscard]] bool reachable() const override { return reachable_; }

  private:
    SqliteEntities(Database database, milliseconds tombstone_age)
        : tombstone_age_(tombstone_age), database_(std::move(database)) {}

    [[nodiscard]] Result<std::vector<governance::Entity>> read(int64_t version, size_t limit);
    [[nodiscard]] Result<void> write(std::vector<EntityWrite>& writes);
    [[nodiscard]] Result<int64_t> find_version(governance::EntityKind kind, const std::string& id);
    [[nodiscard]] Result<void> put(const EntityWrite& write, int64_t now_ms);
    [[nodiscard]] Result<void> purge(int64_t now_ms);
    [[nodiscard]] Error failed(Error error);

    const milliseconds tombstone_age_;
    std::mutex mutex_;
    Database database_;
    int64_t purge_ms_ = 0;  // when tombstones are looked for again
    std::atomic<bool> reachable_ = true;
};

}  // namespace belay::store

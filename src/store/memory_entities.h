#pragma once
// Entities in memory, gone with the process: for tests and the demo. Thread-safe.
#include <map>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "governance/entity_store.h"
#include "store/entity_rules.h"

namespace belay::store {

class MemoryEntities final : public governance::EntityStore {
  public:
    explicit MemoryEntities(milliseconds tombstone_age = kTombstoneAge)
        : tombstone_age_(tombstone_age) {}

    [[nodiscard]] Result<std::vector<governance::Entity>> changes_since(int64_t version,
                                                                        size_t limit) override;
    [[nodiscard]] Result<std::vector<governance::Entity>> apply(
        const std::vector<governance::Change>& changes) override;
    [[nodiscard]] bool reachable() const override { return true; }

  private:
    using Key = std::pair<governance::EntityKind, std::string>;
    struct Tombstone {
        int64_t version;
        Mono deleted;
    };

    void purge(Mono now);
    void put(const governance::Entity& entity, Mono now);

    const milliseconds tombstone_age_;
    std::mutex mutex_;
    std::map<int64_t, governance::Entity> by_version_;
    std::map<Key, int64_t> versions_;    // tombstones included
    std::vector<Tombstone> tombstones_;  // oldest first; some no longer hold
    EntityCounter counter_;
};

}  // namespace belay::store

#include "store/memory_entities.h"

#include <algorithm>

namespace belay::store {

using governance::Change;
using governance::Entity;
using governance::EntityKind;

Result<std::vector<Entity>> MemoryEntities::changes_since(int64_t version, size_t limit) {
    const std::lock_guard lock(mutex_);
    TRY(check_reader(version, counter_));
    std::vector<Entity> found;
    for (auto at = by_version_.upper_bound(version); at != by_version_.end(); ++at) {
        if (found.size() >= limit) {
            break;
        }
        found.push_back(at->second);
    }
    return found;
}

Result<std::vector<Entity>> MemoryEntities::apply(const std::vector<Change>& changes) {
    std::vector<EntityWrite> writes = TRY(prepare_writes(changes));
    const Mono now = system_clock().mono();
    const std::lock_guard lock(mutex_);
    purge(now);
    TRY(number_writes(writes, counter_.version,
                      [this](EntityKind kind, const std::string& id) -> Result<int64_t> {
                          const auto at = versions_.find(Key(kind, id));
                          const bool exists =
                              at != versions_.end() && !by_version_.at(at->second).is_deleted();
                          return exists ? at->second : 0;
                      }));
    for (const EntityWrite& write : writes) {
        put(write.entity, now);
    }
    return entities_of(std::move(writes));
}

void MemoryEntities::put(const Entity& entity, Mono now) {
    int64_t& version = versions_[Key(entity.kind, entity.id)];
    by_version_.erase(version);
    version = entity.version;
    by_version_.emplace(version, entity);
    counter_.version = version;
    if (entity.is_deleted()) {
        tombstones_.push_back({version, now});
    }
}

void MemoryEntities::purge(Mono now) {
    const auto keep = std::find_if(
        tombstones_.begin(), tombstones_.end(),
        [&](const Tombstone& tombstone) { return tombstone.deleted + tombstone_age_ > now; });
    for (auto at = tombstones_.begin(); at != keep; ++at) {
        const auto row = by_version_.find(at->version);
        if (row != by_version_.end()) {
            counter_.purged = std::max(counter_.purged, at->version);
            versions_.erase(Key(row->second.kind, row->second.id));
            by_version_.erase(row);
        }
    }
    tombstones_.erase(tombstones_.begin(), keep);
}

}  // namespace belay::store

#pragma once
// What every store of entities does alike, so that the drivers differ only in where rows lie: which
// changes are taken at all, how a batch of changes is numbered and compared with the versions it
// expects, how a row becomes an Entity again. For the drivers in this module.
//
// Versions come from one counter per store and grow over all entities. A deletion is a write too:
// it leaves a tombstone, the row without a document, until kTombstoneAge has passed. A reader that
// begins gets tombstones too: so it always comes as far as the counter. They are purged only by a
// transaction that then writes, so that the row with the counter's version is always there.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "governance/entity_store.h"

namespace belay::store {

inline constexpr size_t kEntityIdBytes = 1024;
inline constexpr size_t kEntityDocBytes = 16 << 20;
inline constexpr size_t kChangesCount = 10'000;     // in one apply()
inline constexpr size_t kChangesBytes = 128 << 20;  // of all its documents

// A reader that has not asked for this long reads all again.
inline constexpr milliseconds kTombstoneAge = std::chrono::hours(7 * 24);
inline constexpr milliseconds kPurgeInterval = std::chrono::hours(1);
inline constexpr size_t kPurgeCount = 10'000;  // tombstones removed at once

struct EntityWrite {
    governance::Entity entity;
    std::string text;  // the document as JSON; "" = deleted
    std::optional<int64_t> expected;
};

// The changes as rows, not yet numbered. Refuses what could not be read back: ids that are empty,
// too long or no text, documents that are no object, too large or no valid JSON.
[[nodiscard]] Result<std::vector<EntityWrite>> prepare_writes(
    const std::vector<governance::Change>& changes);

// The version of an entity that exists, 0 when it does not (a tombstone does not).
using VersionOf = std::function<Result<int64_t>(governance::EntityKind, const std::string& id)>;
// Gives the writes the versions after `last`, in order. Fails with code "conflict" when one is not
// as expected; the same entity twice in a batch is compared with its earlier write.
[[nodiscard]] Result<void> number_writes(std::vector<EntityWrite>& writes, int64_t last,
                                         const VersionOf& version_of);
[[nodiscard]] std::vector<governance::Entity> entities_of(std::vector<EntityWrite> writes);

// A stored row; nothing, and one line in the log, when it cannot be understood (damaged by hand, or
// of a kind that only a newer Belay knows): one bad row must not take away all others.
[[nodiscard]] std::optional<governance::Entity> read_entity(std::string_view kind,
                                                            std::string_view id,
                                                            std::optional<std::string_view> doc,
                                                            int64_t version);

// The counter's row beside the entities.
struct EntityCounter {
    int64_t version = 0;  // of the last write
    int64_t purged = 0;   // of the newest tombstone that is gone
};
// Fails with code "reload" for a reader that missed deletions whose tombstones are gone, or that is
// ahead of the store because an older copy was put in its place: it has to begin again at 0 and
// forget what it does not find there.
[[nodiscard]] Result<void> check_reader(int64_t since, const EntityCounter& counter);

}  // namespace belay::store

#pragma once
// The port to where entities are kept: memory, SQLite, PostgreSQL (store/). Readers and writers
// wait for a disk or a network: call them from a thread that may wait, never from an event loop.
// Thread-safe.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "governance/entity.h"

namespace belay::governance {

// One write. With `expected` it happens only while the entity's version is that (0: it does not
// exist).
struct Change {
    EntityKind kind = EntityKind::key;
    std::string id;
    json::Value doc;  // null deletes
    std::optional<int64_t> expected;
};

class EntityStore {
  public:
    virtual ~EntityStore() = default;
    // Everything written after `version`, oldest first, deletions included; 0 gives all that exists
    // (and deletions that are still remembered). At most `limit`: ask again with the last one's
    // version. Fails with code "reload" for a reader that has missed deletions, or is ahead of a
    // store that was restored: read_changes() below starts it over.
    [[nodiscard]] virtual Result<std::vector<Entity>> changes_since(int64_t version,
                                                                    size_t limit = 10'000) = 0;
    // All or none, in one transaction; returns what was written, in order, with its versions. A
    // version that is not as expected fails with Kind::invalid_request and code "conflict"; a store
    // that cannot be reached with Kind::upstream_unavailable.
    [[nodiscard]] virtual Result<std::vector<Entity>> apply(const std::vector<Change>& changes) = 0;
    // False while the store cannot be reached.
    [[nodiscard]] virtual bool reachable() const = 0;
};

class Directory;
// Brings the directory to where the store is; true when something has changed. `models` (may be
// null) is set when a model or a setting is among it.
[[nodiscard]] Result<bool> read_changes(EntityStore& store, Directory& directory,
                                        bool* models = nullptr);

}  // namespace belay::governance

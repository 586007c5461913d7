#pragma once
// The tables of belay.db and how they grow: every version is one step, applied in one transaction
// together with its row in `migration`; a file from a newer Belay is refused, never touched.
#include <cstdint>

#include "base/result.h"
#include "store/sqlite.h"

namespace belay::store {

// Sets the connection up and brings the tables to kEntitySchemaVersion. Two processes may do so at
// once.
[[nodiscard]] Result<void> prepare_entity_schema(Database& database, int64_t now_ms);

}  // namespace belay::store

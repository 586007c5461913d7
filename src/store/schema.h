#pragma once
// The ledger's tables and how they grow. Every version is one step, applied in one transaction
// together with its row in `migration`; a database from a newer Belay is refused, never touched.
//
//   request   one row per request, in the order they ended; `route` says who and what
//   route     the combinations of model, deployment, key, user ... that requests repeat
//   batch     one row per commit: the times it spans and four bytes of each request id, in order.
//   It is
//             the index over ids and times: appended once per commit, where an index over random
//             ids would dirty a page per request
//   spool     how far which spill file has been read
//   spend     a view for people: request and route joined, in words
#include <cstdint>

#include "base/result.h"
#include "store/sqlite.h"

namespace belay::store {

inline constexpr int64_t kSchemaVersion = 1;

// Sets the connection up (WAL, sync at checkpoints only, small cache) and brings the tables to
// kSchemaVersion. `now_ms` is noted in the migration's row.
[[nodiscard]] Result<void> prepare_schema(Database& database, int64_t now_ms);
// For a reader: the same check, without changing anything.
[[nodiscard]] Result<void> check_schema(Database& database);

}  // namespace belay::store

#pragma once
// The tables in PostgreSQL and how they grow: every version is one step, all that are missing are
// applied in one transaction under a lock that other Belays wait for; tables of a newer Belay are
// refused, never touched.
//
// The ledger's tables hold what those of SQLite do (schema.h), with these differences:
//
//   belay_ledger   one row, whose lock every writer takes first and keeps until it has committed:
//                  batches of all Belays are numbered, committed and seen in one order, and nothing
//                  can stand in a circle
//   belay_journal  which segment of which journal (segment.h) was saved last: the mark that makes
//                  each record come in once
//   belay_series   has its own totals, and in `changed` the first_seq of the batch that changed
//                  them last: what budgets are followed by
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/postgres.h"

namespace belay::store {

inline constexpr int64_t kPostgresSchemaVersion = 2;

// `schema` "" is the server's search path; one that does not exist is made. `setup` is run first in
// each transaction.
[[nodiscard]] Result<void> prepare_postgres_schema(PgConnection& connection,
                                                   const std::string& schema,
                                                   const std::string& setup, Mono deadline);

}  // namespace belay::store

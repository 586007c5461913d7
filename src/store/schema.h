#pragma once
// The ledger's tables and how they grow. Every version is one step, applied in one transaction
// together with its row in `migration`; a database from a newer Belay is refused, never touched.
//
//   batch     one row per commit: its requests in the order they ended (`rows`, row_codec.h), the
//             times it spans, four bytes of each request id, and sums for whoever asks with SQL. A
//             row per request, indexed by a random id, would cost ten times the CPU and a page
//             written per request. journal and journal_sequence name the journal's segment
//             (segment.h) that was saved last when this row was: the newest row's say what need not
//             be read again. Neighbours are merged when they are small; the newest row is never
//             deleted, for its mark
//             An index of their times alone spares a question a page of each
//   batch_summary  what lets a question pass over a batch unread (batch_facts.h)
//   series    each combination of what daily sums are kept by. kind: 0 by key, 1 by end
//             user, 2 by tag; digest: a hash of its texts
//   day_sum   a series' sums of one day (days since 1970-01-01 UTC)
#include <cstdint>

#include "base/result.h"
#include "store/segment.h"
#include "store/sqlite.h"

namespace belay::store {

inline constexpr int64_t kSchemaVersion = 3;

// Sets the connection up (WAL, sync at checkpoints only, small cache) and brings the tables to
// kSchemaVersion. `now_ms` is noted in the migration's row.
[[nodiscard]] Result<void> prepare_schema(Database& database, int64_t now_ms);
// For a reader: the same check, without changing anything.
[[nodiscard]] Result<void> check_schema(Database& database);
// The journal's segment that was saved last; sequence 0 when there is none.
[[nodiscard]] Result<SegmentName> find_saved_segment(Database& database);

}  // namespace belay::store

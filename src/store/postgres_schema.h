#pragma once
// The tables in PostgreSQL and how they grow: every version is one step, all that are missing are
// applied in one transaction under a lock that other Belays wait for; tables of a newer Belay are
// refused, never touched.
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/postgres.h"

namespace belay::store {

inline constexpr int64_t kPostgresSchemaVersion = 1;

// `schema` "" is the server's search path; one that does not exist is made. `setup` is run first in
// each transaction.
[[nodiscard]] Result<void> prepare_postgres_schema(PgConnection& connection,
                                                   const std::string& schema,
                                                   const std::string& setup, Mono deadline);

}  // namespace belay::store

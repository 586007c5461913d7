#pragma once
// The ledger's sums in the database: what each series (rollup.h) has of each day. Written in
// the transaction that saves the rows themselves, so they are exact whatever happens; kept when the
// rows are dropped.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/rollup.h"
#include "store/sqlite.h"

namespace belay::store {

class SumsWriter {
  public:
    [[nodiscard]] Result<void> prepare(Database& database);
    // Within the caller's transaction.
    [[nodiscard]] Result<void> add(const std::vector<Rollup::Sum>& sums);
    // Lets the statements go; after a transaction that was rolled back too.
    void forget();

  private:
    [[nodiscard]] Result<int64_t> series_of(const Rollup::Sum& sum);
    [[nodiscard]] Result<int64_t> find_series(const Rollup::Sum& sum, int64_t digest);

    Statement find_;
    Statement begin_;
    Statement add_day_;
    int64_t next_id_ = 1;
    std::unordered_map<std::string, int64_t> ids_;  // of series used of late, by kind and name
};

}  // namespace belay::store

#pragma once
// The writing side of the ledger, whatever its database. Belongs to one thread. Each save is one
// transaction of the rows, their summary and the sums they add to. After a failed one the
// connection is made anew before the next.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/ledger_tables.h"
#include "store/rollup.h"
#include "store/segment.h"

namespace belay::store {

class LedgerWriter {
  public:
    explicit LedgerWriter(std::unique_ptr<LedgerTables> tables) : tables_(std::move(tables)) {}

    [[nodiscard]] Result<void> connect() { return tables_->connect(); }
    // Commits rows (as RowWriter wrote them), all or none. They are noted with their segment: one
    // that is saved already, though its commit seemed to fail, is not saved again. Segments of one
    // journal come in the order of their sequence; a name without a sequence is not noted.
    [[nodiscard]] Result<void> save(std::string_view rows, SegmentName from = {});
    [[nodiscard]] SegmentName saved() const { return tables_->saved(); }

    // Makes one batch of neighbouring small ones, if enough of them have gathered among the newest
    // `count`. True: there may be more to do.
    [[nodiscard]] Result<bool> merge_some(int64_t count);
    // Deletes some of the rows received before `ms`; how many, 0 when none is left.
    [[nodiscard]] Result<uint64_t> drop_some(int64_t ms);

    // See LedgerTables::follow().
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> follow(bool anew);

  private:
    template <class Work>
    [[nodiscard]] auto in_transaction(SegmentName from, const Work& work)
        -> decltype(work(LedgerTables::Begun{}));
    [[nodiscard]] Result<bool> merge_among(int64_t count);
    [[nodiscard]] Result<void> merge(int64_t first, int64_t last);
    [[nodiscard]] Result<uint64_t> drop_among(int64_t ms);
    [[nodiscard]] Result<uint64_t> drop_rows(const LedgerTables::Span& batch, int64_t ms);

    std::unique_ptr<LedgerTables> tables_;
    Rollup rollup_;  // of the batch at hand
};

}  // namespace belay::store

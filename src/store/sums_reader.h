#pragma once
// What is asked of the ledger's sums (schema.h).
#include <string>
#include <vector>

#include "ledger/query.h"
#include "store/ledger_view.h"

namespace belay::store {

[[nodiscard]] Result<std::vector<ledger::DaySum>> read_day_sums(LedgerView& view,
                                                                const ledger::DayFilter& filter);
[[nodiscard]] Result<std::vector<ledger::ScopeSum>> read_scope_sums(LedgerView& view);
[[nodiscard]] Result<std::vector<ledger::Queries::TagSum>> read_tag_sums(LedgerView& view,
                                                                         const std::string& from,
                                                                         const std::string& until);
// The texts of a series, of which the first is in this column.
[[nodiscard]] ledger::DaySum read_names(const ViewRows& row, int first_column);

}  // namespace belay::store

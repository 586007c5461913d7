#pragma once
// The reading port between the ledger's questions (ledger_reader.h, log_search.h, sums_reader.h)
// and its database: one moment of the tables, asked with SQL that SQLite and PostgreSQL both know.
// Where they differ the view says how. One thread at a time.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "store/segment.h"

namespace belay::store {

// What a question gives, row by row. Columns count from 0.
class ViewRows {
  public:
    virtual ~ViewRows() = default;
    // True: a row is there to be read. False: done.
    [[nodiscard]] virtual Result<bool> step() = 0;
    [[nodiscard]] virtual int64_t integer(int column) const = 0;
    // Of a text or of bytes; valid until the next step(). "" for NULL.
    [[nodiscard]] virtual std::string_view bytes(int column) const = 0;
};

class LedgerView {
  public:
    using Value = std::variant<int64_t, std::string>;

    virtual ~LedgerView() = default;
    // One SELECT with parameters ?1, ?2, ...
    [[nodiscard]] virtual Result<std::unique_ptr<ViewRows>> ask(
        const std::string& sql, const std::vector<Value>& values = {}) = 0;
    // The last segment of this journal that the tables have; sequence 0 for none.
    [[nodiscard]] virtual Result<SegmentName> saved(uint64_t journal) = 0;

    // What stands before the names of tables: "", or "belay_".
    [[nodiscard]] virtual std::string_view prefix() const = 0;
    // A question costs a round trip, and its whole answer is carried over: ask for less, at once.
    [[nodiscard]] virtual bool is_remote() const = 0;
};

}  // namespace belay::store

#pragma once
// The ledger's tables in SQLite, as they are at one moment.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/ledger_view.h"
#include "store/sqlite.h"

namespace belay::store {

class SqliteView final : public LedgerView {
  public:
    // Opens a connection of its own. The moment is that of the first question.
    [[nodiscard]] static Result<std::unique_ptr<LedgerView>> open(const std::string& path,
                                                                  const std::string& vfs = {});
    explicit SqliteView(Database database) : database_(std::move(database)) {}

    [[nodiscard]] Result<std::unique_ptr<ViewRows>> ask(const std::string& sql,
                                                        const std::vector<Value>& values) override;
    [[nodiscard]] Result<SegmentName> saved(uint64_t journal) override;
    [[nodiscard]] std::string_view prefix() const override { return {}; }
    [[nodiscard]] bool is_remote() const override { return false; }

  private:
    class Rows;
    Database database_;
    std::map<std::string, std::vector<Statement>> idle_;  // prepared, for the same question again
};

}  // namespace belay::store

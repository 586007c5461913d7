#pragma once
// Queries over the ledger's tables. A Reader is one connection, used by one thread for one
// question.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"
#include "store/sqlite.h"

namespace belay::store {

// The four bytes that `batch` keeps of a request id: its first eight characters when they are hex
// digits (as a UUID's), else a hash of them.
[[nodiscard]] uint32_t id_key(std::string_view id);
void write_id_key(std::string& out, std::string_view id);

class LedgerReader {
  public:
    [[nodiscard]] static Result<LedgerReader> open(const std::string& path,
                                                   const std::string& vfs = {});
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id);
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count);

  private:
    explicit LedgerReader(Database database) : database_(std::move(database)) {}
    // A request's batch and its place in it.
    struct Place {
        int64_t first_seq = 0;
        size_t index = 0;
    };
    [[nodiscard]] Result<std::vector<Place>> candidates(std::string_view id);
    Database database_;
};

}  // namespace belay::store

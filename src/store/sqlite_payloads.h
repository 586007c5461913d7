#pragma once
// The bodies of requests and replies that are kept, in a database of their own beside the ledger:
// whoever keeps none has no such file. Compressed; deleted ones are overwritten.
#include <mutex>
#include <string>

#include "ledger/payload.h"
#include "store/sqlite.h"

namespace belay::store {

class SqlitePayloads final : public ledger::PayloadStore {
  public:
    static constexpr std::string_view kDatabaseName = "payloads.db";

    // The file is made with the first payload.
    explicit SqlitePayloads(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] Result<void> save(const std::vector<ledger::KeptPayload>& payloads) override;
    [[nodiscard]] Result<std::optional<ledger::KeptPayload>> find(
        std::string_view request_id) override;
    [[nodiscard]] Result<uint64_t> drop_before(int64_t ms) override;

  private:
    [[nodiscard]] Result<bool> connect(Database::Mode mode);  // false: there is no file
    [[nodiscard]] Result<void> insert(const std::vector<ledger::KeptPayload>& payloads);

    const std::string path_;
    std::mutex mutex_;
    Database database_;
};

}  // namespace belay::store

#pragma once
// A Ledger that forgets: the newest entries, in memory. For tests and for runs that must leave no
// file.
#include <deque>
#include <mutex>

#include "ledger/ledger.h"

namespace belay::store {

class MemoryLedger final : public ledger::Ledger {
  public:
    explicit MemoryLedger(size_t capacity = 10'000) : capacity_(capacity) {}

    void append(const ledger::SpendRecord& record, const ledger::Trace& trace) noexcept override;
    void flush() override {}
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id) override;
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count) override;
    [[nodiscard]] ledger::Stats stats() const override;

  private:
    const size_t capacity_;
    mutable std::mutex mutex_;
    std::deque<std::string> rows_;  // encoded, the newest last
    ledger::Stats stats_;
};

}  // namespace belay::store

#pragma once
// A Ledger that forgets: the newest entries, in memory, and the sums of all. For tests and for runs
// that must leave no file. Its queries look at every entry in turn: what they answer is what the
// words of ledger/query.h say, and the other drivers are compared with it.
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/query.h"

namespace belay::store {

class MemoryLedger final : public ledger::Ledger, public ledger::Queries {
  public:
    explicit MemoryLedger(size_t capacity = 10'000) : capacity_(capacity) {}

    void append(const ledger::SpendRecord& record, const ledger::Trace& trace) noexcept override;
    void flush() override {}
    [[nodiscard]] Result<ledger::Entry> find(std::string_view id) override;
    [[nodiscard]] Result<std::vector<ledger::Entry>> find_last(size_t count) override;
    [[nodiscard]] ledger::Stats stats() const override;

    [[nodiscard]] Result<ledger::LogPage> find_page(const ledger::LogFilter& filter) override;
    [[nodiscard]] Result<std::vector<ledger::DaySum>> day_sums(
        const ledger::DayFilter& filter) override;
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> scope_sums() override;
    [[nodiscard]] Result<std::vector<TagSum>> tag_sums(const std::string& from,
                                                       const std::string& until) override;
    [[nodiscard]] Result<uint64_t> drop_before(int64_t ms) override;
    [[nodiscard]] Result<void> for_each(
        const ledger::LogFilter& filter,
        const std::function<bool(const ledger::Entry&)>& take) override;

  private:
    void sum(const ledger::SpendRecord& record);
    // The sums of one date and what else tells them apart, by kind.
    using Sums = std::map<std::vector<std::string>, ledger::DaySum>;

    const size_t capacity_;
    mutable std::mutex mutex_;
    std::deque<std::string> rows_;  // encoded, the newest last
    std::map<ledger::DayFilter::By, Sums> sums_;
    ledger::Stats stats_;
};

}  // namespace belay::store

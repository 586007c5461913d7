#pragma once
// The shared meters in memory: instances of one process on one store. The measure for other drivers
// (one contract suite runs against all), and what tests of several governors stand on.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "governance/governor.h"
#include "governance/rate_window.h"
#include "governance/shared.h"

namespace belay::governance {

// What the instances share. Thread-safe.
class MemoryStore {
  public:
    // `now_ms`: the store's clock. `lease_ms`: of a hold that nobody renews.
    explicit MemoryStore(std::function<int64_t()> now_ms, int64_t lease_ms = 60'000)
        : now_ms_(std::move(now_ms)), lease_ms_(lease_ms) {}

    void set_away(bool away);
    void forget();  // all counters are lost

  private:
    friend class MemoryMeters;
    struct Held {
        int64_t bound = 0, premium = 0, until_ms = 0;
    };
    struct Counter {
        int64_t base = 0, added = 0, premium_base = 0, premium_added = 0, generation = 0;
        std::map<std::string, Held> held;
        RateWindow rate;
        std::set<std::string> told;  // instances that have told what they know
        bool known = false;

        [[nodiscard]] int64_t reserved() const;
        [[nodiscard]] int64_t premium_reserved() const;
    };
    using Name = std::tuple<int, int, std::string, std::string, std::string, int64_t>;

    [[nodiscard]] Counter& counter(const SharedRow& row);
    [[nodiscard]] bool ready(const SharedRow& row, const std::string& instance, SharedTerm term);
    [[nodiscard]] std::string_view judge(const SharedRow& row, SharedState& state);
    [[nodiscard]] SharedState state_of(const SharedRow& row);
    [[nodiscard]] SharedAnswer take(const SharedHold& hold);
    void settle(const SharedHold& hold, const SharedUse& use);

    std::mutex mutex_;
    std::function<int64_t()> now_ms_;
    int64_t lease_ms_;
    std::map<Name, Counter> counters_;
    uint32_t number_ = 1;
    bool away_ = false;
};

// One instance.
class MemoryMeters final : public SharedMeters {
  public:
    MemoryMeters(MemoryStore& store, Governor& governor, std::string instance,
                 int64_t instances = 1)
        : store_(store),
          governor_(governor),
          instance_(std::move(instance)),
          instances_(instances) {}

    [[nodiscard]] SharedTerm term() override;
    void take(SharedHold& hold, Done done) override;
    void settle(std::unique_ptr<SharedHold> hold, SharedUse use) override;
    [[nodiscard]] int64_t parts() const override;
    // What was settled while the store was away; also done by the next take() and settle().
    void tell_owed();

  private:
    [[nodiscard]] bool ready(SharedHold& hold, bool taking);
    void tell();

    MemoryStore& store_;
    Governor& governor_;
    std::string instance_;
    int64_t instances_;
    SharedTerm term_{1, 1};
    bool missed_ = false;
    uint64_t last_id_ = 0;
    std::vector<std::pair<std::unique_ptr<SharedHold>, SharedUse>> owed_;
};

}  // namespace belay::governance

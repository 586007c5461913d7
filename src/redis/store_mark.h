#pragma once
// Which store the counters are in now, for all loops of an instance: another one after each start
// of the server and after each loss of its data. What each learns holds for all. Thread-safe.
#include <mutex>
#include <string>

#include "governance/shared.h"

namespace belay::redis {

class StoreMark {
  public:
    [[nodiscard]] std::string value() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    [[nodiscard]] governance::SharedTerm term() {
        const std::lock_guard lock(mutex_);
        if (missed_) {
            missed_ = false;
            ++term_.number;
        }
        return term_;
    }
    [[nodiscard]] governance::SharedTerm current() const {
        const std::lock_guard lock(mutex_);
        return term_;
    }
    void learn(const std::string& value) {
        const std::lock_guard lock(mutex_);
        if (value != value_) {
            value_ = value;
            ++term_.store;
            ++term_.number;
        }
    }
    // A request went by that the store does not know of: the next term tells of it.
    void miss() {
        const std::lock_guard lock(mutex_);
        missed_ = true;
    }

  private:
    mutable std::mutex mutex_;
    std::string value_;
    governance::SharedTerm term_{1, 1};
    bool missed_ = false;
};

}  // namespace belay::redis

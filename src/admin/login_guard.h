#pragma once
// How often a password may be tried: kMost wrong ones in a minute over the whole process, and then
// none until the minute is over. Thread-safe.
#include <cstdint>
#include <mutex>

namespace belay::admin {

class LoginGuard {
  public:
    static constexpr int kMost = 10;
    static constexpr int64_t kWindowMs = 60'000;

    // Seconds until a try is allowed again; 0 = now.
    [[nodiscard]] int64_t wait_s(int64_t now_ms) {
        const std::lock_guard lock(mutex_);
        if (now_ms - began_ms_ >= kWindowMs) {
            began_ms_ = now_ms;
            wrong_ = 0;
        }
        return wrong_ < kMost ? 0 : (began_ms_ + kWindowMs - now_ms) / 1000 + 1;
    }
    void count_wrong() {
        const std::lock_guard lock(mutex_);
        ++wrong_;
    }

  private:
    std::mutex mutex_;
    int64_t began_ms_ = 0;
    int wrong_ = 0;
};

}  // namespace belay::admin

#pragma once
// Requests and tokens of the last minute, in buckets of one second: the current one and the 60
// before it, so that no 60 seconds, wherever they begin, hold more than was admitted by these sums.
// Pure; the caller locks.
#include <array>
#include <cstddef>
#include <cstdint>

namespace belay::governance {

class RateWindow {
  public:
    static constexpr int64_t kBuckets = 61;

    // Moves to `second`, of a clock that never jumps. One that lies before counts as the newest.
    void advance(int64_t second) {
        if (second > head_) {
            forget_until(second);
        }
    }
    [[nodiscard]] int64_t requests() const { return requests_; }
    [[nodiscard]] int64_t tokens() const { return tokens_; }
    [[nodiscard]] int64_t head() const { return head_; }
    [[nodiscard]] bool empty() const { return requests_ == 0 && tokens_ == 0; }

    // Into the newest bucket; returns its second.
    int64_t add(int64_t requests, int64_t tokens);
    // What was added in `second` turns out to be so much more (or less); too late is nothing.
    void correct_tokens(int64_t second, int64_t by);
    // The same for both; never below nothing.
    void correct(int64_t second, int64_t requests, int64_t tokens);
    [[nodiscard]] int64_t requests_in(int64_t second) const {
        return holds(second) ? buckets_[slot(second)].requests : 0;
    }
    [[nodiscard]] int64_t tokens_in(int64_t second) const {
        return holds(second) ? buckets_[slot(second)].tokens : 0;
    }

    // The first second at which `need` more fits below `limit`, when nothing else comes.
    enum class What : uint8_t { requests, tokens };
    [[nodiscard]] int64_t second_with_room(What what, int64_t need, int64_t limit) const;

  private:
    struct Bucket {
        int64_t tokens = 0;
        int64_t requests = 0;
    };
    static size_t slot(int64_t second) { return static_cast<size_t>(second % kBuckets); }
    [[nodiscard]] bool holds(int64_t second) const {
        return second >= 0 && second <= head_ && head_ - second < kBuckets;
    }
    void forget_until(int64_t second);

    int64_t head_ = 0;
    int64_t requests_ = 0;
    int64_t tokens_ = 0;
    std::array<Bucket, kBuckets> buckets_{};
};

}  // namespace belay::governance

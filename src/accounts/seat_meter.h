#pragma once
// What is left of one account's allowance between two words of the upstream about it, for callers
// who may not take the last of it (floors). The upstream's word is the truth; what was spent here
// since the word before it, and what running requests may still take, are taken off, so that the
// figure errs towards too little. Costs nothing until somebody with a floor has asked. Thread-safe.
#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

namespace belay::accounts {

class SeatMeter {
  public:
    // What the allowance counts; `unknown` also where it has no end, or belongs to an organisation
    // that does not tell.
    enum class Unit : uint8_t { unknown, credits, requests };
    struct Left {
        Unit unit = Unit::unknown;
        int64_t amount = 0;  // nano-credits, or premium requests x 1000
    };

    // The upstream has spoken.
    void set(Left left);
    // A request was charged. One load unless somebody watches.
    void spent(int64_t nano_credits, int64_t premium_milli) {
        if (watched_.load(std::memory_order_relaxed)) {
            count(nano_credits, premium_milli);
        }
    }
    [[nodiscard]] Left left() const;

    struct Floors {
        int64_t nano_credits = 0;
        int64_t premium_milli = 0;
    };
    // An amount held for one running request; given back when it ends.
    class Hold {
      public:
        Hold() = default;
        Hold(SeatMeter* meter, int64_t amount) : meter_(meter), amount_(amount) {}
        Hold(Hold&& other) noexcept
            : meter_(std::exchange(other.meter_, nullptr)), amount_(other.amount_) {}
        Hold& operator=(Hold&& other) noexcept {
            std::swap(meter_, other.meter_);
            std::swap(amount_, other.amount_);
            return *this;
        }
        ~Hold() { release(); }
        void release();

      private:
        SeatMeter* meter_ = nullptr;
        int64_t amount_ = 0;
    };
    // Takes the request's bound unless that goes below the floor of the unit that the account
    // counts in; `hold` stays empty and true comes back when nothing is known or no floor is set.
    [[nodiscard]] bool take(const Floors& floors, const Floors& bound, Hold& hold);

  private:
    void count(int64_t nano_credits, int64_t premium_milli);
    [[nodiscard]] int64_t left_now() const { return said_.amount - before_ - since_ - held_; }

    std::atomic<bool> watched_{false};
    mutable std::mutex mutex_;  // the rest
    Left said_;
    int64_t since_ = 0;   // spent here since the last word
    int64_t before_ = 0;  // and between the two words before: it may not be in the last one yet
    int64_t held_ = 0;
};

}  // namespace belay::accounts

#include "accounts/seat_meter.h"

namespace belay::accounts {

void SeatMeter::set(Left left) {
    const std::lock_guard lock(mutex_);
    if (left.unit != said_.unit) {
        since_ = 0;
    }
    said_ = left;
    before_ = std::exchange(since_, 0);
}

SeatMeter::Left SeatMeter::left() const {
    const std::lock_guard lock(mutex_);
    return {said_.unit, left_now()};
}

bool SeatMeter::take(const Floors& floors, const Floors& bound, Hold& hold) {
    watched_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    const bool credits = said_.unit == Unit::credits;
    const int64_t floor = credits ? floors.nano_credits : floors.premium_milli;
    const int64_t amount = credits ? bound.nano_credits : bound.premium_milli;
    if (said_.unit == Unit::unknown || floor <= 0) {
        return true;
    }
    if (left_now() - amount < floor) {
        return false;
    }
    held_ += amount;
    hold = Hold(this, amount);
    return true;
}

void SeatMeter::count(int64_t nano_credits, int64_t premium_milli) {
    const std::lock_guard lock(mutex_);
    since_ += said_.unit == Unit::credits ? nano_credits : premium_milli;
}

void SeatMeter::Hold::release() {
    if (SeatMeter* meter = std::exchange(meter_, nullptr)) {
        const std::lock_guard lock(meter->mutex_);
        meter->held_ -= amount_;
    }
}

}  // namespace belay::accounts

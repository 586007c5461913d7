#include "governance/rate_window.h"

#include <algorithm>

namespace belay::governance {

void RateWindow::forget_until(int64_t second) {
    if (second - head_ >= kBuckets || (requests_ == 0 && tokens_ == 0)) {
        buckets_.fill({});
        requests_ = 0;
        tokens_ = 0;
        head_ = second;
        return;
    }
    while (head_ < second) {
        Bucket& oldest = buckets_[slot(++head_)];
        requests_ -= oldest.requests;
        tokens_ -= oldest.tokens;
        oldest = {};
    }
}

int64_t RateWindow::add(int64_t requests, int64_t tokens) {
    Bucket& bucket = buckets_[slot(head_)];
    bucket.requests += requests;
    bucket.tokens += tokens;
    requests_ += requests;
    tokens_ += tokens;
    return head_;
}

void RateWindow::correct_tokens(int64_t second, int64_t by) {
    if (second > head_ || head_ - second >= kBuckets) {
        return;
    }
    Bucket& bucket = buckets_[slot(second)];
    by = std::max(by, -bucket.tokens);
    bucket.tokens += by;
    tokens_ += by;
}

void RateWindow::correct(int64_t second, int64_t requests, int64_t tokens) {
    if (!holds(second)) {
        return;
    }
    requests = std::max(requests, -buckets_[slot(second)].requests);
    buckets_[slot(second)].requests += requests;
    requests_ += requests;
    correct_tokens(second, tokens);
}

int64_t RateWindow::second_with_room(What what, int64_t need, int64_t limit) const {
    int64_t over = (what == What::requests ? requests_ : tokens_) + need - limit;
    if (over <= 0) {
        return head_;
    }
    for (int64_t second = std::max<int64_t>(head_ - kBuckets + 1, 0); second < head_; ++second) {
        const Bucket& bucket = buckets_[slot(second)];
        over -= what == What::requests ? bucket.requests : bucket.tokens;
        if (over <= 0) {
            return second + kBuckets;  // when this bucket leaves
        }
    }
    return head_ + kBuckets;
}

}  // namespace belay::governance

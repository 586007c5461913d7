#include "net/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace belay::net {
namespace {

thread_local Loop* current_loop = nullptr;

// A coroutine that nobody awaits: starts at once, frees itself.
struct Detached {
    struct promise_type {
        Detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
};

Detached run_detached(Task<void> task) { co_await task; }

}  // namespace

Loop::Loop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      wheel_(kSlots),
      start_(std::chrono::steady_clock::now()),
      now_(start_),
      scratch_(kScratch) {
    for (Timer& head : wheel_) {
        head.prev_ = head.next_ = &head;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    if (epoll_ < 0 || event_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) != 0) {
        std::abort();  // no descriptors at start-up: nothing can work
    }
    ready_.reserve(64);
}

Loop::~Loop() {
    for (Timer& head : wheel_) {
        for (Timer* t = head.next_; t != &head;) {
            Timer* following = t->next_;
            t->prev_ = t->next_ = nullptr;
            t = following;
        }
        head.prev_ = head.next_ = nullptr;
    }
    ::close(event_);
    ::close(epoll_);
}

Loop* Loop::current() { return current_loop; }

void Loop::run() {
    current_loop = this;
    constexpr int kBatch = 256;
    epoll_event events[kBatch];
    while (!stopping_.load(std::memory_order_acquire)) {
        drain_ready();
        const int count = epoll_wait(epoll_, events, kBatch, next_timeout_ms());
        now_ = std::chrono::steady_clock::now();
        bool posted = false;
        for (int i = 0; i < count; ++i) {
            auto* watched = static_cast<Watched*>(events[i].data.ptr);
            if (watched == nullptr) {
                uint64_t n;
                while (::read(event_, &n, sizeof n) > 0) {
                }
                posted = true;
            } else {
                watched->on_events(events[i].events);
            }
        }
        // After the batch: posted work may destroy what an event of this batch still points to.
        if (posted) {
            run_posted();
        }
        drain_ready();
        fire_timers();
    }
    current_loop = nullptr;
}

void Loop::stop() {
    stopping_.store(true, std::memory_order_release);
    const uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
}

void Loop::post(std::function<void()> work) {
    {
        std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
    }
    const uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
}

void Loop::run_posted() {
    std::vector<std::function<void()>> work;
    {
        std::lock_guard lock(mutex_);
        work.swap(posted_);
    }
    for (auto& w : work) {
        w();
    }
}

void Loop::spawn(Task<void> task) { run_detached(std::move(task)); }

void Loop::drain_ready() {
    // Resumed coroutines may make others ready; the list grows while it is walked.
    for (size_t i = 0; i < ready_.size(); ++i) {
        ready_[i].resume();
    }
    ready_.clear();
}

void Loop::watch(int fd, Watched* watched, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = watched;
    (void)epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Loop::unwatch(int fd) { (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void Loop::suspend(Waiter& waiter, std::coroutine_handle<> handle, Mono deadline) {
    waiter.handle = handle;
    waiter.wake = Wake::ready;
    waiter.loop = this;
    if (deadline != Mono::max()) {
        waiter.timer.arm(
            *this, deadline,
            [](void* arg) {
                auto* late = static_cast<Waiter*>(arg);
                late->loop->wake(*late, Wake::timeout);
            },
            &waiter);
    }
}

void Loop::wake(Waiter& waiter, Wake reason) {
    if (!waiter.waiting()) {
        return;
    }
    waiter.timer.disarm();
    waiter.wake = reason;
    ready_.push_back(std::exchange(waiter.handle, {}));
}

// --- timers

uint64_t Loop::tick_of(Mono at) const {
    if (at <= start_) {
        return 0;
    }
    // Rounded up: never early.
    return static_cast<uint64_t>((at - start_ + kTick - Mono::duration(1)) / kTick);
}

void Timer::arm(Loop& loop, Mono at, void (*fire)(void*), void* arg) {
    disarm();
    fire_ = fire;
    arg_ = arg;
    tick_ = loop.tick_of(at);
    if (tick_ <= loop.tick_) {
        tick_ = loop.tick_ + 1;
    }
    const size_t slot = tick_ % Loop::kSlots;
    Timer& head = loop.wheel_[slot];
    prev_ = head.prev_;
    next_ = &head;
    prev_->next_ = this;
    head.prev_ = this;
    loop.occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
}

void Timer::disarm() {
    if (prev_ == nullptr) {
        return;
    }
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
}

void Loop::fire_timers() {
    const uint64_t target = static_cast<uint64_t>((now_ - start_) / kTick);
    if (target <= tick_) {
        return;
    }
    const uint64_t steps = std::min<uint64_t>(target - tick_, kSlots);
    const uint64_t first = tick_ + 1;
    tick_ = target;
    for (uint64_t i = 0; i < steps; ++i) {
        const size_t slot = (first + i) % kSlots;
        if ((occupied_[slot / 64] & (uint64_t{1} << (slot % 64))) == 0) {
            continue;
        }
        // Firing may arm and disarm any timer, so due ones are moved to a list of their own first.
        Timer& head = wheel_[slot];
        Timer due;
        due.prev_ = due.next_ = &due;
        for (Timer* t = head.next_; t != &head;) {
            Timer* following = t->next_;
            if (t->tick_ <= target) {
                t->disarm();
                t->prev_ = due.prev_;
                t->next_ = &due;
                t->prev_->next_ = t;
                due.prev_ = t;
            }
            t = following;
        }
        if (head.next_ == &head) {
            occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
        }
        while (due.next_ != &due) {
            Timer* t = due.next_;
            t->disarm();
            t->fire_(t->arg_);
        }
        due.prev_ = due.next_ = nullptr;
    }
    drain_ready();
}

int Loop::next_timeout_ms() const {
    if (!ready_.empty()) {
        return 0;
    }
    const uint64_t first = tick_ + 1;
    for (uint64_t i = 0; i < kSlots;) {
        const size_t slot = (first + i) % kSlots;
        const uint64_t word = occupied_[slot / 64] >> (slot % 64);
        if (word == 0) {
            i += 64 - slot % 64;
            continue;
        }
        const uint64_t tick = first + i + static_cast<uint64_t>(__builtin_ctzll(word));
        const auto at = start_ + kTick * static_cast<int64_t>(tick);
        const auto wait = std::chrono::ceil<milliseconds>(at - std::chrono::steady_clock::now());
        return wait.count() < 0 ? 0 : static_cast<int>(wait.count());
    }
    return -1;
}

void Loop::Sleep::await_suspend(std::coroutine_handle<> h) {
    if (slot == nullptr) {
        slot = &own;
    }
    loop.suspend(*slot, h, at);
}

Wake Loop::Sleep::await_resume() { return slot == nullptr ? Wake::timeout : slot->wake; }

}  // namespace belay::net

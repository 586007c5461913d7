#pragma once
// One event loop per thread: epoll, timers, work posted from other threads. Objects made on a loop
// belong to it. Waiting operations (Wait) are resumed by readiness, by their deadline or by
// cancel(); each says which.
#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "net/task.h"

namespace belay::net {

class Loop;

enum class Wake : uint8_t { ready, timeout, cancelled };

// A timer in the loop's wheel: intrusive, resolution 4 ms, never early. Disarms itself when
// destroyed.
class Timer {
  public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { disarm(); }
    // `fire(arg)` runs on the loop at or soon after `at`.
    void arm(Loop& loop, Mono at, void (*fire)(void*), void* arg);
    void disarm();
    [[nodiscard]] bool armed() const { return prev_ != nullptr; }

  private:
    friend class Loop;
    Timer* prev_ = nullptr;
    Timer* next_ = nullptr;
    uint64_t tick_ = 0;
    void (*fire_)(void*) = nullptr;
    void* arg_ = nullptr;
};

// A coroutine that waits for one thing: put to sleep by Loop::suspend, woken by Loop::wake or by
// its deadline, whichever comes first.
struct Waiter {
    std::coroutine_handle<> handle;
    Wake wake = Wake::ready;
    Loop* loop = nullptr;
    Timer timer;
    [[nodiscard]] bool waiting() const { return static_cast<bool>(handle); }
};

// What epoll tells about one descriptor. Edge triggered: registered once, read and written until
// EAGAIN.
class Watched {
  public:
    virtual void on_events(uint32_t events) = 0;

  protected:
    ~Watched() = default;
};

class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void run();                             // until stop()
    void stop();                            // any thread
    void post(std::function<void()> work);  // any thread; runs on the loop
    // Starts a coroutine that nobody awaits; its frame frees itself at the end. Loop thread only.
    void spawn(Task<void> task);
    // Resumes `handle` after the current callback, before epoll is asked again.
    void ready(std::coroutine_handle<> handle) { ready_.push_back(handle); }

    void watch(int fd, Watched* watched, uint32_t events);
    void unwatch(int fd);

    // The loop's idea of now, refreshed once per turn.
    [[nodiscard]] Mono now() const { return now_; }
    [[nodiscard]] static Loop* current();
    // A buffer that any code may use until it suspends.
    static constexpr size_t kScratch = 64 << 10;
    [[nodiscard]] char* scratch() { return scratch_.data(); }

    // co_await loop.sleep_until(t)
    struct Sleep {
        Loop& loop;
        Mono at;
        Waiter* slot;  // where a canceller finds the waiter; may be null
        Waiter own;
        [[nodiscard]] bool await_ready() const { return at <= loop.now(); }
        void await_suspend(std::coroutine_handle<> h);
        Wake await_resume();
    };
    [[nodiscard]] Sleep sleep_until(Mono at, Waiter* slot = nullptr) {
        return {*this, at, slot, {}};
    }

    // `handle` waits in `waiter` until wake() or `deadline` (Mono::max(): no deadline).
    void suspend(Waiter& waiter, std::coroutine_handle<> handle, Mono deadline);
    // Wakes a waiter now (from the loop thread); nothing happens when nobody waits in it.
    void wake(Waiter& waiter, Wake reason);

  private:
    friend class Timer;
    static constexpr size_t kSlots = 1024;  // 4 ms x 1024 = 4 s a turn; longer timers go round
    static constexpr std::chrono::milliseconds kTick{4};

    void drain_ready();
    void fire_timers();
    [[nodiscard]] int next_timeout_ms() const;
    [[nodiscard]] uint64_t tick_of(Mono at) const;
    void run_posted();

    int epoll_ = -1;
    int event_ = -1;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
    std::vector<std::coroutine_handle<>> ready_;
    std::vector<Timer> wheel_;                      // list heads
    std::array<uint64_t, kSlots / 64> occupied_{};  // bit per slot that holds timers
    uint64_t tick_ = 0;
    Mono start_;
    Mono now_;
    std::vector<char> scratch_;
};

}  // namespace belay::net

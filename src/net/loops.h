#pragma once
// The process's event loops, one thread each.
#include <memory>
#include <thread>
#include <vector>

#include "net/loop.h"

namespace belay::net {

class Loops {
  public:
    // count = 0: one per core this process may use.
    explicit Loops(size_t count);
    ~Loops();  // stops and joins
    Loops(const Loops&) = delete;
    Loops& operator=(const Loops&) = delete;

    void start();
    void stop();
    void join();
    [[nodiscard]] size_t size() const { return loops_.size(); }
    [[nodiscard]] Loop& operator[](size_t i) { return *loops_[i]; }
    [[nodiscard]] std::vector<Loop*> all();

    // Runs `work` on a loop and waits for it; not from a loop of this set.
    void run_on(size_t i, const std::function<void()>& work);

  private:
    std::vector<std::unique_ptr<Loop>> loops_;
    std::vector<std::thread> threads_;
};

}  // namespace belay::net

#include "net/loops.h"

#include <pthread.h>
#include <sched.h>

#include <future>

namespace belay::net {
namespace {

size_t usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    return static_cast<size_t>(CPU_COUNT(&set));
}

}  // namespace

Loops::Loops(size_t count) {
    for (size_t i = 0, n = count == 0 ? usable_cores() : count; i < n; ++i) {
        loops_.push_back(std::make_unique<Loop>());
    }
}

Loops::~Loops() {
    stop();
    join();
}

void Loops::start() {
    for (size_t i = 0; i < loops_.size(); ++i) {
        threads_.emplace_back([loop = loops_[i].get()] { loop->run(); });
        const std::string name = "belay-" + std::to_string(i);
        pthread_setname_np(threads_.back().native_handle(), name.c_str());
    }
}

void Loops::stop() {
    for (auto& loop : loops_) {
        loop->stop();
    }
}

void Loops::join() {
    for (auto& thread : threads_) {
        if (thread.joinable()) {
            thread.join();
        }
    }
    threads_.clear();
}

std::vector<Loop*> Loops::all() {
    std::vector<Loop*> out;
    for (auto& loop : loops_) {
        out.push_back(loop.get());
    }
    return out;
}

void Loops::run_on(size_t i, const std::function<void()>& work) {
    std::promise<void> done;
    loops_[i]->post([&] {
        work();
        done.set_value();
    });
    done.get_future().wait();
}

}  // namespace belay::net

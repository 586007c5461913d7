#pragma once
// What a call needs to ask the shared meters beside its own governor: only there when other
// instances share the limits.
#include <memory>
#include <vector>

#include "governance/governor.h"
#include "governance/shared.h"
#include "net/loop.h"

namespace belay::gateway {

// The question that the governor was asked, and what keeps its scopes alive.
struct Asking {
    std::shared_ptr<const governance::Scope> customer;
    std::vector<std::shared_ptr<const governance::Scope>> tags;
    governance::Ask ask;
};

// co_await Together{meters, hold, loop, {}}: the answer, within the store's deadline.
struct Together {
    governance::SharedMeters& meters;
    governance::SharedHold& hold;
    net::Loop& loop;
    governance::SharedAnswer answer;

    [[nodiscard]] static bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        meters.take(hold, [this, handle](governance::SharedAnswer said) {
            answer = std::move(said);
            loop.ready(handle);
        });
    }
    governance::SharedAnswer await_resume() { return std::move(answer); }
};

}  // namespace belay::gateway

#pragma once
// What instances on one Redis tell each other beside the meters: that they are alive, which budget
// windows have changed, which deployments rest, and that keys or settings were changed. Once a
// second each asks; news come at once by a channel, which may fail without harm. On one loop; what
// any thread may call says so.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "governance/governor.h"
#include "net/loop.h"
#include "redis/link.h"
#include "redis/meters.h"

namespace belay::redis {

// A deployment that rests, or rests no more.
struct Cooldown {
    std::string key;  // what instances know it by
    std::string deployment_id, group, model;
    std::string seat;  // "" = everybody's
    std::string cause;
    milliseconds rest{0};  // from now; 0: lifted
};

class Instances {
  public:
    struct Hooks {
        std::function<void()> on_entities;                 // another one has changed entities
        std::function<void(const Cooldown&)> on_cooldown;  // another one's
        // The store has lost what it had, and all have told what they know: the ledger knows more.
        std::function<void()> on_new_store;
    };
    // On `loop`, one of the meters' loops.
    Instances(Meters& meters, governance::Governor& governor, net::Loop& loop,
              std::shared_ptr<net::ClientContext> context, Address address, Hooks hooks);
    ~Instances();

    void start();
    void stop();  // a turn of the loop before the destructor

    // Any thread. Lost when Redis is away: the next look at the store finds the change too.
    void tell_entities();
    void tell(Cooldown cooldown);
    // Budgets that the ledger knows more of (Governor::spent_by_ledger).
    void raise(std::vector<governance::SharedRow> rows);

    // How often the channel was joined, for tests.
    [[nodiscard]] int joined() const { return joined_.load(); }

  private:
    void tick();
    void ask();
    void on_answer(const Reply& reply);
    void take_over(const Reply& changed);
    void hear_cooldowns(const Reply& list, int64_t now_ms);
    void send_set();
    void set_everywhere(const governance::SharedSpend& one);
    net::Task<void> listen();
    void hear(const Reply& message);

    Meters& meters_;
    governance::Governor& governor_;
    net::Loop& loop_;
    Link news_;
    Hooks hooks_;
    net::Timer timer_;
    net::Waiter sleeping_;
    bool running_ = false;
    bool asking_ = false;
    int64_t since_ms_ = 0;
    int64_t last_cooldown_ = 0;
    uint32_t store_ = 0;
    Mono recount_at_ = Mono::max();
    std::atomic<int> joined_{0};
};

}  // namespace belay::redis

#pragma once
// This instance among others on one Redis: makes what the configuration names, and joins it to the
// governor, the cooldowns and the thread that reads entities. Not there without a Redis.
#include <functional>
#include <memory>
#include <vector>

#include "app/config.h"
#include "governance/governor.h"
#include "net/http_client.h"
#include "net/loops.h"
#include "redis/instances.h"
#include "redis/meters.h"
#include "routing/plan.h"

namespace belay::app {

class Sharing {
  public:
    struct Needs {
        governance::Governor& governor;
        routing::Health& health;
        net::Loop& control;
        std::vector<net::Loop*> workers;
        std::shared_ptr<net::ClientContext> context;
        std::function<void()> on_entities;   // another instance has changed some
        std::function<void()> on_new_store;  // Redis has lost counters: the ledger is asked
    };
    Sharing(const RedisSettings& settings, Needs needs);
    ~Sharing();  // after stop(), and after the workers' loops have ended

    // The loops run, or will: work is posted to them.
    void start();
    // While the loops run; waits for them.
    void stop();

    [[nodiscard]] governance::SharedMeters& meters() { return meters_; }
    // Any thread: entities were changed here.
    void tell_entities() { instances_.tell_entities(); }
    void raise(std::vector<governance::SharedRow> rows) { instances_.raise(std::move(rows)); }

  private:
    void hear(const redis::Cooldown& cooldown);

    Needs needs_;
    bool started_ = false;
    redis::Meters meters_;
    redis::Instances instances_;
};

}  // namespace belay::app

// What every driver of the shared meters keeps, seen by several instances with a governor each: in
// memory, and in a real Redis.
#include <doctest/doctest.h>

#include <future>
#include <memory>

#include "governance/memory_meters.h"
#include "net/loops.h"
#include "redis/client_testing.h"
#include "redis/meters.h"
#include "redis/redis_server.h"

using namespace belay;
using namespace belay::governance;
using Verdict = SharedAnswer::Verdict;

namespace {

Mono now_mono() { return std::chrono::steady_clock::now(); }
int64_t now_ms() {
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// A request's local and shared reservation.
struct Taken {
    Reservation local;
    std::unique_ptr<SharedHold> hold = std::make_unique<SharedHold>();
    SharedAnswer answer;
};

class Instance {
  public:
    virtual ~Instance() = default;
    [[nodiscard]] virtual SharedMeters& meters() = 0;
    // On the thread that the meters are asked on.
    virtual void run(const std::function<void()>& work) { work(); }

    // As the gateway does: locally first, then together.
    Taken take(const Ask& ask) {
        Taken out;
        auto local = governor.reserve(ask);
        if (!local) {
            out.answer.verdict = Verdict::refused;
            out.answer.refused_by = "here";
            return out;
        }
        out.local = std::move(*local);
        std::promise<SharedAnswer> told;
        run([&] {
            out.hold->term = meters().term();
            out.hold->rows = governor.shared_rows(ask, out.local, out.hold->term);
            meters().take(*out.hold, [&](SharedAnswer a) { told.set_value(std::move(a)); });
        });
        out.answer = told.get_future().get();
        switch (out.answer.verdict) {
            case Verdict::granted:
                governor.adopt(out.hold->rows, out.answer, out.hold->term, now_mono(), &out.local);
                break;
            case Verdict::refused:
                governor.adopt(out.hold->rows, out.answer, out.hold->term, now_mono(), &out.local);
                out.local.undo();
                break;
            case Verdict::away:
                governor.untell(out.local);
                break;
        }
        return out;
    }
    void settle(Taken& taken, int64_t cost, int64_t tokens = 0) {
        taken.local.settle({cost}, tokens, 0);
        run([&] { meters().settle(std::move(taken.hold), {cost, tokens, 0}); });
    }

    Governor governor;
};

// Several instances on one store.
class World {
  public:
    virtual ~World() = default;
    [[nodiscard]] virtual Instance& at(size_t i) = 0;
    virtual void lose_everything() = 0;
    virtual void set_away(bool away) = 0;
    // Until what was settled is in the store.
    virtual void quiesce() {}
    // The instance ends without a word.
    virtual void kill(size_t i) = 0;
    virtual void let_leases_end() = 0;
};

class MemoryWorld final : public World {
  public:
    MemoryWorld() {
        for (size_t i = 0; i < 3; ++i) {
            instances_.push_back(std::make_unique<One>(store_, "i" + std::to_string(i)));
        }
    }
    Instance& at(size_t i) override { return *instances_[i]; }
    void lose_everything() override { store_.forget(); }
    void set_away(bool away) override { store_.set_away(away); }
    void quiesce() override {
        for (auto& one : instances_) {
            one->tell_owed();
        }
    }
    void kill(size_t) override {}
    void let_leases_end() override { skew_ += 61'000; }

  private:
    class One final : public Instance {
      public:
        One(MemoryStore& store, std::string name) : meters_(store, governor, std::move(name), 3) {}
        SharedMeters& meters() override { return meters_; }
        void tell_owed() { meters_.tell_owed(); }

      private:
        MemoryMeters meters_;
    };
    int64_t skew_ = 0;
    MemoryStore store_{[this] { return now_ms() + skew_; }};
    std::vector<std::unique_ptr<One>> instances_;
};

class RedisWorld final : public World {
  public:
    RedisWorld() {
        for (size_t i = 0; i < 3; ++i) {
            instances_.push_back(std::make_unique<One>(server_.address()));
        }
    }
    Instance& at(size_t i) override { return *instances_[i]; }
    void lose_everything() override {
        redis::TestClient client(server_.address());
        REQUIRE(client.ask({"FLUSHALL"}).ok());
    }
    void set_away(bool away) override {
        if (away) {
            server_.stop(SIGKILL);
        } else {
            server_.launch();
        }
        for (auto& one : instances_) {
            one->wait_until(!away);
        }
    }
    void quiesce() override {
        for (auto& one : instances_) {
            one->wait_until_told();
        }
    }
    void kill(size_t i) override { instances_[i]->stop(); }
    void let_leases_end() override {
        // The store's clock is not ours to set: its holds are made to have ended.
        redis::TestClient client(server_.address());
        const redis::Script end(
            "for _, k in ipairs(redis.call('KEYS', '*')) do "
            "if redis.call('TYPE', k).ok == 'zset' and string.find(k, '}:[hs]:') then "
            "for _, m in ipairs(redis.call('ZRANGE', k, 0, -1)) do redis.call('ZADD', k, 1, m) end "
            "redis.call('PERSIST', k) end end return 1");
        REQUIRE(client.run(end, {}, {}).ok());
    }

  private:
    class One final : public Instance {
      public:
        explicit One(const redis::Address& address)
            : meters_({.client = options(address), .calm = milliseconds(100)}, governor,
                      {&loops_[0]}, std::make_shared<net::ClientContext>(net::ClientOptions())) {
            loops_.start();
            loops_.run_on(0, [this] {
                meters_.start_here();
                meters_.set_alive(3);
            });
        }
        ~One() override { stop(); }
        void stop() {
            if (running_) {
                loops_.run_on(0, [this] { meters_.stop_here(); });
                loops_.run_on(0, [] {});
                loops_.stop();
                loops_.join();
                running_ = false;
            }
        }
        SharedMeters& meters() override { return meters_; }
        void run(const std::function<void()>& work) override { loops_.run_on(0, work); }
        void wait_until(bool up) {
            wait([&] { return meters_.parts() == (up ? 1 : 3); });
            if (up) {
                wait_until_told();
            }
        }
        void wait_until_told() {
            wait([&] { return meters_.owed_here() == 0; });
        }

      private:
        static redis::ClientOptions options(const redis::Address& address) {
            auto out = redis::patient(address);
            out.probe = milliseconds(50);
            return out;
        }
        void wait(const std::function<bool()>& done) {
            const Mono until = now_mono() + seconds(20);
            bool is_done = !running_;
            while (!is_done) {
                loops_.run_on(0, [&] { is_done = done(); });
                REQUIRE(now_mono() < until);
            }
        }
        net::Loops loops_{1};
        redis::Meters meters_;
        bool running_ = true;
    };
    redis::RedisServer server_;
    std::vector<std::unique_ptr<One>> instances_;
};

// A key of its own for each test case.
struct Case {
    Caller caller;
    explicit Case(const Limits& limits) {
        static int count = 0;
        Scope scope;
        scope.id = "key-" + std::to_string(++count);
        scope.limits = limits;
        caller.scopes.push_back(std::move(scope));
    }
    [[nodiscard]] Ask ask(int64_t bound, int64_t tokens = 0) const {
        Ask out{.caller = caller, .model = "m", .bound = {bound}};
        out.tokens = tokens;
        out.now_ms = now_ms();
        out.now = now_mono();
        return out;
    }
};

Limits budget(int64_t most) {
    Limits limits;
    limits.budgets.push_back({.most = {most}});
    return limits;
}

}  // namespace

TEST_CASE_TEMPLATE("no budget is exceeded over all instances together", W, MemoryWorld,
                   RedisWorld) {
    W world;
    const Case c(budget(1000));
    std::vector<Taken> running;
    int refused = 0;
    for (size_t i = 0; i < 30; ++i) {
        Taken taken = world.at(i % 3).take(c.ask(100));
        if (taken.answer.verdict == Verdict::granted) {
            running.push_back(std::move(taken));
        } else {
            ++refused;
        }
    }
    CHECK(running.size() == 10);
    CHECK(refused == 20);
    // Settled for less: there is room again, for what is left and no more.
    for (size_t i = 0; i < running.size(); ++i) {
        world.at(i % 3).settle(running[i], 40);
    }
    world.quiesce();
    int64_t spent = 400;
    for (size_t i = 0; i < 30; ++i) {
        Taken taken = world.at(i % 3).take(c.ask(100));
        if (taken.answer.verdict == Verdict::granted) {
            world.at(i % 3).settle(taken, 100);
            spent += 100;
        }
        world.quiesce();
    }
    CHECK(spent == 1000);
    // Each that was asked last knows it.
    for (size_t i = 0; i < 3; ++i) {
        CHECK(world.at(i).governor.standing(ScopeKind::key, c.caller.scopes[0].id).spent.value ==
              1000);
    }
}

TEST_CASE_TEMPLATE("all scopes are taken at once or none", W, MemoryWorld, RedisWorld) {
    W world;
    Case wide(budget(1000));
    Case narrow(budget(150));
    Case both = wide;
    both.caller.scopes.push_back(narrow.caller.scopes[0]);
    Taken first = world.at(0).take(both.ask(100));
    CHECK(first.answer.verdict == Verdict::granted);
    const Taken second = world.at(1).take(both.ask(100));
    REQUIRE(second.answer.verdict == Verdict::refused);
    CHECK(second.hold->rows[second.answer.row].id == narrow.caller.scopes[0].id);
    CHECK(second.answer.refused_by == "budget");
    // The refused one has left nothing in the scope that had room.
    const Taken third = world.at(2).take(wide.ask(900));
    CHECK(third.answer.verdict == Verdict::granted);
}

TEST_CASE_TEMPLATE("a minute holds its requests and tokens over all instances", W, MemoryWorld,
                   RedisWorld) {
    W world;
    Limits limits;
    limits.rpm = 7;
    const Case requests(limits);
    int granted = 0;
    SharedAnswer last;
    for (size_t i = 0; i < 12; ++i) {
        Taken taken = world.at(i % 3).take(requests.ask(0));
        if (taken.answer.verdict == Verdict::granted) {
            ++granted;
            world.at(i % 3).settle(taken, 0);
        } else {
            last = taken.answer;
        }
    }
    CHECK(granted == 7);
    CHECK(last.refused_by == "requests");
    CHECK(last.states[last.row].requests == 7);
    CHECK(last.states[last.row].wait_ms > 0);
    CHECK(last.states[last.row].wait_ms <= 61'000);

    limits.rpm.reset();
    limits.tpm = 1000;
    const Case tokens(limits);
    Taken first = world.at(0).take(tokens.ask(0, 800));
    CHECK(first.answer.verdict == Verdict::granted);
    CHECK(world.at(1).take(tokens.ask(0, 300)).answer.refused_by == "tokens");
    world.at(0).settle(first, 0, 500);  // it took fewer
    world.quiesce();
    CHECK(world.at(1).take(tokens.ask(0, 300)).answer.verdict == Verdict::granted);
}

TEST_CASE_TEMPLATE("slots are counted over all instances, and come back", W, MemoryWorld,
                   RedisWorld) {
    W world;
    Limits limits;
    limits.max_parallel = 2;
    const Case c(limits);
    Taken first = world.at(0).take(c.ask(0));
    Taken second = world.at(1).take(c.ask(0));
    CHECK(first.answer.verdict == Verdict::granted);
    CHECK(second.answer.verdict == Verdict::granted);
    CHECK(world.at(2).take(c.ask(0)).answer.refused_by == "max_parallel_requests");
    world.at(0).settle(first, 0);
    world.quiesce();
    CHECK(world.at(2).take(c.ask(0)).answer.verdict == Verdict::granted);
}

TEST_CASE_TEMPLATE("a store that has lost everything is told what is known, never zero", W,
                   MemoryWorld, RedisWorld) {
    W world;
    Limits limits = budget(1000);
    limits.rpm = 10;
    const Case c(limits);
    for (size_t i = 0; i < 6; ++i) {
        Taken taken = world.at(i % 3).take(c.ask(100));
        REQUIRE(taken.answer.verdict == Verdict::granted);
        world.at(i % 3).settle(taken, 100);
        world.quiesce();
    }
    // Each has asked once more, so each knows of all that was spent.
    for (size_t i = 0; i < 3; ++i) {
        Taken look = world.at(i).take(c.ask(1));
        world.at(i).settle(look, 0);
    }
    world.quiesce();
    world.lose_everything();
    Taken next = world.at(2).take(c.ask(300));
    REQUIRE(next.answer.verdict == Verdict::granted);
    CHECK(next.answer.states[0].spent == 600);
    CHECK(world.at(0).take(c.ask(200)).answer.refused_by == "budget");
    // Nine requests of three instances, and the two since.
    CHECK(world.at(1).take(c.ask(0)).answer.refused_by == "requests");
}

TEST_CASE_TEMPLATE("an instance that begins from the ledger adds nothing that was counted", W,
                   MemoryWorld, RedisWorld) {
    W world;
    const Case c(budget(1000));
    for (size_t i = 0; i < 2; ++i) {
        Taken taken = world.at(i).take(c.ask(200));
        REQUIRE(taken.answer.verdict == Verdict::granted);
        world.at(i).settle(taken, 200);
        world.quiesce();
    }
    // The ledger knows of a settlement that its instance could not tell before it was killed.
    world.at(2).governor.set_spent({{.id = c.caller.scopes[0].id, .amount = {450}}});
    Taken look = world.at(2).take(c.ask(1));
    REQUIRE(look.answer.verdict == Verdict::granted);
    CHECK(look.answer.states[0].spent == 450);
    world.at(2).settle(look, 0);
    world.quiesce();
    CHECK(world.at(0).take(c.ask(1)).answer.states[0].spent == 450);
}

TEST_CASE_TEMPLATE("without the store each goes on with its part, and tells it later", W,
                   MemoryWorld, RedisWorld) {
    W world;
    const Case c(budget(900));
    for (size_t i = 0; i < 3; ++i) {
        Taken taken = world.at(i).take(c.ask(100));
        REQUIRE(taken.answer.verdict == Verdict::granted);
        world.at(i).settle(taken, 100);
        world.quiesce();
    }
    for (size_t i = 0; i < 3; ++i) {
        Taken look = world.at(i).take(c.ask(1));
        world.at(i).settle(look, 0);
    }
    world.quiesce();
    world.set_away(true);
    int64_t spent = 300;
    for (size_t round = 0; round < 5; ++round) {
        for (size_t i = 0; i < 3; ++i) {
            Ask ask = c.ask(100);
            ask.parts = 3;
            Taken taken = world.at(i).take(ask);
            if (taken.answer.verdict == Verdict::away) {
                world.at(i).settle(taken, 100);
                spent += 100;
            }
        }
    }
    CHECK(spent == 900);
    world.set_away(false);
    world.quiesce();
    for (size_t i = 0; i < 3; ++i) {
        Taken over = world.at(i).take(c.ask(1));
        CHECK(over.answer.verdict == Verdict::refused);
    }
    CHECK(world.at(0).governor.standing(ScopeKind::key, c.caller.scopes[0].id).spent.value <= 900);
}

TEST_CASE_TEMPLATE("what a killed instance held ends with its lease", W, MemoryWorld, RedisWorld) {
    W world;
    Limits limits = budget(100);
    limits.max_parallel = 1;
    const Case c(limits);
    const Taken lost = world.at(0).take(c.ask(100));
    REQUIRE(lost.answer.verdict == Verdict::granted);
    CHECK(world.at(1).take(c.ask(100)).answer.refused_by == "budget");
    world.kill(0);
    world.let_leases_end();
    Ask later = c.ask(100);
    later.now += seconds(1);  // what others held is not taken for true that long
    CHECK(world.at(1).take(later).answer.verdict == Verdict::granted);
}

TEST_CASE("a settlement that is told twice counts once") {
    RedisWorld world;
    const Case c(budget(1000));
    Taken taken = world.at(0).take(c.ask(100));
    REQUIRE(taken.answer.verdict == Verdict::granted);
    auto again = std::make_unique<SharedHold>(*taken.hold);
    world.at(0).settle(taken, 70);
    world.quiesce();
    world.at(0).run([&] { world.at(0).meters().settle(std::move(again), {70, 0, 0}); });
    world.quiesce();
    const Taken look = world.at(1).take(c.ask(1));
    CHECK(look.answer.states[0].spent == 70);
    CHECK(look.answer.states[0].reserved == 1);
}

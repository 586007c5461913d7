// What instances tell each other over a real Redis: that they are there, news, cooldowns, and what
// was spent or set.
#include "redis/instances.h"

#include <doctest/doctest.h>

#include <functional>
#include <mutex>

#include "net/loops.h"
#include "redis/client_testing.h"
#include "redis/redis_server.h"

using namespace belay;
using namespace belay::governance;

namespace {

class Member {
  public:
    explicit Member(const redis::Address& address)
        : meters_({.client = options(address)}, governor, {&loops_[0]}, context_),
          instances(meters_, governor, loops_[0], context_, address,
                    {.on_entities = [this] { note("entities"); },
                     .on_cooldown =
                         [this](const redis::Cooldown& c) {
                             note(c.key + " " + c.group + " " + c.cause + " " +
                                  (c.rest > milliseconds(50'000) ? "long" : "over"));
                         }}) {
        governor.share();
        loops_.start();
        loops_.run_on(0, [this] {
            meters_.start_here();
            instances.start();
        });
        until([this] { return instances.joined() > 0; });
    }
    ~Member() {
        loops_.run_on(0, [this] {
            instances.stop();
            meters_.stop_here();
        });
        loops_.run_on(0, [] {});
        loops_.stop();
        loops_.join();
    }

    void until(const std::function<bool()>& done) {
        const Mono end = std::chrono::steady_clock::now() + seconds(20);
        bool is_done = false;
        while (!is_done) {
            loops_.run_on(0, [&] { is_done = done(); });
            REQUIRE(std::chrono::steady_clock::now() < end);
        }
    }
    [[nodiscard]] bool heard(const std::string& what) {
        const std::lock_guard lock(mutex_);
        return std::find(heard_.begin(), heard_.end(), what) != heard_.end();
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        heard_.clear();
    }
    // Takes and settles one request on that scope.
    void spend(const Caller& caller, int64_t cost) {
        const Ask ask{.caller = caller, .model = "m", .bound = {cost}, .now = Mono(seconds(1000))};
        auto local = governor.reserve(ask);
        REQUIRE(local.ok());
        bool told = false;
        auto hold = std::make_unique<SharedHold>();
        loops_.run_on(0, [&] {
            hold->term = meters_.term();
            hold->rows = governor.shared_rows(ask, *local, hold->term);
            meters_.take(*hold, [&](const SharedAnswer& answer) {
                governor.adopt(hold->rows, answer, hold->term, ask.now, &*local);
                told = true;
            });
        });
        until([&] { return told; });
        REQUIRE(hold->taken);
        local->settle({cost}, 0, 0);
        loops_.run_on(0, [&] { meters_.settle(std::move(hold), {cost, 0, 0}); });
        until([&] { return meters_.owed_here() == 0; });
    }

    Governor governor;

  private:
    static redis::ClientOptions options(const redis::Address& address) {
        auto out = redis::patient(address);
        out.probe = milliseconds(50);
        return out;
    }
    void note(std::string what) {
        const std::lock_guard lock(mutex_);
        heard_.push_back(std::move(what));
    }

    std::mutex mutex_;
    std::vector<std::string> heard_;
    std::shared_ptr<net::ClientContext> context_ =
        std::make_shared<net::ClientContext>(net::ClientOptions());
    net::Loops loops_{1};
    redis::Meters meters_;

  public:
    redis::Instances instances;
};

Caller caller_with_budget(int64_t most) {
    Caller caller;
    Scope scope;
    scope.id = "key";
    scope.limits.budgets.push_back({.most = {most}});
    caller.scopes.push_back(std::move(scope));
    return caller;
}

}  // namespace

TEST_CASE("a change of entities is told to the others, and to them alone") {
    redis::RedisServer server;
    Member one(server.address());
    Member other(server.address());
    one.instances.tell_entities();
    other.until([&] { return other.heard("entities"); });
    CHECK_FALSE(one.heard("entities"));
    // Also after the channel was lost.
    server.stop(SIGKILL);
    server.launch();
    const int joined = other.instances.joined();
    other.until([&] { return other.instances.joined() > joined; });
    other.forget();
    one.until([&] {
        one.instances.tell_entities();
        return other.heard("entities");
    });
}

TEST_CASE("a deployment that rests on one rests on the others, until it is lifted") {
    redis::RedisServer server;
    Member one(server.address());
    Member other(server.address());
    one.until([&] {  // lost, as long as there is no connection
        one.instances.tell({.key = "d\nm",
                            .deployment_id = "d",
                            .group = "opus",
                            .model = "m",
                            .cause = "quota_month",
                            .rest = seconds(60)});
        return other.heard("d\nm opus quota_month long");
    });
    // One that joins later hears of it too.
    Member late(server.address());
    late.until([&] { return late.heard("d\nm opus quota_month long"); });
    one.instances.tell({.key = "d\nm", .deployment_id = "d", .group = "opus", .model = "m"});
    other.until([&] { return other.heard("d\nm opus lifted over"); });
    late.until([&] { return late.heard("d\nm opus lifted over"); });
    CHECK_FALSE(one.heard("d\nm opus lifted over"));
}

TEST_CASE("each hears what others have spent, and what an administrator has set") {
    redis::RedisServer server;
    Member one(server.address());
    Member other(server.address());
    const Caller caller = caller_with_budget(1000);
    other.spend(caller, 10);
    one.spend(caller, 300);
    const auto spent = [](Member& member) {
        return member.governor.standing(ScopeKind::key, "key").spent.value;
    };
    other.until([&] { return spent(other) == 310; });
    one.governor.set_spent({{.kind = ScopeKind::key, .id = "key", .amount = {40}}});
    other.until([&] { return spent(other) == 40; });
    CHECK(spent(one) == 40);
    other.spend(caller, 7);
    one.until([&] { return spent(one) == 47; });
}

TEST_CASE("what the ledger knows more of is counted, and what it knows less of stays") {
    redis::RedisServer server;
    Member one(server.address());
    const Caller caller = caller_with_budget(1000);
    one.spend(caller, 300);
    const auto spent = [&] { return one.governor.standing(ScopeKind::key, "key").spent.value; };
    for (const int64_t ledger : {350, 200}) {
        one.instances.raise(one.governor.spent_by_ledger(
            {{.kind = ScopeKind::key, .id = "key", .amount = {ledger}},
             {.kind = ScopeKind::key, .id = "never shared", .amount = {7}}}));
        one.until([&] { return spent() == 350; });
    }
    one.spend(caller, 10);
    CHECK(spent() == 360);
}

// What holds for every table and every sequence of outcomes. One seed is one world; a failure
// prints its seed.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "routing/test_world.h"

namespace belay::routing {
namespace {

using namespace test;  // NOLINT

constexpr int kWorlds = 4000;
constexpr int kAttemptCap = 20;

class Dice {
  public:
    explicit Dice(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
    uint64_t roll() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }
    int below(int n) { return static_cast<int>(roll() % static_cast<uint64_t>(n)); }
    bool chance(int percent) { return below(100) < percent; }
    double unit() { return static_cast<double>(roll() >> 11) / 9007199254740992.0; }

  private:
    uint64_t state_;
};

std::string name(int n) { return std::string(1, static_cast<char>('a' + n)); }

struct World {
    Dice dice;
    TableMaker maker;
    int groups;

    explicit World(uint64_t seed) : dice(seed), groups(1 + dice.below(6)) {
        for (int g = 0; g < groups; ++g) {
            for (int d = 1 + dice.below(3); d > 0; --d) {
                add_deployment(g);
            }
        }
        for (int g = 0; g < groups; ++g) {
            if (dice.chance(60)) {
                maker.table->fallbacks[name(g)] = some_targets();
            }
        }
        if (dice.chance(30)) {
            maker.table->fallbacks["*"] = some_targets();
        }
        Settings& settings = maker.table->settings;
        settings.num_retries = dice.below(4);
        settings.max_fallbacks = dice.below(8);
        settings.disable_cooldowns = dice.chance(10);
        if (dice.chance(20)) {
            settings.allowed_fails = dice.below(3);
        }
    }

    void add_deployment(int g) {
        Deployment& row = maker.add(name(g), dice.chance(70) ? name(g) : name(dice.below(8)));
        row.provider = dice.chance(70) ? "github_copilot" : "openai";
        row.order = dice.below(3);
        if (dice.chance(30)) {
            row.api_key = Secret("key-" + std::to_string(dice.below(3)) + "-of-somebody");
        }
        if (dice.chance(30)) {
            row.capabilities.max_input_tokens = 1000 << dice.below(8);
        }
        if (dice.chance(20)) {
            row.capabilities.tools = dice.chance(50);
        }
        if (dice.chance(15)) {
            row.fallbacks = some_targets();
        }
    }

    std::vector<FallbackTarget> some_targets() {
        std::vector<FallbackTarget> out;
        for (int n = dice.below(4); n > 0; --n) {
            out.push_back(to(name(dice.below(groups + 1))));  // the last one does not exist
        }
        return out;
    }

    Query some_query() {
        Query query = Walk::query_for(name(dice.below(groups)));
        query.needs_tools = dice.chance(20);
        query.prompt_tokens_estimate = dice.chance(20) ? 100'000 : 100;
        query.disable_fallbacks = dice.chance(15);
        if (dice.chance(20)) {
            query.fallbacks = some_targets();
        }
        if (dice.chance(20)) {
            query.num_retries = dice.below(60);
        }
        return query;
    }

    // Any outcome; `general` leaves out what reads another list or stops.
    Outcome some_outcome(int serial, bool general) {
        static const std::vector<Cause> general_causes = {
            Cause::quota_month,       Cause::quota_session, Cause::rate_limited,
            Cause::overloaded,        Cause::server_error,  Cause::timeout,
            Cause::connection,        Cause::malformed,     Cause::auth,
            Cause::forbidden,         Cause::not_found,     Cause::token_expired,
            Cause::model_unavailable, Cause::wrong_host,    Cause::wrong_endpoint,
            Cause::bad_parameter,     Cause::api_version,   Cause::vision_header};
        const Cause cause =
            general ? general_causes[static_cast<size_t>(
                          dice.below(static_cast<int>(general_causes.size())))]
                    : static_cast<Cause>(1 + dice.below(static_cast<int>(Cause::cancelled)));
        Outcome out = failed(cause, 400 + dice.below(200), "<" + std::to_string(serial) + ">");
        out.param = "p" + std::to_string(dice.below(8));
        if (dice.chance(40)) {
            out.retry_after = seconds(dice.below(1000));
        }
        if (dice.chance(30)) {
            out.resets_at = kWall + seconds(dice.below(1'000'000) - 1000);
        }
        return out;
    }
};

// The whole life of one request, with what was seen on the way.
struct Life {
    std::vector<Step> steps;
    std::vector<Outcome> outcomes;
    Step end;
};

Life live(World& world, Walk& walk, int success_percent, bool general) {
    Life life;
    for (Step step = walk.step();; step = walk.step()) {
        walk.random = world.dice.unit();
        if (step.action != Action::attempt) {
            life.end = step;
            return life;
        }
        life.steps.push_back(step);
        REQUIRE(life.steps.size() <= kAttemptCap);
        Outcome out = world.dice.chance(success_percent)
                          ? failed(Cause::success, 200)
                          : world.some_outcome(static_cast<int>(life.outcomes.size()), general);
        life.outcomes.push_back(out);
        walk.pass(milliseconds(world.dice.below(3000)));
        walk.tell(out);
    }
}

bool same_place(const Step& a, const Step& b) {
    return a.deployment->provider == b.deployment->provider &&
           a.deployment->api_base == b.deployment->api_base &&
           a.deployment->api_key.reveal() == b.deployment->api_key.reveal() &&
           a.upstream_model == b.upstream_model;
}

bool is_quota_cause(Cause cause) {
    return cause == Cause::quota_month || cause == Cause::quota_session ||
           cause == Cause::quota_week || cause == Cause::quota_budget;
}

TEST_CASE(
    "every request ends within 20 attempts, tells one error, and repeats it when asked again") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        Health health;
        for (int request = 0; request < 3; ++request) {
            Walk walk(world.maker, world.some_query(), &health);
            walk.pass(seconds(10 * request));
            const Life life = live(world, walk, 20, false);
            CHECK(life.end.action == Action::stop);
            CHECK_FALSE(life.end.error.message.empty());
            CHECK(life.end.error.retry_after.value_or(seconds(0)).count() >= 0);
            CHECK(walk.step().error == life.end.error);
            CHECK(outcomes(*walk.p).size() == life.steps.size());
            CHECK(attempted_fallbacks(*walk.p) >= 0);
        }
    }
}

TEST_CASE("after a quota the same model of the same account is never asked again in that request") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        Walk walk(world.maker, world.some_query());
        const Life life = live(world, walk, 5, false);
        for (size_t i = 0; i < life.steps.size(); ++i) {
            for (size_t j = i + 1; j < life.steps.size() && is_quota_cause(life.outcomes[i].cause);
                 ++j) {
                CHECK_FALSE(same_place(life.steps[i], life.steps[j]));
            }
        }
    }
}

TEST_CASE("groups are tried in the order that chain() declares") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        world.maker.table->settings.max_fallbacks = 100;
        const std::string asked = name(world.dice.below(world.groups));
        std::vector<std::string> declared = chain(*world.maker.table, asked);
        declared.insert(declared.begin(), asked);
        Walk walk(world.maker, asked.c_str());
        const Life life = live(world, walk, 5, true);
        size_t at = 0;
        for (const Step& step : life.steps) {
            if (step.probe) {
                continue;
            }
            while (at < declared.size() && declared[at] != step.group) {
                ++at;
            }
            REQUIRE(at < declared.size());
        }
    }
}

TEST_CASE(
    "with every attempt failing generally, the whole declared chain is tried or passed over") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        world.maker.table->settings.max_fallbacks = 100;
        const std::string asked = name(world.dice.below(world.groups));
        Walk walk(world.maker, asked.c_str());
        const Life life = live(world, walk, 0, true);
        std::set<std::string> seen;
        for (const Considered& row : considered(*walk.p)) {
            seen.insert(row.group);
        }
        if (life.steps.size() < kAttemptCap) {
            for (const std::string& group : chain(*world.maker.table, asked)) {
                CHECK_MESSAGE(seen.count(group) == 1, group);
            }
        }
    }
}

TEST_CASE("the error shown is that of the first group that was asked") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        Walk walk(world.maker, world.some_query());
        const Life life = live(world, walk, 0, true);
        if (life.steps.empty()) {
            continue;
        }
        const std::string& group = life.steps[0].group;
        std::string expected;
        for (size_t i = 0; i < life.steps.size() && life.steps[i].group == group; ++i) {
            expected = life.outcomes[i].message;
        }
        CHECK(life.end.error.message.rfind(expected, 0) == 0);
    }
}

TEST_CASE("a cooling target is not tried, but as a probe or to correct what it has just said") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        Health health;
        for (int request = 0; request < 6; ++request) {
            Walk walk(world.maker, world.some_query(), &health);
            walk.pass(seconds(3 * request));
            const Deployment* before = nullptr;
            for (;;) {
                std::set<const Deployment*> cooling;
                for (const auto& deployment : world.maker.table->deployments) {
                    if (health.look(*deployment, walk.mono).cooling) {
                        cooling.insert(deployment.get());
                    }
                }
                const Step step = walk.step();
                if (step.action != Action::attempt) {
                    break;
                }
                CHECK((step.probe || step.deployment.get() == before ||
                       cooling.count(step.deployment.get()) == 0));
                before = step.deployment.get();
                walk.tell(world.some_outcome(0, false));
            }
        }
    }
}

TEST_CASE("with fallbacks disabled nothing but the asked group is tried") {
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        Query query = world.some_query();
        query.disable_fallbacks = true;
        const std::string asked = query.model;
        Walk walk(world.maker, std::move(query));
        for (const Step& step : live(world, walk, 10, false).steps) {
            CHECK(step.group == asked);
            CHECK(step.fallback_depth == 0);
        }
    }
}

TEST_CASE("same table, same outcomes, same random numbers: same steps") {
    for (uint64_t seed = 1; seed <= 500; ++seed) {
        CAPTURE(seed);
        std::vector<std::string> told[2];
        for (auto& lines : told) {
            World world(seed);
            Walk walk(world.maker, world.some_query());
            for (const Step& step : live(world, walk, 10, false).steps) {
                lines.push_back(step.deployment->id + "/" + std::to_string(step.delay.count()));
            }
        }
        CHECK(told[0] == told[1]);
    }
}

TEST_CASE("a storm on one target costs few attempts: 30 % failures stay below 1.5 per request") {
    Dice dice(7);
    Health health;
    const TableMaker maker = TableMaker::chained({"a", "b", "c"});
    int attempts = 0;
    constexpr int kRequests = 2000;
    for (int request = 0; request < kRequests; ++request) {
        Walk walk(maker, "a", &health);
        walk.pass(milliseconds(100) * request);
        for (Step step = walk.step(); step.action == Action::attempt; step = walk.step()) {
            ++attempts;
            walk.tell(dice.chance(30) ? failed(Cause::server_error, 500)
                                      : failed(Cause::success, 200));
        }
    }
    CHECK(attempts < kRequests * 3 / 2);
}

}  // namespace
}  // namespace belay::routing

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "routing/test_world.h"

namespace belay::routing {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using test::failed;
using test::kMono;
using test::kWall;

struct Ward {
    Deployment deployment;
    Settings settings;
    Health health;
    size_t places = 2;

    Ward() {
        deployment.id = "d";
        deployment.group = "g";
        deployment.model = "m";
    }
    void report(const Outcome& outcome, Mono::duration at = {}) {
        health.report(deployment, outcome, settings, places, kMono + at,
                      kWall + std::chrono::duration_cast<Wall::duration>(at));
    }
    [[nodiscard]] bool cools(Mono::duration at = {}) const {
        return health.look(deployment, kMono + at).cooling;
    }
    // How long it cools from `at` on, by its own word.
    [[nodiscard]] seconds rest(Mono::duration at = {}) const {
        const auto state = health.look(deployment, kMono + at);
        return state.cooling ? std::chrono::ceil<seconds>(state.until - (kMono + at)) : seconds(0);
    }
};

TEST_CASE("nothing cools before something failed") {
    const Ward ward;
    CHECK_FALSE(ward.cools());
    CHECK(ward.health.rows(kMono).empty());
}

TEST_CASE("one person's empty seat rests for that person alone") {
    Ward ward;
    ward.health.report(ward.deployment, failed(Cause::quota_month, 402), ward.settings, 2, kMono,
                       kWall, "m", "acct-a");
    const auto cools = [&](std::string_view seat) {
        return ward.health.look(ward.deployment, kMono, "m", seat).cooling;
    };
    CHECK(cools("acct-a"));
    CHECK_FALSE(cools("acct-b"));
    CHECK_FALSE(cools(""));
    CHECK(ward.health.rows(kMono).at(0).seat == "acct-a");
    ward.report(failed(Cause::quota_month, 402));
    CHECK_FALSE(cools("acct-b"));
}

TEST_CASE("a quota cools until its reset, within a minute and 31 days; unstated, five minutes") {
    struct Row {
        std::optional<int64_t> resets_in, retry_after;
        int64_t rest;
    };
    const Row rows[] = {
        {3600, {}, 3600},
        {3600, 5, 3600},
        {{}, 7200, 7200},
        {{}, {}, 300},
        {1, {}, 60},
        {-500, {}, 60},
        {86400 * 40, {}, 86400 * 31},
        {{}, 86400 * 365, 86400 * 31},
        {{}, 0, 60},
    };
    for (const Cause cause :
         {Cause::quota_month, Cause::quota_session, Cause::quota_week, Cause::quota_budget}) {
        for (const Row& row : rows) {
            for (const size_t places : {size_t{1}, size_t{2}}) {
                Ward ward;
                ward.places = places;
                Outcome out = failed(cause, 402);
                if (row.resets_in) {
                    out.resets_at = kWall + seconds(*row.resets_in);
                }
                if (row.retry_after) {
                    out.retry_after = seconds(*row.retry_after);
                }
                ward.report(out);
                CHECK(ward.rest() == seconds(row.rest));
            }
        }
    }
}

TEST_CASE("each cause cools at once, by rate, or never") {
    struct Row {
        Cause cause;
        int64_t rest_with_others;  // after one failure; 0 = does not cool
        int64_t rest_alone;
    };
    const Row rows[] = {
        {Cause::rate_limited, 5, 0},    {Cause::not_found, 5, 5},
        {Cause::auth, 60, 60},          {Cause::token_expired, 60, 60},
        {Cause::forbidden, 60, 60},     {Cause::model_unavailable, 600, 600},
        {Cause::server_error, 0, 0},    {Cause::overloaded, 0, 0},
        {Cause::timeout, 0, 0},         {Cause::connection, 0, 0},
        {Cause::malformed, 0, 0},       {Cause::bad_request, 0, 0},
        {Cause::content_refused, 0, 0}, {Cause::context_too_long, 0, 0},
        {Cause::too_large, 0, 0},       {Cause::cancelled, 0, 0},
        {Cause::bad_parameter, 0, 0},   {Cause::success, 0, 0},
    };
    for (const Row& row : rows) {
        for (const bool alone : {false, true}) {
            Ward ward;
            ward.places = alone ? 1 : 2;
            ward.report(failed(row.cause));
            CHECK_MESSAGE(ward.rest() == seconds(alone ? row.rest_alone : row.rest_with_others),
                          cause_name(row.cause), alone);
        }
    }
}

TEST_CASE(
    "a stated Retry-After is the cooldown, from a second to an hour, even for the only target") {
    for (const auto& [stated, rest] : {std::pair{1, 1}, {45, 45}, {86400, 3600}}) {
        Ward ward;
        ward.places = 1;
        Outcome out = failed(Cause::rate_limited, 429);
        out.retry_after = seconds(stated);
        ward.report(out);
        CHECK(ward.rest() == seconds(rest));
    }
}

TEST_CASE("more than half of at least five requests in a minute must fail before a target cools") {
    for (const Cause cause : {Cause::server_error, Cause::overloaded, Cause::timeout,
                              Cause::connection, Cause::malformed}) {
        Ward ward;
        for (int i = 0; i < 4; ++i) {
            ward.report(failed(cause, 500));
            CHECK_FALSE(ward.cools());
        }
        ward.report(failed(cause, 500));
        CHECK(ward.rest() == seconds(5));
    }
    SUBCASE("half is not more than half") {
        Ward ward;
        for (int i = 0; i < 20; ++i) {
            ward.report(failed(Cause::server_error, 500));
            ward.report(failed(Cause::success, 200));
            CHECK_FALSE(ward.cools());
        }
    }
    SUBCASE("a new minute forgets") {
        Ward ward;
        for (int i = 0; i < 40; ++i) {
            ward.report(failed(Cause::server_error, 500), seconds(20) * i);
            CHECK_FALSE(ward.cools(seconds(20) * i));
        }
    }
    SUBCASE("the only target cools after a thousand failures and no success") {
        Ward ward;
        ward.places = 1;
        for (int i = 0; i < 999; ++i) {
            ward.report(failed(Cause::server_error, 500));
        }
        CHECK_FALSE(ward.cools());
        ward.report(failed(Cause::server_error, 500));
        CHECK(ward.cools());
    }
}

TEST_CASE("allowed_fails replaces the rules by a counter, except for a quota") {
    Ward ward;
    ward.settings.allowed_fails = 2;
    ward.report(failed(Cause::rate_limited, 429));
    ward.report(failed(Cause::server_error, 500));
    CHECK_FALSE(ward.cools());
    ward.report(failed(Cause::server_error, 500));
    CHECK(ward.cools());
    Ward other;
    other.settings.allowed_fails = 100;
    other.report(failed(Cause::quota_month, 402));
    CHECK(other.cools());
}

TEST_CASE("cooldowns can be turned off, for all or for one deployment") {
    Ward off;
    off.settings.disable_cooldowns = true;
    Ward zero;
    zero.settings.cooldown_time = Seconds(0);
    Ward own;
    own.deployment.cooldown_time = Seconds(0);
    for (Ward* ward : {&off, &zero, &own}) {
        for (const Cause cause : {Cause::quota_month, Cause::rate_limited, Cause::auth}) {
            ward->report(failed(cause));
            CHECK_FALSE(ward->cools());
        }
    }
}

TEST_CASE("a deployment's own cooldown time beats the router's") {
    Ward ward;
    ward.settings.cooldown_time = Seconds(7);
    ward.deployment.cooldown_time = Seconds(33);
    ward.report(failed(Cause::rate_limited, 429));
    CHECK(ward.rest() == seconds(33));
}

TEST_CASE("after its time one caller probes; success ends it, failure cools it for longer") {
    Ward ward;
    ward.report(failed(Cause::rate_limited, 429));
    const auto over = seconds(6);
    CHECK_FALSE(ward.cools(over));
    REQUIRE(ward.health.claim_probe(ward.deployment, kMono + over));
    CHECK(ward.cools(over));  // for everybody else
    CHECK_FALSE(ward.health.claim_probe(ward.deployment, kMono + over));
    SUBCASE("success") {
        ward.report(failed(Cause::success, 200), over);
        CHECK_FALSE(ward.cools(over));
        CHECK(ward.health.claim_probe(ward.deployment, kMono + over));
        CHECK(ward.health.claim_probe(ward.deployment, kMono + over));
        ward.report(failed(Cause::server_error, 500), over);
        CHECK_FALSE(ward.cools(over));
    }
    SUBCASE("failure, of any kind") {
        ward.report(failed(Cause::server_error, 500), over);
        CHECK(ward.rest(over) == seconds(10));
        ward.report(failed(Cause::server_error, 500), seconds(17));
        CHECK(ward.rest(seconds(17)) == seconds(15));
    }
    SUBCASE("an outcome that proves nothing gives the probe back") {
        ward.report(failed(Cause::cancelled), over);
        CHECK_FALSE(ward.cools(over));
        CHECK(ward.health.claim_probe(ward.deployment, kMono + over));
    }
    SUBCASE("a probe that never reports blocks for ten seconds only") {
        CHECK(ward.cools(over + seconds(9)));
        CHECK_FALSE(ward.cools(over + seconds(10)));
        CHECK(ward.health.claim_probe(ward.deployment, kMono + over + seconds(10)));
    }
}

TEST_CASE("repeated refusals of a credential rest longer each time, up to ten minutes") {
    Ward ward;
    Mono::duration at{};
    for (const int64_t rest : {60, 120, 240, 480, 600, 600}) {
        ward.report(failed(Cause::auth, 401), at);
        CHECK(ward.rest(at) == seconds(rest));
        at += seconds(rest + 1);
    }
}

TEST_CASE("a transient fault does not shorten a quota's rest") {
    Ward ward;
    Outcome quota = failed(Cause::quota_month, 402);
    quota.resets_at = kWall + hours(24 * 20);
    ward.report(quota);
    ward.report(failed(Cause::rate_limited, 429));
    CHECK(ward.rest() == hours(24 * 20));
    CHECK(ward.health.look(ward.deployment, kMono).cause == Cause::quota_month);
}

TEST_CASE("models behind one wildcard deployment cool apart; a plain deployment is one target") {
    Ward ward;
    ward.deployment.model = "*";
    ward.health.report(ward.deployment, failed(Cause::quota_month, 402), ward.settings, 2, kMono,
                       kWall, "opus");
    CHECK(ward.health.look(ward.deployment, kMono, "opus").cooling);
    CHECK_FALSE(ward.health.look(ward.deployment, kMono, "gpt-5-mini").cooling);
    const auto rows = ward.health.rows(kMono);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].deployment_id == "d");
    CHECK(rows[0].group == "g");
    CHECK(rows[0].model == "opus");
    CHECK(rows[0].cause == Cause::quota_month);
    CHECK(rows[0].until == kMono + minutes(5));
}

TEST_CASE("clear() forgets everything") {
    Ward ward;
    ward.report(failed(Cause::quota_month, 402));
    ward.health.clear();
    CHECK_FALSE(ward.cools());
    CHECK(ward.health.rows(kMono).empty());
}

TEST_CASE("rows stay bounded however many targets fail") {
    Ward ward;
    for (int i = 0; i < 6000; ++i) {
        ward.deployment.id = "d" + std::to_string(i);
        ward.report(failed(Cause::quota_month, 402));
    }
    CHECK(ward.health.rows(kMono).size() <= 4096);
}

TEST_CASE("the retry budget starts with ten, pays one per retry and earns a fifth per request") {
    Health health;
    int taken = 0;
    while (health.take_retry()) {
        ++taken;
    }
    CHECK(taken == 10);
    for (int i = 0; i < 4; ++i) {
        health.admit_request();
        CHECK_FALSE(health.take_retry());
    }
    health.admit_request();
    CHECK(health.take_retry());
    for (int i = 0; i < 100'000; ++i) {
        health.admit_request();
    }
    taken = 0;
    while (health.take_retry()) {
        ++taken;
    }
    CHECK(taken == 100);
}

TEST_CASE("of many threads that meet a target after its rest, exactly one probes") {
    Ward ward;
    ward.report(failed(Cause::rate_limited, 429));
    std::atomic<int> probes{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i) {
                probes += ward.health.claim_probe(ward.deployment, kMono + seconds(6)) ? 1 : 0;
                (void)ward.health.look(ward.deployment, kMono + seconds(6));
                (void)ward.health.rows(kMono);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(probes == 1);
}

}  // namespace
}  // namespace belay::routing

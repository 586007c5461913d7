#include "routing/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "routing/test_world.h"

namespace belay::routing {
namespace {

using namespace test;  // NOLINT: a test reads better without the prefix
using std::chrono::hours;

const auto kQuotas = {Cause::quota_month, Cause::quota_session, Cause::quota_week,
                      Cause::quota_budget};
const auto kTransient = {Cause::server_error, Cause::overloaded, Cause::connection,
                         Cause::malformed};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::string verdict(const Walk& walk, std::string_view group) {
    std::string last;
    for (const Considered& row : considered(*walk.p)) {
        last = row.group == group ? row.verdict : last;
    }
    return last;
}

// --- the plain way -----------------------------------------------------------------------------

TEST_CASE("the asked model is tried first, and a success ends the plan") {
    Walk walk(TableMaker::chained({"opus", "gemini", "mini"}), "opus");
    const Step step = walk.step();
    CHECK(step.action == Action::attempt);
    CHECK(step.upstream_model == "opus");
    CHECK(step.group == "opus");
    CHECK(step.fallback_depth == 0);
    CHECK(step.delay == milliseconds(0));
    CHECK(step.overrides == nullptr);
    walk.tell(failed(Cause::success, 200));
    CHECK(attempted_fallbacks(*walk.p) == 0);
    CHECK(attempted_retries(*walk.p) == 0);
    CHECK(max_retries(*walk.p) == 2);
    CHECK(outcomes(*walk.p).size() == 1);
    CHECK(verdict(walk, "opus") == "taken");
    CHECK(walk.step().action == Action::stop);
}

// --- what a caller may not use ------------------------------------------------------------------

TEST_CASE(
    "with Copilot closed to a caller the chain's other models serve, else the reason is told") {
    auto rules = std::make_shared<Restrictions>();
    Error why = gateway_error(Kind::budget_exhausted, "the last credits are kept");
    why.code = "copilot_floor_reached";
    rules->closed_seat = std::make_shared<const Error>(why);
    Query query = Walk::query_for("opus");
    query.restrictions = rules;
    TableMaker maker = TableMaker::chained({"opus", "gemini", "local"});
    maker.table->deployments[2] = [&] {
        auto local = std::make_shared<Deployment>(*maker.table->deployments[2]);
        local->provider = "openai";
        return local;
    }();
    Walk walk(maker, query);
    CHECK(walk.step().group == "local");
    CHECK(verdict(walk, "opus") == "the last credits are kept");
    CHECK(verdict(walk, "gemini") == "the last credits are kept");

    Walk none(TableMaker::chained({"opus", "gemini"}), query);
    const Step stop = none.step();
    REQUIRE(stop.action == Action::stop);
    CHECK(stop.error.kind == Kind::budget_exhausted);
    CHECK(stop.error.code == "copilot_floor_reached");
    CHECK(none.health.rows(kMono).empty());
}

TEST_CASE("a person's quota is told against their seat, and their next request knows it") {
    Health shared;
    Query query = Walk::query_for("opus");
    auto rules = std::make_shared<Restrictions>();
    rules->seat = "acct-a";
    query.restrictions = rules;
    const TableMaker maker = TableMaker::chained({"opus", "mini"});
    Walk first(maker, query, &shared);
    CHECK(first.step().group == "opus");
    CHECK(first.after(Cause::quota_month, 402).group == "mini");
    Walk again(maker, query, &shared);
    CHECK(again.step().group == "mini");
    Walk other(maker, "opus", &shared);
    CHECK(other.step().group == "opus");
}

TEST_CASE("what is excluded after planning is passed over, in the asked group and behind it") {
    const auto no_opus = [](const Deployment& deployment, std::string_view) {
        return deployment.group == "opus" ? std::string("no price") : std::string();
    };
    Walk asked(TableMaker::chained({"opus", "gemini"}), "opus");
    exclude(*asked.p, no_opus, false);
    CHECK(asked.step().group == "gemini");
    CHECK(verdict(asked, "opus") == "no price");
    Walk behind(TableMaker::chained({"gemini", "opus", "mini"}), "gemini");
    exclude(*behind.p, no_opus, true);
    CHECK(behind.step().group == "gemini");
    CHECK(behind.after(Cause::quota_month, 402).group == "mini");
}

TEST_CASE("an unknown model is refused in LiteLLM's words, naming the route") {
    const TableMaker maker = TableMaker::chained({"opus"});
    for (const auto& [mode, path] : {std::pair{Mode::chat, "/chat/completions"},
                                     {Mode::embedding, "/embeddings"},
                                     {Mode::completion, "/completions"},
                                     {Mode::responses, "/responses"}}) {
        Query query = Walk::query_for("nobody");
        query.mode = mode;
        const auto made = plan(maker.table, query);
        REQUIRE_FALSE(made.ok());
        CHECK(made.error().kind == Kind::invalid_request);
        CHECK(made.error().origin == Origin::caller);
        CHECK(made.error().param == "model");
        CHECK(made.error().message ==
              std::string(path) +
                  ": Invalid model name passed in model=nobody. Call `/v1/models` "
                  "to view available models for your key.");
    }
}

// --- quota: the heart --------------------------------------------------------------------------

TEST_CASE(
    "every quota moves straight down the chain, in order, and cools the model until its reset") {
    for (const Cause cause : kQuotas) {
        Health health;
        const TableMaker maker = TableMaker::chained({"opus", "gemini", "mini"});
        Walk walk(maker, "opus", &health);
        CHECK(walk.step().upstream_model == "opus");
        Outcome quota = failed(cause, 402);
        quota.resets_at = kWall + hours(48);
        const Step second = walk.after(quota);
        CHECK(second.upstream_model == "gemini");
        CHECK(second.group == "gemini");
        CHECK(second.fallback_depth == 1);
        CHECK(second.delay == milliseconds(0));
        CHECK(walk.after(quota).upstream_model == "mini");
        walk.tell(failed(Cause::success, 200));
        CHECK(attempted_fallbacks(*walk.p) == 2);
        CHECK(attempted_retries(*walk.p) == 0);
        // The next request goes to what is left at once, and says why.
        Walk later(maker, "opus", &health);
        CHECK(later.step().upstream_model == "mini");
        CHECK(verdict(later, "opus") ==
              "cooling: " + std::string(cause_name(cause)) + " until 2026-09-12T12:00:00.000Z");
        CHECK(later.after(Cause::success).action == Action::stop);
        CHECK(attempted_fallbacks(*later.p) == 2);
    }
}

TEST_CASE("a model out of quota is not asked again under another name") {
    TableMaker maker = TableMaker::chained({"opus", "best", "mini"});
    maker.table->deployments[1] = [&] {
        auto same = std::make_shared<Deployment>(*maker.table->deployments[1]);
        same->model = "opus";
        return same;
    }();
    Walk walk(maker, "opus");
    (void)walk.step();
    CHECK(walk.after(Cause::quota_month, 402).upstream_model == "mini");
    CHECK(verdict(walk, "best") == "same target: quota_month");
}

TEST_CASE("the same model of another account is another target") {
    TableMaker maker = TableMaker::chained({"opus"});
    maker.add("opus").api_key = Secret("another");
    Walk walk(maker, "opus");
    const std::string first = walk.step().deployment->id;
    const Step second = walk.after(Cause::quota_month, 402);
    CHECK(second.action == Action::attempt);
    CHECK(second.deployment->id != first);
    CHECK(attempted_retries(*walk.p) == 0);
}

TEST_CASE("with the whole chain out of quota the client hears of the first, and the least wait") {
    Walk walk(TableMaker::chained({"opus", "gemini", "mini"}), "opus");
    (void)walk.step();
    Outcome first = failed(Cause::quota_month, 402, "You have no quota");
    first.resets_at = kWall + hours(24 * 20);
    Outcome second = failed(Cause::quota_session, 402, "session over");
    second.resets_at = kWall + hours(3);
    Outcome third = failed(Cause::rate_limited, 429, "slow down");
    third.retry_after = seconds(90);
    (void)walk.after(first);
    (void)walk.after(second);
    const Step end = walk.after(third);
    REQUIRE(end.action == Action::stop);
    CHECK(end.error.kind == Kind::rate_limited);
    CHECK(end.error.code == "insufficient_quota");
    CHECK(end.error.upstream_status == 402);
    CHECK(end.error.retry_after == seconds(90));
    CHECK(end.error.message ==
          "You have no quota. Received Model Group=opus\nAvailable Model Group "
          "Fallbacks=['gemini', 'mini']\nError doing the fallback: slow down");
    // And the next one is told before anything is sent.
    Walk later(TableMaker::chained({"opus", "gemini", "mini"}), "opus", &walk.health);
    const Step probe = later.step();  // mini's rate limit may be over: the one probe
    CHECK(probe.probe);
    CHECK(probe.upstream_model == "mini");
    Walk third_client(TableMaker::chained({"opus", "gemini", "mini"}), "opus", &walk.health);
    const Step refused = third_client.step();
    REQUIRE(refused.action == Action::stop);
    CHECK(refused.error.kind == Kind::rate_limited);
    CHECK(refused.error.origin == Origin::gateway);
    CHECK(refused.error.retry_after == seconds(90));
    CHECK(has(refused.error.message,
              "No deployments available for selected model, Try again in 90 seconds. Passed "
              "model=opus. pre-call-checks=False, cooldown_list=['id-0', 'id-1', 'id-2']"));
}

TEST_CASE("an only model out of quota is refused at once with its own wait") {
    Health health;
    const TableMaker maker = TableMaker::chained({"opus"});
    Walk walk(maker, "opus", &health);
    (void)walk.step();
    Outcome quota = failed(Cause::quota_month, 402);
    quota.resets_at = kWall + hours(1);
    CHECK(walk.after(quota).error.retry_after == seconds(3600));
    Walk later(maker, "opus", &health);
    later.pass(std::chrono::minutes(10));
    const Step step = later.step();
    REQUIRE(step.action == Action::stop);
    CHECK(step.error.retry_after == seconds(3000));
    Walk after_reset(maker, "opus", &health);
    after_reset.pass(hours(1));
    CHECK(after_reset.step().action == Action::attempt);
}

// --- transient faults --------------------------------------------------------------------------

TEST_CASE(
    "a transient fault is tried again num_retries times with a short random wait, then falls") {
    for (const Cause cause : kTransient) {
        for (const double random : {0.0, 0.5, 0.999}) {
            Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
            walk.random = random;
            (void)walk.step();
            for (int retry = 1; retry <= 2; ++retry) {
                const Step step = walk.after(cause, 503);
                CHECK(step.upstream_model == "opus");
                CHECK(step.retry == retry);
                CHECK(step.delay >= milliseconds(50));
                CHECK(step.delay <= milliseconds(2000));
                CHECK(attempted_retries(*walk.p) == retry);
            }
            const Step fallen = walk.after(cause, 500);
            CHECK(fallen.upstream_model == "mini");
            CHECK(fallen.retry == 0);
            CHECK(fallen.delay == milliseconds(0));
            walk.tell(failed(Cause::success, 200));
            CHECK(attempted_retries(*walk.p) == 0);  // of the group that served
        }
    }
}

TEST_CASE("num_retries: the request's, else the deployment's, else the router's") {
    const auto tries = [](std::optional<int> request, std::optional<int> deployment, int router) {
        TableMaker maker = TableMaker::chained({"m"});
        maker.table->settings.num_retries = router;
        auto row = std::make_shared<Deployment>(*maker.table->deployments[0]);
        row->num_retries = deployment;
        maker.table->deployments[0] = row;
        Query query = Walk::query_for("m");
        query.num_retries = request;
        Walk walk(maker, query);
        int count = 0;
        for (Step step = walk.step(); step.action == Action::attempt;
             step = walk.after(Cause::server_error, 500)) {
            ++count;
        }
        return count - 1;
    };
    CHECK(tries({}, {}, 0) == 0);
    CHECK(tries({}, {}, 3) == 3);
    CHECK(tries({}, 1, 3) == 1);
    CHECK(tries(4, 1, 3) == 4);
    CHECK(tries(0, 1, 3) == 0);
    CHECK(tries(-1, {}, 3) == 0);
    CHECK(tries(50, {}, 3) == 19);  // the bound of one request: 20 attempts
}

TEST_CASE("a rate limit moves on at once where it can, and waits as told where it cannot") {
    SUBCASE("a fallback is ready") {
        Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
        (void)walk.step();
        CHECK(walk.after(Cause::rate_limited, 429).upstream_model == "mini");
    }
    SUBCASE("nothing else: a short stated wait is sat out") {
        Walk walk(TableMaker::chained({"opus"}), "opus");
        (void)walk.step();
        Outcome limited = failed(Cause::rate_limited, 429);
        limited.retry_after = seconds(3);
        const Step step = walk.after(limited);
        CHECK(step.action == Action::attempt);
        CHECK(step.delay == milliseconds(3000));
    }
    SUBCASE("nothing else: a long one is passed on to the client") {
        Walk walk(TableMaker::chained({"opus"}), "opus");
        (void)walk.step();
        Outcome limited = failed(Cause::rate_limited, 429);
        limited.retry_after = seconds(120);
        const Step step = walk.after(limited);
        CHECK(step.action == Action::stop);
        CHECK(step.error.retry_after == seconds(120));
    }
    SUBCASE("the fallback is out of quota: as if there were none") {
        const TableMaker maker = TableMaker::chained({"opus", "mini"});
        Health health;
        Outcome quota = failed(Cause::quota_month, 402);
        health.report(*maker.table->deployments[1], quota, maker.table->settings, 2, kMono, kWall);
        Walk walk(maker, "opus", &health);
        (void)walk.step();
        const Step step = walk.after(Cause::overloaded, 503);
        CHECK(step.action == Action::attempt);
        CHECK(step.upstream_model == "opus");
        CHECK(step.delay > milliseconds(0));
    }
}

TEST_CASE("after a GOAWAY or a reset the retry takes a fresh connection") {
    for (const Cause cause : {Cause::overloaded, Cause::connection}) {
        Walk walk(TableMaker::chained({"opus"}), "opus");
        (void)walk.step();
        CHECK(walk.after(cause, cause == Cause::overloaded ? 503 : 0).fresh_connection);
        CHECK_FALSE(walk.after(Cause::server_error, 500).fresh_connection);
    }
}

TEST_CASE("a model overloaded by 429 is left for a ready fallback at once") {
    Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
    (void)walk.step();
    CHECK(walk.after(Cause::overloaded, 429).upstream_model == "mini");
}

TEST_CASE("a timeout is not waited for twice when something else is ready") {
    Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
    (void)walk.step();
    CHECK(walk.after(Cause::timeout).upstream_model == "mini");
    Walk lonely(TableMaker::chained({"opus"}), "opus");
    (void)lonely.step();
    CHECK(lonely.after(Cause::timeout).upstream_model == "opus");
}

TEST_CASE("another deployment of the group is the better retry, without a wait") {
    TableMaker maker = TableMaker::chained({"opus", "mini"});
    maker.add("opus", "opus-b");
    Walk walk(maker, "opus");
    const std::string first = walk.step().upstream_model;
    const Step second = walk.after(Cause::server_error, 500);
    CHECK(second.group == "opus");
    CHECK(second.upstream_model != first);
    CHECK(second.delay == milliseconds(0));
    CHECK(attempted_retries(*walk.p) == 1);
}

TEST_CASE("router_settings.retry_after is the least wait between retries") {
    TableMaker maker = TableMaker::chained({"opus"});
    maker.table->settings.retry_after = Seconds(4);
    Walk walk(maker, "opus");
    (void)walk.step();
    CHECK(walk.after(Cause::server_error, 500).delay == milliseconds(4000));
}

TEST_CASE("a storm of failures uses up the retry budget; a request's own number is honoured") {
    Health health;
    const TableMaker maker = TableMaker::chained({"opus"});
    int attempts = 0;
    for (int request = 0; request < 100; ++request) {
        Walk walk(maker, "opus", &health);
        for (Step step = walk.step(); step.action == Action::attempt;
             step = walk.after(Cause::server_error, 500)) {
            ++attempts;
        }
    }
    CHECK(attempts <= 100 + 10 + 20);
    Query query = Walk::query_for("opus");
    query.num_retries = 2;
    Walk walk(maker, query, &health);
    (void)walk.step();
    CHECK(walk.after(Cause::server_error, 500).action == Action::attempt);
}

TEST_CASE("a stale connection costs one silent retry on a fresh one, then counts as a fault") {
    Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
    CHECK_FALSE(walk.step().fresh_connection);
    const Step again = walk.after(Cause::stale_connection);
    CHECK(again.upstream_model == "opus");
    CHECK(again.fresh_connection);
    CHECK(again.delay == milliseconds(0));
    CHECK(attempted_retries(*walk.p) == 0);
    const Step retry = walk.after(Cause::stale_connection);
    CHECK_FALSE(retry.fresh_connection);
    CHECK(attempted_retries(*walk.p) == 1);
}

// --- what the same deployment cures ------------------------------------------------------------

TEST_CASE("an expired token is refreshed once per credential and is no retry") {
    Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
    CHECK_FALSE(walk.step().refresh_token);
    const Step again = walk.after(Cause::token_expired, 401);
    CHECK(again.upstream_model == "opus");
    CHECK(again.refresh_token);
    CHECK(again.delay == milliseconds(0));
    CHECK(attempted_retries(*walk.p) == 0);
    SUBCASE("then the call goes on") {
        CHECK(walk.after(Cause::quota_month, 402).upstream_model == "mini");
    }
    SUBCASE("a 401 again: the credential is dead, its other models are not asked") {
        const Step end = walk.after(Cause::token_expired, 401);
        CHECK(end.action == Action::stop);
        CHECK(end.error.kind == Kind::unauthenticated);
        CHECK(end.error.origin == Origin::upstream);
        CHECK(verdict(walk, "mini") == "same target: token_expired");
    }
    SUBCASE("a 403 again may be about this model only") {
        const Step next_model = walk.after(Cause::token_expired, 403);
        CHECK(next_model.upstream_model == "mini");
        CHECK_FALSE(next_model.refresh_token);
        // ... and is not refreshed a second time.
        CHECK(walk.after(Cause::token_expired, 403).action == Action::stop);
    }
}

TEST_CASE("a credential refused by one provider says nothing about another's") {
    TableMaker maker = TableMaker::chained({"opus", "local"});
    auto row = std::make_shared<Deployment>(*maker.table->deployments[1]);
    row->provider = "ollama";
    maker.table->deployments[1] = row;
    Walk walk(maker, "opus");
    (void)walk.step();
    CHECK(walk.after(Cause::auth, 401).upstream_model == "local");
    SUBCASE("a static key is not refreshed") {
        CHECK(walk.after(Cause::token_expired, 401).action == Action::stop);
    }
}

TEST_CASE("each correction is made once on the same deployment, stays, and is no retry") {
    struct Row {
        Cause cause;
        bool Step::*flag;
    };
    const Row rows[] = {
        {Cause::wrong_host, &Step::refresh_token},
        {Cause::wrong_endpoint, &Step::switch_endpoint},
        {Cause::vision_header, &Step::vision_header},
        {Cause::item_id_mismatch, &Step::new_item_ids},
        {Cause::api_version, &Step::other_api_version},
        {Cause::model_unavailable, &Step::refresh_token},
    };
    for (const Row& row : rows) {
        Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
        CHECK_FALSE(walk.step().*row.flag);
        const Step again = walk.after(row.cause, 400);
        CHECK_MESSAGE(again.upstream_model == "opus", cause_name(row.cause));
        CHECK(again.*row.flag);
        CHECK(again.delay == milliseconds(0));
        CHECK(attempted_retries(*walk.p) == 0);
        const Step next_step = walk.after(row.cause, 400);
        if (row.cause == Cause::item_id_mismatch) {
            CHECK(next_step.action == Action::stop);
            CHECK(next_step.error.kind == Kind::invalid_request);
        } else {
            CHECK(next_step.upstream_model == "mini");
            CHECK_FALSE(next_step.*row.flag);
        }
    }
}

TEST_CASE("a correction still holds in later retries of the same deployment") {
    Walk walk(TableMaker::chained({"opus"}), "opus");
    (void)walk.step();
    (void)walk.after(Cause::wrong_endpoint, 400);
    const Step retry = walk.after(Cause::server_error, 500);
    CHECK(retry.switch_endpoint);
    CHECK(attempted_retries(*walk.p) == 1);
}

TEST_CASE("refused parameters are left out one by one, each once, at most four") {
    const auto refused = [](const char* param, const char* rename = "") {
        Outcome out = failed(Cause::bad_parameter, 400);
        out.param = param;
        out.rename_to = rename;
        return out;
    };
    using Paths = std::vector<std::string>;
    Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
    CHECK(walk.step().strip.empty());
    SUBCASE("one after the other") {
        CHECK(walk.after(refused("top_p")).strip == Paths{"top_p"});
        CHECK(walk.after(refused("seed")).strip == Paths{"top_p", "seed"});
        CHECK(attempted_retries(*walk.p) == 0);
    }
    SUBCASE("a renamed one is renamed") {
        const Step step = walk.after(refused("max_tokens", "max_completion_tokens"));
        CHECK(step.strip.empty());
        REQUIRE(step.rename.size() == 1);
        CHECK(step.rename[0] ==
              std::pair<std::string, std::string>("max_tokens", "max_completion_tokens"));
        CHECK(walk.after(refused("max_tokens")).upstream_model == "mini");
    }
    SUBCASE("refused again although it is gone: somebody else") {
        (void)walk.after(refused("top_p"));
        const Step step = walk.after(refused("top_p"));
        CHECK(step.upstream_model == "mini");
        CHECK(step.strip.empty());  // the next model may well support it
    }
    SUBCASE("the fifth is one too many") {
        for (const char* param : {"a", "b", "c", "d"}) {
            CHECK(walk.after(refused(param)).upstream_model == "opus");
        }
        CHECK(walk.after(refused("e")).upstream_model == "mini");
    }
    SUBCASE("what makes the request is never left out") {
        for (const char* param : {"messages", "tools", "model", "input", ""}) {
            Walk other(TableMaker::chained({"opus", "mini"}), "opus");
            (void)other.step();
            CHECK(other.after(refused(param)).upstream_model == "mini");
        }
    }
}

TEST_CASE("corrections cannot go on forever") {
    Walk walk(TableMaker::chained({"opus"}), "opus");
    int attempts = 0;
    int n = 0;
    const Cause causes[] = {Cause::wrong_endpoint,   Cause::vision_header, Cause::item_id_mismatch,
                            Cause::api_version,      Cause::wrong_host,    Cause::token_expired,
                            Cause::stale_connection, Cause::bad_parameter};
    for (Step step = walk.step(); step.action == Action::attempt && attempts < 100; ++attempts) {
        Outcome out = failed(causes[n++ % 8], 400);
        out.param = "p" + std::to_string(n);
        step = walk.after(out);
    }
    CHECK(attempts <= 8);
}

// --- where falling is wrong ---------------------------------------------------------------------

TEST_CASE("what nobody else would like either stops at once with its own error") {
    for (const auto& [cause, kind] : {std::pair{Cause::bad_request, Kind::invalid_request},
                                      {Cause::too_large, Kind::too_large}}) {
        Walk walk(TableMaker::chained({"opus", "gemini"}), "opus");
        (void)walk.step();
        const Step end = walk.after(failed(cause, 400, "no"));
        CHECK(end.action == Action::stop);
        CHECK(end.error.kind == kind);
        CHECK(end.error.message.rfind("no", 0) == 0);
        CHECK_FALSE(end.error.retry_after.has_value());
        CHECK(outcomes(*walk.p).size() == 1);
    }
}

TEST_CASE("a client that went away ends everything, plainly") {
    Walk walk(TableMaker::chained({"opus", "mini"}), "opus");
    (void)walk.step();
    (void)walk.after(Cause::quota_month, 402);
    const Step end = walk.after(failed(Cause::cancelled, 0, ""));
    CHECK(end.action == Action::stop);
    CHECK(end.error.kind == Kind::cancelled);
    CHECK(end.error.message == "The client went away.");
}

TEST_CASE("refused content goes only to content_policy_fallbacks; cyber_policy is asked twice") {
    TableMaker maker = TableMaker::chained({"opus", "gemini"});
    maker.add("lenient");
    Outcome refused = failed(Cause::content_refused, 422);
    SUBCASE("no such list: stop") {
        Walk walk(maker, "opus");
        (void)walk.step();
        const Step end = walk.after(refused);
        CHECK(end.action == Action::stop);
        CHECK(end.error.kind == Kind::content_refused);
    }
    SUBCASE("with a list") {
        maker.table->content_policy_fallbacks["opus"] = list({"lenient"});
        Walk walk(maker, "opus");
        (void)walk.step();
        CHECK(walk.after(refused).upstream_model == "lenient");
        CHECK(walk.after(refused).action == Action::stop);
    }
    SUBCASE("the request's own list") {
        Query query = Walk::query_for("opus");
        query.content_policy_fallbacks = list({"lenient"});
        Walk walk(maker, query);
        (void)walk.step();
        CHECK(walk.after(refused).upstream_model == "lenient");
    }
    SUBCASE("a fallback's refusal ends the chain as well") {
        TableMaker longer = TableMaker::chained({"opus", "gemini", "mini"});
        Walk walk(longer, "opus");
        (void)walk.step();
        CHECK(walk.after(Cause::quota_month, 402).upstream_model == "gemini");
        CHECK(walk.after(refused).action == Action::stop);
    }
    SUBCASE("cyber_policy") {
        refused.code = "cyber_policy";
        Walk walk(maker, "opus");
        (void)walk.step();
        CHECK(walk.after(refused).upstream_model == "opus");
        CHECK(attempted_retries(*walk.p) == 0);
        CHECK(walk.after(refused).action == Action::stop);
    }
}

// --- context ------------------------------------------------------------------------------------

TableMaker sized(std::initializer_list<std::pair<const char*, int64_t>> rows) {
    TableMaker maker;
    std::vector<FallbackTarget> rest;
    for (const auto& [name, tokens] : rows) {
        Deployment& row = maker.add(name);
        if (tokens > 0) {
            row.capabilities.max_input_tokens = tokens;
        }
        rest.push_back(to(name));
    }
    rest.erase(rest.begin());
    maker.table->fallbacks[rows.begin()->first] = rest;
    return maker;
}

TEST_CASE("a prompt too long falls only to a larger or unknown context") {
    Walk walk(sized({{"a", 128'000},
                     {"same", 128'000},
                     {"small", 64'000},
                     {"big", 200'000},
                     {"unknown", 0}}),
              "a");
    (void)walk.step();
    CHECK(walk.after(Cause::context_too_long, 400).upstream_model == "big");
    CHECK(verdict(walk, "same") == "context 128000 not above 128000");
    CHECK(verdict(walk, "small") == "context 64000 not above 128000");
    CHECK(walk.after(Cause::context_too_long, 400).upstream_model == "unknown");
    const Step end = walk.after(Cause::context_too_long, 400);
    CHECK(end.action == Action::stop);
    CHECK(end.error.kind == Kind::context_overflow);
    CHECK(end.error.code == "context_length_exceeded");
}

TEST_CASE("the upstream's own count decides where the failed limit is not known") {
    Walk walk(sized({{"a", 0}, {"small", 128'000}, {"big", 200'000}}), "a");
    (void)walk.step();
    const Step step = walk.after(failed(
        Cause::context_too_long, 400, "prompt token count of 130431 exceeds the limit of 128000"));
    CHECK(step.upstream_model == "big");
    CHECK(verdict(walk, "small") == "context 128000 < 130431");
}

TEST_CASE("what is surely too long is not sent; what may fit is") {
    struct Row {
        int64_t estimate;
        const char* first;
    };
    for (const Row& row :
         {Row{100, "a"}, {128'000, "a"}, {160'000, "a"}, {160'001, "big"}, {250'001, "unknown"}}) {
        Query query = Walk::query_for("a");
        query.prompt_tokens_estimate = row.estimate;
        Walk walk(sized({{"a", 128'000}, {"big", 200'000}, {"unknown", 0}}), query);
        CHECK_MESSAGE(walk.step().upstream_model == row.first, row.estimate);
    }
    Query query = Walk::query_for("a");
    query.prompt_tokens_estimate = 900'000;
    Walk walk(sized({{"a", 128'000}, {"big", 200'000}}), query);
    const Step end = walk.step();
    REQUIRE(end.action == Action::stop);
    CHECK(end.error.kind == Kind::context_overflow);
    CHECK(end.error.origin == Origin::caller);
    CHECK(end.error.code == "context_length_exceeded");
    CHECK(verdict(walk, "a") == "context 128000 < ~900000");
}

TEST_CASE("context_window_fallbacks: an entry is used, a map without one stops, none is general") {
    TableMaker maker = sized({{"a", 1000}, {"general", 5000}});
    maker.add("long");
    Query tight = Walk::query_for("a");
    SUBCASE("entry") {
        maker.table->context_window_fallbacks["a"] = list({"long"});
        Walk walk(maker, "a");
        (void)walk.step();
        CHECK(walk.after(Cause::context_too_long, 400).upstream_model == "long");
        Query big = Walk::query_for("a");
        big.prompt_tokens_estimate = 4000;
        Walk unsent(maker, big);
        CHECK(unsent.step().upstream_model == "long");
    }
    SUBCASE("map without entry") {
        maker.table->context_window_fallbacks["other"] = list({"long"});
        Walk walk(maker, "a");
        (void)walk.step();
        CHECK(walk.after(Cause::context_too_long, 400).action == Action::stop);
        Walk quota(maker, "a");
        (void)quota.step();
        CHECK(quota.after(Cause::quota_month, 402).upstream_model == "general");
    }
    SUBCASE("no map") {
        Walk walk(maker, "a");
        (void)walk.step();
        CHECK(walk.after(Cause::context_too_long, 400).upstream_model == "general");
    }
    SUBCASE("the request's own list") {
        tight.context_window_fallbacks = list({"long"});
        Walk walk(maker, tight);
        (void)walk.step();
        CHECK(walk.after(Cause::context_too_long, 400).upstream_model == "long");
    }
}

// --- capabilities and tags ----------------------------------------------------------------------

TEST_CASE("a model known to lack tools or vision is passed over; an unknown one is not") {
    for (const bool tools : {true, false}) {
        TableMaker maker;
        maker.add("a").capabilities =
            tools ? Capabilities{false, {}, {}, {}} : Capabilities{{}, false, {}, {}};
        maker.add("unknown");
        maker.table->fallbacks["a"] = list({"unknown"});
        Query query = Walk::query_for("a");
        query.needs_tools = tools;
        query.needs_vision = !tools;
        Walk walk(maker, query);
        CHECK(walk.step().upstream_model == "unknown");
        CHECK(verdict(walk, "a") == (tools ? "no tools" : "no vision"));
        Walk plain(maker, "a");
        CHECK(plain.step().upstream_model == "a");
        maker.table->fallbacks.clear();
        Walk stuck(maker, query);
        const Step end = stuck.step();
        CHECK(end.action == Action::stop);
        CHECK(end.error.kind == Kind::unsupported);
        CHECK(has(end.error.message, tools ? "no tools" : "no vision"));
    }
}

TEST_CASE("a chat does not fall to an embedding model, but may be sent to one that was asked for") {
    TableMaker maker = TableMaker::chained({"opus", "embed", "mini"});
    auto row = std::make_shared<Deployment>(*maker.table->deployments[1]);
    row->mode = Mode::embedding;
    maker.table->deployments[1] = row;
    Walk walk(maker, "opus");
    (void)walk.step();
    CHECK(walk.after(Cause::quota_month, 402).upstream_model == "mini");
    Walk asked(maker, "embed");
    CHECK(asked.step().upstream_model == "embed");
}

TEST_CASE("tags choose deployments as LiteLLM does, and only when switched on") {
    TableMaker maker;
    maker.add("g", "free").tags = {"free"};
    maker.add("g", "paid").tags = {"paid", "eu"};
    maker.add("g", "standard").tags = {"default"};
    maker.add("g", "plain");
    const auto served = [&](std::vector<std::string> tags) {
        std::vector<std::string> models;
        for (int i = 0; i < 40; ++i) {
            Query query = Walk::query_for("g");
            query.tags = tags;
            Walk walk(maker, query);
            walk.random = i / 40.0;
            const Step step = walk.step();
            const std::string name =
                step.action == Action::attempt ? step.upstream_model : step.error.message;
            if (std::find(models.begin(), models.end(), name) == models.end()) {
                models.push_back(name);
            }
        }
        std::sort(models.begin(), models.end());
        return models;
    };
    using Models = std::vector<std::string>;
    CHECK(served({"free"}) == Models{"free", "paid", "plain", "standard"});  // off
    maker.table->settings.enable_tag_filtering = true;
    CHECK(served({"free"}) == Models{"free"});
    CHECK(served({"free", "eu"}) == Models{"free", "paid"});
    CHECK(served({"unheard"}) == Models{"standard"});
    CHECK(served({}) == Models{"standard"});
    maker.table->settings.tag_filtering_match_any = false;
    CHECK(served({"paid", "eu"}) == Models{"paid"});
    CHECK(served({"free", "eu"}) == Models{"standard"});
    maker.table->deployments.erase(maker.table->deployments.begin() + 2);
    CHECK(served({"unheard"}) == Models{"plain"});
    CHECK(served({}) == Models{"free", "paid", "plain"});
    maker.table->deployments.pop_back();
    maker.table->settings.expose_router_debug_in_errors = false;
    CHECK(served({"unheard"}) == Models{"Not allowed to access model due to tags configuration"});
}

// --- shuffle and order --------------------------------------------------------------------------

std::vector<int> spread(const TableMaker& maker, int rounds = 1000) {
    std::vector<int> counts(maker.table->deployments.size());
    for (int i = 0; i < rounds; ++i) {
        Walk walk(maker, "g");
        walk.random = (i + 0.5) / rounds;
        const Step step = walk.step();
        for (size_t d = 0; d < counts.size(); ++d) {
            counts[d] += maker.table->deployments[d] == step.deployment ? 1 : 0;
        }
    }
    return counts;
}

TEST_CASE("simple-shuffle is uniform, or weighted by the first field that the first one has") {
    TableMaker maker;
    Deployment& a = maker.add("g", "a");
    Deployment& b = maker.add("g", "b");
    CHECK(spread(maker) == std::vector<int>{500, 500});
    a.tpm = 1000;
    b.tpm = 3000;
    CHECK(spread(maker) == std::vector<int>{250, 750});
    a.rpm = 9;
    b.rpm = 1;
    CHECK(spread(maker) == std::vector<int>{900, 100});
    a.weight = 1;  // b has none: 0
    CHECK(spread(maker) == std::vector<int>{1000, 0});
    a.weight = 0;
    CHECK(spread(maker) == std::vector<int>{500, 500});
    a.weight = -1;
    b.weight = 2;
    CHECK(spread(maker) == std::vector<int>{0, 1000});
}

TEST_CASE("the lowest order serves; the next tier is tried before any fallback") {
    TableMaker maker;
    maker.add("g", "second").order = 2;
    maker.add("g", "first").order = 1;
    maker.add("f");
    maker.table->fallbacks["g"] = list({"f"});
    maker.table->settings.num_retries = 0;
    CHECK(spread(maker) == std::vector<int>{0, 1000, 0});
    for (const Cause cause : {Cause::server_error, Cause::quota_month, Cause::rate_limited}) {
        Walk walk(maker, "g");
        CHECK(walk.step().upstream_model == "first");
        CHECK(walk.after(cause, 500).upstream_model == "second");
        CHECK(walk.after(cause, 500).upstream_model == "f");
    }
}

// --- where fallbacks come from ------------------------------------------------------------------

TEST_CASE("the request's fallbacks come first, then the deployment's, then the maps") {
    TableMaker maker;
    Deployment& a = maker.add("a");
    for (const char* name : {"from-request", "from-deployment", "from-map"}) {
        maker.add(name);
    }
    maker.table->fallbacks["a"] = list({"from-map"});
    const auto falls_to = [&](Query query) {
        Walk walk(maker, std::move(query));
        (void)walk.step();
        return walk.after(Cause::quota_month, 402).upstream_model;
    };
    CHECK(falls_to(Walk::query_for("a")) == "from-map");
    a.fallbacks = list({"from-deployment"});
    CHECK(falls_to(Walk::query_for("a")) == "from-deployment");
    Query query = Walk::query_for("a");
    query.fallbacks = list({"from-request"});
    CHECK(falls_to(query) == "from-request");
    query.fallbacks = list({});
    CHECK(falls_to(query).empty());
}

TEST_CASE(
    "nested fallbacks come before later siblings, each group once, the asked one never again") {
    TableMaker maker;
    for (const char* name : {"a", "b", "c", "d", "e"}) {
        maker.add(name);
    }
    maker.table->fallbacks["a"] = list({"b", "a", "missing", "c", "b"});
    maker.table->fallbacks["b"] = list({"a", "d"});
    maker.table->fallbacks["*"] = list({"e"});
    Walk walk(maker, "a");
    std::vector<std::string> order;
    for (Step step = walk.step(); step.action == Action::attempt;
         step = walk.after(Cause::quota_month, 402)) {
        order.push_back(step.group);
        CHECK(step.fallback_depth + 1 == static_cast<int>(order.size()));
    }
    CHECK(order == std::vector<std::string>{"a", "b", "d", "e", "c"});
    CHECK(verdict(walk, "missing") == "no such model");
    auto listed = chain(*maker.table, "a");
    listed.insert(listed.begin(), "a");
    CHECK(order == listed);
}

TEST_CASE("max_fallbacks bounds how deep the nesting goes; disable_fallbacks ends it") {
    TableMaker maker;
    for (char c = 'a'; c <= 'j'; ++c) {
        maker.add(std::string(1, c));
        if (c < 'j') {
            maker.table->fallbacks[std::string(1, c)] = {
                to(std::string(1, static_cast<char>(c + 1)))};
        }
    }
    const auto groups = [&](Query query) {
        Walk walk(maker, std::move(query));
        std::string out;
        for (Step step = walk.step(); step.action == Action::attempt;
             step = walk.after(Cause::quota_month, 402)) {
            out += step.group;
        }
        return out;
    };
    Query query = Walk::query_for("a");
    CHECK(groups(query) == "abcdef");
    query.max_fallbacks = 2;
    CHECK(groups(query) == "abc");
    query.max_fallbacks = 0;
    CHECK(groups(query) == "a");
    query.max_fallbacks = 100;
    query.disable_fallbacks = true;
    query.fallbacks = list({"b"});
    CHECK(groups(query) == "a");
}

TEST_CASE("the catch-all routes any name, with its own chain, and says so") {
    TableMaker maker;
    maker.add("opus");
    maker.add("mini");
    maker.add("*", "gpt-5").fallbacks = list({"mini"});
    Walk walk(maker, "never-heard-of");
    const Step step = walk.step();
    CHECK(step.upstream_model == "gpt-5");
    CHECK(step.group == "*");
    const Step fallen = walk.after(Cause::quota_month, 402);
    CHECK(fallen.group == "mini");
    const Step end = walk.after(Cause::quota_month, 402);
    CHECK(has(end.error.message,
              "Received Model Group=never-heard-of\nAvailable Model Group "
              "Fallbacks=['mini']"));
}

TEST_CASE("an object fallback overrides request members, for its hop only") {
    TableMaker maker = TableMaker::chained({"a", "b", "c"});
    maker.table->fallbacks["a"][0].overrides =
        json::Value::object({{"temperature", json::Value(0)}});
    Walk walk(maker, "a");
    CHECK(walk.step().overrides == nullptr);
    const Step step = walk.after(Cause::quota_month, 402);
    REQUIRE(step.overrides != nullptr);
    CHECK((*step.overrides)["temperature"].as_int() == 0);
    CHECK(walk.after(Cause::quota_month, 402).overrides == nullptr);
}

TEST_CASE("mock_testing_*: the first group fails unsent and the right list is used") {
    TableMaker maker = TableMaker::chained({"a", "general"});
    maker.add("long");
    maker.add("lenient");
    maker.table->context_window_fallbacks["a"] = list({"long"});
    maker.table->content_policy_fallbacks["a"] = list({"lenient"});
    for (const auto& [cause, group] : {std::pair{Cause::server_error, "general"},
                                       {Cause::rate_limited, "general"},
                                       {Cause::context_too_long, "long"},
                                       {Cause::content_refused, "lenient"}}) {
        Query query = Walk::query_for("a");
        query.mock_first_failure = cause;
        Walk walk(maker, query);
        CHECK(walk.step().group == group);
        CHECK(walk.health.rows(kMono).empty());
        walk.tell(failed(Cause::success, 200));
        CHECK(attempted_fallbacks(*walk.p) == 1);
    }
}

// --- health of the whole chain ------------------------------------------------------------------

TEST_CASE("a target that failed too often is passed over until its time is up") {
    Health health;
    TableMaker maker = TableMaker::chained({"a", "b"});
    maker.table->settings.num_retries = 0;
    for (int i = 0; i < 5; ++i) {
        Walk walk(maker, "a", &health);
        CHECK(walk.step().group == "a");
        CHECK(walk.after(Cause::server_error, 500).group == "b");
        walk.tell(failed(Cause::success, 200));
    }
    Walk walk(maker, "a", &health);
    CHECK(walk.step().group == "b");
    CHECK(has(verdict(walk, "a"), "cooling: server_error until"));
    Walk later(maker, "a", &health);
    later.pass(seconds(6));
    CHECK(later.step().group == "a");  // the probe
    Walk meanwhile(maker, "a", &health);
    meanwhile.pass(seconds(6));
    CHECK(meanwhile.step().group == "b");
    later.tell(failed(Cause::success, 200));
    Walk well(maker, "a", &health);
    well.pass(seconds(6));
    CHECK(well.step().group == "a");
}

TEST_CASE("the only target keeps being tried through transient faults, whoever asks") {
    Health health;
    TableMaker maker = TableMaker::chained({"a"});
    maker.table->settings.num_retries = 0;
    for (int i = 0; i < 1200; ++i) {
        Walk walk(maker, "a", &health);
        CHECK(walk.step().action == Action::attempt);
        CHECK(walk.after(Cause::server_error, 500).action == Action::stop);
    }
}

TEST_CASE("when everything cools for transient reasons, one request at a time still probes") {
    Health health;
    const TableMaker maker = TableMaker::chained({"a", "b"});
    for (const auto& deployment : maker.table->deployments) {
        Outcome limited = failed(Cause::rate_limited, 429);
        limited.retry_after = seconds(30);
        health.report(*deployment, limited, maker.table->settings, 2, kMono, kWall);
    }
    Walk first(maker, "a", &health);
    const Step probe = first.step();
    CHECK(probe.probe);
    CHECK(probe.group == "a");
    CHECK(verdict(first, "a") == "taken: a probe, everything cools");
    Walk second(maker, "a", &health);
    CHECK(second.step().group == "b");
    Walk third(maker, "a", &health);
    const Step refused = third.step();
    CHECK(refused.action == Action::stop);
    CHECK(refused.error.retry_after == seconds(30));
    // A failed probe is not repeated.
    CHECK(first.after(Cause::rate_limited, 429).action == Action::stop);
}

// --- what the client is told --------------------------------------------------------------------

TEST_CASE("the history is LiteLLM's, and can be switched off") {
    TableMaker maker = TableMaker::chained({"a", "b"});
    Walk walk(maker, "a");
    (void)walk.step();
    (void)walk.after(failed(Cause::server_error, 500, "first"));
    (void)walk.after(failed(Cause::server_error, 500, "second"));
    (void)walk.after(failed(Cause::server_error, 502, "third"));
    const Step end = walk.after(failed(Cause::bad_request, 400, "fallback broke"));
    CHECK(end.error.upstream_status == 502);
    CHECK(end.error.message ==
          "third. Received Model Group=a\nAvailable Model Group Fallbacks=['b']\nError doing the "
          "fallback: fallback broke LiteLLM Retried: 2 times, LiteLLM Max Retries: 2");
    maker.table->settings.expose_router_debug_in_errors = false;
    Walk quiet(maker, "a");
    (void)quiet.step();
    CHECK(quiet.after(failed(Cause::bad_request, 400, "plain")).error.message == "plain");
}

TEST_CASE("without a fallback the history says so, and lists what is configured for others") {
    TableMaker maker;
    maker.add("a");
    Walk none(maker, "a");
    (void)none.step();
    CHECK(none.after(failed(Cause::bad_request, 400, "no")).error.message ==
          "no. Received Model Group=a\nAvailable Model Group Fallbacks=None");
    maker.table->fallbacks["other"] = list({"x", "y"});
    Walk others(maker, "a");
    (void)others.step();
    CHECK(others.after(failed(Cause::bad_request, 400, "no")).error.message ==
          "no. Received Model Group=a\nAvailable Model Group Fallbacks=None\nNo fallback model "
          "group found for original model_group=a. Fallbacks=[{'other': ['x', 'y']}]");
}

TEST_CASE("an error message stays bounded and valid however much there is to tell") {
    TableMaker maker;
    maker.add("a");
    for (int i = 0; i < 500; ++i) {
        maker.table->fallbacks["é-group-" + std::to_string(i)] = list({"ü-target"});
    }
    Walk walk(maker, "a");
    (void)walk.step();
    const Step end = walk.after(failed(Cause::bad_request, 400, "no"));
    CHECK(end.error.message.size() <= 8192);
    CHECK(json::parse(json::dump(json::Value(end.error.message))).ok());
}

TEST_CASE("a plan survives being asked out of turn") {
    Walk walk(TableMaker::chained({"a", "b"}), "a");
    walk.tell(failed(Cause::server_error, 500));  // nothing was attempted
    CHECK(outcomes(*walk.p).empty());
    (void)walk.step();
    CHECK(walk.step().action == Action::stop);  // no report: the attempt is lost
    CHECK(walk.step().action == Action::stop);
    Walk odd(TableMaker::chained({"a"}), "a");
    odd.random = std::nan("");
    CHECK(odd.step().action == Action::attempt);
}

}  // namespace
}  // namespace belay::routing

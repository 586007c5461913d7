#include "governance/governor.h"

#include <doctest/doctest.h>

#include "governance/refusal_text.h"

using namespace belay;
using namespace belay::governance;

namespace {

constexpr int64_t kNow = 1'780'221'881'000;  // 2026-05-31 10:04:41 UTC
constexpr int64_t kDollar = 100'000'000'000;

NanoCredits usd(const char* text) { return *parse_usd(text); }

BudgetWindow budget(const char* most, bool at_equal = false) {
    BudgetWindow window;
    window.most = usd(most);
    window.refuse_at_equal = at_equal;
    return window;
}

Scope scope_of(ScopeKind kind, const char* id) {
    Scope scope;
    scope.kind = kind;
    scope.id = id;
    scope.shown = id;
    return scope;
}

Mono mono(int64_t ms) { return Mono(milliseconds(ms)); }

// A governor, a caller, and a clock that both times follow.
struct World {
    Governor governor;
    Caller caller;
    int64_t ms = 1'000'000;
    Refusal refusal;

    Ask ask(int64_t bound = 0, int64_t tokens = 0) {
        return {.caller = caller,
                .model = "gpt-5",
                .bound = {bound},
                .tokens = tokens,
                .now_ms = kNow + ms - 1'000'000,
                .now = mono(ms)};
    }
    Result<Reservation> reserve(int64_t bound = 0, int64_t tokens = 0) {
        return governor.reserve(ask(bound, tokens), &refusal);
    }
    std::string refused(int64_t bound = 0, int64_t tokens = 0) {
        auto taken = reserve(bound, tokens);
        return taken ? "" : taken.error().message;
    }
    Limits& limits(size_t i = 0) { return caller.scopes[i].limits; }
};

}  // namespace

// LiteLLM's comparison of each kind, at, below and above the budget; a budget of 0 refuses.
TEST_CASE("what each kind refuses for, and its words") {
    struct Case {
        ScopeKind kind;
        bool at_equal;
        const char* shown;
        const char* text;
    };
    const Case cases[] = {
        {ScopeKind::key, true, "ci (sk-...wxyz)",
         "Budget has been exceeded! Key=ci (sk-...wxyz) Current cost: 10.0, Max budget: 10.0"},
        {ScopeKind::team, false, "t1",
         "Budget has been exceeded! Team=t1 Current cost: 10.5, Max budget: 10.0"},
        {ScopeKind::team_member, true, "u1 in Team=t1",
         "Budget has been exceeded! User=u1 in Team=t1 Current cost: 10.0, Max budget: 10.0"},
        {ScopeKind::user, false, "u1",
         "ExceededBudget: User=u1 over budget. Spend=10.5, Budget=10.0"},
        {ScopeKind::customer, false, "c1",
         "ExceededBudget: End User=c1 over budget. Spend=10.5, Budget=10.0"},
        {ScopeKind::organization, true, "o1",
         "Budget has been exceeded! Organization=o1 Current cost: 10.0, Max budget: 10.0"},
        {ScopeKind::tag, false, "x",
         "Budget has been exceeded! Tag=x Current cost: 10.5, Max budget: 10.0"},
        {ScopeKind::global, false, "litellm-proxy-budget",
         "Budget has been exceeded! Current cost: 10.5, Max budget: 10.0"},
    };
    for (const auto& c : cases) {
        CAPTURE(std::string(scope_kind_name(c.kind)));
        World world;
        world.caller.scopes.push_back(scope_of(c.kind, "id"));
        world.caller.scopes[0].shown = c.shown;
        world.limits().budgets = {budget("10", c.at_equal)};
        const auto spent = [&](const char* amount) {
            world.governor.set_spent({{.kind = c.kind, .id = "id", .amount = usd(amount)}});
        };
        spent("9.99");
        CHECK(world.reserve(kDollar / 100).ok());
        spent("10");
        CHECK(world.reserve().ok() == !c.at_equal);
        CHECK_FALSE(world.reserve(1).ok());
        spent(c.at_equal ? "10" : "10.5");
        auto taken = world.reserve(kDollar);
        REQUIRE_FALSE(taken.ok());
        CHECK(taken.error().message == c.text);
        CHECK(taken.error().kind == Kind::budget_exhausted);
        CHECK(world.refusal.scope == c.kind);
        CHECK(world.refusal.limit_type == "budget");
        CHECK_FALSE(world.refusal.could_fit_later);
        CHECK(world.refusal.money_left.value == 0);
    }
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.caller.scopes[0].shown = "zero (sk-...0000)";
    world.limits().budgets = {budget("0", true)};
    CHECK(world.refused() ==
          "Budget has been exceeded! Key=zero (sk-...0000) Current cost: 0.0, Max budget: 0.0");
}

// A bound that does not fit beside running requests says that waiting may help and what is left;
// when nothing runs, how much a shorter answer may cost.
TEST_CASE("waiting and what is left") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.limits().budgets = {budget("1", true)};
    auto first = world.reserve(kDollar / 10 * 7);
    REQUIRE(first.ok());
    CHECK(first->held().value == kDollar / 10 * 7);
    CHECK(world.refused(kDollar / 10 * 4)
              .find(". This request may cost up to 0.4, running ones "
                    "hold 0.7") != std::string::npos);
    CHECK(world.refusal.could_fit_later);
    CHECK(world.refusal.money_left.value == kDollar / 10 * 3);
    first->settle({kDollar / 10 * 7}, 0, 0);
    CHECK(first->held().value == 0);
    CHECK_FALSE(world.reserve(kDollar / 10 * 4).ok());
    CHECK_FALSE(world.refusal.could_fit_later);
    CHECK(world.refusal.money_left.value == kDollar / 10 * 3);
    CHECK(world.reserve(kDollar / 10 * 3).ok());
}

// Either every scope takes the request or none does, and a destructor gives everything back.
TEST_CASE("all or none") {
    World world;
    for (const auto& [kind, id] :
         {std::pair{ScopeKind::key, "k"}, {ScopeKind::team, "t"}, {ScopeKind::global, "g"}}) {
        world.caller.scopes.push_back(scope_of(kind, id));
        world.limits(world.caller.scopes.size() - 1).max_parallel = 5;
        world.limits(world.caller.scopes.size() - 1).budgets = {budget("5")};
    }
    world.limits(2).budgets = {budget("1")};
    CHECK_FALSE(world.reserve(2 * kDollar).ok());
    CHECK(world.refusal.scope == ScopeKind::global);
    for (const auto kind : {ScopeKind::key, ScopeKind::team, ScopeKind::global}) {
        const auto standing = world.governor.standing(kind, kind == ScopeKind::key    ? "k"
                                                            : kind == ScopeKind::team ? "t"
                                                                                      : "g");
        CHECK(standing.reserved.value == 0);
        CHECK(standing.parallel == 0);
    }
    {
        auto taken = world.reserve(kDollar);
        REQUIRE(taken.ok());
        const Reservation moved = std::move(*taken);
        CHECK(world.governor.standing(ScopeKind::team, "t").reserved.value == kDollar);
        CHECK(world.governor.standing(ScopeKind::team, "t").parallel == 1);
        CHECK(world.governor.standing(ScopeKind::global, "g").reserved.value == kDollar);
    }
    CHECK(world.governor.standing(ScopeKind::team, "t").reserved.value == 0);
    CHECK(world.governor.standing(ScopeKind::team, "t").parallel == 0);
    auto taken = world.reserve(kDollar);
    taken->settle({kDollar / 4}, 10, 0);
    taken->settle({kDollar / 4}, 10, 0);  // nothing
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == kDollar / 4);
    CHECK(world.governor.standing(ScopeKind::key, "k").reserved.value == 0);
}

// rpm 60: whatever the arrivals, no 60 seconds hold more than 60, and a burst is served whole.
TEST_CASE("requests per minute") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "5e88"));
    world.limits().rpm = 60;
    std::vector<int64_t> served;
    for (int i = 0; i < 6000; ++i) {
        world.ms += i % 7 == 0 ? 97 : 31;
        if (auto taken = world.reserve()) {
            served.push_back(world.ms);
            CHECK(taken->rates().limit_requests == 60);
            taken->settle({}, 0, 0);
        } else {
            CHECK(taken.error().kind == Kind::rate_limited);
            REQUIRE(taken.error().retry_after.has_value());
            CHECK(taken.error().retry_after->count() >= 1);
            CHECK(taken.error().retry_after->count() <= 60);
        }
    }
    REQUIRE(served.size() > 180);
    for (size_t i = 60; i < served.size(); ++i) {
        CHECK(served[i] - served[i - 60] > 60'000);
    }
    CHECK(served[59] - served[0] < 4000);
}

// The words that clients parse, and the numbers that the headers are made of.
TEST_CASE("rate refusals") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "5e88"));
    world.limits().rpm = 2;
    world.limits().tpm = 100;
    auto first = world.reserve(0, 60);
    REQUIRE(first.ok());
    CHECK(first->rates().remaining_requests == 1);
    CHECK(first->rates().limit_tokens == 100);
    CHECK(first->rates().remaining_tokens == 40);
    CHECK(world.refused(0, 50) ==
          "Rate limit exceeded for api_key: 5e88. Limit type: tokens. Current limit: 100, "
          "Remaining: 40. Limit resets at: 2026-05-31 10:05:42 UTC");
    CHECK(world.refusal.limit_type == "tokens");
    CHECK(world.refusal.remaining == 40);
    CHECK(world.refusal.resets_at_ms == kNow + 61'000);
    first->settle({}, 10, 0);
    CHECK(world.reserve(0, 50).ok());  // given back what was not used
    CHECK(world.refused(0, 1) ==
          "Rate limit exceeded for api_key: 5e88. Limit type: requests. Current limit: 2, "
          "Remaining: 0. Limit resets at: 2026-05-31 10:05:42 UTC");
    world.limits().rpm.reset();
    world.limits().tpm.reset();
    world.limits().max_parallel = 1;
    auto running = world.reserve();
    REQUIRE(running.ok());
    CHECK(world.refused().starts_with(
        "Rate limit exceeded for api_key: 5e88. Limit type: max_parallel_requests. Current limit: "
        "1, Remaining: 0. Limit resets at: "));
    running->settle({}, 0, 0);
    CHECK(world.reserve().ok());
}

// A request that alone takes more tokens than the limit is served when the minute is empty, and
// never twice at once.
TEST_CASE("an estimate above the whole token limit") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.limits().tpm = 100;
    auto first = world.reserve(0, 5000);
    REQUIRE(first.ok());
    CHECK_FALSE(world.reserve(0, 1).ok());
    first->settle({}, 30, 0);
    CHECK(world.reserve(0, 70).ok());
    CHECK_FALSE(world.reserve(0, 5000).ok());
    world.limits().tpm = 0;
    world.ms += 100'000;
    CHECK_FALSE(world.reserve(0, 1).ok());
}

// A model's own limits hold beside the scope's, by name and by pattern.
TEST_CASE("limits per model") {
    World world;
    world.caller.key_alias = "ci";
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "5e88"));
    world.caller.scopes.push_back(scope_of(ScopeKind::team, "t1"));
    ModelLimit of_key;
    of_key.model = "gpt-5";
    of_key.budget = budget("1");
    world.limits(0).models = {of_key};
    of_key.rpm = 7;
    world.limits(0).models = {of_key};
    ModelLimit of_team;
    of_team.model = "gpt-*";
    of_team.rpm = 2;
    world.limits(1).models = {of_team};

    auto first = world.reserve(kDollar / 2);
    REQUIRE(first.ok());
    CHECK(first->rates().model_remaining_requests == 6);
    CHECK_FALSE(first->rates().limit_requests.has_value());
    first->settle({kDollar}, 0, 0);
    CHECK(world.refused(kDollar) ==
          "LiteLLM Virtual Key: 5e88, key_alias: ci, exceeded budget for model=gpt-5");
    CHECK(world.refusal.model == "gpt-5");
    CHECK(world.governor.standing(ScopeKind::key, "5e88", "gpt-5").spent.value == kDollar);
    Ask other = world.ask(kDollar);
    other.model = "gpt-6";
    CHECK(world.governor.reserve(other).ok());
    auto refused = world.governor.reserve(other);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.starts_with(
        "Rate limit exceeded for model_per_team: t1:gpt-*. Limit type: requests. Current limit: 2, "
        "Remaining: 0. Limit resets at: "));
    other.model = "claude";
    CHECK(world.governor.reserve(other).ok());
}

// Several windows are enforced each for itself; a reset begins only the one that ended, and what
// was reserved before it does not burden the new one.
TEST_CASE("windows of budget_limits") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    BudgetWindow day = budget("1", true);
    day.duration = "1d";
    BudgetWindow month = budget("3", true);
    month.duration = "1mo";
    world.limits().budgets = {month, day};
    auto first = world.reserve(kDollar);
    REQUIRE(first.ok());
    first->settle({kDollar}, 0, 0);
    CHECK(world.refused(1) ==
          "Budget has been exceeded! Key=k Window=1d Current cost: 1.0, Max budget: 1.0");
    CHECK(world.refusal.resets_at_ms == 1'780'272'000'000);  // 2026-06-01T00:00Z, both windows
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == kDollar);
    CHECK(world.governor.reset_ended(kNow, mono(world.ms)).empty());

    world.ms += 24 * 3'600'000;
    auto across = world.reserve(kDollar / 2);  // 1 June: both begin anew
    REQUIRE(across.ok());
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == 0);
    world.ms += 24 * 3'600'000;
    auto second = world.reserve(kDollar);  // 2 June: the day only
    REQUIRE(second.ok());
    const auto resets = world.governor.reset_ended(world.ask().now_ms, mono(world.ms));
    REQUIRE(resets.size() == 3);
    CHECK(resets[0].main);
    CHECK(resets[0].cleared.value == kDollar);
    CHECK(resets[0].duration == "1mo");
    CHECK(resets[1].duration == "1d");
    CHECK(resets[2].duration == "1d");
    CHECK_FALSE(resets[2].main);
    CHECK(resets[2].reset_at_ms == 1'780'444'800'000);  // 2026-06-03T00:00Z
    across->settle({kDollar / 2}, 0, 0);                // counts for June, not for 2 June
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == kDollar / 2);
    second->settle({kDollar}, 0, 0);
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == kDollar / 2 * 3);
    CHECK_FALSE(world.reserve(1).ok());
}

// A document that still names the end of a window that was reset here does not reset it again; a
// new end is followed.
TEST_CASE("a stale end of a window") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    BudgetWindow window = budget("1", true);
    window.duration = "30d";
    window.reset_at_ms = kNow - 5000;  // ended while the process was away
    world.limits().budgets = {window};
    world.caller.scopes[0].spent_before = usd("1");
    auto first = world.reserve(kDollar);
    REQUIRE(first.ok());
    first->settle({kDollar / 2}, 0, 0);
    const Scope again = world.caller.scopes[0];  // a copy: the directory read the document again
    world.caller.scopes[0] = again;
    world.caller.scopes[0].made = 7;
    CHECK(world.reserve(kDollar / 2).ok());
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == kDollar / 2);
    CHECK(world.governor.reset_ended(kNow, mono(world.ms)).size() == 1);
}

// A scope that is known from the start is reset when its time comes, without a request.
TEST_CASE("idle windows are reset") {
    Governor governor;
    governor.set_spent({{.kind = ScopeKind::user, .id = "u", .amount = usd("2")}});
    Scope scope = scope_of(ScopeKind::user, "u");
    BudgetWindow window = budget("5");
    window.duration = "1mo";
    scope.limits.budgets = {window};
    governor.know(scope, kNow);
    CHECK(governor.reset_ended(kNow, mono(0)).empty());
    const auto resets = governor.reset_ended(1'780'272'000'000, mono(0));  // 1 June
    REQUIRE(resets.size() == 1);
    CHECK(resets[0].id == "u");
    CHECK(resets[0].cleared == usd("2"));
    CHECK(resets[0].reset_at_ms == 1'782'864'000'000);  // 1 July
    CHECK(governor.reset_ended(1'780'272'000'000, mono(0)).empty());
    CHECK(governor.standing(ScopeKind::user, "u").spent.value == 0);
}

// temp_budget_increase holds until its expiry.
TEST_CASE("a budget raised for a while") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    BudgetWindow window = budget("1", true);
    window.extra = usd("1");
    window.extra_until_ms = kNow + 1000;
    world.limits().budgets = {window};
    CHECK(world.reserve(2 * kDollar).ok());
    world.ms += 1000;
    CHECK_FALSE(world.reserve(2 * kDollar).ok());
    CHECK(world.reserve(kDollar).ok());
}

// Premium requests are an allowance beside money; a model that is free skips budgets.
TEST_CASE("premium requests and free models") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.limits().premium_milli = 2500;
    Ask ask = world.ask();
    ask.premium_milli = 1000;
    auto first = world.governor.reserve(ask, &world.refusal);
    auto second = world.governor.reserve(ask, &world.refusal);
    REQUIRE(second.ok());
    CHECK_FALSE(world.governor.reserve(ask, &world.refusal).ok());
    CHECK(world.refusal.could_fit_later);
    first->settle({}, 0, 1000);
    second->settle({}, 0, 1000);
    auto third = world.governor.reserve(ask, &world.refusal);
    REQUIRE_FALSE(third.ok());
    CHECK(third.error().message ==
          "Premium requests have been exceeded! Key=k Current premium requests: 2, Max premium "
          "requests: 2.5");
    CHECK_FALSE(world.refusal.could_fit_later);
    ask.premium_milli = 0;
    CHECK(world.governor.reserve(ask).ok());

    world.limits().budgets = {budget("0", true)};
    CHECK_FALSE(world.governor.reserve(ask).ok());
    ask.free_model = true;
    CHECK(world.governor.reserve(ask).ok());
}

// A team's key spends the team's money: its owner's budget refuses nothing, but counts.
TEST_CASE("budgets that only count") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::user, "u"));
    world.caller.scopes[0].budgets_apply = false;
    world.limits().budgets = {budget("1")};
    auto taken = world.reserve(5 * kDollar);
    REQUIRE(taken.ok());
    taken->settle({5 * kDollar}, 0, 0);
    CHECK(world.governor.standing(ScopeKind::user, "u").spent.value == 5 * kDollar);
    CHECK(world.reserve(kDollar).ok());
}

// The customer and the request's tags are scopes like the others; a tag counts once.
TEST_CASE("customers and tags") {
    World world;
    auto tag = std::make_shared<Scope>(scope_of(ScopeKind::tag, "x"));
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.caller.scopes.push_back(*tag);
    const std::vector<std::shared_ptr<const Scope>> tags = {
        tag, std::make_shared<Scope>(scope_of(ScopeKind::tag, "y")), tag, nullptr};
    Scope customer = scope_of(ScopeKind::customer, "c");
    Ask ask = world.ask(kDollar);
    ask.tags = &tags;
    ask.customer = &customer;
    auto taken = world.governor.reserve(ask);
    REQUIRE(taken.ok());
    taken->settle({kDollar}, 0, 0);
    for (const auto& [kind, id] : {std::pair{ScopeKind::tag, "x"},
                                   {ScopeKind::tag, "y"},
                                   {ScopeKind::customer, "c"},
                                   {ScopeKind::key, "k"}}) {
        CHECK(world.governor.standing(kind, id).spent.value == kDollar);
    }
    customer.blocked = true;
    auto refused = world.governor.reserve(ask, &world.refusal);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().kind == Kind::forbidden);
    CHECK(refused.error().message.find("End User=c") != std::string::npos);
}

// What is idle and remembers nothing is dropped; spend is kept; a deleted entity's goes too.
TEST_CASE("idle scopes are dropped") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.limits().rpm = 10;
    {
        auto taken = world.reserve();
        world.ms += 120'000;
        CHECK(world.governor.reset_ended(kNow, mono(world.ms)).empty());
        CHECK(world.governor.size() == 1);  // still running
    }
    (void)world.governor.reset_ended(kNow, mono(world.ms));
    CHECK(world.governor.size() == 0);
    auto taken = world.reserve(1);
    taken->settle({1}, 0, 0);
    world.ms += 120'000;
    (void)world.governor.reset_ended(kNow, mono(world.ms));
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == 1);
    world.governor.forget(ScopeKind::key, "k");
    (void)world.governor.reset_ended(kNow, mono(world.ms));
    CHECK(world.governor.size() == 0);
    CHECK(world.reserve().ok());  // a hint to what is gone is not followed
}

// Restored spend is found by the scope that comes later, whole and per window and model.
TEST_CASE("spend from before") {
    World world;
    world.governor.set_spent(
        {{.kind = ScopeKind::key, .id = "k", .amount = usd("1")},
         {.kind = ScopeKind::key, .id = "k", .amount = usd("0.4"), .duration = "1d"},
         {.kind = ScopeKind::key, .id = "k", .model = "gpt-5", .amount = usd("0.2")}});
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    world.caller.scopes[0].spent_before = usd("7");  // older than what was set
    BudgetWindow month = budget("10", true);
    month.duration = "1mo";
    BudgetWindow day = budget("0.5", true);
    day.duration = "1d";
    world.limits().budgets = {month, day};
    auto taken = world.reserve(kDollar / 10);
    REQUIRE(taken.ok());
    CHECK(taken->key_spend().value == kDollar);
    CHECK_FALSE(world.reserve(kDollar / 10).ok());
    CHECK(world.governor.standing(ScopeKind::key, "k", "gpt-5").spent.value == kDollar / 5);
}

// What others have charged counts against every window of a scope, and a list of all counters sets
// another governor to the same.
TEST_CASE("spend of others, and a copy of all of it") {
    World world;
    world.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    BudgetWindow month = budget("10", true);
    month.duration = "1mo";
    BudgetWindow day = budget("0.5", true);
    day.duration = "1d";
    world.limits().budgets = {month, day};
    world.reserve(kDollar / 10)->settle({kDollar / 10}, 0, 0);
    world.governor.add_spent(
        {{.kind = ScopeKind::key, .id = "k", .amount = usd("0.2"), .premium_milli = 3},
         {.kind = ScopeKind::team, .id = "t", .amount = usd("0.2")}});
    CHECK(world.governor.standing(ScopeKind::key, "k").spent.value == kDollar * 3 / 10);
    CHECK(world.governor.standing(ScopeKind::team, "t").spent.value == kDollar / 5);
    CHECK_FALSE(world.reserve(kDollar / 4).ok());  // of the day

    std::vector<Spent> many;
    for (int i = 0; i < 3000; ++i) {
        many.push_back(
            {.kind = ScopeKind::user, .id = "u" + std::to_string(i), .amount = NanoCredits{i}});
    }
    world.governor.set_spent(many);
    World copy;
    size_t from = 0;
    size_t count = 0;
    do {
        const std::vector<Spent> some = world.governor.list_spent(from);
        count += some.size();
        copy.governor.set_spent(some);
    } while (from != 0);
    CHECK(count == 3 + 2999);
    CHECK(copy.governor.standing(ScopeKind::user, "u2999").spent.value == 2999);
    copy.caller.scopes.push_back(scope_of(ScopeKind::key, "k"));
    copy.limits().budgets = {month, day};
    CHECK_FALSE(copy.reserve(kDollar / 4).ok());
    CHECK(copy.reserve(kDollar / 5).ok());
}

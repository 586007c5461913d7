#include "observe/alerts.h"

#include <doctest/doctest.h>

#include <mutex>

#include "observe/watch.h"
#include "wire/json.h"

namespace belay::observe {
namespace {

struct Inbox {
    std::mutex mutex;
    std::vector<std::pair<std::string, json::Value>> posts;  // URL and body

    BatchSink::Post post() {
        return [this](const std::string& url, Poster::Headers, std::string body) -> Result<int> {
            auto value = json::parse(body);
            const std::lock_guard lock(mutex);
            posts.emplace_back(url, value.ok() ? *value : json::Value(body));
            return 200;
        };
    }
    std::vector<json::Value> at(const std::string& url) {
        const std::lock_guard lock(mutex);
        std::vector<json::Value> out;
        for (const auto& [to, body] : posts) {
            if (to == url) {
                out.push_back(body);
            }
        }
        return out;
    }
};

constexpr const char* kSlack = "http://slack/x";
constexpr const char* kHook = "http://hook/x";

AlertSettings settings() {
    AlertSettings s;
    s.slack = s.webhook = true;
    s.slack_url = Secret(kSlack);
    s.webhook_url = Secret(kHook);
    return s;
}

Alert alert(std::string key, std::string type = "budget_alerts") {
    Alert a;
    a.type = std::move(type);
    a.key = std::move(key);
    a.text = "text of " + a.key;
    a.event = "budget_crossed";
    a.event_group = "key";
    a.facts = json::Value::object({{"spend", json::Value(1.5)}, {"token", json::Value("hash")}});
    return a;
}

// The same thing is told once until its time has come, or until it was over.
TEST_CASE("alerts are told once") {
    Inbox inbox;
    {
        AlertCenter center(settings(), inbox.post());
        CHECK(center.raise(alert("a"), 1'000));
        CHECK_FALSE(center.raise(alert("a"), 2'000));
        CHECK(center.raise(alert("b"), 2'000));
        CHECK(center.raise(alert("a"), 1'000 + 3'600'000));
        center.clear("a");
        CHECK(center.raise(alert("a"), 1'001 + 3'600'000));
    }
    CHECK(inbox.at(kSlack).size() == 4);
    const auto hooks = inbox.at(kHook);
    REQUIRE(hooks.size() == 4);
    CHECK(hooks[0]["event"].as_string() == "budget_crossed");
    CHECK(hooks[0]["event_group"].as_string() == "key");
    CHECK(hooks[0]["spend"].as_double() == 1.5);
    CHECK(hooks[0]["token"].as_string() == "hash");
    CHECK(hooks[0].has("projected_spend"));
    CHECK(hooks[0]["event_message"].as_string() == "text of a");
}

// Types that were not asked for are not told; some go to addresses of their own.
TEST_CASE("types choose who is told") {
    Inbox inbox;
    AlertSettings s = settings();
    s.types = {"budget_alerts", "outage_alerts"};
    s.urls["outage_alerts"] = {"http://slack/outages"};
    {
        AlertCenter center(s, inbox.post());
        CHECK(center.raise(alert("a"), 1));
        CHECK(center.raise(alert("b", "outage_alerts"), 1));
        CHECK_FALSE(center.raise(alert("c", "llm_too_slow"), 1));
    }
    CHECK(inbox.at(kSlack).size() == 1);
    CHECK(inbox.at("http://slack/outages").size() == 1);
}

// Many at a time become a few messages and one digest that counts the rest.
TEST_CASE("a flood becomes a digest") {
    Inbox inbox;
    {
        AlertCenter center(settings(), inbox.post());
        center.tick(1);
        for (int i = 0; i < 100; ++i) {
            center.raise(alert("a" + std::to_string(i)), 1);
        }
        center.tick(1 + AlertCenter::kWindowMs);
    }
    const auto slack = inbox.at(kSlack);
    REQUIRE(slack.size() == AlertCenter::kPerWindow + 1);
    CHECK(slack.back()["text"].as_string().find("80 more alerts") != std::string_view::npos);
    CHECK(inbox.at(kHook).size() == 100);
}

// ---- what is worth an alert

struct World {
    Inbox inbox;
    std::vector<BudgetStanding> budgets;
    AccountStanding account;
    std::vector<std::string> resting;
    bool failing = false;
    std::unique_ptr<Listener> watch;

    explicit World(AlertSettings s = settings()) {
        watch = make_watch(
            s,
            {[this](const std::string&, const std::string&) { return budgets; },
             [this] { return account; }, [this] { return resting; }, [this] { return failing; }},
            inbox.post());
    }
    void hear(const std::function<void(ledger::SpendRecord&)>& change = {}) {
        Heard heard;
        auto& r = heard.entry.record;
        r.asked = r.model_group = "gpt";
        r.deployment_id = "d";
        r.status = ledger::Status::success;
        if (change) {
            change(r);
        }
        watch->hear(heard);
    }
    // (event or type, group) of what was told.
    std::vector<std::string> told() {
        watch.reset();
        std::vector<std::string> out;
        for (const auto& body : inbox.at(kHook)) {
            out.push_back(std::string(body["event"].as_string()) + " " +
                          std::string(body["event_group"].as_string()));
        }
        return out;
    }
};

BudgetStanding budget(int64_t spent, std::optional<int64_t> most, std::optional<int64_t> soft) {
    BudgetStanding b;
    b.id = "hash";
    b.shown = "ci";
    b.spent = {spent};
    if (most) {
        b.most = NanoCredits{*most};
    }
    if (soft) {
        b.soft = NanoCredits{*soft};
    }
    return b;
}

// Each step of a budget is told once: soft budget, percentages, the end; a refused request means
// the end even where reservations kept spend below it.
TEST_CASE("budgets") {
    struct Case {
        BudgetStanding standing;
        bool refused;
        std::vector<std::string> told;
    };
    const Case cases[] = {
        {budget(10, 100, std::nullopt), false, {}},
        {budget(60, 100, 50), false, {"soft_budget_crossed key"}},
        {budget(85, 100, std::nullopt), false, {"threshold_crossed key"}},
        {budget(97, 100, std::nullopt), false, {"threshold_crossed key"}},
        {budget(100, 100, std::nullopt), false, {"budget_crossed key"}},
        {budget(90, 100, std::nullopt), true, {"budget_crossed key"}},
        {budget(90, std::nullopt, std::nullopt), true, {}},
    };
    for (const auto& c : cases) {
        CAPTURE(c.standing.spent.value);
        World world;
        world.budgets = {c.standing};
        for (int i = 0; i < 3; ++i) {
            world.hear([&](ledger::SpendRecord& r) {
                if (c.refused) {
                    r.status = ledger::Status::failure;
                    r.error_kind = Kind::budget_exhausted;
                    r.deployment_id.clear();
                }
            });
            world.watch->tick(i);
        }
        CHECK(world.told() == c.told);
    }
}

// A chain that falls now and then is normal; one that falls often is told, once.
TEST_CASE("chains that fall often") {
    for (const auto& [falls, told] : {std::pair<int, size_t>{9, 0}, {30, 1}}) {
        World world;
        for (int i = 0; i < 40; ++i) {
            world.hear([&, i = i, n = falls](ledger::SpendRecord& r) {
                r.attempted_fallbacks = i < n ? 1 : 0;
                r.fallback_reason = "quota_month";
            });
        }
        CHECK(world.told().size() == told);
    }
}

// Account, allowances, outages, slow answers, failures and the ledger.
TEST_CASE("what else is told") {
    World world;
    world.account.needs_login = true;
    world.account.allowances = {{"premium", 5, 100, 4.5, "5 of 100 left", 0},
                                {"chat", 90, 100, 90, "90 of 100 left", 0}};
    world.resting = {"gpt"};
    world.failing = true;
    world.hear([](ledger::SpendRecord& r) { r.total_us = 301'000'000; });
    world.hear([](ledger::SpendRecord& r) {
        r.status = ledger::Status::failure;
        r.error_kind = Kind::timeout;
    });
    world.watch->tick(1);
    world.watch->tick(2);
    auto told = world.told();
    std::sort(told.begin(), told.end());
    CHECK(told == std::vector<std::string>{"account_needs_login proxy", "credits_low proxy",
                                           "db_exceptions proxy", "llm_exceptions proxy",
                                           "llm_too_slow proxy", "outage_alerts proxy"});
}

}  // namespace
}  // namespace belay::observe

// The account service on real event loops, with GitHub and time in the test's hands. Loop 0 is the
// control loop, loop 1 a worker that serves requests.
#include "accounts/service.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "net/loops.h"
#include "wire/url.h"

using namespace belay;
using namespace belay::accounts;

namespace {

class FakeClock final : public Clock {
  public:
    Mono mono() const override { return Mono(std::chrono::hours(1000) + passed()); }
    Wall wall() const override { return from_unix_seconds(1'790'000'000) + passed(); }
    void advance(milliseconds by) { ms_ += by.count(); }

  private:
    milliseconds passed() const { return milliseconds(ms_.load()); }
    std::atomic<int64_t> ms_{0};
};

std::string token_reply(int number,
                        const std::string& base = "https://api.individual.githubcopilot.com",
                        int64_t expires_at = 1'790'001'800) {
    return R"({"token":"tid=)" + std::to_string(number) +
           R"(;sku=x","refresh_in":1500,"expires_at":)" + std::to_string(expires_at) +
           R"(,"sku":"plus_monthly_subscriber_quota","endpoints":{"api":")" + base + R"("}})";
}

constexpr const char* kUser =
    R"({"login":"octocat","copilot_plan":"individual_pro","endpoints":{"api":"https://api.business.githubcopilot.com"},
        "quota_snapshots":{"premium_interactions":{"entitlement":300,"remaining":200,"percent_remaining":66.7}}})";
constexpr const char* kModels = R"({"data":[{"id":"gpt-5-mini"},{"id":"claude-opus-4.6"}]})";

// GitHub and Copilot: a reply per path (the last one stays), counted; all of it on the control
// loop.
class FakeGithub final : public net::Fetcher {
  public:
    struct Script {
        std::deque<Result<net::FetchReply>> replies;
        int asked = 0;
        std::vector<net::FetchRequest> requests;
    };

    net::Task<Result<net::FetchReply>> fetch(net::FetchRequest request) override {
        Script& script = scripts_[parse_url(request.url)->path];
        ++script.asked;
        script.requests.push_back(std::move(request));
        co_await Gate{*this};
        if (script.replies.empty()) {
            co_return upstream_error(Kind::upstream_unavailable, "nobody there");
        }
        Result<net::FetchReply> reply = script.replies.front();
        if (script.replies.size() > 1) {
            script.replies.pop_front();
        }
        co_return reply;
    }

    void answer(const std::string& path, int status, std::string body) {
        net::FetchReply reply;
        reply.status = status;
        reply.body = std::move(body);
        scripts_[path].replies = {Result<net::FetchReply>(std::move(reply))};
    }
    void then(const std::string& path, int status, std::string body) {
        net::FetchReply reply;
        reply.status = status;
        reply.body = std::move(body);
        scripts_[path].replies.emplace_back(std::move(reply));
    }
    void offline(const std::string& path) { scripts_[path].replies.clear(); }
    int asked(const std::string& path) { return scripts_[path].asked; }
    const net::FetchRequest& last(const std::string& path) {
        return scripts_[path].requests.back();
    }

    void hold() { holding_ = true; }
    void release(net::Loop& loop) {
        holding_ = false;
        for (const auto handle : std::exchange(held_, {})) {
            loop.ready(handle);
        }
    }

  private:
    struct Gate {
        FakeGithub& github;
        [[nodiscard]] bool await_ready() const { return !github.holding_; }
        void await_suspend(std::coroutine_handle<> h) { github.held_.push_back(h); }
        void await_resume() const {}
    };
    std::map<std::string, Script> scripts_;
    std::vector<std::coroutine_handle<>> held_;
    bool holding_ = false;
};

constexpr const char* kExchange = "/copilot_internal/v2/token";
constexpr const char* kUserPath = "/copilot_internal/user";
constexpr const char* kModelsPath = "/models";
constexpr const char* kStart = "/login/device/code";
constexpr const char* kPoll = "/login/oauth/access_token";

struct World {
    World() : loops(2) {
        char name[] = "/tmp/belay-account-XXXXXX";
        dir = mkdtemp(name);
        github.answer(kExchange, 200, token_reply(1));
        github.answer(kUserPath, 200, kUser);
        github.answer(kModelsPath, 200, kModels);
        loops.start();
    }
    ~World() {
        if (service) {
            on([&] {
                github.release(loops[0]);
                service->stop();
            });
            on([&] { service.reset(); });
        }
        loops.stop();
        loops.join();
        std::filesystem::remove_all(dir);
    }

    // Runs on the control loop, and waits until everything it set off there has run.
    void on(const std::function<void()>& work) {
        loops.run_on(0, work);
        for (int i = 0; i < 4; ++i) {
            loops.run_on(0, [] {});
        }
    }
    void put(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(dir);
        std::ofstream(dir + "/" + name) << text;
        std::filesystem::permissions(dir + "/" + name, std::filesystem::perms(0600));
    }
    [[nodiscard]] std::string get(const std::string& name) const {
        std::ifstream file(dir + "/" + name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void start(const std::string& profile = "vscode") {
        AccountOptions options;
        options.profile = find_profile(builtin_profiles(), profile).value();
        options.endpoints = plan_endpoints(settings).value();
        options.vault.dir = dir;
        options.vault.env_token = Secret(given);
        options.vault.env_name = "COPILOT_GITHUB_TOKEN";
        options.jitter = [] { return 0.0; };
        loops.run_on(0, [&] {
            service = std::make_unique<AccountService>(loops[0], github, clock, std::move(options));
        });
        on([&] { service->start(); });
    }
    // A service that has a token in its folder and its first Copilot token in hand.
    void start_signed_in(const std::string& profile = "vscode") {
        put("access-token", "ghu_first");
        start(profile);
        REQUIRE(service->view()->phase == Phase::signed_in);
    }
    void advance(milliseconds by) {
        clock.advance(by);
        on([&] { service->tick(); });
    }
    int asked(const std::string& path) {
        int count = 0;
        loops.run_on(0, [&] { count = github.asked(path); });
        return count;
    }

    using Wait = net::Task<Result<CredentialPtr>>;
    static net::Task<void> await(World& world, Wait wait) {
        auto outcome = co_await wait;
        std::lock_guard lock(world.mutex);
        world.outcomes.push_back(std::move(outcome));
        world.came.notify_all();
    }
    // Begins waits on loop `i`; they have been counted by the control loop when this returns.
    void ask(size_t i, int count, const std::function<Wait()>& make) {
        loops.run_on(i, [&] {
            for (int n = 0; n < count; ++n) {
                loops[i].spawn(await(*this, make()));
            }
        });
        on([] {});
    }
    std::vector<Result<CredentialPtr>> outcome_of(size_t count) {
        std::unique_lock lock(mutex);
        came.wait(lock, [&] { return outcomes.size() >= count; });
        return std::exchange(outcomes, {});
    }
    Result<CredentialPtr> acquire(size_t loop = 1) {
        ask(loop, 1, [&] { return service->acquire(far()); });
        return outcome_of(1)[0];
    }
    static Mono far() { return std::chrono::steady_clock::now() + std::chrono::hours(1); }

    std::string dir;
    std::string given;  // a token by environment
    EndpointSettings settings;
    FakeClock clock;
    FakeGithub github;
    net::Loops loops;
    std::unique_ptr<AccountService> service;
    std::mutex mutex;
    std::condition_variable came;
    std::vector<Result<CredentialPtr>> outcomes;
};

std::string token_of(const Result<CredentialPtr>& outcome) {
    return outcome.ok() ? outcome.value()->token.reveal().substr(0, 5) : outcome.error().code;
}

}  // namespace

TEST_CASE("nothing stored: signed out, and a request is told how to sign in") {
    World w;
    w.start();
    CHECK(w.service->view()->phase == Phase::signed_out);
    CHECK(w.service->current() == nullptr);
    const auto outcome = w.acquire();
    REQUIRE_FALSE(outcome.ok());
    CHECK(outcome.error().code == "copilot_sign_in_required");
    CHECK(outcome.error().message.find("belay login") != std::string::npos);
    CHECK(w.asked(kExchange) == 0);
}

TEST_CASE("a stored sign-in becomes a credential, an account and a list of models") {
    World w;
    w.start_signed_in();
    const CredentialPtr c = w.service->current();
    REQUIRE(c);
    CHECK(c->token.reveal().starts_with("tid=1"));
    CHECK(c->api_base == "https://api.individual.githubcopilot.com");
    CHECK_FALSE(c->direct);
    CHECK(c->profile->name == "vscode");
    const AccountViewPtr view = w.service->view();
    CHECK(view->login == "octocat");
    CHECK(view->plan == "Pro+");
    REQUIRE(view->catalogue);
    CHECK(view->catalogue->models.size() == 2);
    CHECK(w.get("api-key.json") == token_reply(1));
    w.on([&] {
        const auto& request = w.github.last(kExchange);
        CHECK(request.headers[1].second == "token ghu_first");
        CHECK(w.github.last(kModelsPath).headers[1].second == "Bearer tid=1;sku=x");
    });
}

TEST_CASE("a restart needs no sign-in and, while the stored token lives, no exchange") {
    World w;
    w.start_signed_in();
    w.on([&] { w.service->stop(); });
    w.on([&] { w.service.reset(); });
    w.clock.advance(seconds(600));
    w.start();
    CHECK(w.asked(kExchange) == 1);
    REQUIRE(w.service->current());
    CHECK(w.service->current()->token.reveal().starts_with("tid=1"));
    CHECK(w.service->view()->phase == Phase::signed_in);
}

TEST_CASE("500 requests that meet no token cause one exchange, on whatever loop they wait") {
    World w;
    w.put("access-token", "ghu_first");
    w.github.hold();
    w.start();
    CHECK(w.service->view()->phase == Phase::starting);
    w.ask(0, 250, [&] { return w.service->acquire(World::far()); });
    w.ask(1, 250, [&] { return w.service->acquire(World::far()); });
    CHECK(w.asked(kExchange) == 1);
    w.on([&] { w.github.release(w.loops[0]); });
    const auto outcomes = w.outcome_of(500);
    CHECK(w.asked(kExchange) == 1);
    for (const auto& outcome : outcomes) {
        REQUIRE(outcome.ok());
        CHECK(outcome.value() == outcomes[0].value());
    }
}

TEST_CASE("the token's end in mid-flight costs one exchange for all who meet it") {
    World w;
    w.start_signed_in();
    w.github.answer(kExchange, 200,
                    token_reply(2, "https://api.individual.githubcopilot.com", 1'790'009'999));
    w.clock.advance(seconds(1560));
    CHECK(w.service->current() == nullptr);
    w.on([&] { w.github.hold(); });
    w.ask(1, 500, [&] { return w.service->acquire(World::far()); });
    w.on([&] { w.github.release(w.loops[0]); });
    for (const auto& outcome : w.outcome_of(500)) {
        CHECK(token_of(outcome) == "tid=2");
    }
    CHECK(w.asked(kExchange) == 2);
}

TEST_CASE("a waiter gives up at its own deadline; the exchange goes on for the others") {
    World w;
    w.put("access-token", "ghu_first");
    w.github.hold();
    w.start();
    w.ask(1, 1, [&] { return w.service->acquire(Mono{}); });
    const auto late = w.outcome_of(1)[0];
    REQUIRE_FALSE(late.ok());
    CHECK(late.error().kind == Kind::timeout);
    w.ask(1, 1, [&] { return w.service->acquire(World::far()); });
    w.on([&] { w.github.release(w.loops[0]); });
    CHECK(token_of(w.outcome_of(1)[0]) == "tid=1");
    CHECK(w.asked(kExchange) == 1);
}

TEST_CASE("a used token is refreshed early, an idle one is left alone") {
    World w;
    w.start_signed_in();
    w.github.answer(kExchange, 200, token_reply(2));
    w.advance(seconds(1300));  // 260 s before the end, nobody has asked
    CHECK(w.asked(kExchange) == 1);
    REQUIRE(w.service->current());
    w.advance(seconds(1));
    CHECK(w.asked(kExchange) == 2);
    CHECK(w.service->current()->token.reveal().starts_with("tid=2"));
    CHECK(w.service->current()->generation == 2);
}

TEST_CASE("a failed refresh keeps the old token, and is not repeated within 30 s") {
    World w;
    w.start_signed_in();
    w.github.answer(kExchange, 503, "busy");
    REQUIRE(w.service->current());
    w.advance(seconds(1300));
    CHECK(w.asked(kExchange) == 2);
    CHECK(w.service->current()->token.reveal().starts_with("tid=1"));
    CHECK(w.service->view()->offline);
    CHECK(w.service->view()->phase == Phase::signed_in);
    for (int i = 0; i < 29; ++i) {
        w.advance(seconds(1));
    }
    CHECK(w.asked(kExchange) == 2);
    w.github.answer(kExchange, 200, token_reply(2));
    w.advance(seconds(2));
    CHECK(w.asked(kExchange) == 3);
    CHECK(w.service->current()->token.reveal().starts_with("tid=2"));
    CHECK_FALSE(w.service->view()->offline);
}

TEST_CASE("no token and GitHub away: a fast error with the wait, no storm, recovery by itself") {
    World w;
    w.put("access-token", "ghu_first");
    w.github.offline(kExchange);
    w.start();
    CHECK(w.service->view()->phase == Phase::unreachable);
    CHECK(w.asked(kExchange) == 1);
    w.ask(1, 100, [&] { return w.service->acquire(World::far()); });
    for (const auto& outcome : w.outcome_of(100)) {
        CHECK(token_of(outcome) == "copilot_unreachable");
        CHECK(outcome.error().retry_after == seconds(30));
    }
    CHECK(w.asked(kExchange) == 1);
    w.github.answer(kExchange, 200, token_reply(1));
    w.advance(seconds(31));
    CHECK(w.service->view()->phase == Phase::signed_in);
    CHECK(w.service->current() != nullptr);
}

TEST_CASE("a dead sign-in: needs login, no polling; what is still valid stays in use") {
    World w;
    w.start_signed_in();
    REQUIRE(w.service->current());
    w.github.answer(kExchange, 401, R"({"message":"Bad credentials"})");
    w.advance(seconds(1300));
    CHECK(w.service->view()->phase == Phase::needs_login);
    CHECK(w.service->current() != nullptr);
    w.advance(seconds(3600));
    CHECK(w.service->current() == nullptr);
    CHECK(token_of(w.acquire()) == "copilot_sign_in_required");
    CHECK(w.asked(kExchange) == 2);
}

TEST_CASE("GitHub's refusal is told with its reason, and asked again only when needed") {
    World w;
    w.put("access-token", "ghu_first");
    w.github.answer(kExchange, 403,
                    R"({"error_details":{"notification_id":"subscription_ended"}})");
    w.start();
    CHECK(w.service->view()->phase == Phase::refused);
    CHECK(w.service->view()->problem.id == "subscription_ended");
    CHECK(w.service->view()->login == "octocat");
    const auto refused = w.acquire();
    CHECK(refused.error().kind == Kind::upstream_rejected);
    CHECK(refused.error().code == "subscription_ended");
    w.github.answer(kExchange, 200, token_reply(1));
    w.advance(seconds(31));
    CHECK(token_of(w.acquire()) == "tid=1");
    CHECK(w.service->view()->phase == Phase::signed_in);
}

TEST_CASE("404 from the exchange: the GitHub token itself is the bearer") {
    World w;
    w.github.answer(kExchange, 404, R"({"message":"Not Found"})");
    w.start_signed_in();
    const CredentialPtr c = w.service->current();
    REQUIRE(c);
    CHECK(c->direct);
    CHECK(c->token.reveal() == "ghu_first");
    CHECK(c->api_base == "https://api.business.githubcopilot.com");  // from /copilot_internal/user
    CHECK(w.service->view()->direct);
    CHECK(w.service->view()->catalogue->models.size() == 2);
    w.advance(std::chrono::hours(48));
    CHECK(w.service->current() == c);
    CHECK(w.asked(kExchange) == 1);
}

TEST_CASE("a direct profile never asks for an exchange; a refused model list is a refusal") {
    World w;
    w.start_signed_in("opencode");
    CHECK(w.asked(kExchange) == 0);
    CHECK(w.service->current()->direct);

    World refused;
    refused.put("access-token", "gho_x");
    refused.github.answer(kModelsPath, 403, "forbidden");
    refused.start("opencode");
    CHECK(refused.service->view()->phase == Phase::refused);

    World dead;
    dead.put("access-token", "gho_x");
    dead.github.answer(kModelsPath, 401, "unauthorized");
    dead.start("opencode");
    CHECK(dead.service->view()->phase == Phase::needs_login);
}

TEST_CASE(
    "a rejected token is replaced once, however many report it; late reports get the new one") {
    World w;
    w.start_signed_in();
    const uint64_t old = w.service->current()->generation;
    w.clock.advance(seconds(10));
    w.on([&] {
        w.github.answer(kExchange, 200, token_reply(2));
        w.github.hold();
    });
    w.ask(1, 100, [&] { return w.service->refresh_after_401(old, World::far()); });
    CHECK(w.service->current() == nullptr);  // nobody else is sent out with the rejected token
    w.on([&] { w.github.release(w.loops[0]); });
    for (const auto& outcome : w.outcome_of(100)) {
        CHECK(token_of(outcome) == "tid=2");
    }
    CHECK(w.asked(kExchange) == 2);
    w.ask(1, 1, [&] { return w.service->refresh_after_401(old, World::far()); });
    CHECK(token_of(w.outcome_of(1)[0]) == "tid=2");
    CHECK(w.asked(kExchange) == 2);
}

TEST_CASE("a rejected token without successor stays in use after a passing failure") {
    World w;
    w.start_signed_in();
    w.clock.advance(seconds(10));
    w.github.answer(kExchange, 500, "");
    w.ask(1, 1, [&] { return w.service->refresh_after_401(1, World::far()); });
    CHECK(token_of(w.outcome_of(1)[0]) == "copilot_unreachable");
    CHECK(w.service->current() != nullptr);
    w.ask(1, 1, [&] { return w.service->refresh_after_401(1, World::far()); });
    CHECK(token_of(w.outcome_of(1)[0]) == "copilot_unreachable");
    CHECK(w.asked(kExchange) == 2);  // not within 30 s

    World gone;
    gone.start_signed_in();
    gone.clock.advance(seconds(10));
    gone.github.answer(kExchange, 401, "{}");
    gone.ask(1, 1, [&] { return gone.service->refresh_after_401(1, World::far()); });
    CHECK(token_of(gone.outcome_of(1)[0]) == "copilot_sign_in_required");
    CHECK(gone.service->current() == nullptr);
}

TEST_CASE("tokens that are rejected while they are fresh do not cause a storm") {
    World w;
    w.start_signed_in();
    const auto reject = [&] {
        w.ask(1, 1, [&] { return w.service->refresh_after_401(UINT64_MAX, World::far()); });
        return token_of(w.outcome_of(1)[0]);
    };
    // Within a second the token is taken for the successor of the one that was rejected.
    for (int i = 0; i < 20; ++i) {
        CHECK(reject() == "tid=1");
    }
    CHECK(w.asked(kExchange) == 1);
    std::vector<std::string> outcomes;
    for (int i = 0; i < 6; ++i) {
        w.clock.advance(milliseconds(1500));
        outcomes.push_back(reject());
    }
    CHECK(outcomes[1] == "tid=1");
    CHECK(outcomes[2] == "copilot_unreachable");
    CHECK(outcomes[5] == "copilot_unreachable");
    CHECK(w.asked(kExchange) == 3);
}

TEST_CASE("421: the exchange's hosts are read again; a direct token tries the next plan's host") {
    World w;
    w.start_signed_in();
    w.clock.advance(seconds(10));
    w.github.answer(kExchange, 200, token_reply(2, "https://api.business.githubcopilot.com"));
    w.ask(1, 1, [&] { return w.service->refresh_after_421(1, World::far()); });
    CHECK(w.outcome_of(1)[0].value()->api_base == "https://api.business.githubcopilot.com");

    World direct;
    direct.start_signed_in("opencode");
    CHECK(direct.service->current()->api_base == "https://api.business.githubcopilot.com");
    direct.clock.advance(seconds(10));
    direct.ask(1, 1, [&] { return direct.service->refresh_after_421(1, World::far()); });
    CHECK(direct.outcome_of(1)[0].value()->api_base == "https://api.githubcopilot.com");

    World moved;
    moved.github.answer(kModelsPath, 421, "misdirected");
    moved.github.then(kModelsPath, 200, kModels);
    moved.start_signed_in("opencode");
    CHECK(moved.service->current()->api_base == "https://api.githubcopilot.com");
}

TEST_CASE("an announced host outside Copilot is ignored and said; the token never goes there") {
    World w;
    w.github.answer(kExchange, 200, token_reply(1, "https://api.githubcopilot.com.evil.io"));
    w.start_signed_in();
    CHECK(w.service->current()->api_base == "https://api.githubcopilot.com");
    REQUIRE(w.service->view()->warnings.size() == 1);
    CHECK(w.service->view()->warnings[0].find("evil.io") != std::string::npos);
}

TEST_CASE(
    "a sign-in from start to token: polls at the interval, saves, exchanges, shows the account") {
    World w;
    w.github.answer(
        kStart, 200,
        R"({"device_code":"dc","user_code":"ABCD-1234","expires_in":900,"interval":5})");
    w.github.answer(kPoll, 200, R"({"error":"authorization_pending"})");
    w.github.then(kPoll, 200, R"({"error":"slow_down","interval":10})");
    w.github.then(kPoll, 200, R"({"access_token":"ghu_new"})");
    w.start();
    w.service->sign_in("browser-1");
    w.on([] {});
    AccountViewPtr view = w.service->view();
    CHECK(view->device == DeviceFlow::State::waiting);
    CHECK(view->user_code == "ABCD-1234");
    CHECK(view->device_owner == "browser-1");
    CHECK(view->verification_url == "https://github.com/login/device");
    CHECK(view->code_expires_at == w.clock.wall() + seconds(900));
    w.advance(seconds(5));
    CHECK(w.asked(kPoll) == 0);
    w.advance(seconds(1));
    CHECK(w.asked(kPoll) == 1);
    w.advance(seconds(6));
    CHECK(w.asked(kPoll) == 2);
    CHECK(w.service->view()->device_slowed);
    w.advance(seconds(10));
    CHECK(w.asked(kPoll) == 2);
    w.advance(seconds(1));
    view = w.service->view();
    CHECK(view->device == DeviceFlow::State::success);
    CHECK(view->phase == Phase::signed_in);
    CHECK(view->login == "octocat");
    CHECK(view->user_code.empty());
    CHECK(w.get("access-token") == "ghu_new");
    CHECK(w.service->current() != nullptr);
}

TEST_CASE("a cancelled sign-in leaves no poller; only its owner can cancel it") {
    World w;
    w.github.answer(kStart, 200, R"({"device_code":"dc","user_code":"ABCD-1234"})");
    w.github.answer(kPoll, 200, R"({"access_token":"ghu_new"})");
    w.start();
    w.service->sign_in("me");
    w.service->cancel_sign_in("somebody else");
    w.on([] {});
    CHECK(w.service->view()->device == DeviceFlow::State::waiting);
    // The answer to a poll under way when the flow is cancelled belongs to nobody.
    w.on([&] { w.github.hold(); });
    w.advance(seconds(6));
    w.service->cancel_sign_in("me");
    w.on([&] { w.github.release(w.loops[0]); });
    w.advance(seconds(600));
    CHECK(w.asked(kPoll) == 1);
    CHECK(w.service->view()->phase == Phase::signed_out);
    CHECK(w.get("access-token").empty());
}

TEST_CASE("another account's sign-in waits until its owner confirms it") {
    World w;
    w.start_signed_in();
    w.github.answer(kStart, 200, R"({"device_code":"dc","user_code":"ABCD-1234"})");
    w.github.answer(kPoll, 200, R"({"access_token":"ghu_second"})");
    const auto sign_in = [&](const std::string& login) {
        w.github.answer(kUserPath, 200, R"({"login":")" + login + R"("})");
        w.service->sign_in("page", Replace::ask);
        w.on([] {});
        w.advance(seconds(6));
        return w.service->view()->pending_login;
    };
    CHECK(sign_in("mallory") == "mallory");
    CHECK(w.get("access-token") == "ghu_first");
    CHECK(w.service->view()->login == "octocat");
    w.service->confirm("somebody else");
    w.on([] {});
    CHECK(w.service->view()->pending_login == "mallory");
    // Turned down, or simply left alone, it is forgotten.
    w.service->cancel_sign_in("page");
    w.on([] {});
    CHECK(w.service->view()->pending_login.empty());
    CHECK(sign_in("mallory") == "mallory");
    w.advance(seconds(600));
    CHECK(w.service->view()->pending_login.empty());
    CHECK(w.get("access-token") == "ghu_first");

    CHECK(sign_in("jane") == "jane");
    w.service->confirm("page");
    w.on([] {});
    CHECK(w.get("access-token") == "ghu_second");
    CHECK(w.service->view()->login == "jane");
    CHECK(w.service->view()->pending_login.empty());
    // The same account signs in anew without a question; so does a terminal.
    w.github.answer(kPoll, 200, R"({"access_token":"ghu_third"})");
    CHECK(sign_in("jane").empty());
    CHECK(w.get("access-token") == "ghu_third");
}

TEST_CASE("a sign-in done by another program is seen, also by the request that needs it") {
    World w;
    w.start();
    CHECK(token_of(w.acquire()) == "copilot_sign_in_required");
    w.put("access-token", "ghu_litellm");
    w.clock.advance(seconds(3));
    CHECK(token_of(w.acquire()) == "tid=1");
    // Another account: the old one's token is dropped, though it would still be valid.
    w.github.answer(kExchange, 200, token_reply(7));
    w.put("access-token", "ghu_another_account");
    w.advance(seconds(3));
    CHECK(w.service->current()->token.reveal().starts_with("tid=7"));
    std::filesystem::remove(w.dir + "/access-token");
    std::filesystem::remove(w.dir + "/api-key.json");
    w.advance(seconds(3));
    CHECK(w.service->view()->phase == Phase::signed_out);
    CHECK(w.service->current() == nullptr);
}

TEST_CASE("signing out removes the files and the token in memory") {
    World w;
    w.start_signed_in();
    w.service->sign_out();
    w.on([] {});
    CHECK(w.service->current() == nullptr);
    CHECK(w.service->view()->phase == Phase::signed_out);
    CHECK(w.service->view()->login.empty());
    CHECK_FALSE(std::filesystem::exists(w.dir + "/access-token"));
    CHECK_FALSE(std::filesystem::exists(w.dir + "/api-key.json"));
}

TEST_CASE("an answer for the account before is dropped") {
    World w;
    w.put("access-token", "ghu_first");
    w.github.hold();
    w.start();
    w.service->sign_out();
    w.on([&] { w.github.release(w.loops[0]); });
    CHECK(w.service->current() == nullptr);
    CHECK(w.service->view()->phase == Phase::signed_out);
    CHECK_FALSE(std::filesystem::exists(w.dir + "/api-key.json"));
}

TEST_CASE("stop wakes whoever waits") {
    World w;
    w.put("access-token", "ghu_first");
    w.github.hold();
    w.start();
    w.ask(1, 10, [&] { return w.service->acquire(World::far()); });
    w.on([&] { w.service->stop(); });
    for (const auto& outcome : w.outcome_of(10)) {
        REQUIRE_FALSE(outcome.ok());
        CHECK(outcome.error().kind == Kind::cancelled);
    }
}

TEST_CASE("the list of models is kept across failures and fetched again when old") {
    World w;
    w.start_signed_in();
    CHECK(w.asked(kModelsPath) == 1);
    CHECK(w.service->catalogue()->models.size() == 2);
    w.github.answer(kModelsPath, 429, "slow down");
    w.clock.advance(seconds(601));
    CHECK(w.service->catalogue()->models.size() == 2);
    w.on([] {});
    CHECK(w.asked(kModelsPath) == 2);
    CHECK(w.service->catalogue()->models.size() == 2);
    w.on([] {});
    CHECK(w.asked(kModelsPath) == 2);  // not again within 30 s
    w.github.answer(kModelsPath, 200, R"({"data":[{"id":"new"}]})");
    w.clock.advance(seconds(31));
    (void)w.service->catalogue();
    w.on([] {});
    CHECK(w.service->catalogue()->models[0].id == "new");
}

TEST_CASE("quota headers of model replies update the view, at most once a second") {
    World w;
    w.start_signed_in();
    CHECK(w.service->wants_quota(w.clock.mono()));
    CHECK_FALSE(w.service->wants_quota(w.clock.mono()));
    w.service->note_quota("x-quota-snapshot-premium_interactions", "ent=300&rem=10");
    w.service->note_quota("x-request-id", "5");
    w.on([] {});
    REQUIRE(w.service->view()->quotas.size() == 1);
    CHECK(w.service->view()->quotas[0].remaining == doctest::Approx(30));
    w.clock.advance(seconds(1));
    CHECK(w.service->wants_quota(w.clock.mono()));
}

TEST_CASE("a token given by environment is used, never stored, and named when it is dead") {
    World w;
    w.put("access-token", "ghu_stored");
    w.put("api-key.json", token_reply(9));
    w.given = "ghu_given";
    w.start();
    CHECK(w.service->current()->token.reveal().starts_with("tid=1"));
    w.on([&] { CHECK(w.github.last(kExchange).headers[1].second == "token ghu_given"); });
    CHECK(w.get("api-key.json") == token_reply(9));

    World dead;
    dead.given = "ghu_given";
    dead.github.answer(kExchange, 401, "{}");
    dead.start();
    CHECK(dead.service->view()->phase == Phase::needs_login);
    CHECK(dead.acquire().error().message.find("COPILOT_GITHUB_TOKEN") != std::string::npos);
}

TEST_CASE("before the start the view already tells whether there is a sign-in") {
    World w;
    w.put("access-token", "ghu_first");
    AccountOptions options;
    options.profile = builtin_profiles()[0];
    options.endpoints = plan_endpoints({}).value();
    options.vault.dir = w.dir;
    w.on([&] {
        const AccountService service(w.loops[0], w.github, w.clock, options);
        CHECK(service.view()->phase == Phase::starting);
    });
}

TEST_CASE("files that are not safe to read are not used, and the reason stands in the view") {
    World w;
    w.put("elsewhere", "ghu_x");
    std::filesystem::create_symlink(w.dir + "/elsewhere", w.dir + "/access-token");
    w.start();
    CHECK(w.service->view()->phase == Phase::signed_out);
    CHECK(w.service->view()->problem.id == "unsafe_files");
    CHECK(w.asked(kExchange) == 0);
}

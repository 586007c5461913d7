#include "accounts/token.h"

#include <doctest/doctest.h>

#include <set>

using namespace belay;
using namespace belay::accounts;

namespace {

const Wall kNow = from_unix_seconds(1'790'000'000);

std::string token_body(const std::string& extra) {
    return R"({"token":"tid=1;exp=1790001800;sku=plus_monthly_subscriber_quota;proxy-ep=proxy.individual.githubcopilot.com;chat=1:abc")" +
           extra + "}";
}

ExchangeAnswer answer(int status, std::string_view body, std::string_view date = {},
                      std::string_view retry_after = {}) {
    return parse_exchange(status, body, date, retry_after, kNow);
}

}  // namespace

TEST_CASE("a good exchange: token, host, SKU and a life by the local clock") {
    const auto b =
        answer(200, token_body(R"(,"expires_at":1790001800,"refresh_in":1500,"sku":"business_x",
             "endpoints":{"api":"https://api.business.githubcopilot.com"},"limited_user_quotas":null,
             "user_notification":{"message":"Your trial ends soon"})"));
    REQUIRE(b.token);
    CHECK(b.problem.what == Problem::What::none);
    CHECK(b.token->token.reveal().starts_with("tid=1;"));
    CHECK(b.token->api_base == "https://api.business.githubcopilot.com");
    CHECK(b.token->sku == "business_x");
    CHECK(b.token->notice == "Your trial ends soon");
    CHECK(b.token->life == seconds(1560));
}

TEST_CASE("without endpoints the token string tells host and SKU") {
    const auto a =
        answer(200, token_body(R"(,"expires_at":1790001800,"refresh_in":1500,"endpoints":null)"));
    REQUIRE(a.token);
    CHECK(a.token->api_base == "https://api.individual.githubcopilot.com");
    CHECK(a.token->sku == "plus_monthly_subscriber_quota");
}

TEST_CASE("the life survives absurd figures and wrong clocks") {
    struct Case {
        const char* fields;
        const char* date;
        seconds life;  // 0: refused as expired
    } cases[] = {
        {R"(,"expires_at":1790001800,"refresh_in":1500)", "", seconds(1560)},
        {R"(,"expires_at":1790001800,"refresh_in":-5)", "", seconds(1800)},
        {R"(,"expires_at":1790001800,"refresh_in":999999999)", "", seconds(1800)},
        {R"(,"expires_at":1790001800)", "", seconds(1800)},
        {R"(,"expires_at":1790000003,"refresh_in":1)", "", seconds(61)},
        {R"(,"expires_at":1790000003)", "", seconds(60)},
        {R"(,"expires_at":99999999999)", "", seconds(24 * 3600)},
        {R"(,"refresh_in":1500)", "", seconds(1560)},
        // expired, by the local clock alone and with nothing better said
        {R"(,"expires_at":1789999000)", "", seconds(0)},
        // the local clock runs an hour ahead: refresh_in still counts
        {R"(,"expires_at":1789998000,"refresh_in":1500)", "", seconds(1560)},
        // the server's own Date says that it is expired
        {R"(,"expires_at":1790001800,"refresh_in":1500)", "Mon, 21 Sep 2026 15:13:20 GMT",
         seconds(0)},
    };
    for (const Case& c : cases) {
        CAPTURE(c.fields);
        const auto a = answer(200, token_body(c.fields), c.date);
        CHECK(a.token.has_value() == (c.life > seconds(0)));
        if (a.token) {
            CHECK(a.token->life == c.life);
        } else {
            CHECK(a.problem.what == Problem::What::transient);
            CHECK(a.problem.id == "expired_token");
        }
    }
}

TEST_CASE("every failure of the exchange has its reaction") {
    using enum Problem::What;
    struct Case {
        int status;
        const char* body;
        Problem::What what;
        const char* id;
    } cases[] = {
        {401, R"({"message":"Bad credentials","status":"401"})", needs_login, "bad_credentials"},
        {401, "", needs_login, "bad_credentials"},
        {404, R"({"message":"Not Found"})", no_exchange, "no_exchange"},
        {403, R"({"message":"API rate limit exceeded for user ID 123."})", transient,
         "rate_limited"},
        {403, R"({"message":"Resource not accessible by integration"})", refused, "forbidden"},
        {403, "<html>blocked by proxy</html>", transient, "http_403"},
        {429, "{}", transient, "rate_limited"},
        {500, "oops", transient, "http_500"},
        {302, "", transient, "http_302"},
        {200, "<html>", transient, "malformed"},
        {200, "", transient, "malformed"},
        {200, R"({"token":""})", transient, "malformed"},
        {200, R"({"token":"a\nb","expires_at":1790001800})", transient, "malformed"},
        {200, R"({"token":5})", transient, "malformed"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.status);
        CAPTURE(c.body);
        const auto a = answer(c.status, c.body);
        CHECK_FALSE(a.token);
        CHECK(a.problem.what == c.what);
        CHECK(a.problem.id == c.id);
        CHECK_FALSE(a.problem.title.empty());
        CHECK_FALSE(a.problem.text.empty());
    }
    CHECK(answer(429, "{}", "", "120").problem.retry_after == seconds(120));
    CHECK(answer(503, "", "", "99999999999999").problem.retry_after == seconds(3600));
    CHECK(answer(429, "{}", "", "Mon, 21 Sep 2026 14:14:20 GMT").problem.retry_after ==
          seconds(60));
    CHECK_FALSE(answer(429, "{}", "", "soon").problem.retry_after);
}

TEST_CASE("every notification id has its own words, and only GitHub's pages are linked") {
    std::set<std::string> titles_and_texts;
    const char* ids[] = {"no_copilot_access",
                         "not_signed_up",
                         "subscription_ended",
                         "enterprise_managed_user_account",
                         "feature_flag_blocked",
                         "spammy_user",
                         "billing_locked",
                         "trade_restricted",
                         "trade_restricted_country",
                         "codespaces_demo_inactive",
                         "snippy_not_configured",
                         "expired_coupon",
                         "revoked_coupon",
                         "go_http_client",
                         "programmatic_token_generation",
                         "access_revoked"};
    for (const char* id : ids) {
        CAPTURE(id);
        const auto a = answer(
            403,
            R"({"can_signup_for_limited":false,"error_details":{"message":"m","notification_id":")" +
                std::string(id) + R"(","title":"GITHUB TITLE","url":"https://evil.io"}})");
        CHECK(a.problem.what == Problem::What::refused);
        CHECK(a.problem.id == id);
        CHECK(a.problem.title != "GITHUB TITLE");
        CHECK(titles_and_texts.insert(a.problem.text).second);
        CHECK((a.problem.url.empty() || a.problem.url.find("github.com/") != std::string::npos));
    }
    // Trouble of the server's own is no verdict on the account.
    CHECK(describe_refusal("server_error", "", "", "").what == Problem::What::transient);
    // What nobody has seen yet is passed on in GitHub's words, its link only when it is GitHub's.
    const Problem fresh =
        describe_refusal("new_reason", "New title", "New text", "https://github.com/x");
    CHECK(fresh.title == "New title");
    CHECK(fresh.text == "New text");
    CHECK(fresh.url == "https://github.com/x");
    CHECK(describe_refusal("new_reason", "t", "x", "https://github.com.evil.io/").url.empty());
    // An account that could have the free plan is told so.
    const auto free = answer(
        403,
        R"({"can_signup_for_limited":true,"error_details":{"notification_id":"not_signed_up"}})");
    CHECK(free.problem.text.find("Copilot Free") != std::string::npos);
}

TEST_CASE("a stored token is used while it has more than a minute left") {
    CHECK(parse_stored_token(token_body(R"(,"expires_at":1790000600)"), kNow)->life ==
          seconds(600));
    CHECK_FALSE(parse_stored_token(token_body(R"(,"expires_at":1790000060)"), kNow));
    CHECK_FALSE(parse_stored_token(token_body(R"(,"expires_at":1789990000)"), kNow));
    CHECK_FALSE(parse_stored_token("not json", kNow));
    CHECK_FALSE(parse_stored_token("{}", kNow));
    CHECK(parse_stored_token(token_body(R"(,"expires_at":99999999999)"), kNow)->life == kLifeMax);
}

TEST_CASE("refresh comes early, never late, and spread out") {
    const Mono now{std::chrono::hours(10)};
    CHECK(plan_refresh(now, seconds(1560), 0.0) == now + seconds(1560 - 300));
    CHECK(plan_refresh(now, seconds(60), 0.0) == now + seconds(48));
    CHECK(plan_refresh(now, seconds(1560), 0.999) > now + seconds(1560 - 376));
    CHECK(plan_refresh(now, seconds(1560), 0.999) < now + seconds(1560 - 300));
}

TEST_CASE("failures are never repeated within 30 s, nor put off for ever") {
    CHECK(plan_backoff(1, {}, 0) == seconds(30));
    CHECK(plan_backoff(2, {}, 0) == seconds(60));
    CHECK(plan_backoff(50, {}, 0) == seconds(300));
    CHECK(plan_backoff(1, seconds(1), 0) == seconds(30));
    CHECK(plan_backoff(1, seconds(90), 0) == seconds(90));
    CHECK(plan_backoff(1, seconds(999999), 0) == seconds(3600));
    CHECK(plan_backoff(1, {}, 0.5) == seconds(33));
}

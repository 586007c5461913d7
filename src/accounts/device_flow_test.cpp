#include "accounts/device_flow.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::accounts;

namespace {

const Mono kStart{std::chrono::hours(1000)};

DeviceCode code_of(std::string_view body) { return parse_device_code(200, body).value(); }
Result<PollAnswer> error_of(std::string_view code) {
    return parse_poll(200, R"({"error":")" + std::string(code) + R"("})");
}

// A flow that waits for its person, begun at kStart.
DeviceFlow waiting_flow(
    std::string_view body =
        R"({"device_code":"d","user_code":"ABCD-1234","expires_in":900,"interval":5})") {
    DeviceFlow flow;
    REQUIRE(flow.begin(kStart, "me").ok());
    flow.on_asked();
    flow.on_started(code_of(body), kStart);
    return flow;
}

}  // namespace

TEST_CASE("a device code is read, with defaults and bounds for the times") {
    const DeviceCode code = code_of(
        R"({"device_code":"0123","user_code":"ABCD-1234","verification_uri":"https://evil.io","expires_in":899,"interval":7})");
    CHECK(code.device_code.reveal() == "0123");
    CHECK(code.user_code == "ABCD-1234");
    CHECK(code.expires_in == seconds(899));
    CHECK(code.interval == seconds(7));
    const DeviceCode bare = code_of(R"({"device_code":"0","user_code":"ABCD-1234","interval":0})");
    CHECK(bare.expires_in == seconds(900));
    CHECK(bare.interval == seconds(1));
    CHECK(code_of(R"({"device_code":"0","user_code":"ABCD-1234","expires_in":99999999})")
              .expires_in == seconds(3600));
}

TEST_CASE("errors arrive with status 200; trouble of the server is worth another try") {
    struct Case {
        int status;
        const char* body;
        Kind kind;
        const char* says;
    } cases[] = {
        {200, R"({"error":"device_flow_disabled","error_description":"x"})",
         Kind::upstream_rejected, "profile"},
        {200, R"({"error":"incorrect_client_credentials"})", Kind::upstream_rejected, "client id"},
        {404, "Not Found", Kind::upstream_rejected, "client id"},
        {200, R"({"device_code":"d","user_code":"<script>"})", Kind::upstream_rejected, "GitHub"},
        {200, R"({})", Kind::upstream_rejected, "GitHub"},
        {503, "<html>", Kind::upstream_unavailable, "GitHub"},
        {429, "{}", Kind::upstream_unavailable, "GitHub"},
        {200, "<html>captive portal</html>", Kind::upstream_unavailable, "GitHub"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.body);
        const auto code = parse_device_code(c.status, c.body);
        REQUIRE_FALSE(code.ok());
        CHECK(code.error().kind == c.kind);
        CHECK(code.error().message.find(c.says) != std::string::npos);
    }
}

TEST_CASE("every answer of a poll has its meaning") {
    using enum PollAnswer::Kind;
    struct Case {
        const char* error;
        PollAnswer::Kind kind;
    } cases[] = {
        {"authorization_pending", pending}, {"slow_down", slow_down},
        {"expired_token", expired},         {"token_expired", expired},
        {"access_denied", denied},          {"incorrect_device_code", failed},
        {"unsupported_grant_type", failed}, {"incorrect_client_credentials", failed},
        {"device_flow_disabled", failed},   {"something_new", failed},
    };
    for (const Case& c : cases) {
        CAPTURE(c.error);
        const auto answer = error_of(c.error);
        REQUIRE(answer.ok());
        CHECK(answer->kind == c.kind);
        CHECK(answer->text.empty() == (c.kind != failed));
    }
    const auto good =
        parse_poll(200, R"({"access_token":"ghu_x","token_type":"bearer","scope":""})");
    CHECK(good->kind == success);
    CHECK(good->access_token.reveal() == "ghu_x");
    CHECK_FALSE(parse_poll(502, "bad gateway").ok());
    CHECK_FALSE(parse_poll(200, "<html>").ok());
    CHECK_FALSE(parse_poll(200, R"({"access_token":"two\nlines"})").ok());
}

TEST_CASE("polls come an interval and a margin apart, the first one too") {
    DeviceFlow flow = waiting_flow();
    CHECK(flow.state() == DeviceFlow::State::waiting);
    CHECK(flow.next_at() == kStart + seconds(6));
    flow.on_asked();
    CHECK(flow.next_at() == kStart + seconds(900));  // silent but for the end
    CHECK_FALSE(flow.on_poll(error_of("authorization_pending"), kStart + seconds(6)));
    CHECK(flow.next_at() == kStart + seconds(12));
}

TEST_CASE("slow_down lengthens the interval for good, by the reply's figure or by five seconds") {
    DeviceFlow flow = waiting_flow();
    (void)flow.on_poll(parse_poll(200, R"({"error":"slow_down","interval":17})"), kStart);
    CHECK(flow.interval() == seconds(17));
    CHECK(flow.slowed());
    (void)flow.on_poll(error_of("slow_down"), kStart);
    CHECK(flow.interval() == seconds(22));
    (void)flow.on_poll(error_of("authorization_pending"), kStart);
    CHECK(flow.interval() == seconds(22));
    // A reply that names less than before cannot make it faster.
    (void)flow.on_poll(parse_poll(200, R"({"error":"slow_down","interval":1})"), kStart);
    CHECK(flow.interval() == seconds(22));
}

TEST_CASE("a network failure is pending and offline, and passes") {
    DeviceFlow flow = waiting_flow();
    (void)flow.on_poll(upstream_error(Kind::upstream_unavailable, "no route"), kStart);
    CHECK(flow.state() == DeviceFlow::State::waiting);
    CHECK(flow.offline());
    (void)flow.on_poll(error_of("authorization_pending"), kStart);
    CHECK_FALSE(flow.offline());
}

TEST_CASE("success gives the token once; late answers change nothing") {
    DeviceFlow flow = waiting_flow();
    const uint64_t number = flow.number();
    const auto token = flow.on_poll(parse_poll(200, R"({"access_token":"ghu_x"})"), kStart);
    REQUIRE(token);
    CHECK(token->reveal() == "ghu_x");
    CHECK(flow.state() == DeviceFlow::State::success);
    CHECK_FALSE(flow.next_at());
    CHECK(flow.number() != number);
    CHECK(flow.device_code().empty());
    CHECK_FALSE(flow.on_poll(parse_poll(200, R"({"access_token":"ghu_y"})"), kStart));
}

TEST_CASE("denied, expired and failed end the flow; the code's time is a hard stop") {
    struct Case {
        const char* error;
        DeviceFlow::State state;
    } cases[] = {{"access_denied", DeviceFlow::State::denied},
                 {"expired_token", DeviceFlow::State::expired},
                 {"incorrect_device_code", DeviceFlow::State::failed}};
    for (const Case& c : cases) {
        DeviceFlow flow = waiting_flow();
        (void)flow.on_poll(error_of(c.error), kStart);
        CHECK(flow.state() == c.state);
        CHECK_FALSE(flow.next_at());
    }
    DeviceFlow flow = waiting_flow();
    CHECK_FALSE(flow.tick(kStart + seconds(899)));
    CHECK(flow.tick(kStart + seconds(900)));
    CHECK(flow.state() == DeviceFlow::State::expired);
    // The last poll before the end is not put off beyond it.
    DeviceFlow late = waiting_flow();
    (void)late.on_poll(error_of("authorization_pending"), kStart + seconds(898));
    CHECK(late.next_at() == kStart + seconds(900));
}

TEST_CASE("a start without network tries again by itself, ever slower, and counts once") {
    DeviceFlow flow;
    REQUIRE(flow.begin(kStart, "me").ok());
    CHECK(flow.next_at() == kStart);
    const seconds waits[] = {seconds(2),  seconds(4),  seconds(8),
                             seconds(16), seconds(30), seconds(30)};
    for (const seconds wait : waits) {
        flow.on_asked();
        flow.on_started(upstream_error(Kind::upstream_unavailable, "x"), kStart);
        CHECK(flow.offline());
        CHECK(flow.next_at() == kStart + wait);
    }
    CHECK(flow.tick(kStart + seconds(900)));
    CHECK(flow.state() == DeviceFlow::State::failed);
    CHECK(flow.problem().find("15 minutes") != std::string::npos);
}

TEST_CASE("one live flow, five starts an hour") {
    DeviceFlow flow = waiting_flow();
    const uint64_t number = flow.number();
    CHECK(flow.begin(kStart, "someone else").ok());
    CHECK(flow.number() == number);  // the live one goes on
    CHECK(flow.owner() == "me");
    for (int i = 1; i < 5; ++i) {
        flow.cancel();
        CHECK(flow.state() == DeviceFlow::State::idle);
        REQUIRE(flow.begin(kStart + seconds(i), "me").ok());
    }
    flow.cancel();
    const auto refused = flow.begin(kStart + seconds(10), "me");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().kind == Kind::rate_limited);
    CHECK(refused.error().retry_after == seconds(3591));
    CHECK_FALSE(flow.problem().empty());
    CHECK(flow.begin(kStart + std::chrono::hours(1), "me").ok());
}

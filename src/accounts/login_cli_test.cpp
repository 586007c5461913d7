#include "accounts/login_cli.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::accounts;

namespace {

const Mono kNow{std::chrono::hours(1)};

AccountView flow(DeviceFlow::State state) {
    AccountView v;
    v.device = state;
    v.user_code = "WDJB-MJHT";
    v.verification_url = "https://github.com/login/device";
    return v;
}

AccountView signed_in() {
    AccountView v = flow(DeviceFlow::State::success);
    v.phase = Phase::signed_in;
    v.login = "octocat";
    v.plan = "Pro+";
    v.quotas = {{"premium_interactions", 300, 200, 66.7}};
    v.catalogue = std::make_shared<const Catalogue>(
        parse_catalogue(
            R"({"data":[{"id":"a"},{"id":"b"},{"id":"c","policy":{"state":"disabled"}}]})")
            .value());
    return v;
}

}  // namespace

TEST_CASE("a sign-in is told once, from the code to the account") {
    LoginStory story(LoginStory::Colour::none);
    CHECK(story.tell({}, kNow).empty());
    CHECK(story.tell(flow(DeviceFlow::State::starting), kNow).empty());
    const std::string code = story.tell(flow(DeviceFlow::State::waiting), kNow);
    CHECK(code ==
          "\n  Your code    WDJB-MJHT\n  Enter it at  https://github.com/login/device\n"
          "\nWaiting for you to confirm there. Ctrl+C stops.\n");
    CHECK(story.tell(flow(DeviceFlow::State::waiting), kNow).empty());
    AccountView bad = flow(DeviceFlow::State::waiting);
    bad.device_offline = true;
    CHECK(story.tell(bad, kNow) == "GitHub cannot be reached; trying again by itself.\n");
    CHECK(story.tell(flow(DeviceFlow::State::waiting), kNow) == "GitHub answers again.\n");
    bad = flow(DeviceFlow::State::waiting);
    bad.device_slowed = true;
    CHECK(story.tell(bad, kNow) == "GitHub asked for a slower pace; still waiting.\n");
    CHECK(story.tell(bad, kNow).empty());
    AccountView checking = flow(DeviceFlow::State::success);
    checking.phase = Phase::starting;
    CHECK(story.tell(checking, kNow) == "GitHub has let you in. Checking Copilot ...\n");
    CHECK(story.end() == LoginEnd::going);
    CHECK(story.tell(signed_in(), kNow) ==
          "\nOn belay. octocat, Copilot Pro+, 200 of 300 premium requests left (67 %), 2 models\n");
    CHECK(story.end() == LoginEnd::signed_in);
    CHECK(story.tell(signed_in(), kNow).empty());
}

TEST_CASE("an account already signed in does not end the story of the next one") {
    LoginStory story(LoginStory::Colour::none);
    AccountView before = signed_in();
    before.device = DeviceFlow::State::idle;
    CHECK(story.tell(before, kNow).find("takes its place") != std::string::npos);
    CHECK(story.end() == LoginEnd::going);
}

TEST_CASE("plan and models are waited for, but not for ever") {
    LoginStory story(LoginStory::Colour::none);
    (void)story.tell(flow(DeviceFlow::State::waiting), kNow);
    AccountView bare = flow(DeviceFlow::State::success);
    bare.phase = Phase::signed_in;
    CHECK(story.tell(bare, kNow).empty());
    CHECK(story.tell(bare, kNow + seconds(5)) == "\nOn belay. signed in\n");
    CHECK(story.end() == LoginEnd::signed_in);
}

TEST_CASE("every bad end is told and ends the story") {
    for (const auto state : {DeviceFlow::State::expired, DeviceFlow::State::denied,
                             DeviceFlow::State::failed, DeviceFlow::State::idle}) {
        LoginStory story(LoginStory::Colour::none);
        (void)story.tell(flow(DeviceFlow::State::waiting), kNow);
        AccountView v = flow(state);
        v.device_problem = "the reason";
        CHECK_FALSE(story.tell(v, kNow).empty());
        CHECK(story.end() == LoginEnd::failed);
    }
    LoginStory refused(LoginStory::Colour::none);
    (void)refused.tell(flow(DeviceFlow::State::waiting), kNow);
    AccountView v = flow(DeviceFlow::State::success);
    v.phase = Phase::refused;
    v.problem = describe_refusal("no_copilot_access", "", "", "");
    CHECK(refused.tell(v, kNow).find("No Copilot access") != std::string::npos);
    CHECK(refused.end() == LoginEnd::failed);
    // Too many starts: the flow never lives.
    LoginStory limited(LoginStory::Colour::none);
    AccountView none;
    none.device_problem = "Five sign-ins were started";
    CHECK(limited.tell(none, kNow) == "Five sign-ins were started\n");
    CHECK(limited.end() == LoginEnd::failed);
}

TEST_CASE("text from outside cannot drive the terminal") {
    CHECK(plain_text("a\x1b[31mb\nc\x7f") == "a?[31mb?c?");
    AccountView v = signed_in();
    v.login = "evil\x1b]0;x\x07";
    CHECK(describe_account(v).find('\x1b') == std::string::npos);
}

#include "accounts/profile.h"

#include <doctest/doctest.h>

#include <map>

using namespace belay;
using namespace belay::accounts;

namespace {

EnvLookup env_of(std::map<std::string, std::string> values) {
    return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
        const auto at = values.find(std::string(name));
        return at == values.end() ? std::nullopt : std::optional(at->second);
    };
}

json::Value parsed(std::string_view text) { return json::parse(text).value(); }

}  // namespace

TEST_CASE("the builtin profiles are named and the first is the default") {
    const auto& profiles = builtin_profiles();
    REQUIRE(profiles.size() == 3);
    CHECK(profiles[0].name == "vscode");
    CHECK(profiles[0].exchange);
    CHECK(profile_header(profiles[0], "copilot-integration-id") == "vscode-chat");
    CHECK_FALSE(find_profile(profiles, "opencode")->exchange);
}

TEST_CASE("configuration changes a builtin in place and adds new profiles") {
    const auto profiles = parse_profiles(parsed(R"({
        "vscode": {"headers": {"editor-version": "vscode/1.120.0", "User-Agent": null}},
        "mine": {"client_id": "Ov23liEXAMPLE", "scope": "", "exchange": false}})"));
    REQUIRE(profiles.ok());
    const Profile vscode = find_profile(*profiles, "vscode").value();
    CHECK(profile_header(vscode, "Editor-Version") == "vscode/1.120.0");
    CHECK(profile_header(vscode, "User-Agent").empty());
    CHECK(vscode.client_id == "Iv1.b507a08c87ecfe98");
    const Profile mine = find_profile(*profiles, "mine").value();
    CHECK(mine.client_id == "Ov23liEXAMPLE");
    CHECK(mine.scope.empty());
    CHECK_FALSE(mine.exchange);
}

TEST_CASE("a mistake in a profile names the profile and the cure") {
    const char* cases[] = {
        R"({"vscode": {"clientid": "x"}})",
        R"({"vscode": {"exchange": "yes"}})",
        R"({"vscode": {"headers": {"Authorization": "Bearer x"}}})",
        R"({"vscode": {"headers": {"X-Bad": "a\nb"}}})",
        R"({"vscode": {"headers": {"X Bad": "a"}}})",
        R"({"vscode": 5})",
    };
    for (const char* text : cases) {
        CAPTURE(text);
        const auto profiles = parse_profiles(parsed(text));
        REQUIRE_FALSE(profiles.ok());
        CHECK(profiles.error().message.find("vscode") != std::string::npos);
    }
    const auto missing = find_profile(builtin_profiles(), "vs-code");
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().message.find("vscode, opencode") != std::string::npos);
}

TEST_CASE("the environment overrides client id and identity headers") {
    const auto profile =
        apply_env(builtin_profiles()[0], env_of({{"GITHUB_COPILOT_CLIENT_ID", "Iv1.other"},
                                                 {"GITHUB_COPILOT_EDITOR_VERSION", "vscode/2.0"},
                                                 {"GITHUB_COPILOT_API_VERSION", "2026-06-01"}}));
    REQUIRE(profile.ok());
    CHECK(profile->client_id == "Iv1.other");
    CHECK(profile_header(*profile, "Editor-Version") == "vscode/2.0");
    CHECK(profile_header(*profile, "X-GitHub-Api-Version") == "2026-06-01");
    // A line break would let the variable smuggle a header.
    CHECK_FALSE(
        apply_env(builtin_profiles()[0], env_of({{"GITHUB_COPILOT_USER_AGENT", "a\r\nX: y"}}))
            .ok());
}

#pragma once
// Named profiles: the client id and the identity headers that GitHub sees. GitHub keeps a list of
// models per client id and per integration id, so a profile belongs to the token it obtained.
// Versions change by configuration or environment, never by a rebuild. Pure.
//
//   copilot_profiles:            a map: name -> fields; a builtin name changes that builtin
//     vscode:
//       client_id: Iv1.…
//       scope: "read:user"
//       exchange: true           false: the GitHub token itself is the bearer
//       headers: {Editor-Version: vscode/1.104.3}   null removes a header
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/credential.h"
#include "base/result.h"
#include "wire/json.h"

namespace belay::accounts {

// How this module sees the environment: the application passes getenv, a test passes a map.
using EnvLookup = std::function<std::optional<std::string>(std::string_view name)>;

// vscode (the default), opencode, copilot-cli.
[[nodiscard]] const std::vector<Profile>& builtin_profiles();

// The builtins with the changes of `config` (an object as above, or null) applied.
[[nodiscard]] Result<std::vector<Profile>> parse_profiles(const json::Value& config);

// The profile of that name, with the known names in the error.
[[nodiscard]] Result<Profile> find_profile(const std::vector<Profile>& profiles,
                                           std::string_view name);

// GITHUB_COPILOT_CLIENT_ID as LiteLLM reads it, and one variable per identity header:
// GITHUB_COPILOT_EDITOR_VERSION, _EDITOR_PLUGIN_VERSION, _INTEGRATION_ID, _USER_AGENT,
// _API_VERSION.
[[nodiscard]] Result<Profile> apply_env(Profile profile, const EnvLookup& env);

// "" when the profile does not send that header (case-insensitive).
[[nodiscard]] std::string_view profile_header(const Profile& profile, std::string_view name);

}  // namespace belay::accounts

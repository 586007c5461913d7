#pragma once
// Where GitHub and Copilot are: github.com, or a data-residency tenant SUB.ghe.com, or whatever the
// environment sets explicitly (LiteLLM's variables). Decides which hosts a reply may announce: a
// token is only ever sent to https under githubcopilot.com, github.com or the configured tenant.
// Plain http exists for explicit loopback addresses alone: that is how a simulator is attached.
// Pure.
#include <string>
#include <string_view>
#include <vector>

#include "accounts/profile.h"
#include "base/result.h"

namespace belay::accounts {

struct EndpointSettings {
    std::string domain = "github.com";  // or SUB.ghe.com; a full URL is reduced to its host
    // Explicit addresses; empty = derived from the domain.
    std::string device_code_url;   // GITHUB_COPILOT_DEVICE_CODE_URL
    std::string access_token_url;  // GITHUB_COPILOT_ACCESS_TOKEN_URL
    std::string exchange_url;      // GITHUB_COPILOT_API_KEY_URL
    std::string user_url;          // GITHUB_COPILOT_USER_URL; else beside the exchange
    std::string api_base;          // GITHUB_COPILOT_API_BASE
};

struct Endpoints {
    std::string domain;
    std::string device_code_url;
    std::string access_token_url;
    std::string exchange_url;
    std::string user_url;
    std::string verification_url;  // the only page a person is ever sent to
    std::string api_base;          // used until (or, when explicit, whatever) a reply announces
    bool api_base_explicit = false;
    bool loopback = false;  // the exchange is an explicit loopback address
};

// `settings` with the environment laid over it.
[[nodiscard]] EndpointSettings read_endpoint_env(EndpointSettings settings, const EnvLookup& env);

// Errors name the setting and what is wrong with it.
[[nodiscard]] Result<Endpoints> plan_endpoints(const EndpointSettings& settings);

// "https://Sub.GHE.com/login/" -> "sub.ghe.com".
[[nodiscard]] Result<std::string> parse_domain(std::string_view text);

// The base to use when a reply announces `announced`, or an error that says why it is ignored.
[[nodiscard]] Result<std::string> check_announced_base(const Endpoints& endpoints,
                                                       std::string_view announced);

// In direct mode a 421 means "another plan's host": those worth trying, in order, each once.
[[nodiscard]] std::vector<std::string> candidate_bases(const Endpoints& endpoints,
                                                       std::string_view announced);

}  // namespace belay::accounts

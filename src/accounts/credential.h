#pragma once
// What an attempt needs to speak as an account. Immutable; replaced whole when refreshed.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace belay::accounts {

// Client id and identity headers that GitHub sees, by name, so that versions change without a
// rebuild.
struct Profile {
    std::string name = "vscode";
    std::string client_id = "Iv1.b507a08c87ecfe98";
    std::string scope = "read:user";
    bool exchange = true;  // false: the GitHub token itself is the bearer ("direct")
    std::vector<std::pair<std::string, std::string>> headers;  // Editor-Version, User-Agent, ...
};

struct Credential {
    Secret token;          // Copilot token, or the GitHub token in direct mode
    std::string api_base;  // https://api.individual.githubcopilot.com
    bool direct = false;
    Mono expires_at{};        // by the local clock
    uint64_t generation = 0;  // rises with each refresh; tells a stale token from a fresh one
    std::shared_ptr<const Profile> profile;
    std::string account;  // whose: the id of a person's account; "" = the process's own
};

using CredentialPtr = std::shared_ptr<const Credential>;

}  // namespace belay::accounts

#pragma once
// Where a sign-in is kept: LiteLLM's folder and files, so that what LiteLLM stored is picked up and
// the other way round. The only place that writes credentials to disk. One thread (the control
// loop).
//
//   ~/.config/litellm/github_copilot/   0700   GITHUB_COPILOT_TOKEN_DIR
//     access-token                      0600   the GitHub token, bare
//     GITHUB_COPILOT_ACCESS_TOKEN_FILE api-key.json                      0600   the whole exchange
//     reply GITHUB_COPILOT_API_KEY_FILE
//
// Symbolic links and files of other owners are refused, wider modes are repaired and reported,
// files are replaced atomically (temporary file, sync, rename, sync of the folder).
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/profile.h"
#include "base/result.h"
#include "base/secret.h"

namespace belay::accounts {

struct VaultOptions {
    std::string dir;
    std::string access_token_file = "access-token";
    std::string api_key_file = "api-key.json";
    // A token given by environment for headless use.
    Secret env_token;      // GITHUB_COPILOT_TOKEN, COPILOT_GITHUB_TOKEN: goes before the files
    std::string env_name;  // which variable it was
    Secret env_fallback;   // GH_TOKEN, GITHUB_TOKEN: only when nothing is stored
    std::string env_fallback_name;
};

// Reads the variables above and HOME. An error names the variable.
[[nodiscard]] Result<VaultOptions> read_vault_env(const EnvLookup& env);

struct Stored {
    enum class Source : uint8_t { none, file, environment };
    Source source = Source::none;
    std::string source_name;  // "access-token" or the variable
    Secret github_token;
    std::string api_key_json;  // "" when absent; a secret too, kept only while being read
    std::vector<std::string> warnings;
};

class Vault final {
  public:
    explicit Vault(VaultOptions options) : options_(std::move(options)) {}
    Vault(const Vault&) = delete;
    Vault& operator=(const Vault&) = delete;

    // What is there now. An absent folder or file is not an error; an unsafe one is.
    [[nodiscard]] Result<Stored> load();
    [[nodiscard]] Result<void> save_github_token(const Secret& token);
    [[nodiscard]] Result<void> save_api_key(std::string_view json);
    // Removes the Copilot token (and, with `github_token`, the sign-in). Absent files are fine.
    [[nodiscard]] Result<void> forget_api_key();
    [[nodiscard]] Result<void> forget();
    // Something other than us changed the files since load() or the last save. Two stat calls.
    [[nodiscard]] bool changed_outside();

    [[nodiscard]] const VaultOptions& options() const { return options_; }

  private:
    struct Stamp {  // enough of stat to see a replacement or an edit
        ino_t inode = 0;
        int64_t size = -1;
        int64_t mtime_ns = 0;
        bool operator==(const Stamp&) const = default;
    };
    [[nodiscard]] Stamp stamp(const std::string& name) const;
    [[nodiscard]] std::string path(const std::string& name) const;
    [[nodiscard]] Result<void> save(const std::string& name, std::string_view text);
    [[nodiscard]] Result<std::string> read(const std::string& name, size_t max,
                                           std::vector<std::string>& warnings);
    [[nodiscard]] Result<bool> check_dir(std::vector<std::string>& warnings);
    void remember();

    VaultOptions options_;
    Stamp access_token_seen_;
    Stamp api_key_seen_;
};

}  // namespace belay::accounts

#pragma once
// A whole configuration: LiteLLM's config.yaml read, checked and turned into what the gateway works
// with. Immutable once loaded; a reload makes a new one. main and reload call load_config(), `belay
// check` shows the same diagnostics. Reads files and (through Env) environment variables; never
// writes, never logs, never touches the network.
//
// An unknown key never fails. A wrong value does (Diagnostic::fatal): start-up exits 78 and a
// reload keeps the old configuration. An invalid deployment is left out and reported.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/config_diagnostic.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "gateway/snapshot.h"
#include "observe/settings.h"
#include "redis/address.h"
#include "routing/table.h"

namespace belay::app {

// Looks an environment variable up; nullopt when it is unset. Only process_env() asks the process.
using Env = std::function<std::optional<std::string>(std::string_view name)>;
[[nodiscard]] Env process_env();
// For tests and demos.
[[nodiscard]] Env map_env(std::map<std::string, std::string, std::less<>> variables);

struct ServerSettings {
    std::optional<std::string> host;
    std::optional<uint16_t> port;
    std::optional<uint16_t> auth_port;
};

struct GeneralSettings {
    Secret master_key;    // general_settings.master_key, else LITELLM_MASTER_KEY; empty = none
    Secret database_url;  // general_settings.database_url, else DATABASE_URL; empty = embedded
    std::string litellm_key_header_name;
    bool store_prompts_in_spend_logs = false;
    bool allow_viewers_to_read_prompts = false;
    bool store_model_in_db = false;
    bool disable_spend_logs = false;
    Secret salt_key;  // LITELLM_SALT_KEY: seals stored secrets; empty = the master key
    std::string ui_username = "admin";
    Secret ui_password;  // empty = the master key
    bool allow_public_health_readiness_details = false;
    bool dangerously_permit_weak_or_unset_master_key = false;
    std::optional<double> max_request_size_mb;
    // US$ per million tokens of a model without a price; nothing: refused to callers with a budget.
    std::optional<double> unknown_price;
    bool unknown_price_free = false;
    gateway::DefaultSeat copilot_default_account = gateway::DefaultSeat::without_own;
};

struct LitellmSettings {
    bool json_logs = false;
    bool set_verbose = false;
    bool check_provider_endpoint = false;
    bool always_include_stream_usage = false;
    std::optional<double> max_budget;  // US$ of the whole gateway; 0 = off
    std::string budget_duration;
    std::optional<double> max_end_user_budget;  // US$ of each customer
    std::string max_end_user_budget_id;
    std::string zone = "UTC";  // where budgets' days begin
    bool store_audit_logs = false;
    int budget_exceeded_status_code = 422;
};

// How long things are kept, in milliseconds; nothing: for ever.
struct Retention {
    std::optional<int64_t> records_ms;
    std::optional<int64_t> payloads_ms = int64_t{30} * 24 * 3'600'000;
    std::optional<int64_t> audit_ms;
    int64_t every_ms = 24 * 3'600'000;
    bool operator==(const Retention&) const = default;
};

// The Redis that the instances share; none: this one stands alone.
struct RedisSettings {
    std::optional<redis::Address> address;
    std::string name_space = "belay";  // before each of its keys
    milliseconds deadline{50};         // of one command
};

// One value as the file set it, for describe_changes(). Secrets are kept as a digest only.
struct Effective {
    std::string shown;   // compact JSON; "" for secrets
    std::string digest;  // SHA-256 of the value
    bool reloadable = true;
    bool operator==(const Effective&) const = default;
};

struct Config {
    std::string path;                // the main file, "" for the built-in configuration
    std::vector<std::string> files;  // every file that was read, for watching
    bool built_in_models = false;    // model_list was absent: the default chain is served
    routing::Table table;
    ServerSettings server;
    GeneralSettings general;
    LitellmSettings litellm;
    observe::Settings observe;
    Retention retention;
    RedisSettings redis;
    // To be exported to the process before anything else reads it; already seen by os.environ/.
    std::vector<std::pair<std::string, std::string>> environment_variables;
    std::vector<Diagnostic> diagnostics;                  // by file and line
    std::map<std::string, Effective> effective;           // "router_settings.num_retries" -> value
    std::map<std::string, Effective> deployment_digests;  // deployment id -> its entry

    [[nodiscard]] bool has_errors() const;
    // Must not be used: refuse to start (exit 78), keep the old one on reload.
    [[nodiscard]] bool is_fatal() const;
};

// The file to read: `asked` (from --config), else CONFIG_FILE_PATH, else config.yaml in the working
// directory when there is one, else "" (use default_config).
[[nodiscard]] std::string find_config_path(std::string_view asked, const Env& env);

// Fails only when a file cannot be read or is no YAML: the error's message has file, line and
// column. `problem`, when given, receives the same finding with its parts.
[[nodiscard]] Result<Config> load_config(const std::string& path, const Env& env,
                                         Diagnostic* problem = nullptr);
// The same from text that is already in memory; `name` is what diagnostics call it, and includes
// are relative to it.
[[nodiscard]] Result<Config> load_config_text(std::string_view text, const std::string& name,
                                              const Env& env, Diagnostic* problem = nullptr);

// What is served without any file: Opus, then Gemini 3 Pro, then GPT-5 mini, embeddings, any other
// Copilot model by its name, and "*" with the same chain.
[[nodiscard]] Config default_config(const Env& env);

// What a reload changes, one line each, for the log: models added, removed, changed; settings with
// both values (never a secret's); keys that need a restart are marked so.
[[nodiscard]] std::vector<std::string> describe_changes(const Config& before, const Config& after);
// The changed keys that take effect only after a restart ("server_settings.port").
[[nodiscard]] std::vector<std::string> changed_restart_keys(const Config& before,
                                                            const Config& after);

}  // namespace belay::app

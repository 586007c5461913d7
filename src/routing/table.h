#pragma once
// What may serve what: the routing half of a configuration, immutable once built. app/config makes
// it from a file; gateway asks it through plan.h. Every field keeps LiteLLM's meaning
// (litellm_params, model_info, router_settings) so that a LiteLLM file needs no change.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "chat/usage.h"
#include "wire/json.h"

namespace belay::routing {

using Seconds = std::chrono::duration<double>;

// A name in a fallback list, with the request members it overrides ("messages", "temperature",
// ...).
struct FallbackTarget {
    std::string group;
    json::Value overrides;  // object or null
    bool operator==(const FallbackTarget&) const = default;
};

enum class Mode : uint8_t { chat, completion, embedding, responses, other };

// What a model is known to do; nullopt = unknown, which never excludes it.
struct Capabilities {
    std::optional<bool> tools;
    std::optional<bool> vision;
    std::optional<int64_t> max_input_tokens;
    std::optional<int64_t> max_output_tokens;
};

// One row of model_list.
struct Deployment {
    std::string id;        // model_info.id, or a stable hash of litellm_params
    std::string group;     // model_name, may hold one '*'
    std::string provider;  // "github_copilot", "openai", "anthropic", "hosted_vllm", "ollama", ...
    std::string model;     // upstream name without the provider prefix, may hold '*'
    std::string api_base;  // "" = the provider's own
    Secret api_key;
    std::string api_version;
    std::string organization;
    std::vector<std::pair<std::string, std::string>> extra_headers;
    json::Value defaults;  // body members used when the request lacks them
    std::optional<bool> drop_params;
    std::vector<std::string> additional_drop_params;  // dotted paths, [*] allowed
    std::vector<std::string> allowed_openai_params;
    std::optional<Seconds> timeout;
    std::optional<Seconds> stream_timeout;
    std::optional<int> num_retries;
    std::optional<Seconds> cooldown_time;
    std::optional<int64_t> rpm, tpm, max_parallel_requests;
    std::optional<double> weight;
    int order = 0;  // lowest tier first
    std::vector<std::string> tags;
    std::vector<FallbackTarget> fallbacks;
    std::string mock_response;
    Mode mode = Mode::chat;
    Capabilities capabilities;
    std::optional<chat::PriceCard> price;  // configured price
    std::string base_model;                // price-table key
    json::Value model_info;                // echoed by /model/info
    bool from_wildcard = false;  // stands for one model of a wildcard, by the live catalogue
    int line = 0;                // where it stands in the file; 0 = built in
};

// Served by a person's sign-in instead of a key.
[[nodiscard]] inline bool needs_account(const Deployment& deployment) {
    return deployment.provider == "github_copilot";
}

struct Alias {
    std::string group;
    bool hidden = false;
};

using FallbackMap = std::map<std::string, std::vector<FallbackTarget>, std::less<>>;

struct Settings {
    int num_retries = 2;
    Seconds timeout{6000};
    std::optional<Seconds> stream_timeout;
    Seconds cooldown_time{5};
    bool disable_cooldowns = false;
    std::optional<int> allowed_fails;
    Seconds retry_after{0};  // least sleep between retries
    int max_fallbacks = 5;
    bool drop_params = false;
    bool modify_params = false;
    bool pre_call_checks = false;
    bool expose_router_debug_in_errors = true;
    bool enable_tag_filtering = false;
    bool tag_filtering_match_any = true;
};

struct Table {
    std::vector<std::shared_ptr<const Deployment>> deployments;  // in file order
    std::map<std::string, Alias, std::less<>> aliases;           // model_group_alias
    FallbackMap fallbacks;                                       // "*" = default_fallbacks
    FallbackMap context_window_fallbacks;
    FallbackMap content_policy_fallbacks;
    Settings settings;
};

}  // namespace belay::routing

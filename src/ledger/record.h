#pragma once
// What one request left behind: who asked for what, who answered, how long it took, what it cost.
// The relay fills one SpendRecord per request, success or failure, and hands it to the Ledger
// together with its Trace. Plain values; nothing here knows a database, a socket or a prompt.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/money.h"
#include "chat/usage.h"

namespace belay::ledger {

// How the request ended, from the client's point of view.
enum class Status : uint8_t { success, failure, client_aborted };
// Which API was spoken. The client's and the upstream's may differ.
enum class Api : uint8_t { other, chat, responses, messages, embeddings, completions };
// LiteLLM's call_type column.
enum class CallType : uint8_t {
    other,
    acompletion,
    atext_completion,
    aembedding,
    aresponses,
    anthropic_messages,
};
// Who started the call as the upstream was told (X-Initiator).
enum class Initiator : uint8_t { unknown, user, agent };

[[nodiscard]] std::string_view status_name(Status status);
[[nodiscard]] std::string_view api_name(Api api);
[[nodiscard]] std::string_view call_type_name(CallType type);
[[nodiscard]] std::string_view initiator_name(Initiator initiator);
// The names read back; unknown text gives failure, other, other and unknown.
[[nodiscard]] Status parse_status(std::string_view name);
[[nodiscard]] Api parse_api(std::string_view name);
[[nodiscard]] CallType parse_call_type(std::string_view name);
[[nodiscard]] Initiator parse_initiator(std::string_view name);

// Durations are microseconds since `received_ms`; 0 in an optional moment means it never came.
// Identifiers are cut to kMaxText bytes by the driver, so a hostile header cannot fill the disk.
struct SpendRecord {
    std::string request_id;  // unique; what x-litellm-call-id shows and `belay explain` takes
    CallType call_type = CallType::other;
    Api client_api = Api::other;
    Api api = Api::other;  // of the upstream that answered last; other = none was reached

    std::string asked;           // model as the client sent it
    std::string model_group;     // serving group, after aliases and fallbacks
    std::string deployment_id;   // of the last attempt; "" = none was tried
    std::string provider;        // "github_copilot"
    std::string upstream_model;  // as sent upstream
    std::string api_base;        // scheme://host[:port] only

    Status status = Status::failure;
    int http_status = 0;             // what the client was answered
    std::optional<Kind> error_kind;  // set on failure
    std::string error_code;          // machine-readable code shown to the client
    std::string error_message;       // as shown to the client, cut at 512 bytes, never a secret
    bool stream = false;

    int64_t received_ms = 0;     // Wall, unix milliseconds
    int64_t queue_us = 0;        // until the first attempt was sent
    int64_t first_byte_us = 0;   // first upstream byte of the answer that was used
    int64_t first_token_us = 0;  // first content byte written to the client
    int64_t total_us = 0;        // last byte written, or the end of the request

    chat::Usage usage;
    NanoCredits cost;  // 0 and CostSource::unknown together mean "not known", never "free"
    chat::CostSource cost_source = chat::CostSource::unknown;
    int64_t premium_milli = 0;  // premium requests x 1000 (multiplier of a user-initiated call)

    std::string key_fingerprint;  // never the key
    std::string key_alias;
    std::string user;  // internal user of the key
    std::string team;  // of the key
    std::string organization;
    std::string account;   // of a person whose Copilot seat served; "" = the process's own, or none
    std::string end_user;  // as the caller stated it
    std::string session_id;
    std::string user_agent;  // product only: "claude-cli/2.1"
    std::vector<std::string> tags;

    int attempted_retries = 0;
    int attempted_fallbacks = 0;
    std::string fallback_reason;  // cause that made the first fallback: "quota_month"; "" = none
    Initiator initiator = Initiator::unknown;
    std::string upstream_request_id;
    bool cache_hit = false;        // answered by the gateway's own cache
    bool usage_estimated = false;  // the upstream gave no usage; tokens are counted here

    bool operator==(const SpendRecord&) const = default;
    // Whose Copilot seat served, as reports name it: a person's account, "default" for the
    // process's own, "" when it was no Copilot model.
    [[nodiscard]] std::string_view shown_account() const;
    // Ready for the next request; strings and vectors keep their memory.
    void clear();
};

inline constexpr size_t kMaxText = 256;          // bytes kept of an identifier
inline constexpr size_t kMaxErrorMessage = 512;  // bytes kept of an error message
inline constexpr size_t kMaxTags = 32;

}  // namespace belay::ledger

#pragma once
// What routing and the relay need to know of a chat completions (or embeddings) request, read from
// the raw body without building a document: one validating pass, one walk over the top level, one
// over the messages. Spans point into the body the facts were read from; the body must outlive
// their use.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/json.h"
#include "wire/scan.h"

namespace belay::protocols {

// Who caused this model call: a person, or software that goes on by itself (tool results, ...).
enum class Initiator : uint8_t { user, agent };

// Members that the gateway reads and no upstream may see (LiteLLM's body keys).
struct Controls {
    std::optional<json::Value> fallbacks;  // lists as the client sent them
    std::optional<json::Value> context_window_fallbacks;
    std::optional<json::Value> content_policy_fallbacks;
    bool disable_fallbacks = false;
    std::optional<int64_t> num_retries;
    std::optional<double> timeout;                // seconds
    std::optional<double> stream_timeout;         // seconds
    std::vector<std::string> tags;                // tags, metadata.tags, litellm_metadata.tags
    std::optional<json::Value> metadata;          // an object
    std::optional<json::Value> litellm_metadata;  // an object
    std::string session_id;                       // litellm_session_id, metadata.session_id
    std::string trace_id;                         // litellm_trace_id, metadata.trace_id
    std::string mock_response;  // text to answer with instead of calling an upstream
    bool has_mock_response = false;
    bool mock_testing_fallbacks = false;
    bool mock_testing_context_fallbacks = false;
    bool mock_testing_content_policy_fallbacks = false;
    bool mock_testing_rate_limit_error = false;
    std::optional<bool> drop_params;
    std::vector<std::string> additional_drop_params;
    std::vector<std::string> allowed_openai_params;
    std::optional<json::Value> extra_headers;  // an object of strings
    std::optional<json::Value> extra_body;     // an object: its members go upstream
    bool no_log = false;
    bool include_fallback_errors = false;
};

struct ChatFacts {
    // A member of the top level; `control` ones never go upstream.
    struct Member {
        json::Item item;
        std::string_view name;  // unescaped
        bool control = false;
    };

    std::string model;  // as sent; empty only when the path names it
    bool stream = false;
    bool include_usage = false;  // stream_options.include_usage
    bool has_images = false;     // anywhere in the messages, tool results included
    bool has_documents = false;  // file, document or input_audio parts
    uint32_t message_count = 0;
    uint32_t image_count = 0;
    uint64_t text_bytes = 0;  // of all that a model reads as text: contents, tool calls, tools
    uint32_t tool_count = 0;  // tools and functions
    int64_t n = 1;
    std::optional<int64_t> max_tokens;  // max_completion_tokens, else max_tokens
    bool wants_thinking = false;        // thinking, reasoning_effort or reasoning is there
    bool wants_json = false;            // response_format other than text
    std::string user;
    // Nothing but a last message of role `user` with something else than tool results makes it
    // `user`.
    Initiator initiator = Initiator::user;
    bool has_text_arrays = false;    // an assistant message has an array of parts as its content
    bool has_empty_content = false;  // an assistant or user message has "" or [] as its content
    bool has_cache_control = false;  // somewhere in messages or tools
    bool has_decorations = false;    // an assistant message has reasoning_*, thinking_blocks,
                                     // refusal, annotations or the like
    // Embeddings only.
    bool wants_base64 = false;  // encoding_format is "base64"
    bool input_is_string = false;
    uint32_t input_count = 0;

    Controls controls;
    json::Span root;
    std::vector<Member> members;  // of the top level, in order
    json::Span model_value, messages, stream_value, stream_options, tools, input;  // empty: absent

    [[nodiscard]] const Member* find(std::string_view name) const;
};

// Fails with Kind::invalid_request, its `param` being "request_body" (no JSON object), or the
// member at fault. `path_model` is the model the URL names ("" when it names none); the body's own
// wins.
[[nodiscard]] Result<ChatFacts> scan_chat_request(std::string_view body,
                                                  std::string_view path_model = {});
// The same into facts that hold nothing yet; after a failure they hold anything.
[[nodiscard]] Result<void> scan_chat_request(std::string_view body, std::string_view path_model,
                                             ChatFacts& facts);
[[nodiscard]] Result<ChatFacts> scan_embeddings_request(std::string_view body,
                                                        std::string_view path_model = {});

// True for body keys that are the gateway's own and never go upstream.
[[nodiscard]] bool is_control_key(std::string_view name);

}  // namespace belay::protocols

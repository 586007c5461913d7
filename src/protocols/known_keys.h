#pragma once
// The top-level members of a request that mean something here, and which of them are the gateway's
// own (LiteLLM's body keys, never sent upstream). For chat_request.cpp alone.
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace belay::protocols::keys {

// clang-format off
enum class Key : uint8_t {
    additional_drop_params, allowed_openai_params, api_base, api_key, base_url, cache, caching,
    content_policy_fallbacks, context_window_fallbacks, disable_fallbacks,
    disable_global_guardrails, drop_params, encoding_format, extra_body, extra_headers, fallbacks,
    functions, guardrails, include_fallback_errors, input, litellm_metadata,
    litellm_request_debug, litellm_session_id, litellm_trace_id, max_completion_tokens,
    max_tokens, messages, metadata, mock_response, mock_testing_content_policy_fallbacks,
    mock_testing_context_fallbacks, mock_testing_fallbacks, mock_testing_rate_limit_error,
    mock_timeout, mock_tool_calls, model, n, no_log, num_retries, policies, priority, prompt_id,
    prompt_variables, prompt_version, reasoning, reasoning_effort, response_format, stream,
    stream_options, stream_timeout, tags, thinking, timeout, tool_choice, tools, user,
    user_config, plain,
};
// clang-format on

struct Known {
    std::string_view name;
    Key key;
    bool control;
};

// `plain` rows are here so that an escaped spelling of them is still recognised.
inline constexpr Known kKnown[] = {
    {"additional_drop_params", Key::additional_drop_params, true},
    {"allowed_openai_params", Key::allowed_openai_params, true},
    {"api_base", Key::api_base, true},
    {"api_key", Key::api_key, true},
    {"base_url", Key::base_url, true},
    {"cache", Key::cache, true},
    {"caching", Key::caching, true},
    {"content_policy_fallbacks", Key::content_policy_fallbacks, true},
    {"context_window_fallbacks", Key::context_window_fallbacks, true},
    {"disable_fallbacks", Key::disable_fallbacks, true},
    {"disable_global_guardrails", Key::disable_global_guardrails, true},
    {"drop_params", Key::drop_params, true},
    {"encoding_format", Key::encoding_format, false},
    {"extra_body", Key::extra_body, true},
    {"extra_headers", Key::extra_headers, true},
    {"fallbacks", Key::fallbacks, true},
    {"functions", Key::functions, false},
    {"guardrails", Key::guardrails, true},
    {"include_fallback_errors", Key::include_fallback_errors, true},
    {"input", Key::input, false},
    {"litellm_metadata", Key::litellm_metadata, true},
    {"litellm_request_debug", Key::litellm_request_debug, true},
    {"litellm_session_id", Key::litellm_session_id, true},
    {"litellm_trace_id", Key::litellm_trace_id, true},
    {"max_completion_tokens", Key::max_completion_tokens, false},
    {"max_tokens", Key::max_tokens, false},
    {"messages", Key::messages, false},
    {"metadata", Key::metadata, true},
    {"mock_response", Key::mock_response, true},
    {"mock_testing_content_policy_fallbacks", Key::mock_testing_content_policy_fallbacks, true},
    {"mock_testing_context_fallbacks", Key::mock_testing_context_fallbacks, true},
    {"mock_testing_fallbacks", Key::mock_testing_fallbacks, true},
    {"mock_testing_rate_limit_error", Key::mock_testing_rate_limit_error, true},
    {"mock_timeout", Key::mock_timeout, true},
    {"mock_tool_calls", Key::mock_tool_calls, true},
    {"model", Key::model, false},
    {"n", Key::n, false},
    {"no-log", Key::no_log, true},
    {"num_retries", Key::num_retries, true},
    {"policies", Key::policies, true},
    {"priority", Key::priority, true},
    {"prompt_id", Key::prompt_id, true},
    {"prompt_variables", Key::prompt_variables, true},
    {"prompt_version", Key::prompt_version, true},
    {"reasoning", Key::reasoning, false},
    {"reasoning_effort", Key::reasoning_effort, false},
    {"response_format", Key::response_format, false},
    {"stream", Key::stream, false},
    {"stream_options", Key::stream_options, false},
    {"stream_timeout", Key::stream_timeout, true},
    {"tags", Key::tags, true},
    {"temperature", Key::plain, false},
    {"thinking", Key::thinking, false},
    {"timeout", Key::timeout, true},
    {"tool_choice", Key::tool_choice, false},
    {"tools", Key::tools, false},
    {"top_p", Key::plain, false},
    {"user", Key::user, false},
    {"user_config", Key::user_config, true},
};

// A perfect enough hash, filled by the compiler: open addressing over length, first and last byte.
inline constexpr size_t kSlots = 256;

constexpr size_t slot_of(std::string_view name) {
    auto byte = [&](size_t at) {
        return static_cast<size_t>(static_cast<unsigned char>(name[at]));
    };
    return (byte(0) * 7 + byte(name.size() - 1) * 31 + byte(name.size() / 2) * 3 + name.size()) %
           kSlots;
}

inline constexpr auto kTable = [] {
    std::array<uint8_t, kSlots> table{};  // 1 + index; 0 is free
    for (size_t i = 0; i < std::size(kKnown); ++i) {
        size_t slot = slot_of(kKnown[i].name);
        while (table[slot] != 0) {
            slot = (slot + 1) % kSlots;
        }
        table[slot] = static_cast<uint8_t>(i + 1);
    }
    return table;
}();

inline const Known* find_known(std::string_view name) {
    if (name.empty()) {
        return nullptr;
    }
    for (size_t slot = slot_of(name); kTable[slot] != 0; slot = (slot + 1) % kSlots) {
        const Known& known = kKnown[kTable[slot] - 1];
        if (known.name == name) {
            return &known;
        }
    }
    return nullptr;
}

}  // namespace belay::protocols::keys

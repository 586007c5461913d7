#pragma once
// How an Error is shown to a client: HTTP status, JSON envelope and in-stream event, in LiteLLM's
// words (docs.litellm.ai, exception mapping). The only reader of Error::kind besides routing.
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace belay::protocols {

enum class ClientApi : uint8_t { openai, responses, anthropic };

struct RenderedError {
    int status = 500;
    std::string body;                                 // application/json
    std::optional<std::chrono::seconds> retry_after;  // send as the Retry-After header
};

struct ErrorContext {
    std::string_view
        provider;  // "Github_copilot", "Openai": for "<Provider>Exception"; may be empty
    std::string_view request_id;  // Anthropic's request_id; may be empty
    int budget_status = 422;      // of this gateway's own exhausted budgets
};

[[nodiscard]] RenderedError render_error(const Error& error, ClientApi client,
                                         const ErrorContext& context = {});

// The frame that ends a stream which cannot go on, without any end mark:
//   openai     data: {"error":{...}}
//   anthropic  event: error            data: {"type":"error","error":{...}}
//   responses  event: response.failed  data: {"type":"response.failed","response":{...}}
void write_stream_error(std::string& out, const Error& error, ClientApi client,
                        const ErrorContext& context = {});

// The HTTP status of an error in LiteLLM's column.
[[nodiscard]] int error_status(const Error& error);
// LiteLLM's class for an error that came from an upstream: "RateLimitError", ...
[[nodiscard]] std::string_view error_class(const Error& error);

}  // namespace belay::protocols

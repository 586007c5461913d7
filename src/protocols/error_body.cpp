#include "protocols/error_body.h"

#include <algorithm>
#include <charconv>

#include "wire/json.h"
#include "wire/sse.h"

namespace belay::protocols {
namespace {

using json::Value;

bool from_upstream(const Error& error) { return error.origin == Origin::upstream; }

// The status of an upstream answer that has no better name than its number.
int passed_status(int upstream) {
    switch (upstream) {
        case 401:
        case 403:
        case 404:
        case 408:
        case 413:
        case 422:
        case 429:
            return upstream;
        case 402:
            return 429;
        case 502:
        case 503:
            return upstream;
        case 504:
            return 408;
        default:
            return upstream >= 400 && upstream < 500 ? 400 : 500;
    }
}

// `code` of these names LiteLLM's `type` ("token_not_found_in_db"), not a code of the protocol.
bool code_is_type(const Error& error) {
    return !from_upstream(error) &&
           (error.kind == Kind::unauthenticated || error.kind == Kind::forbidden ||
            error.kind == Kind::budget_exhausted || error.kind == Kind::rate_limited ||
            error.kind == Kind::upstream_unavailable);
}

Value default_type(const Error& error, int status) {
    switch (error.kind) {
        case Kind::invalid_request:
        case Kind::too_large:
        case Kind::unsupported:
        case Kind::context_overflow:
        case Kind::content_refused:
            return "invalid_request_error";
        case Kind::unauthenticated:
            return from_upstream(error) ? Value() : Value("auth_error");
        case Kind::forbidden:
            return from_upstream(error) ? Value() : Value("auth_error");
        case Kind::rate_limited:
            return "throttling_error";
        case Kind::budget_exhausted:
            return from_upstream(error) ? "insufficient_quota" : "budget_exceeded";
        case Kind::upstream_rejected:
            return status == 429   ? Value("throttling_error")
                   : status == 400 ? Value("invalid_request_error")
                                   : Value();
        case Kind::internal:
            return "internal_server_error";
        case Kind::not_found:
        case Kind::upstream_malformed:
        case Kind::upstream_unavailable:
        case Kind::timeout:
        case Kind::cancelled:
            return {};
    }
    return {};
}

std::string default_code(const Error& error, int status) {
    if (from_upstream(error) && error.kind == Kind::budget_exhausted) {
        return "insufficient_quota";  // what OpenAI clients look for to stop retrying
    }
    if (!error.code.empty() && !code_is_type(error)) {
        return error.code;
    }
    if (error.kind == Kind::context_overflow) {
        return "context_length_exceeded";
    }
    if (error.kind == Kind::content_refused) {
        return "content_filter";
    }
    return std::to_string(status);
}

std::string message_text(const Error& error, const ErrorContext& context) {
    std::string text = error.message.empty() ? std::string(kind_name(error.kind)) : error.message;
    if (!from_upstream(error) || text.starts_with("litellm.")) {
        return text;
    }
    std::string name(error_class(error));
    std::string out = "litellm." + name + ": ";
    if (!context.provider.empty()) {
        out += name + ": " + std::string(context.provider) + "Exception - ";
    }
    return out + text;
}

Value openai_error(const Error& error, int status, const ErrorContext& context) {
    bool named = code_is_type(error) && !error.code.empty();
    Value out = Value::object();
    out.set("message", message_text(error, context));
    out.set("type", named ? Value(error.code) : default_type(error, status));
    out.set("param", error.param.empty() ? Value() : Value(error.param));
    out.set("code", default_code(error, status));
    return out;
}

std::string_view anthropic_type(const Error& error, int status) {
    if (error.kind == Kind::budget_exhausted && !from_upstream(error)) {
        return "billing_error";
    }
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 408:
            return "timeout_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 503:
            return "overloaded_error";
        default:
            return status < 500 ? "invalid_request_error" : "api_error";
    }
}

// Claude clients shorten their history only when they read this sentence, numbers and all.
std::string anthropic_message(const Error& error, const ErrorContext& context) {
    std::string text = message_text(error, context);
    if (error.kind != Kind::context_overflow ||
        text.find("prompt is too long") != std::string::npos) {
        return text;
    }
    std::vector<int64_t> numbers;
    const char* at = error.message.data();
    const char* end = at + error.message.size();
    while (at != end && numbers.size() < 2) {
        at = std::find_if(at, end, [](char c) { return c >= '0' && c <= '9'; });
        int64_t value = 0;
        auto [next, code] = std::from_chars(at, end, value);
        if (code == std::errc() && value >= 1000) {
            numbers.push_back(value);
        }
        at = at == end ? end : std::max(next, at + 1);
    }
    if (numbers.size() < 2) {
        return text;
    }
    return "prompt is too long: " + std::to_string(numbers[0]) + " tokens > " +
           std::to_string(numbers[1]) + " maximum";
}

Value anthropic_body(const Error& error, int status, const ErrorContext& context) {
    Value inner = Value::object();
    inner.set("type", anthropic_type(error, status));
    inner.set("message", anthropic_message(error, context));
    Value out = Value::object();
    out.set("type", "error");
    out.set("error", std::move(inner));
    if (!context.request_id.empty()) {
        out.set("request_id", context.request_id);
    }
    return out;
}

std::string_view responses_code(const Error& error, int status) {
    if (from_upstream(error) && error.kind == Kind::budget_exhausted) {
        return "insufficient_quota";
    }
    if (error.kind == Kind::context_overflow) {
        return "context_length_exceeded";
    }
    if (status == 429) {
        return "rate_limit_exceeded";
    }
    return status < 500 ? "invalid_prompt" : "server_error";
}

Value responses_failed(const Error& error, int status, const ErrorContext& context) {
    Value inner = Value::object();
    inner.set("code", responses_code(error, status));
    inner.set("message", message_text(error, context));
    Value response = Value::object();
    response.set("id", context.request_id);
    response.set("object", "response");
    response.set("status", "failed");
    response.set("error", std::move(inner));
    response.set("output", Value::array());
    Value out = Value::object();
    out.set("type", "response.failed");
    out.set("response", std::move(response));
    return out;
}

}  // namespace

RenderedError render_error(const Error& error, ClientApi client, const ErrorContext& context) {
    RenderedError out;
    out.status = error.kind == Kind::budget_exhausted && !from_upstream(error)
                     ? context.budget_status
                     : error_status(error);
    out.retry_after = error.retry_after;
    if (out.status == 429 && !out.retry_after && error.kind != Kind::budget_exhausted) {
        out.retry_after = std::chrono::seconds(5);  // without one, some agents give up at once
    }
    if (client == ClientApi::anthropic) {
        out.body = json::dump(anthropic_body(error, out.status, context));
    } else {
        Value body = Value::object();
        body.set("error", openai_error(error, out.status, context));
        out.body = json::dump(body);
    }
    return out;
}

void write_stream_error(std::string& out, const Error& error, ClientApi client,
                        const ErrorContext& context) {
    int status = error_status(error);
    switch (client) {
        case ClientApi::openai: {
            Value body = Value::object();
            body.set("error", openai_error(error, status, context));
            sse::write_data(out, json::dump(body));
            return;
        }
        case ClientApi::anthropic:
            sse::write_event(out, "error", json::dump(anthropic_body(error, status, context)));
            return;
        case ClientApi::responses:
            sse::write_event(out, "response.failed",
                             json::dump(responses_failed(error, status, context)));
            return;
    }
}

int error_status(const Error& error) {
    switch (error.kind) {
        case Kind::invalid_request:
            return from_upstream(error) && error.upstream_status == 422 ? 422 : 400;
        case Kind::unauthenticated:
            return 401;
        case Kind::forbidden:
            return 403;
        case Kind::not_found:
            return 404;
        case Kind::too_large:
            return 413;
        case Kind::unsupported:
            return 400;
        case Kind::rate_limited:
            return 429;
        case Kind::budget_exhausted:
            return from_upstream(error) ? 429 : 422;
        case Kind::context_overflow:
            return 400;
        case Kind::content_refused:
            return 400;
        case Kind::upstream_rejected:
            return passed_status(error.upstream_status);
        case Kind::upstream_malformed:
            return 500;
        case Kind::upstream_unavailable:
            return from_upstream(error) ? std::max(passed_status(error.upstream_status), 500) : 503;
        case Kind::timeout:
            return 408;
        case Kind::cancelled:
            return 499;
        case Kind::internal:
            return 500;
    }
    return 500;
}

std::string_view error_class(const Error& error) {
    switch (error.kind) {
        case Kind::context_overflow:
            return "ContextWindowExceededError";
        case Kind::content_refused:
            return "ContentPolicyViolationError";
        case Kind::timeout:
            return "Timeout";
        case Kind::upstream_unavailable:
            if (error.upstream_status == 0) {
                return "APIConnectionError";
            }
            break;
        case Kind::invalid_request:
        case Kind::unauthenticated:
        case Kind::forbidden:
        case Kind::not_found:
        case Kind::too_large:
        case Kind::unsupported:
        case Kind::rate_limited:
        case Kind::budget_exhausted:
        case Kind::upstream_rejected:
        case Kind::upstream_malformed:
        case Kind::cancelled:
        case Kind::internal:
            break;
    }
    switch (error_status(error)) {
        case 400:
        case 413:
            return "BadRequestError";
        case 401:
            return "AuthenticationError";
        case 403:
            return "PermissionDeniedError";
        case 404:
            return "NotFoundError";
        case 408:
            return "Timeout";
        case 422:
            return "UnprocessableEntityError";
        case 429:
            return "RateLimitError";
        case 502:
            return "BadGatewayError";
        case 503:
            return "ServiceUnavailableError";
        default:
            return "InternalServerError";
    }
}

}  // namespace belay::protocols

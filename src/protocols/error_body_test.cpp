#include "protocols/error_body.h"

#include <doctest/doctest.h>

#include "wire/json.h"

using namespace belay;
using namespace belay::protocols;

namespace {

Error make(Kind kind, Origin origin, int upstream_status = 0, std::string message = "text") {
    Error e;
    e.kind = kind;
    e.origin = origin;
    e.message = std::move(message);
    e.upstream_status = upstream_status;
    return e;
}

json::Value error_of(const RenderedError& rendered) {
    auto value = json::parse(rendered.body);
    REQUIRE(value.ok());
    return (*value)["error"];
}

}  // namespace

TEST_CASE("every kind has the status and class of LiteLLM's exception mapping") {
    struct Row {
        Kind kind;
        Origin origin;
        int upstream;
        int status;
        std::string_view name;
    };
    const Row rows[] = {
        {Kind::invalid_request, Origin::caller, 0, 400, "BadRequestError"},
        {Kind::invalid_request, Origin::upstream, 400, 400, "BadRequestError"},
        {Kind::invalid_request, Origin::upstream, 422, 422, "UnprocessableEntityError"},
        {Kind::unauthenticated, Origin::upstream, 401, 401, "AuthenticationError"},
        {Kind::forbidden, Origin::upstream, 403, 403, "PermissionDeniedError"},
        {Kind::not_found, Origin::upstream, 404, 404, "NotFoundError"},
        {Kind::too_large, Origin::upstream, 413, 413, "BadRequestError"},
        {Kind::unsupported, Origin::caller, 0, 400, "BadRequestError"},
        {Kind::rate_limited, Origin::upstream, 429, 429, "RateLimitError"},
        {Kind::budget_exhausted, Origin::upstream, 402, 429, "RateLimitError"},
        {Kind::budget_exhausted, Origin::gateway, 0, 422, "UnprocessableEntityError"},
        {Kind::context_overflow, Origin::upstream, 400, 400, "ContextWindowExceededError"},
        {Kind::content_refused, Origin::upstream, 422, 400, "ContentPolicyViolationError"},
        {Kind::upstream_rejected, Origin::upstream, 402, 429, "RateLimitError"},
        {Kind::upstream_rejected, Origin::upstream, 418, 400, "BadRequestError"},
        {Kind::upstream_rejected, Origin::upstream, 200, 500, "InternalServerError"},
        {Kind::upstream_malformed, Origin::upstream, 200, 500, "InternalServerError"},
        {Kind::upstream_unavailable, Origin::upstream, 0, 500, "APIConnectionError"},
        {Kind::upstream_unavailable, Origin::upstream, 500, 500, "InternalServerError"},
        {Kind::upstream_unavailable, Origin::upstream, 502, 502, "BadGatewayError"},
        {Kind::upstream_unavailable, Origin::upstream, 503, 503, "ServiceUnavailableError"},
        {Kind::upstream_unavailable, Origin::gateway, 0, 503, "APIConnectionError"},
        {Kind::timeout, Origin::upstream, 504, 408, "Timeout"},
        {Kind::cancelled, Origin::caller, 0, 499, "InternalServerError"},
        {Kind::internal, Origin::gateway, 0, 500, "InternalServerError"},
    };
    for (const auto& row : rows) {
        CAPTURE(kind_name(row.kind));
        CAPTURE(row.upstream);
        Error error = make(row.kind, row.origin, row.upstream);
        CHECK(error_status(error) == row.status);
        CHECK(error_class(error) == row.name);
        CHECK(render_error(error, ClientApi::openai).status == row.status);
    }
}

TEST_CASE("an upstream's error names its class and provider; the gateway's own speaks plainly") {
    ErrorContext context{.provider = "Github_copilot", .request_id = {}};
    auto upstream =
        render_error(make(Kind::rate_limited, Origin::upstream, 429), ClientApi::openai, context);
    CHECK(error_of(upstream)["message"].as_string() ==
          "litellm.RateLimitError: RateLimitError: Github_copilotException - text");
    auto own =
        render_error(make(Kind::invalid_request, Origin::caller), ClientApi::openai, context);
    CHECK(error_of(own)["message"].as_string() == "text");
    auto relayed =
        render_error(make(Kind::rate_limited, Origin::upstream, 429, "litellm.RateLimitError: x"),
                     ClientApi::openai, context);
    CHECK(error_of(relayed)["message"].as_string() == "litellm.RateLimitError: x");
}

TEST_CASE("the envelope's code is a string; type and param are null when there is nothing to say") {
    auto error =
        error_of(render_error(make(Kind::not_found, Origin::upstream, 404), ClientApi::openai));
    CHECK(error["code"].as_string() == "404");
    CHECK(error["type"].is_null());
    CHECK(error["param"].is_null());
    Error bad = caller_error(Kind::invalid_request, "no", "messages");
    error = error_of(render_error(bad, ClientApi::openai));
    CHECK(error["type"].as_string() == "invalid_request_error");
    CHECK(error["param"].as_string() == "messages");
}

TEST_CASE("codes that clients act on are there") {
    auto quota = error_of(
        render_error(make(Kind::budget_exhausted, Origin::upstream, 402), ClientApi::openai));
    CHECK(quota["code"].as_string() == "insufficient_quota");
    auto context = error_of(
        render_error(make(Kind::context_overflow, Origin::upstream, 400), ClientApi::openai));
    CHECK(context["code"].as_string() == "context_length_exceeded");
    Error key = make(Kind::unauthenticated, Origin::caller);
    key.code = "token_not_found_in_db";
    auto shown = error_of(render_error(key, ClientApi::openai));
    CHECK(shown["type"].as_string() == "token_not_found_in_db");
    CHECK(shown["code"].as_string() == "401");
}

TEST_CASE("a rate limit always says when to come back, a spent quota only what is known") {
    CHECK(render_error(make(Kind::rate_limited, Origin::upstream, 429), ClientApi::openai)
              .retry_after.has_value());
    Error told = make(Kind::rate_limited, Origin::upstream, 429);
    told.retry_after = std::chrono::seconds(77);
    CHECK(render_error(told, ClientApi::openai).retry_after == std::chrono::seconds(77));
    CHECK_FALSE(render_error(make(Kind::budget_exhausted, Origin::upstream, 402), ClientApi::openai)
                    .retry_after.has_value());
}

TEST_CASE("Claude clients read the sentence on which they shorten their history") {
    Error error = make(Kind::context_overflow, Origin::upstream, 400,
                       "prompt token count of 130431 exceeds the limit of 128000");
    auto value = json::parse(render_error(error, ClientApi::anthropic).body);
    REQUIRE(value.ok());
    CHECK((*value)["type"].as_string() == "error");
    CHECK((*value)["error"]["type"].as_string() == "invalid_request_error");
    CHECK((*value)["error"]["message"].as_string() ==
          "prompt is too long: 130431 tokens > 128000 maximum");
}

TEST_CASE("an error inside a stream is one frame of the client's protocol and no end mark") {
    Error error = make(Kind::upstream_unavailable, Origin::upstream, 0, "cut");
    std::string out;
    write_stream_error(out, error, ClientApi::openai);
    CHECK(out.starts_with("data: {\"error\":{\"message\":\"litellm.APIConnectionError: cut\""));
    CHECK(out.find("[DONE]") == std::string::npos);
    out.clear();
    write_stream_error(out, error, ClientApi::anthropic);
    CHECK(out.starts_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""));
    out.clear();
    write_stream_error(out, error, ClientApi::responses);
    CHECK(out.starts_with("event: response.failed\ndata: {\"type\":\"response.failed\""));
    CHECK(out.ends_with("\n\n"));
}

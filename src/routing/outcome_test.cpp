// Every known refusal, in the shape it has on the wire (Copilot captures of 2026, vendors' API
// docs).
#include "routing/outcome.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "wire/json.h"

namespace belay::routing {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

const Wall kNow = parse_utc("2026-09-10T12:00:00Z");

Outcome judged(int status, std::string_view body, std::string_view path = "/chat/completions",
               Headers headers = {{"content-type", "text/plain; charset=utf-8"}}) {
    ReplyFacts reply;
    reply.status = status;
    reply.body = body;
    reply.path = path;
    reply.headers = std::move(headers);
    return classify(reply, kNow);
}

std::string in_envelope(std::string_view code, std::string_view message) {
    return json::dump(json::Value::object(
        {{"error", json::Value::object({{"message", message}, {"code", code}})}}));
}

struct Row {
    int status;
    const char* body;
    Cause cause;
    const char* path = "/chat/completions";
};

void check_rows(const Row* begin, const Row* end) {
    for (const Row* row = begin; row != end; ++row) {
        const Outcome out = judged(row->status, row->body, row->path);
        CHECK_MESSAGE(out.cause == row->cause, row->status, " ", row->body, " -> ",
                      cause_name(out.cause), ", expected ", cause_name(row->cause));
        CHECK(out.status == row->status);
    }
}

template <size_t N>
void check_rows(const Row (&rows)[N]) {
    check_rows(rows, rows + N);
}

TEST_CASE("every code of Copilot means its cause, under any status and with any suffix") {
    const std::pair<const char*, Cause> codes[] = {
        {"quota_exceeded", Cause::quota_month},
        {"free_quota_exceeded", Cause::quota_month},
        {"session_quota_exceeded", Cause::quota_session},
        {"user_weekly_rate_limited", Cause::quota_week},
        {"overage_limit_reached", Cause::quota_budget},
        {"additional_spend_limit_reached", Cause::quota_budget},
        {"billing_not_configured", Cause::quota_budget},
        {"rate_limited", Cause::rate_limited},
        {"user_model_rate_limited", Cause::rate_limited},
        {"user_global_rate_limited", Cause::rate_limited},
        {"integration_rate_limited", Cause::rate_limited},
        {"agent_mode_limit_exceeded", Cause::rate_limited},
        {"extension_blocked", Cause::rate_limited},
        {"model_overloaded", Cause::overloaded},
        {"upstream_provider_rate_limit", Cause::overloaded},
        {"model_not_supported", Cause::model_unavailable},
        {"no_available_model_endpoints", Cause::model_unavailable},
        {"unsupported_api_for_model", Cause::wrong_endpoint},
        {"model_max_prompt_tokens_exceeded", Cause::context_too_long},
        {"context_length_exceeded", Cause::context_too_long},
        {"cyber_policy", Cause::content_refused},
        {"content_filter", Cause::content_refused},
        {"off_topic", Cause::content_refused},
    };
    for (const auto& [code, cause] : codes) {
        for (const int status : {400, 402, 403, 429}) {
            for (const std::string suffix : {"", ":pro_plus", ":a:b"}) {
                const Outcome out = judged(status, in_envelope(code + suffix, "words"));
                CHECK_MESSAGE(out.cause == cause, status, " ", code, suffix, " -> ",
                              cause_name(out.cause));
                CHECK(out.code == code + suffix);
                CHECK(out.message == "words");
            }
        }
        // The same code inside a 200 stream.
        const Outcome streamed = classify_event(in_envelope(code, "words"), kNow);
        CHECK(streamed.cause == cause);
        CHECK(streamed.in_stream);
    }
}

TEST_CASE("a code that only begins like a known one is not that one") {
    CHECK(judged(400, in_envelope("rate_limited_never", "x")).cause == Cause::bad_request);
    CHECK(judged(402, in_envelope("unheard_of", "x")).cause == Cause::quota_month);
}

TEST_CASE("400 in all its meanings") {
    const Row rows[] = {
        {400,
         R"({"error":{"message":"The requested model is not supported.","code":"model_not_supported","param":"model","type":"invalid_request_error"}})",
         Cause::model_unavailable},
        {400, R"({"message":"The requested model is not supported."})", Cause::model_unavailable},
        {400,
         R"({"error":{"message":"model \"gpt-5.4-mini\" is not accessible via the /chat/completions endpoint","code":"unsupported_api_for_model"}})",
         Cause::wrong_endpoint},
        {400,
         R"({"error":{"message":"model \"x\" is not accessible via the /chat/completions endpoint","code":""}})",
         Cause::wrong_endpoint},
        {400, "no endpoints available for this model under your current plan and policies",
         Cause::model_unavailable},
        {400, R"({"error":{"message":"Requested model not available for session"}})",
         Cause::model_unavailable},
        {400,
         R"({"error":{"message":"prompt token count of 130431 exceeds the limit of 128000","code":"model_max_prompt_tokens_exceeded"}})",
         Cause::context_too_long},
        {400,
         R"({"error":{"message":"messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.","code":"invalid_request_body"}})",
         Cause::bad_request},
        {400,
         R"({"error":{"message":"Previous response not found","code":"previous_response_not_found"}})",
         Cause::bad_request},
        {400,
         R"({"error":{"message":"missing required Copilot-Vision-Request header for vision requests","code":""}})",
         Cause::vision_header},
        {400, "You may not include more than 128 tools in your request.", Cause::bad_request},
        {400, R"({"error":{"message":"slow down","code":"rate_limited"}})", Cause::rate_limited},
        {400, "bad request: missing Editor-Version header for IDE auth", Cause::forbidden},
        {400, "bad request: unknown Copilot-Integration-Id", Cause::forbidden},
        {400, "Bad Request\n", Cause::bad_request},
        {400, "", Cause::server_error},
        {400, " \r\n", Cause::server_error},
        {400,
         R"({"error":{"message":"Your input was flagged as potentially violating our usage policy.","code":"invalid_prompt"}})",
         Cause::content_refused},
        {400,
         R"({"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}})",
         Cause::content_refused},
    };
    check_rows(rows);
}

TEST_CASE("401: an expired token, a dead key, an agent's OAuth and a foreign item id differ") {
    const Row rows[] = {
        {401, "unauthorized: token expired", Cause::token_expired},
        {401, "IDE token expired: unauthorized: token expired", Cause::token_expired},
        {401,
         R"({"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"})",
         Cause::token_expired},
        {401, "", Cause::token_expired},
        {401,
         R"({"error":{"message":"input item ID does not belong to this connection","code":""}})",
         Cause::item_id_mismatch, "/responses"},
        {401, "input item does not belong to this connection", Cause::item_id_mismatch,
         "/responses"},
        {401, R"({"authorize_url":"https://example.com/oauth"})", Cause::forbidden},
        {401,
         R"({"error":{"message":"Incorrect API key provided: sk-abc","type":"invalid_request_error","code":"invalid_api_key"}})",
         Cause::auth},
        {401,
         R"({"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}})",
         Cause::auth},
    };
    check_rows(rows);
}

TEST_CASE("402 is a quota, and says which") {
    const Row rows[] = {
        {402, R"({"error":{"message":"You have no quota","code":"quota_exceeded"}})",
         Cause::quota_month},
        {402, "quota exceeded", Cause::quota_month},
        {402, "quota exceeded\n", Cause::quota_month},
        {402, "", Cause::quota_month},
        {402, R"({"message":"You have no quota"})", Cause::quota_month},
        {402, R"({"error":{"code":"session_quota_exceeded","message":"wait"}})",
         Cause::quota_session},
        {402, R"({"error":{"code":"billing_not_configured","message":"org"}})",
         Cause::quota_budget},
    };
    check_rows(rows);
}

TEST_CASE("403: throughput, an opaque refusal, an expired token and a policy differ") {
    const Row rows[] = {
        {403, "access to this endpoint is forbidden", Cause::token_expired},
        {403, "access to this endpoint is forbidden. Please review our Terms of Service",
         Cause::token_expired},
        {403, "Forbidden", Cause::token_expired},
        {403, "", Cause::token_expired},
        {403, R"({"error":{"message":"x","code":"expired_token"}})", Cause::token_expired},
        {403, R"({"error":{"message":"x","code":"invalid_token"}})", Cause::token_expired},
        {403, R"({"error":{"message":"x","code":"token_expired"}})", Cause::token_expired},
        {403, R"({"error":{"message":"Forbidden","code":"forbidden"}})", Cause::forbidden},
        {403,
         R"({"can_signup_for_limited":true,"error_details":{"message":"No access","notification_id":"not_signed_up","title":"t"},"message":"Resource not accessible by integration"})",
         Cause::forbidden},
        {403, R"({"message":"API rate limit exceeded for user ID 123.","status":"403"})",
         Cause::rate_limited},
        {403,
         "Sorry, you have exceeded your Copilot token usage. Please review our Terms of Service",
         Cause::rate_limited},
        {403, R"({"error":{"message":"no quota","code":"quota_exceeded"}})", Cause::quota_month},
        {403,
         R"({"type":"error","error":{"type":"permission_error","message":"Your organization has disabled this model"}})",
         Cause::forbidden},
    };
    check_rows(rows);
    for (const char* who : {"client", "integration", "user"}) {
        const std::string name = std::string("x-endpoint-") + who + "-forbidden";
        CHECK(judged(403, "access to this endpoint is forbidden", "/chat/completions",
                     {{name, "tpm:claude-opus-4.6:clientID:vscode"}})
                  .cause == Cause::rate_limited);
        CHECK(judged(403, "access to this endpoint is forbidden", "/chat/completions",
                     {{name, "blocked"}})
                  .cause == Cause::token_expired);
    }
}

TEST_CASE("429 is a rate limit unless a longer window says it is a quota") {
    const Row rows[] = {
        {429, "rate limit exceeded", Cause::rate_limited},
        {429, "", Cause::rate_limited},
        {429,
         R"({"error":{"message":"Sorry, you've exceeded your weekly rate limit.","code":"user_weekly_rate_limited:pro"}})",
         Cause::quota_week},
        {429, "Sorry, you've exceeded your weekly rate limit.", Cause::quota_week},
        {429,
         R"({"message":"Sorry, you've hit a rate limit that restricts the number of Copilot model requests you can make."})",
         Cause::rate_limited},
        {429,
         R"({"error":{"message":"blocked","code":"extension_blocked","type":"rate_limit_error"}})",
         Cause::rate_limited},
        {429, R"({"error":{"message":"busy","code":"model_overloaded"}})", Cause::overloaded},
        {429,
         R"({"error":{"message":"You exceeded your current quota, please check your plan","type":"insufficient_quota","param":null,"code":"insufficient_quota"}})",
         Cause::quota_budget},
        {429,
         R"([{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}])",
         Cause::rate_limited},
        {429,
         R"({"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit"}})",
         Cause::rate_limited},
        {429, "<html><body>Too many</body></html>", Cause::rate_limited},
    };
    check_rows(rows);
    const std::string used_up = "ent=0&ov=0.0&ovPerm=false&rem=0.0&rst=2026-09-14T00%3A00%3A00Z";
    const std::string some_left = "ent=0&ov=0.0&ovPerm=false&rem=3.5&rst=2026-09-14T00%3A00%3A00Z";
    const auto windowed = [](const char* name, const std::string& value) {
        return judged(429, "", "/chat/completions", {{name, value}}).cause;
    };
    CHECK(windowed("x-usage-ratelimit-weekly", used_up) == Cause::quota_week);
    CHECK(windowed("x-usage-ratelimit-weekly", some_left) == Cause::rate_limited);
    CHECK(windowed("x-usage-ratelimit-session", used_up) == Cause::quota_session);
    CHECK(windowed("x-ratelimit-exceeded", "user-weekly-tokens") == Cause::quota_week);
}

TEST_CASE("the other statuses") {
    const Row rows[] = {
        {404, R"({"error":{"message":"not found","code":"not_found"}})", Cause::not_found},
        {404, "404 page not found", Cause::not_found},
        {404,
         R"({"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","code":"model_not_found"}})",
         Cause::model_unavailable},
        {404, R"({"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}})",
         Cause::not_found},
        {404, R"({"error":"model \"llama9\" not found, try pulling it first"})",
         Cause::model_unavailable},
        {408, "", Cause::timeout},
        {499, "canceled", Cause::timeout},
        {409, "", Cause::server_error},
        {410, "gone", Cause::model_unavailable},
        {413, "Request Entity Too Large", Cause::too_large},
        {413, "Request body is too large for model context window", Cause::context_too_long},
        {421, "Misdirected Request", Cause::wrong_host},
        {422, "filtered", Cause::content_refused},
        {422, R"({"error":{"message":"Sorry, the response matched public code"}})",
         Cause::content_refused},
        {422,
         R"({"detail":[{"loc":["body","messages",0,"role"],"msg":"field required","type":"value_error.missing"}]})",
         Cause::bad_request},
        {424, "dependency", Cause::server_error},
        {431, "", Cause::too_large},
        {451, "", Cause::forbidden},
        {466,
         "bad request: the specified API version is no longer supported. You may need to update "
         "your client to a newer version.",
         Cause::api_version},
        {466,
         R"({"error":{"message":"bad request: the specified API version is no longer supported.","type":"error"}})",
         Cause::api_version},
        {400,
         R"({"error":{"message":"bad request: the specified API version is no longer supported.","type":"error"}})",
         Cause::api_version},
        {500, "internal error", Cause::server_error},
        {500, R"({"error":{"message":"the prompt is too long for my patience"}})",
         Cause::server_error},
        {502, "<html><head><title>502 Bad Gateway</title></head></html>", Cause::server_error},
        {503,
         R"({"error":{"message":"HTTP/2 GOAWAY connection terminated","type":"connection_error"}})",
         Cause::overloaded},
        {503, "upstream connect error", Cause::overloaded},
        {504, "", Cause::server_error},
        {520, "", Cause::server_error},
        {524, "", Cause::timeout},
        {529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
         Cause::overloaded},
        {418, "teapot", Cause::bad_request},
    };
    check_rows(rows);
}

TEST_CASE("statuses that are no answer are malformed, never followed") {
    for (const int status : {0, 100, 101, 103, 199, 204, 205, 301, 302, 304, 307, 600, 999}) {
        CHECK(judged(status, "x").cause == Cause::malformed);
    }
}

TEST_CASE("context overflow is known in every vendor's words") {
    const char* texts[] = {
        "prompt token count of 130431 exceeds the limit of 128000",
        "prompt is too long: 208598 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "9000 tokens. Please reduce the length of the messages.",
        "Your input exceeds the context window of this model. Please adjust your input and try "
        "again.",
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
        "300000 tokens.",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "Request body is too large for model context window",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "Input is too long for requested model.",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "the request exceeds the available context size. try increasing the context size",
        "Invalid request: Your request exceeded model token limit: 131072",
        "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    };
    for (const std::string text : texts) {
        for (const std::string& body :
             {in_envelope("", text), in_envelope("invalid_request_body", text), text,
              "{\"message\":" + json::dump(json::Value(text)) + "}"}) {
            const Outcome out = judged(400, body, "/responses");
            CHECK_MESSAGE(out.cause == Cause::context_too_long, body);
            CHECK(out.message == text);
        }
    }
}

TEST_CASE("parameters are named, with the path and the new name where there is one") {
    struct Named {
        const char* body;
        const char* param;
        const char* rename = "";
        const char* path = "/chat/completions";
    };
    const Named rows[] = {
        {R"({"error":{"message":"Unsupported parameter: 'top_p' is not supported with this model.","code":"invalid_request_body"}})",
         "top_p"},
        {R"({"error":{"message":"Unknown parameter: 'input[0].namespace'.","code":"invalid_request_body"}})",
         "input[0].namespace", "", "/responses"},
        {R"({"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}})",
         "max_tokens", "max_completion_tokens"},
        {R"({"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.","code":"invalid_request_body"}})",
         "max_tokens", "max_completion_tokens"},
        {R"({"error":{"message":"context_management: Extra inputs are not permitted","code":"invalid_request_body"}})",
         "context_management", "", "/v1/messages"},
        {R"({"error":{"message":"system.1.cache_control.ephemeral.scope: Extra inputs are not permitted"}})",
         "system[1].cache_control.scope", "", "/v1/messages"},
        {R"({"error":{"message":"thinking.adaptive.budget_tokens: Extra inputs are not permitted"}})",
         "thinking.budget_tokens", "", "/v1/messages"},
        {R"({"error":{"message":"messages.2.content.0.tool_use.caller: Extra inputs are not permitted"}})",
         "messages[2].content[0].caller", "", "/v1/messages"},
        {R"({"error":{"message":"tools.0.custom.eager_input_streaming: Extra inputs are not permitted"}})",
         "tools[0].eager_input_streaming", "", "/v1/messages"},
        {R"({"error":{"message":"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"output_config: Extra inputs are not permitted\"}}","code":"invalid_request_body"}})",
         "output_config", "", "/v1/messages"},
        {R"({"error":{"message":"effort","code":"invalid_reasoning_effort"}})", "reasoning_effort"},
        {R"({"error":{"message":"effort","code":"invalid_reasoning_effort"}})", "reasoning.effort",
         "", "/responses"},
        {R"({"error":{"message":"effort","code":"invalid_reasoning_effort"}})",
         "output_config.effort", "", "/v1/messages"},
        {R"({"error":{"message":"Hosted tool 'image_generation' is not supported","code":"unsupported_value","param":"tools"}})",
         "tools[type=image_generation]", "", "/responses"},
        {R"({"error":{"message":"not offered","code":"unsupported_value","param":"tools"}})",
         "tools", "", "/responses"},
        {R"({"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}})",
         "temperature"},
        {R"({"error":{"message":"FAILED_PRECONDITION: structured outputs are disabled"}})",
         "output_config.format", "", "/v1/messages"},
        {R"({"error":{"message":"FAILED_PRECONDITION"}})", "response_format"},
        {R"({"error":{"message":"unsupported beta header(s): context-1m-2025-08-07","code":"invalid_request_body"}})",
         "anthropic-beta", "", "/v1/messages"},
        {R"({"error":{"message":"messages.1.content.0: Invalid `signature` in `thinking` block"}})",
         "messages[*].content[type=thinking]", "", "/v1/messages"},
        {R"({"error":{"message":"`temperature` may only be set to 1 when thinking is enabled."}})",
         "temperature", "", "/v1/messages"},
        {R"({"error":{"message":"`temperature` and `top_p` cannot both be specified for this model."}})",
         "top_p", "", "/v1/messages"},
        {R"({"error":{"message":"`thinking.type.enabled` is not supported for this model."}})",
         "thinking", "", "/v1/messages"},
        {R"({"error":{"message":"Unrecognized request argument supplied: logit_bias","type":"invalid_request_error"}})",
         "logit_bias"},
        {R"({"error":{"message":"property 'seed' is unsupported"}})", "seed"},
        {R"({"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"topX\" at 'generation_config': Cannot find field.","status":"INVALID_ARGUMENT"}})",
         "generation_config.topX"},
        {R"({"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"foo\": Cannot find field.","status":"INVALID_ARGUMENT"}})",
         "foo"},
    };
    for (const Named& row : rows) {
        const Outcome out = judged(400, row.body, row.path);
        CHECK_MESSAGE(out.cause == Cause::bad_parameter, row.body, " -> ", cause_name(out.cause));
        CHECK_MESSAGE(out.param == row.param, row.body, " -> ", out.param);
        CHECK(out.rename_to == row.rename);
    }
    const Outcome listed = judged(
        422,
        R"({"detail":[{"type":"extra_forbidden","loc":["body","foo"],"msg":"Extra inputs are not permitted"}]})");
    CHECK(listed.cause == Cause::bad_parameter);
    CHECK(listed.param == "foo");
}

TEST_CASE("what only sounds like a parameter is a plain bad request") {
    for (const char* text : {"Unsupported parameter: ", "Unknown parameter: 'a b c'",
                             ": Extra inputs are not permitted",
                             "Unsupported parameter: '<script>'", "Invalid value: 'x'"}) {
        const Outcome out = judged(400, in_envelope("invalid_request_body", text));
        CHECK_MESSAGE(out.cause == Cause::bad_request, text);
        CHECK(out.param.empty());
    }
}

TEST_CASE("a 200 that is no answer is malformed; one that is an error is that error") {
    const Row rows[] = {
        {200, "", Cause::malformed},
        {200, "\n\n", Cause::malformed},
        {200, "<!DOCTYPE html><html><title>Sign in</title></html>", Cause::malformed},
        {200, "OK", Cause::malformed},
        {200, "{}", Cause::malformed},
        {200, "[]", Cause::malformed},
        {200, R"({"choices":[{"mess)", Cause::malformed},
        {200, R"({"error":{"message":"You have no quota","code":"quota_exceeded"}})",
         Cause::quota_month},
        {200, R"({"type":"error","error":{"type":"overloaded_error","message":"busy"}})",
         Cause::overloaded},
        {200,
         R"({"id":"r","object":"response","status":"failed","error":{"code":"rate_limit_exceeded","message":"x"}})",
         Cause::rate_limited},
        {200, R"({"id":"r","object":"response","status":"completed","error":null,"output":[]})",
         Cause::success},
        {200, R"({"choices":[{"finish_reason":"stop","message":{"content":"Hi"}}]})",
         Cause::success},
        {200, R"({"choices":[]})", Cause::success},
        {200, R"({"data":[{"embedding":[0.1]}]})", Cause::success},
        {200, R"({"content":[{"type":"text","text":"error"}],"type":"message","role":"assistant"})",
         Cause::success},
        {200,
         R"({"choices":[{"finish_reason":"content_filter","message":{"content":""}}],"prompt_filter_results":[{"content_filter_results":{"hate":{"filtered":true,"severity":"high"}}}]})",
         Cause::content_refused},
        {200, R"({"choices":[{"finish_reason":"content_filter","message":{"content":"half"}}]})",
         Cause::success},
        {200,
         "event: error\ndata: "
         "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n",
         Cause::overloaded},
        {200, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", Cause::success},
        {200, ": ping\n\ndata: {\"error\":{\"message\":\"x\",\"code\":\"quota_exceeded\"}}\n\n",
         Cause::quota_month},
    };
    check_rows(rows);
    // A status written inside the body is the upstream's real one.
    CHECK(judged(200, R"({"error":{"message":"nope","code":429}})").status == 429);
    CHECK(judged(200, R"({"error":{"message":"nope","code":429}})").cause == Cause::rate_limited);
    // Only the first 64 KiB of a long answer are seen: that is no fault of the answer.
    const std::string long_answer = "{\"data\":\"" + std::string(65536, 'a');
    CHECK(judged(200, long_answer).cause == Cause::success);
}

TEST_CASE("an error event inside a 200 stream is that error, in every protocol's shape") {
    struct Event {
        const char* data;
        Cause cause;
    };
    const Event rows[] = {
        {R"({"error":{"message":"You have no quota","code":"quota_exceeded","metadata":{}}})",
         Cause::quota_month},
        {R"({"error":{"message":"boom","code":"internal_error"}})", Cause::server_error},
        {R"({"error":{"message":"boom"}})", Cause::server_error},
        {R"({"error":"boom"})", Cause::server_error},
        {R"({"error":{"message":"slow","code":429}})", Cause::rate_limited},
        {R"({"error":{"message":"slow","code":"429"}})", Cause::rate_limited},
        {R"({"error":{"message":"prompt is too long: 208598 tokens > 200000 maximum"}})",
         Cause::context_too_long},
        {R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
         Cause::overloaded},
        {R"({"error":{"type":"overloaded_error","message":"Overloaded"}})", Cause::overloaded},
        {R"({"type":"error","error":{"type":"api_error","message":"Internal server error"}})",
         Cause::server_error},
        {R"({"type":"error","error":{"type":"invalid_request_error","message":"bad"}})",
         Cause::bad_request},
        {R"({"type":"error","error":{"type":"authentication_error","message":"x"}})",
         Cause::token_expired},
        {R"({"type":"error","error":{"type":"permission_error","message":"x"}})", Cause::forbidden},
        {R"({"type":"error","error":{"type":"request_too_large","message":"x"}})",
         Cause::too_large},
        {R"({"type":"error","error":{"type":"timeout_error","message":"x"}})", Cause::timeout},
        {R"({"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":3})",
         Cause::rate_limited},
        {R"({"type":"error","error":{"code":"rate_limited","message":"x"},"copilot_quota_snapshots":{}})",
         Cause::rate_limited},
        {R"({"type":"error","error":{"code":"session_expired","message":"x"}})",
         Cause::server_error},
        {R"({"type":"error","error":{"code":"service_unavailable","message":"internal server error"}})",
         Cause::server_error},
        {R"({"type":"error","error":{"code":"invalid_request_body","message":"x"}})",
         Cause::bad_request},
        {R"({"type":"error","error":{"code":"not_found","message":"x"}})", Cause::not_found},
        {R"({"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"cyber_policy","message":"no"}}})",
         Cause::content_refused},
        {R"({"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"server_error","message":"no"}}})",
         Cause::server_error},
        {R"({"type":"response.failed","response":{"id":"r","status":"failed","error":null}})",
         Cause::server_error},
        {R"({"type":"response.completed","response":{"id":"r","status":"failed","error":{"code":"quota_exceeded","message":"no"}}})",
         Cause::quota_month},
        {R"({"type":"response.cancelled","response":{"id":"r","status":"cancelled"}})",
         Cause::server_error},
        {R"({"choices":[{"index":0,"finish_reason":"error","delta":{}}]})", Cause::server_error},
        {R"({"choices":[{"index":0,"finish_reason":"error","error":{"code":429,"message":"slow"}}]})",
         Cause::rate_limited},
        {R"({"message":"Internal server error"})", Cause::server_error},
        {R"({"error":{"message":"HTTP/2 GOAWAY connection terminated","type":"connection_error"}})",
         Cause::overloaded},
        {"not json", Cause::malformed},
        {"[1,2]", Cause::malformed},
        {"{\"choices\":", Cause::malformed},
    };
    for (const Event& row : rows) {
        const Outcome out = classify_event(row.data, kNow);
        CHECK_MESSAGE(out.cause == row.cause, row.data, " -> ", cause_name(out.cause));
        CHECK(out.in_stream);
    }
}

TEST_CASE("ordinary events are no errors, whatever words they carry") {
    const char* events[] = {
        "[DONE]",
        " [DONE]",
        "",
        R"({"choices":[{"index":0,"delta":{"content":"error: quota exceeded"}}]})",
        R"({"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false}}}]})",
        R"({"choices":[{"index":0,"content_filter_results":{"error":{"code":"","message":""}},"delta":{"content":""}}]})",
        R"({"choices":null,"copilot_references":[]})",
        R"({"choices":null,"copilot_errors":[{"type":"reference","message":"skill failed"}]})",
        R"({"choices":[{"index":0,"finish_reason":"content_filter","delta":{"content":null}}]})",
        R"({"type":"response.created","response":{"id":"r","status":"in_progress","error":null}})",
        R"({"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"error":null}})",
        R"({"type":"ping"})",
        R"({"type":"message_start","message":{"id":"m","usage":{}}})",
        R"({"type":"message_delta","delta":{"stop_reason":"refusal"}})",
        R"({"id":"x","message":"named like an error"})",
    };
    for (const char* data : events) {
        const Outcome out = classify_event(data, kNow);
        CHECK_MESSAGE(out.cause == Cause::success, data, " -> ", cause_name(out.cause));
    }
}

TEST_CASE("the wait is read from wherever the upstream states it") {
    struct Wait {
        Headers headers;
        const char* body;
        std::optional<int64_t> expected;
    };
    const Wait rows[] = {
        {{{"retry-after", "30"}}, "", 30},
        {{{"retry-after", " 30 "}}, "", 30},
        {{{"retry-after", "0.4"}}, "", 1},
        {{{"retry-after", "0"}}, "", 0},
        {{{"retry-after", "-5"}}, "", 0},
        {{{"retry-after", "432000"}}, "", 432000},
        {{{"retry-after", "1e300"}}, "", 366 * 86400},
        {{{"retry-after", "99999999999999999999999999"}}, "", 366 * 86400},
        {{{"retry-after", "nan"}}, "", std::nullopt},
        {{{"retry-after", "inf"}}, "", std::nullopt},
        {{{"retry-after", "soon"}}, "", std::nullopt},
        {{{"retry-after", ""}}, "", std::nullopt},
        {{{"retry-after", "Thu, 10 Sep 2026 12:01:00 GMT"}}, "", 60},
        {{{"retry-after", "Thursday, 10-Sep-26 12:01:00 GMT"}}, "", 60},
        {{{"retry-after", "Thu Sep 10 12:01:00 2026"}}, "", 60},
        {{{"retry-after", "2026-09-10T12:01:00Z"}}, "", 60},
        {{{"retry-after", "Thu, 10 Sep 2020 12:01:00 GMT"}}, "", 0},
        {{{"retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"}}, "", 366 * 86400},
        {{{"retry-after", "Thu, 99 Foo 2026 99:99:99 GMT"}}, "", std::nullopt},
        {{{"retry-after-ms", "1500"}}, "", 2},
        {{{"x-ratelimit-user-retry-after", "12"}}, "", 12},
        {{{"retry-after", "soon"}, {"x-ratelimit-user-retry-after", "12"}}, "", 12},
        {{}, R"({"retry_after":7,"message":"x"})", 7},
        {{}, R"({"error":{"retry_after":8,"message":"x"}})", 8},
        {{}, R"({"error":{"retry_after":"9","message":"x"}})", 9},
        {{{"retry-after", "3"}}, R"({"error":{"retry_after":8,"message":"x"}})", 3},
        {{},
         R"([{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x","details":[{"retryDelay":"34.07s"}]}}])",
         35},
        {{}, "Rate limit reached. Please try again in 20s.", 20},
        {{}, "Please try again in 1m30.5s", 91},
        {{}, "Please try again in 350ms", 1},
        {{}, "try again in 2 hours", 7200},
        {{}, "try again in a while", std::nullopt},
        {{}, "", std::nullopt},
    };
    for (const Wait& row : rows) {
        const Outcome out = judged(429, row.body, "/chat/completions", row.headers);
        const auto got = out.retry_after ? std::optional(out.retry_after->count()) : std::nullopt;
        CHECK_MESSAGE(got == row.expected, (row.headers.empty() ? "" : row.headers[0].second),
                      row.body);
        ReplyFacts reply;
        reply.headers = row.headers;
        reply.body = row.body;
        CHECK(parse_retry_after(reply, kNow) == out.retry_after);
    }
}

TEST_CASE("a quota's reset is the exhausted window's, else the stated wait") {
    const auto snapshot = [](const char* rem, const char* day) {
        return std::string("ent=300&ov=0.0&ovPerm=false&rem=") + rem + "&rst=2026-" + day +
               "T00%3A00%3A00Z";
    };
    const char* no_quota = R"({"error":{"message":"You have no quota","code":"quota_exceeded"}})";
    const auto at = [](const char* day) {
        return parse_utc(std::string("2026-") + day + "T00:00:00Z");
    };
    SUBCASE("the premium window of a paid account") {
        const Outcome out =
            judged(402, no_quota, "/x",
                   {{"x-quota-snapshot-chat", snapshot("100.0", "10-02")},
                    {"x-quota-snapshot-premium_interactions", snapshot("0.0", "10-01")},
                    {"retry-after", "60"}});
        CHECK(out.resets_at == at("10-01"));
        CHECK(out.retry_after == seconds(60));
    }
    SUBCASE("the chat window of a free account, when that is what is used up") {
        const Outcome out =
            judged(402, no_quota, "/x",
                   {{"x-quota-snapshot-premium_interactions", snapshot("50.0", "10-01")},
                    {"x-quota-snapshot-chat", snapshot("0.0", "10-05")}});
        CHECK(out.resets_at == at("10-05"));
    }
    SUBCASE("session and weekly windows have their own headers") {
        const Headers both = {{"x-usage-ratelimit-session", snapshot("0.0", "09-11")},
                              {"x-usage-ratelimit-weekly", snapshot("0.0", "09-14")}};
        CHECK(judged(402, in_envelope("session_quota_exceeded", ""), "/x", both).resets_at ==
              at("09-11"));
        CHECK(judged(429, in_envelope("user_weekly_rate_limited", ""), "/x", both).resets_at ==
              at("09-14"));
    }
    SUBCASE("a reset in the past is none; the wait takes its place") {
        const Outcome out = judged(402, no_quota, "/x",
                                   {{"x-quota-snapshot-premium_models", snapshot("0.0", "08-01")},
                                    {"retry-after", "3600"}});
        CHECK(out.resets_at == kNow + std::chrono::hours(1));
    }
    SUBCASE("nothing stated, nothing invented") {
        CHECK_FALSE(judged(402, no_quota).resets_at.has_value());
    }
    SUBCASE("a WebSocket frame carries the snapshots itself") {
        const Outcome out = classify_event(
            R"({"type":"error","error":{"code":"quota_exceeded","message":"x"},"copilot_quota_snapshots":{"premium_interactions":{"entitlement":"300","percent_remaining":0,"reset_date":"2026-10-01T00:00:00Z"}}})",
            kNow);
        CHECK(out.resets_at == at("10-01"));
    }
    SUBCASE("a rate limit has a wait and no reset") {
        const Outcome out = judged(429, "", "/x", {{"retry-after", "5"}});
        CHECK_FALSE(out.resets_at.has_value());
    }
}

TEST_CASE("quota headers are read field by field and never trusted to be whole") {
    const auto rows = read_quota_headers(
        {{"content-type", "text/plain"},
         {"x-quota-snapshot-premium_interactions",
          "ent=300&ov=1.5&ovPerm=true&rem=88.5&rst=2026-04-01T00%3A00%3A00Z&totRem=265"},
         {"x-usage-ratelimit-weekly", "ent=-1&rem=oops&rst=never"},
         {"x-quota-snapshot-", "rem=1"}});
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].name == "premium_interactions");
    CHECK(rows[0].entitlement == 300);
    CHECK(rows[0].overage == 1.5);
    CHECK(rows[0].overage_permitted);
    CHECK(rows[0].percent_remaining == 88.5);
    CHECK(rows[0].resets_at == parse_utc("2026-04-01T00:00:00Z"));
    CHECK(rows[1].name == "weekly");
    CHECK(rows[1].entitlement == -1);
    CHECK(rows[1].percent_remaining == 100);
    CHECK_FALSE(rows[1].resets_at.has_value());
    Headers many;
    for (int i = 0; i < 100; ++i) {
        many.emplace_back("x-quota-snapshot-" + std::to_string(i), "rem=1");
    }
    CHECK(read_quota_headers(many).size() <= 16);
}

TEST_CASE("an upstream's text is shown without control bytes, credentials or excess") {
    CHECK(judged(500, "a\x01\x1b[31mb\r\nc").message == "a  [31mb  c");
    CHECK(judged(500, "bad \xff\xfe bytes").message == "bad ?? bytes");
    CHECK(judged(500, std::string(5000, 'x')).message.size() == 2048);
    const std::string accents = judged(500, "x" + std::string(3000, '\xc3') + "\xa9").message;
    CHECK(accents.size() <= 2048);
    CHECK(judged(502, "<html><head><title> 502 Bad Gateway </title></head>").message ==
          "502 Bad Gateway");
    for (const std::string secret : {"ghu_0123456789abcdefghij", "gho_0123456789abcdefghij",
                                     "sk-proj-0123456789abcdefghijklmn"}) {
        const Outcome out = judged(401, "Incorrect API key provided: " + secret + ".");
        CHECK(out.message.find(secret) == std::string::npos);
        CHECK(out.message.find("Incorrect API key provided") == 0);
    }
    const std::string cut_at =
        judged(500, std::string(2040, 'x') + "é" + std::string(20, 'y')).message;
    CHECK(json::parse(json::dump(json::Value(cut_at))).ok());
}

TEST_CASE("a vendor's document inside the message is opened, whatever stands around it") {
    const char* inner =
        R"({\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 9 tokens > 8 maximum\"}})";
    for (const std::string lead : {"", "Bedrock error message: ", "400 "}) {
        const std::string body =
            R"({"error":{"message":")" + lead + inner + R"(","code":"invalid_request_body"}})";
        const Outcome out = judged(400, body);
        CHECK(out.cause == Cause::context_too_long);
        CHECK(out.message == "prompt is too long: 9 tokens > 8 maximum");
        CHECK(out.code == "invalid_request_body");
    }
}

TEST_CASE("every cause has its own name and a kind that tells the client what to do") {
    std::set<std::string_view> names;
    for (int c = 0; c <= static_cast<int>(Cause::cancelled); ++c) {
        Outcome out;
        out.cause = static_cast<Cause>(c);
        CHECK(names.insert(cause_name(out.cause)).second);
        CHECK_FALSE(to_error(out).message.empty());
        CHECK(to_error(out).origin ==
              (out.cause == Cause::cancelled ? Origin::caller : Origin::upstream));
    }
    struct Shown {
        Cause cause;
        Kind kind;
        const char* code;
    };
    const Shown rows[] = {
        {Cause::quota_month, Kind::rate_limited, "insufficient_quota"},
        {Cause::quota_budget, Kind::rate_limited, "insufficient_quota"},
        {Cause::rate_limited, Kind::rate_limited, ""},
        {Cause::context_too_long, Kind::context_overflow, "context_length_exceeded"},
        {Cause::content_refused, Kind::content_refused, "content_filter"},
        {Cause::auth, Kind::unauthenticated, ""},
        {Cause::item_id_mismatch, Kind::invalid_request, ""},
        {Cause::server_error, Kind::upstream_unavailable, ""},
        {Cause::malformed, Kind::upstream_malformed, ""},
        {Cause::timeout, Kind::timeout, ""},
        {Cause::cancelled, Kind::cancelled, ""},
    };
    for (const Shown& row : rows) {
        Outcome out;
        out.cause = row.cause;
        CHECK(to_error(out).kind == row.kind);
        CHECK(to_error(out).code == row.code);
    }
}

TEST_CASE("the error keeps the upstream's words, code, status and wait") {
    const Error error =
        to_error(judged(429, in_envelope("user_model_rate_limited:pro", "slow down"), "/x",
                        {{"retry-after", "9"}}));
    CHECK(error.message == "slow down");
    CHECK(error.code == "user_model_rate_limited:pro");
    CHECK(error.upstream_status == 429);
    CHECK(error.retry_after == seconds(9));
    CHECK(to_error(judged(429, in_envelope("model_overloaded", "busy"))).kind ==
          Kind::rate_limited);
    // Inside a stream the upstream's status was 200, which is no error's status.
    CHECK(to_error(classify_event(R"({"error":{"message":"x"}})", kNow)).upstream_status == 0);
}

TEST_CASE("what may have been billed already says so") {
    CHECK(judged(408, "").possible_duplicate);
    CHECK(classify_event(R"({"error":{"message":"x"}})", kNow).possible_duplicate);
    CHECK_FALSE(judged(402, "").possible_duplicate);
}

// A generator of its own: the same bytes on every machine.
TEST_CASE("no bytes make it fail, and what it says is always fit to be sent") {
    uint64_t state = 42;
    const auto roll = [&] {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return state >> 33;
    };
    const std::string_view pieces[] = {"{",
                                       "}",
                                       "\"error\"",
                                       ":",
                                       "\"message\"",
                                       "\"code\"",
                                       ",",
                                       "[",
                                       "]",
                                       "\"",
                                       "\\",
                                       "quota exceeded",
                                       "429",
                                       "null",
                                       "\xff",
                                       "\xc3",
                                       "data: ",
                                       "\n",
                                       "{\"error\":{\"message\":\"",
                                       "\"}}",
                                       "Unsupported parameter: '",
                                       "retry in 5s"};
    for (int round = 0; round < 4000; ++round) {
        std::string body;
        for (uint64_t n = roll() % 20; n > 0; --n) {
            body += pieces[roll() % std::size(pieces)];
        }
        const int status = static_cast<int>(roll() % 700);
        const Outcome out = judged(status, body, "/responses", {{"retry-after", body}});
        CHECK(out.message.size() <= 2048);
        CHECK(json::parse(json::dump(json::Value(out.message))).ok());
        CHECK((out.cause != Cause::bad_parameter || !out.param.empty()));
        CHECK((out.cause != Cause::success || (status >= 200 && status < 204)));
        CHECK(classify_event(body, kNow).in_stream);
    }
}

}  // namespace
}  // namespace belay::routing

#include "providers/copilot.h"

#include <doctest/doctest.h>

#include "providers/copilot_models.h"
#include "providers/test_support.h"

namespace belay::providers {
namespace {

using protocols::Api;
using protocols::Initiator;

accounts::Model model(uint8_t endpoints) {
    accounts::Model m;
    m.endpoints = endpoints;
    m.limits.output = 64'000;
    m.limits.output_plain = 16'000;
    return m;
}

constexpr uint8_t kChat = 1;
constexpr uint8_t kResponses = 2;
constexpr uint8_t kMessages = 8;

// Guarantee: whatever way a client spells a Claude model, Copilot's own spelling goes upstream.
TEST_CASE("model names become Copilot's") {
    struct Case {
        const char* asked;
        const char* sent;
    };
    for (const Case& c : {
             Case{"claude-opus-4-6", "claude-opus-4.6"},
             Case{"claude-opus-4.6", "claude-opus-4.6"},
             Case{"claude-sonnet-4-5-20250929", "claude-sonnet-4.5"},
             Case{"claude-sonnet-4-20250514", "claude-sonnet-4"},
             Case{"claude-opus-4-6[1m]", "claude-opus-4.6"},
             Case{"claude-opus-4.6-fast", "claude-opus-4.6-fast"},
             Case{"gpt-4o-2024-11-20", "gpt-4o-2024-11-20"},
             Case{"gemini-3-pro-preview", "gemini-3-pro-preview"},
             Case{"gpt-5-mini", "gpt-5-mini"},
         }) {
        CHECK(copilot_model_id(c.asked) == c.sent);
    }
}

// Guarantee: the catalogue decides the API, chat first; without it the name does; what was refused
// is not asked again.
TEST_CASE("the API is chosen by catalogue, name and experience") {
    struct Case {
        std::string model;
        std::optional<uint8_t> endpoints;
        std::optional<Api> avoid;
        Api chosen;
    };
    for (const Case& c : {
             Case{"claude-opus-4.6", kChat | kMessages, {}, Api::chat},
             Case{"claude-opus-4.6", kMessages, {}, Api::messages},
             Case{"claude-opus-4.6", kChat | kMessages, Api::chat, Api::messages},
             Case{"gpt-5.4", kChat | kResponses, {}, Api::chat},
             Case{"gpt-5.4", kResponses, {}, Api::responses},
             Case{"gpt-5.4", kChat, Api::chat, Api::responses},
             Case{"gpt-5.3-codex", {}, {}, Api::responses},
             Case{"gpt-5.3-codex", {}, Api::responses, Api::chat},
             Case{"gpt-5-mini", {}, {}, Api::chat},
             Case{"gpt-5-mini", {}, Api::chat, Api::responses},
             Case{"claude-opus-4.6", {}, {}, Api::chat},
             Case{"claude-opus-4.6", {}, Api::chat, Api::messages},
             Case{"gemini-3-pro-preview", {}, {}, Api::chat},
             Case{"never-heard-of", {}, {}, Api::chat},
         }) {
        CAPTURE(c.model);
        Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})", c.model);
        const accounts::Model entry = model(c.endpoints.value_or(0));
        Job job = f.job();
        job.model = c.endpoints ? &entry : nullptr;
        job.adjust.avoid = c.avoid;
        Copilot copilot;
        const Result<Prepared> prepared = copilot.prepare(job);
        REQUIRE(prepared.ok());
        CHECK(prepared->api == c.chosen);
        CHECK(prepared->target == protocols::api_path(c.chosen));
    }
}

// Guarantee: a refused API is remembered for ten minutes and then tried again.
TEST_CASE("a refused API is remembered for a while") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})", "gpt-5.4");
    Copilot copilot;
    Job job = f.job();
    routing::Outcome refused;
    refused.cause = routing::Cause::wrong_endpoint;
    copilot.learn(job, Api::chat, refused);
    CHECK(copilot.prepare(job)->api == Api::responses);
    job.now += std::chrono::minutes(11);
    CHECK(copilot.prepare(job)->api == Api::chat);
}

// Guarantee: the profile's identity goes out; configured headers win over it; nothing configured
// can touch the credential or the framing.
TEST_CASE("headers") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true})");
    f.deployment.extra_headers = {{"editor-version", "vscode/9.9.9"},
                                  {"X-Mine", "yes\r\nEvil: 1"},
                                  {"Authorization", "Bearer stolen"},
                                  {"Host", "evil.example"},
                                  {"Content-Length", "1"}};
    Copilot copilot;
    const Result<Prepared> prepared = copilot.prepare(f.job());
    REQUIRE(prepared.ok());
    std::string lines = prepared->header_lines;
    (void)copilot.add_own(f.job(), lines);
    const Headers headers(lines);
    struct Case {
        std::string name;
        const char* value;  // nullptr = absent
    };
    for (const Case& c : {
             Case{"Authorization", "Bearer tid=secret"},
             Case{"Content-Type", "application/json"},
             Case{"Accept", "text/event-stream"},
             Case{"Editor-Version", "vscode/9.9.9"},
             Case{"Editor-Plugin-Version", "copilot-chat/0.26.7"},
             Case{"Copilot-Integration-Id", "vscode-chat"},
             Case{"User-Agent", "GitHubCopilotChat/0.26.7"},
             Case{"X-GitHub-Api-Version", "2025-05-01"},
             Case{"OpenAI-Intent", "conversation-panel"},
             Case{"X-Request-Id", "req-1"},
             Case{"X-Interaction-Id", "turn-1"},
             Case{"X-Initiator", "user"},
             Case{"Copilot-Vision-Request", nullptr},
             Case{"anthropic-version", nullptr},
             Case{"Host", nullptr},
             Case{"Content-Length", nullptr},
             Case{"Evil", nullptr},
         }) {
        CAPTURE(c.name);
        CHECK(headers.count(c.name) == (c.value != nullptr ? 1 : 0));
        CHECK(headers.get(c.name) == (c.value != nullptr ? c.value : ""));
    }
    CHECK(headers.get("X-Mine").find("Evil") != std::string::npos);
}

// Guarantee: images anywhere bring the vision header, and so does an upstream that missed it; a
// refused API version is not sent again even when it is configured.
TEST_CASE("headers by need") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]})");
    Copilot copilot;
    CHECK(Headers(copilot.prepare(f.job())->header_lines).get("Copilot-Vision-Request") == "true");

    Fixture plain(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
    plain.deployment.extra_headers = {{"X-GitHub-Api-Version", "2020-01-01"}};
    Job job = plain.job();
    job.adjust.force_vision = true;
    job.adjust.no_api_version = true;
    const Headers headers(copilot.prepare(job)->header_lines);
    CHECK(headers.get("Copilot-Vision-Request") == "true");
    CHECK(headers.count("X-GitHub-Api-Version") == 0);
}

// Guarantee: a person is named as the initiator only for what a person did; the gateway's own
// repeats never pose as one, whatever the client or the configuration says.
TEST_CASE("the initiator is honest") {
    constexpr const char* kUser = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
    constexpr const char* kTool =
        R"({"model":"m","messages":[{"role":"tool","tool_call_id":"c","content":"42"}]})";
    struct Case {
        const char* body;
        const char* inbound;
        const char* configured;
        bool repeat;
        Initiator told;
    };
    for (const Case& c : {
             Case{kUser, "", "", false, Initiator::user},
             Case{kTool, "", "", false, Initiator::agent},
             Case{kUser, "agent", "", false, Initiator::agent},
             Case{kTool, "user", "", false, Initiator::user},
             Case{kUser, "", "agent", false, Initiator::agent},
             Case{kUser, "user", "agent", false, Initiator::user},
             Case{kUser, "nonsense", "", false, Initiator::user},
             Case{kUser, "", "", true, Initiator::agent},
             Case{kUser, "user", "user", true, Initiator::agent},
         }) {
        Fixture f(c.body);
        f.deployment.extra_headers = {{"X-Initiator", c.configured}};
        Job job = f.job();
        job.inbound_initiator = c.inbound;
        job.repeat = c.repeat;
        Copilot copilot;
        const Result<Prepared> prepared = copilot.prepare(job);
        REQUIRE(prepared.ok());
        std::string lines = prepared->header_lines;
        CHECK(copilot.add_own(job, lines).initiator == c.told);
        const Headers headers(lines);
        CHECK(headers.count("X-Initiator") == 1);
        CHECK(headers.get("X-Initiator") == (c.told == Initiator::agent ? "agent" : "user"));
    }
}

// Guarantee: only beta values that the upstream takes are passed on.
TEST_CASE("anthropic betas are filtered") {
    CHECK(allowed_betas("claude-code-20250219, interleaved-thinking-2025-05-14,"
                        "advanced-tool-use-2025-11-20 ,context-1m-2025-08-07") ==
          "interleaved-thinking-2025-05-14,advanced-tool-use-2025-11-20");
    CHECK(allowed_betas("").empty());
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})", "claude-opus-4.6");
    const accounts::Model entry = model(kMessages);
    Job job = f.job();
    job.model = &entry;
    job.inbound_beta = "interleaved-thinking-2025-05-14";
    Copilot copilot;
    CHECK(Headers(copilot.prepare(job)->header_lines).get("anthropic-beta") ==
          "interleaved-thinking-2025-05-14");
    CHECK(Headers(copilot.prepare(job)->header_lines).get("OpenAI-Intent") == "messages-proxy");
    job.adjust.strip = {"anthropic-beta"};
    CHECK(Headers(copilot.prepare(job)->header_lines).count("anthropic-beta") == 0);
}

// The body a chat upstream would get.
std::string body_of(Fixture& f, const accounts::Model* entry, bool drop_params = true) {
    Job job = f.job();
    job.model = entry;
    job.drop_params = drop_params;
    Copilot copilot;
    const Result<Prepared> prepared = copilot.prepare(job);
    if (!prepared.ok()) {
        return prepared.error().message;
    }
    const Result<std::string> body = protocols::edit_chat_request(f.body, f.facts, prepared->edits);
    REQUIRE(body.ok());
    return *body;
}

// Guarantee: each model gets its parameters by the names and within the bounds it takes.
TEST_CASE("parameters by model family") {
    accounts::Model thinker = model(kChat | kMessages);
    thinker.supports.thinking_budget_min = 1024;
    thinker.supports.thinking_budget_max = 32'000;
    accounts::Model efforts = model(kChat | kResponses);
    efforts.supports.reasoning_effort = {"low", "medium", "high"};
    const accounts::Model bare = model(kChat);
    struct Case {
        std::string model;
        const accounts::Model* entry;
        std::string members;  // of the client's body, beside model and messages
        std::vector<const char*> there;
        std::vector<const char*> gone;
    };
    for (const Case& c : {
             Case{"gpt-5.4",
                  nullptr,
                  R"("max_tokens":5)",
                  {R"("max_completion_tokens":5)"},
                  {R"("max_tokens")"}},
             Case{"gpt-4.1",
                  nullptr,
                  R"("max_tokens":5,"temperature":0.2)",
                  {R"("max_tokens":5)", R"("temperature":0.2)"},
                  {}},
             Case{"claude-opus-4.6",
                  nullptr,
                  R"("max_completion_tokens":5)",
                  {R"("max_tokens":5)"},
                  {R"("max_completion_tokens")"}},
             Case{"gemini-3-pro-preview",
                  nullptr,
                  R"("max_completion_tokens":5)",
                  {R"("max_tokens":5)"},
                  {}},
             Case{"gpt-5-mini",
                  nullptr,
                  R"("temperature":0.2,"top_p":0.5)",
                  {},
                  {"temperature", "top_p"}},
             Case{"claude-opus-4.6",
                  &thinker,
                  R"("max_tokens":999999)",
                  {R"("max_tokens":16000)"},
                  {"999999"}},
             Case{"claude-opus-4.6", &thinker, R"("stream":true)", {R"("max_tokens":64000)"}, {}},
             Case{"claude-opus-4.6",
                  &thinker,
                  R"("thinking":{"type":"enabled","budget_tokens":5000},"max_tokens":9000)",
                  {R"("thinking_budget":5000)"},
                  {R"("thinking":)"}},
             Case{"claude-opus-4.6",
                  &thinker,
                  R"("thinking":{"type":"enabled","budget_tokens":50000},"max_tokens":4000)",
                  {R"("thinking_budget":3999)"},
                  {R"("thinking":)"}},
             Case{"claude-opus-4.6",
                  &thinker,
                  R"("thinking":{"type":"enabled","budget_tokens":5000},"max_tokens":100)",
                  {},
                  {"thinking"}},
             Case{"claude-opus-4.6",
                  &thinker,
                  R"("thinking":{"type":"disabled"})",
                  {},
                  {"thinking"}},
             Case{"claude-opus-4.6",
                  &thinker,
                  R"("reasoning_effort":"medium")",
                  {R"("thinking_budget":2048)"},
                  {"reasoning_effort"}},
             Case{"gpt-5-mini",
                  &bare,
                  R"("thinking":{"type":"enabled","budget_tokens":5000})",
                  {},
                  {"thinking"}},
             Case{"gpt-5.4",
                  &efforts,
                  R"("reasoning_effort":"xhigh")",
                  {R"("reasoning_effort":"high")"},
                  {"xhigh"}},
             Case{"gpt-5.4",
                  &efforts,
                  R"("reasoning_effort":"minimal")",
                  {R"("reasoning_effort":"low")"},
                  {}},
             Case{"gpt-5.4",
                  &efforts,
                  R"("reasoning_effort":"low")",
                  {R"("reasoning_effort":"low")"},
                  {}},
             Case{"gpt-4.1", &bare, R"("reasoning_effort":"low")", {}, {"reasoning_effort"}},
             Case{"gpt-4.1", nullptr, R"("stream":true)", {R"("include_usage":true)"}, {}},
             Case{"gpt-4.1", nullptr, R"("unheard_of":{"a":1})", {R"("unheard_of":{"a":1})"}, {}},
         }) {
        CAPTURE(c.model);
        CAPTURE(c.members);
        Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}],)" +
                      std::string(c.members) + "}",
                  c.model);
        const std::string body = body_of(f, c.entry);
        CAPTURE(body);
        for (const char* text : c.there) {
            CHECK(body.find(text) != std::string::npos);
        }
        for (const char* text : c.gone) {
            CHECK(body.find(text) == std::string::npos);
        }
        CHECK(body.find("\"model\":\"" + std::string(c.model) + "\"") != std::string::npos);
    }
}

// Guarantee: without drop_params the request is refused naming every parameter the model does not
// take; harmless values, allowed names and the gateway's own repeats pass.
TEST_CASE("unsupported parameters are named") {
    constexpr const char* kBody =
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.2,"thinking":{"type":"enabled"}})";
    const accounts::Model bare = model(kChat);
    {
        Fixture f(kBody, "gpt-5-mini");
        const std::string error = body_of(f, &bare, false);
        CHECK(error.find("UnsupportedParamsError: github_copilot does not support parameters: "
                         "['temperature', 'thinking']") != std::string::npos);
    }
    {
        Fixture f(kBody, "gpt-5-mini");
        f.deployment.drop_params = true;
        CHECK(body_of(f, &bare, false).find("temperature") == std::string::npos);
    }
    {
        Fixture f(kBody, "gpt-5-mini");
        f.deployment.allowed_openai_params = {"temperature", "thinking"};
        CHECK(body_of(f, &bare, false).find(R"("temperature":0.2)") != std::string::npos);
    }
    {
        Fixture f(kBody, "gpt-5-mini");
        Job job = f.job();
        job.model = &bare;
        job.repeat = true;
        Copilot copilot;
        const Result<Prepared> prepared = copilot.prepare(job);
        REQUIRE(prepared.ok());
        CHECK(prepared->warnings.size() == 2);
    }
    {
        Fixture f(
            R"({"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1,"top_p":1.0,"presence_penalty":0})",
            "gpt-5-mini");
        CHECK(body_of(f, &bare, false).find("temperature") == std::string::npos);
    }
    {
        Fixture f(
            R"({"model":"m","messages":[{"role":"user","content":"x"}],"drop_params":true,"temperature":0.2})",
            "gpt-5-mini");
        CHECK(body_of(f, &bare, false).find("temperature") == std::string::npos);
    }
}

// Guarantee: what the deployment says is followed: defaults where the client is silent, drops
// always, a fallback entry's overrides above all.
TEST_CASE("defaults, drops and overrides") {
    Fixture f(
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"seed":7,"temperature":0.1,"max_completion_tokens":9})",
        "gpt-4.1");
    f.deployment.defaults = *json::parse(R"({"top_p":0.5,"temperature":0.9,"max_tokens":1})");
    f.deployment.additional_drop_params = {"seed"};
    const json::Value overrides = *json::parse(R"({"temperature":0.3,"model":"no"})");
    Job job = f.job();
    job.overrides = &overrides;
    Copilot copilot;
    const Result<Prepared> prepared = copilot.prepare(job);
    REQUIRE(prepared.ok());
    const std::string body = *protocols::edit_chat_request(f.body, f.facts, prepared->edits);
    CAPTURE(body);
    CHECK(body.find(R"("top_p":0.5)") != std::string::npos);
    CHECK(body.find(R"("temperature":0.3)") != std::string::npos);
    CHECK(body.find("seed") == std::string::npos);
    CHECK(body.find(R"("model":"gpt-4.1")") != std::string::npos);
    CHECK(body.find(R"("max_tokens":9)") != std::string::npos);
    CHECK(body.find(R"("max_tokens":1)") == std::string::npos);
}

// Guarantee: a parameter refused once is left out (or renamed) at once the next time.
TEST_CASE("refused parameters are remembered") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}],"seed":7,"stop":"x"})",
              "gpt-4.1");
    Copilot copilot;
    const Job job = f.job();
    routing::Outcome refused;
    refused.cause = routing::Cause::bad_parameter;
    refused.param = "seed";
    copilot.learn(job, Api::chat, refused);
    refused.param = "stop";
    refused.rename_to = "stop_words";
    copilot.learn(job, Api::chat, refused);
    refused.param = "messages[3].name";  // of that one request: teaches nothing
    refused.rename_to = "";
    copilot.learn(job, Api::chat, refused);
    const Result<Prepared> prepared = copilot.prepare(job);
    const std::string body = *protocols::edit_chat_request(f.body, f.facts, prepared->edits);
    CAPTURE(body);
    CHECK(body.find("seed") == std::string::npos);
    CHECK(body.find(R"("stop_words":"x")") != std::string::npos);
}

// Guarantee: more tools than the upstream takes are refused here, with the number.
TEST_CASE("too many tools are refused by number") {
    std::string tools;
    for (int i = 0; i < 129; ++i) {
        tools += std::string(i == 0 ? "" : ",") + R"({"type":"function","function":{"name":"f)" +
                 std::to_string(i) + "\"}}";
    }
    const std::string body =
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[)" + tools + "]}";
    Copilot copilot;
    Fixture f(body, "gpt-4.1");
    const Result<Prepared> refused = copilot.prepare(f.job());
    REQUIRE(!refused.ok());
    CHECK(refused.error().kind == Kind::invalid_request);
    CHECK(refused.error().message.find("128") != std::string::npos);
    CHECK(refused.error().message.find("129") != std::string::npos);
    Fixture grok(body, "grok-4.5");
    CHECK(copilot.prepare(grok.job()).ok());
}

// Guarantee: without an account nothing is sent, and the error says how to sign in.
TEST_CASE("no account, no request") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
    Job job = f.job();
    job.credential = nullptr;
    Copilot copilot;
    const Result<Prepared> refused = copilot.prepare(job);
    REQUIRE(!refused.ok());
    CHECK(refused.error().kind == Kind::unauthenticated);
    CHECK(refused.error().message.find("belay login") != std::string::npos);
}

// Guarantee: the token goes to the host the account announced, not to one a configuration names.
TEST_CASE("the account's host wins") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
    f.deployment.api_base = "https://elsewhere.example";
    Copilot copilot;
    const Result<Prepared> prepared = copilot.prepare(f.job());
    REQUIRE(prepared.ok());
    CHECK(prepared->base->host == "api.individual.githubcopilot.com");
    CHECK(prepared->warnings.size() == 1);
}

// Guarantee: embeddings go to /embeddings with the model's name, whatever else the model offers.
TEST_CASE("embeddings") {
    Fixture f(R"({"model":"m","input":"hello","encoding_format":"base64"})",
              "text-embedding-3-small", Api::embeddings);
    Copilot copilot;
    const Result<Prepared> prepared = copilot.prepare(f.job());
    REQUIRE(prepared.ok());
    CHECK(prepared->api == Api::embeddings);
    CHECK(prepared->target == "/embeddings");
    const std::string body = *protocols::edit_embeddings_request(f.body, f.facts, prepared->edits);
    CHECK(body.find(R"(["hello"])") != std::string::npos);
}

}  // namespace
}  // namespace belay::providers

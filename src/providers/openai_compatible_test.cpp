#include <doctest/doctest.h>

#include "providers/registry.h"
#include "providers/test_support.h"

namespace belay::providers {
namespace {

using protocols::Api;

// Guarantee: every listed provider is found by its name and makes a request where it belongs, with
// its own kind of key header.
TEST_CASE("addresses and keys") {
    struct Case {
        std::string provider;
        std::string api_base;
        const char* host;
        const char* target;
        const char* key_header;
        const char* key_value;
    };
    const Registry registry;
    for (const Case& c : {
             Case{"openai", "", "api.openai.com", "/v1/chat/completions", "Authorization",
                  "Bearer sk-test"},
             Case{"openai", "http://127.0.0.1:9/x/v1/", "127.0.0.1", "/x/v1/chat/completions",
                  "Authorization", "Bearer sk-test"},
             Case{"azure", "https://r.openai.azure.com", "r.openai.azure.com",
                  "/openai/deployments/up%20stream/chat/completions?api-version=2024-10-21",
                  "api-key", "sk-test"},
             Case{"azure", "https://r.openai.azure.com/openai/v1", "r.openai.azure.com",
                  "/openai/v1/chat/completions", "api-key", "sk-test"},
             Case{"ollama", "http://localhost:11434", "localhost", "/v1/chat/completions",
                  "Authorization", "Bearer sk-test"},
             Case{"hosted_vllm", "http://localhost:8000/v1", "localhost", "/v1/chat/completions",
                  "Authorization", "Bearer sk-test"},
             Case{"vllm", "", "127.0.0.1", "/v1/chat/completions", "Authorization",
                  "Bearer sk-test"},
             Case{"groq", "", "api.groq.com", "/openai/v1/chat/completions", "Authorization",
                  "Bearer sk-test"},
             Case{"anthropic", "", "api.anthropic.com", "/v1/messages", "x-api-key", "sk-test"},
             Case{"anthropic", "https://proxy.example/v1", "proxy.example", "/v1/messages",
                  "x-api-key", "sk-test"},
         }) {
        CAPTURE(c.provider);
        CAPTURE(c.api_base);
        Provider* provider = registry.find(c.provider);
        REQUIRE(provider != nullptr);
        CHECK(!provider->needs_account());
        Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})", "up stream");
        f.deployment.provider = c.provider;
        f.deployment.api_base = c.api_base;
        f.deployment.api_key = Secret("sk-test");
        Job job = f.job();
        job.credential = nullptr;
        const Result<Prepared> prepared = provider->prepare(job);
        REQUIRE(prepared.ok());
        CHECK(prepared->base->host == c.host);
        CHECK(prepared->target == c.target);
        CHECK(Headers(prepared->header_lines).get(c.key_header) == c.key_value);
    }
    CHECK(registry.find("github_copilot")->needs_account());
    CHECK(registry.find("no-such-provider") == nullptr);
    CHECK(registry.names().size() > 20);
}

// Guarantee: a missing key or address is told with its cure, and no request is made.
TEST_CASE("what is missing is named") {
    struct Case {
        std::string provider;
        const char* hint;
    };
    const Registry registry;
    for (const Case& c : {Case{"openai", "OPENAI_API_KEY"}, Case{"anthropic", "ANTHROPIC_API_KEY"},
                          Case{"azure", "api_base"}, Case{"custom_openai", "api_base"}}) {
        Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
        Job job = f.job();
        job.credential = nullptr;
        const Result<Prepared> prepared = registry.find(c.provider)->prepare(job);
        REQUIRE(!prepared.ok());
        CHECK(prepared.error().message.find(c.hint) != std::string::npos);
    }
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
    CHECK(registry.find("ollama")->prepare(f.job()).ok());  // needs neither
}

// Guarantee: OpenAI's own reasoning models get OpenAI's names; other servers get what the client
// sent.
TEST_CASE("OpenAI's rules hold for OpenAI's models alone") {
    const Registry registry;
    const auto edits = [&registry](const char* provider) {
        Fixture f(
            R"({"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"temperature":0.5})",
            "gpt-5");
        f.deployment.api_key = Secret("k");
        f.deployment.drop_params = true;
        const Result<Prepared> prepared = registry.find(provider)->prepare(f.job());
        REQUIRE(prepared.ok());
        return *protocols::edit_chat_request(f.body, f.facts, prepared->edits);
    };
    CHECK(edits("openai").find("max_completion_tokens") != std::string::npos);
    CHECK(edits("openai").find("temperature") == std::string::npos);
    CHECK(edits("openrouter").find(R"("max_tokens":5)") != std::string::npos);
    CHECK(edits("openrouter").find("temperature") != std::string::npos);
}

// Guarantee: no provider's header lines can be split or its credential replaced by configuration.
TEST_CASE("configured headers cannot break out") {
    const Registry registry;
    for (const std::string_view name : registry.names()) {
        CAPTURE(name);
        Fixture f(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
        f.deployment.api_base = "https://up.example";
        f.deployment.api_key = Secret("real");
        f.deployment.extra_headers = {{"X-A", "1\r\nX-B: 2"},
                                      {"authorization", "fake"},
                                      {"api-key", "fake"},
                                      {"x-api-key", "fake"}};
        const Result<Prepared> prepared = registry.find(name)->prepare(f.job());
        REQUIRE(prepared.ok());
        const Headers headers(prepared->header_lines);
        CHECK(headers.count("X-B") == 0);
        CHECK(prepared->header_lines.find("fake") == std::string::npos);
    }
}

}  // namespace
}  // namespace belay::providers

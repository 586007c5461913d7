#include "providers/prepared_cache.h"

#include <random>

#include "providers/copilot.h"
#include "providers/test_support.h"

using namespace belay;
using namespace belay::providers;

namespace {

bool same(const Prepared& a, const Prepared& b) {
    const auto& x = a.edits;
    const auto& y = b.edits;
    return a.api == b.api && a.base == b.base && a.target == b.target &&
           a.header_lines == b.header_lines && a.warnings == b.warnings && x.model == y.model &&
           x.drop == y.drop && x.rename == y.rename && x.defaults == y.defaults &&
           x.overrides == y.overrides && x.force_stream_usage == y.force_stream_usage &&
           x.flatten_assistant_text == y.flatten_assistant_text &&
           x.drop_empty_content == y.drop_empty_content &&
           x.copilot_cache_control == y.copilot_cache_control &&
           x.copilot_reasoning == y.copilot_reasoning && x.traits == y.traits;
}

}  // namespace

// Guarantee: whatever comes in whatever order, what is kept says what preparing anew says.
TEST_CASE("a kept preparation is the one that would be made now") {
    constexpr const char* kMembers[] = {
        R"("temperature":1)",
        R"("temperature":0.3)",
        R"("top_p":0.5)",
        R"("max_tokens":100)",
        R"("max_tokens":99999999)",
        R"("max_completion_tokens":5)",
        R"("reasoning_effort":"high")",
        R"("reasoning_effort":"minimal")",
        R"("thinking":{"type":"enabled","budget_tokens":2000})",
        R"("thinking":{"type":"disabled"})",
        R"("n":1)",
        R"("n":2)",
        R"("logprobs":true)",
        R"("logit_bias":{})",
        R"("presence_penalty":0.1)",
        R"("frequency_penalty":0)",
        R"("stop":["x"])",
        R"("seed":4)",
        R"("stream":true)",
        R"("tools":[{"type":"function","function":{"name":"f","strict":true}}])",
        R"("drop_params":true)",
        R"("additional_drop_params":["seed"])",
        R"("allowed_openai_params":["logprobs"])",
        R"("user":"u")",
    };
    constexpr const char* kModels[] = {"claude-opus-4.6", "gpt-5-mini", "gemini-3-pro-preview",
                                       "gpt-4.1", "o3-mini"};
    std::mt19937 random(3);
    std::vector<std::shared_ptr<const routing::Deployment>> deployments;
    for (const bool extra : {false, true}) {
        auto deployment = std::make_shared<routing::Deployment>();
        deployment->provider = "github_copilot";
        if (extra) {
            deployment->extra_headers = {{"editor-version", "mine/1"}};
            deployment->additional_drop_params = {"stop"};
        }
        deployments.push_back(deployment);
    }
    auto credential = std::make_shared<accounts::Credential>();
    credential->token = Secret("tid=1");
    credential->profile = std::make_shared<accounts::Profile>();
    Copilot copilot;
    PreparedCache cache;
    int shared = 0;
    for (int i = 0; i < 4000; ++i) {
        std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}])";
        for (int n = static_cast<int>(random() % 3); n > 0; --n) {
            body += ',';
            body += kMembers[random() % std::size(kMembers)];
        }
        body += '}';
        const auto facts = protocols::scan_chat_request(body);
        if (!facts.ok()) {
            continue;  // a member twice
        }
        const auto& deployment = deployments[random() % deployments.size()];
        const std::string model = kModels[random() % std::size(kModels)];
        const Job job{.deployment = *deployment,
                      .upstream_model = model,
                      .facts = *facts,
                      .body = body,
                      .credential = credential.get(),
                      .repeat = random() % 8 == 0,
                      .drop_params = random() % 4 == 0};
        CAPTURE(body);
        CAPTURE(model);
        const auto kept = cache.prepare(copilot, job, {deployment, credential, nullptr});
        const auto fresh = copilot.prepare(job);
        REQUIRE(kept.ok() == fresh.ok());
        if (kept.ok()) {
            REQUIRE(same(**kept, *fresh));
            shared +=
                cache.prepare(copilot, job, {deployment, credential, nullptr})->get() == kept->get()
                    ? 1
                    : 0;
        }
    }
    CHECK(shared > 1000);
}

TEST_CASE("a new token and a new lesson are seen at once") {
    Fixture f(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"seed":1})");
    const auto deployment = std::make_shared<routing::Deployment>(f.deployment);
    Copilot copilot;
    PreparedCache cache;
    const auto ask = [&](const std::string& token) {
        auto credential = std::make_shared<accounts::Credential>(f.credential);
        credential->token = Secret(token);
        Job job = f.job();
        job.credential = credential.get();
        return *cache.prepare(copilot, job, {deployment, credential, nullptr});
    };
    CHECK(ask("tid=one")->header_lines.find("tid=one") != std::string::npos);
    CHECK(ask("tid=two")->header_lines.find("tid=two") != std::string::npos);
    CHECK(ask("tid=two")->edits.drop.empty());

    routing::Outcome outcome;
    outcome.cause = routing::Cause::bad_parameter;
    outcome.param = "seed";
    copilot.learn(f.job(), protocols::Api::chat, outcome);
    CHECK(ask("tid=two")->edits.drop == std::vector<std::string>{"seed"});
}

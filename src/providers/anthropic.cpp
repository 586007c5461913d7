#include "providers/anthropic.h"

#include "providers/headers.h"
#include "providers/params.h"

namespace belay::providers {

namespace {

using protocols::Api;

constexpr std::string_view kBase = "https://api.anthropic.com";

// api_base may end in /v1, as OpenAI-minded configurations write it.
std::string target_of(const Url& base) {
    std::string_view path = protocols::api_path(Api::messages);
    constexpr std::string_view kVersion = "/v1";
    const std::string_view own = base.path;
    if (own.size() >= kVersion.size() && own.substr(own.size() - kVersion.size()) == kVersion) {
        path.remove_prefix(kVersion.size());
    }
    return join(base, path).target();
}

protocols::ModelTraits traits_of(const routing::Deployment& deployment) {
    protocols::ModelTraits traits;
    traits.thinking_budget_max = 32'000;
    traits.max_output_tokens = deployment.capabilities.max_output_tokens.value_or(0);
    return traits;
}

}  // namespace

Result<Prepared> Anthropic::prepare(const Job& job) {
    if (job.client == Api::embeddings) {
        return caller_error(Kind::invalid_request,
                            "anthropic has no embeddings; choose another model", "model");
    }
    if (job.deployment.api_key.empty() && job.deployment.api_base.empty()) {
        return gateway_error(Kind::unauthenticated,
                             "model " + job.deployment.group +
                                 " needs an API key: set `api_key` in its litellm_params or "
                                 "ANTHROPIC_API_KEY in the environment");
    }
    Prepared out;
    out.api = Api::messages;
    out.base = TRY(urls_.parse(
        job.deployment.api_base.empty() ? kBase : std::string_view(job.deployment.api_base)));
    out.target = target_of(*out.base);
    out.edits.model = std::string(job.upstream_model);
    out.edits.traits = traits_of(job.deployment);
    Params params(job, out.edits, out.warnings);
    const Learned::Lesson lesson = learned_.look(job.upstream_model, job.now);
    for (const std::string& path : lesson.drops) {
        for (const std::string& member : chat_members_of(path)) {
            params.drop(member, "the model refused it before");
        }
    }
    for (const std::string_view name :
         {"presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "n"}) {
        params.refuse(name);
    }
    TRY(params.settle());

    HeaderLines lines(job.deployment.extra_headers);
    lines.insist("Content-Type", "application/json");
    lines.add("Accept", job.facts.stream ? "text/event-stream" : "application/json");
    lines.add("anthropic-version", "2023-06-01");
    if (!job.deployment.api_key.empty()) {
        lines.insist("x-api-key", job.deployment.api_key.reveal());
    }
    if (!job.inbound_beta.empty()) {
        lines.add("anthropic-beta", job.inbound_beta);
    }
    lines.add("User-Agent", "belay");
    out.header_lines = lines.finish();
    out.lasting = lesson.empty();
    return out;
}

void Anthropic::learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) {
    if (outcome.cause == routing::Cause::bad_parameter) {
        learned_.report(job.upstream_model, api, outcome, job.now);
    }
}

}  // namespace belay::providers

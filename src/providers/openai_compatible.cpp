#include "providers/openai_compatible.h"

#include "providers/copilot_models.h"
#include "providers/headers.h"
#include "providers/params.h"

namespace belay::providers {

namespace {

using protocols::Api;

constexpr std::string_view kAzure = "azure";
constexpr std::string_view kAzureVersion = "2024-10-21";

constexpr PlainRow kRows[] = {
    {.name = "openai",
     .base = "https://api.openai.com/v1",
     .key_env = "OPENAI_API_KEY",
     .openai_models = true},
    {.name = kAzure, .base = "", .key_env = "AZURE_API_KEY", .openai_models = true},
    {.name = "gemini",
     .base = "https://generativelanguage.googleapis.com/v1beta/openai",
     .key_env = "GEMINI_API_KEY"},
    {.name = "mistral",
     .base = "https://api.mistral.ai/v1",
     .key_env = "MISTRAL_API_KEY",
     .stream_usage = false},
    {.name = "groq", .base = "https://api.groq.com/openai/v1", .key_env = "GROQ_API_KEY"},
    {.name = "deepseek", .base = "https://api.deepseek.com/v1", .key_env = "DEEPSEEK_API_KEY"},
    {.name = "xai", .base = "https://api.x.ai/v1", .key_env = "XAI_API_KEY"},
    {.name = "openrouter", .base = "https://openrouter.ai/api/v1", .key_env = "OPENROUTER_API_KEY"},
    {.name = "together_ai", .base = "https://api.together.xyz/v1", .key_env = "TOGETHERAI_API_KEY"},
    {.name = "fireworks_ai",
     .base = "https://api.fireworks.ai/inference/v1",
     .key_env = "FIREWORKS_AI_API_KEY"},
    {.name = "perplexity",
     .base = "https://api.perplexity.ai",
     .key_env = "PERPLEXITYAI_API_KEY",
     .stream_usage = false},
    {.name = "cerebras", .base = "https://api.cerebras.ai/v1", .key_env = "CEREBRAS_API_KEY"},
    {.name = "nvidia_nim",
     .base = "https://integrate.api.nvidia.com/v1",
     .key_env = "NVIDIA_NIM_API_KEY"},
    {.name = "deepinfra",
     .base = "https://api.deepinfra.com/v1/openai",
     .key_env = "DEEPINFRA_API_KEY"},
    {.name = "sambanova", .base = "https://api.sambanova.ai/v1", .key_env = "SAMBANOVA_API_KEY"},
    {.name = "moonshot", .base = "https://api.moonshot.ai/v1", .key_env = "MOONSHOT_API_KEY"},
    {.name = "dashscope",
     .base = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
     .key_env = "DASHSCOPE_API_KEY"},
    {.name = "voyage", .base = "https://api.voyageai.com/v1", .key_env = "VOYAGE_API_KEY"},
    {.name = "github", .base = "https://models.github.ai/inference", .key_env = "GITHUB_API_KEY"},
    {.name = "litellm_proxy", .base = "", .key_env = "LITELLM_PROXY_API_KEY", .adds_v1 = true},
    {.name = "ollama", .base = "http://127.0.0.1:11434/v1", .key_env = "", .adds_v1 = true},
    {.name = "ollama_chat", .base = "http://127.0.0.1:11434/v1", .key_env = "", .adds_v1 = true},
    {.name = "lm_studio", .base = "http://127.0.0.1:1234/v1", .key_env = "", .adds_v1 = true},
    {.name = "hosted_vllm", .base = "http://127.0.0.1:8000/v1", .key_env = "", .adds_v1 = true},
    {.name = "llamafile", .base = "http://127.0.0.1:8080/v1", .key_env = "", .adds_v1 = true},
    {.name = "custom_openai", .base = "", .key_env = ""},
};

std::string lesson_key(const Job& job) {
    return job.deployment.api_base + " " + std::string(job.upstream_model);
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
    for (const std::string& item : names) {
        if (item == name) {
            return true;
        }
    }
    return false;
}

void set_openai_rules(const Job& job, Params& params) {
    const Family& family = family_of(job.upstream_model);
    params.refuse("thinking");
    if (!family.sampling) {
        for (const std::string_view name :
             {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias"}) {
            params.refuse(name);
        }
    }
    if (family.completion_tokens) {
        params.rename("max_tokens", "max_completion_tokens");
    }
}

}  // namespace

std::span<const PlainRow> plain_rows() { return kRows; }

Result<Prepared> OpenAiCompatible::prepare(const Job& job) {
    Prepared out;
    out.api = job.client == Api::embeddings ? Api::embeddings : Api::chat;
    TRY(set_address(job, out));
    const bool azure = row_.name == kAzure;
    out.edits.model = std::string(job.upstream_model);
    Params params(job, out.edits, out.warnings);
    const Learned::Lesson lesson = learned_.look(lesson_key(job), job.now);
    for (const std::string& name : lesson.drops) {
        params.drop(name, "the model refused it before");
    }
    for (const auto& [from, to] : lesson.renames) {
        params.rename(from, to);
    }
    if (row_.openai_models && out.api == Api::chat) {
        set_openai_rules(job, params);
    }
    TRY(params.settle());
    out.edits.force_stream_usage = out.api == Api::chat && row_.stream_usage &&
                                   !contains(lesson.drops, "stream_options") &&
                                   !contains(job.adjust.strip, "stream_options");

    HeaderLines lines(job.deployment.extra_headers);
    lines.insist("Content-Type", "application/json");
    lines.add("Accept", job.facts.stream ? "text/event-stream" : "application/json");
    if (!job.deployment.api_key.empty()) {
        const std::string& key = job.deployment.api_key.reveal();
        lines.insist(azure ? "api-key" : "Authorization", azure ? key : "Bearer " + key);
    }
    if (!job.deployment.organization.empty()) {
        lines.add("OpenAI-Organization", job.deployment.organization);
    }
    lines.add("User-Agent", "belay");
    out.header_lines = lines.finish();
    out.lasting = lesson.empty();
    return out;
}

Result<void> OpenAiCompatible::set_address(const Job& job, Prepared& out) {
    const routing::Deployment& deployment = job.deployment;
    if (deployment.api_base.empty() && row_.base.empty()) {
        return gateway_error(Kind::invalid_request, "model " + deployment.group + " (" +
                                                        std::string(row_.name) +
                                                        ") needs `api_base` in its litellm_params");
    }
    if (deployment.api_key.empty() && !row_.key_env.empty() && deployment.api_base.empty()) {
        return gateway_error(Kind::unauthenticated, "model " + deployment.group +
                                                        " needs an API key: set `api_key` in its "
                                                        "litellm_params or " +
                                                        std::string(row_.key_env) +
                                                        " in the environment");
    }
    out.base = TRY(urls_.parse(
        deployment.api_base.empty() ? row_.base : std::string_view(deployment.api_base)));
    const std::string_view path = protocols::api_path(out.api);
    if (row_.name == kAzure && out.base->path.find("/openai/v1") == std::string::npos) {
        const std::string_view version = deployment.api_version.empty()
                                             ? kAzureVersion
                                             : std::string_view(deployment.api_version);
        out.target = join(*out.base, "openai/deployments/" + percent_encode(job.upstream_model) +
                                         std::string(path))
                         .target() +
                     "?api-version=" + percent_encode(version);
        return {};
    }
    const bool bare = row_.adds_v1 && (out.base->path.empty() || out.base->path == "/");
    out.target = join(*out.base, (bare ? "v1" : "") + std::string(path)).target();
    return {};
}

void OpenAiCompatible::learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) {
    if (outcome.cause == routing::Cause::bad_parameter) {
        learned_.report(lesson_key(job), api, outcome, job.now);
    }
}

}  // namespace belay::providers

#include "app/config_providers.h"

#include <algorithm>

namespace belay::app {
namespace {

using enum Family;

// Base URLs as each provider's own API documentation states them.
// clang-format off
constexpr Provider kProviders[] = {
    {"github_copilot", copilot, "", "", "", false},
    {"openai", openai, "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_API_BASE", true},
    {"text-completion-openai", openai, "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_API_BASE", true},
    {"custom_openai", openai, "", "OPENAI_API_KEY", "OPENAI_API_BASE", false},
    {"openai_like", openai, "", "OPENAI_LIKE_API_KEY", "OPENAI_LIKE_API_BASE", false},
    {"litellm_proxy", openai, "", "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE", false},
    {"hosted_vllm", openai, "", "HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE", false},
    {"ollama", openai, "http://localhost:11434/v1", "OLLAMA_API_KEY", "OLLAMA_API_BASE", false},
    {"ollama_chat", openai, "http://localhost:11434/v1", "OLLAMA_API_KEY", "OLLAMA_API_BASE", false},
    {"lm_studio", openai, "http://localhost:1234/v1", "LM_STUDIO_API_KEY", "LM_STUDIO_API_BASE", false},
    {"llamafile", openai, "http://127.0.0.1:8080/v1", "LLAMAFILE_API_KEY", "LLAMAFILE_API_BASE", false},
    {"xinference", openai, "http://127.0.0.1:9997/v1", "XINFERENCE_API_KEY", "XINFERENCE_API_BASE", false},
    {"docker_model_runner", openai, "http://localhost:12434/engines/v1", "DOCKER_MODEL_RUNNER_API_KEY", "DOCKER_MODEL_RUNNER_API_BASE", false},
    {"groq", openai, "https://api.groq.com/openai/v1", "GROQ_API_KEY", "GROQ_API_BASE", true},
    {"mistral", openai, "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "MISTRAL_API_BASE", true},
    {"codestral", openai, "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY", "CODESTRAL_API_BASE", true},
    {"deepseek", openai, "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "DEEPSEEK_API_BASE", true},
    {"xai", openai, "https://api.x.ai/v1", "XAI_API_KEY", "XAI_API_BASE", true},
    {"openrouter", openai, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "OPENROUTER_API_BASE", true},
    {"together_ai", openai, "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", "TOGETHERAI_API_BASE", true},
    {"fireworks_ai", openai, "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", "FIREWORKS_API_BASE", true},
    {"perplexity", openai, "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY", "PERPLEXITY_API_BASE", true},
    {"cerebras", openai, "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "CEREBRAS_API_BASE", true},
    {"nvidia_nim", openai, "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY", "NVIDIA_NIM_API_BASE", true},
    {"sambanova", openai, "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", "SAMBANOVA_API_BASE", true},
    {"deepinfra", openai, "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", "DEEPINFRA_API_BASE", true},
    {"moonshot", openai, "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "MOONSHOT_API_BASE", true},
    {"dashscope", openai, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", "DASHSCOPE_API_BASE", true},
    {"zai", openai, "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "ZAI_API_BASE", true},
    {"minimax", openai, "https://api.minimax.io/v1", "MINIMAX_API_KEY", "MINIMAX_API_BASE", true},
    {"github", openai, "https://models.github.ai/inference", "GITHUB_API_KEY", "GITHUB_API_BASE", true},
    {"novita", openai, "https://api.novita.ai/v3/openai", "NOVITA_API_KEY", "NOVITA_API_BASE", true},
    {"hyperbolic", openai, "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", "HYPERBOLIC_API_BASE", true},
    {"nebius", openai, "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY", "NEBIUS_API_BASE", true},
    {"featherless_ai", openai, "https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY", "FEATHERLESS_AI_API_BASE", true},
    {"friendliai", openai, "https://api.friendli.ai/serverless/v1", "FRIENDLI_TOKEN", "FRIENDLI_API_BASE", true},
    {"volcengine", openai, "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY", "VOLCENGINE_API_BASE", true},
    {"meta_llama", openai, "https://api.llama.com/compat/v1", "LLAMA_API_KEY", "LLAMA_API_BASE", true},
    {"v0", openai, "https://api.v0.dev/v1", "V0_API_KEY", "V0_API_BASE", true},
    {"vercel_ai_gateway", openai, "https://ai-gateway.vercel.sh/v1", "VERCEL_AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_BASE", true},
    {"lambda_ai", openai, "https://api.lambda.ai/v1", "LAMBDA_API_KEY", "LAMBDA_API_BASE", true},
    {"baseten", openai, "https://inference.baseten.co/v1", "BASETEN_API_KEY", "BASETEN_API_BASE", true},
    {"huggingface", openai, "https://router.huggingface.co/v1", "HF_TOKEN", "HUGGINGFACE_API_BASE", true},
    {"anthropic", anthropic, "", "ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE", true},
    {"gemini", gemini, "", "GEMINI_API_KEY", "GEMINI_API_BASE", true},
    {"azure", azure, "", "AZURE_API_KEY", "AZURE_API_BASE", true},
    {"azure_ai", unsupported, "", "", "", false},
    {"vertex_ai", unsupported, "", "", "", false},
    {"vertex_ai_beta", unsupported, "", "", "", false},
    {"bedrock", unsupported, "", "", "", false},
    {"bedrock_converse", unsupported, "", "", "", false},
    {"sagemaker", unsupported, "", "", "", false},
    {"cohere", unsupported, "", "", "", false},
    {"cohere_chat", unsupported, "", "", "", false},
    {"replicate", unsupported, "", "", "", false},
    {"databricks", unsupported, "", "", "", false},
    {"watsonx", unsupported, "", "", "", false},
    {"voyage", unsupported, "", "", "", false},
    {"jina_ai", unsupported, "", "", "", false},
    {"infinity", unsupported, "", "", "", false},
    {"snowflake", unsupported, "", "", "", false},
    {"cloudflare", unsupported, "", "", "", false},
    {"oci", unsupported, "", "", "", false},
    {"predibase", unsupported, "", "", "", false},
    {"nlp_cloud", unsupported, "", "", "", false},
    {"ai21", unsupported, "", "", "", false},
    {"chatgpt", unsupported, "", "", "", false},
    {"auto_router", unsupported, "", "", "", false},
    {"vllm", unsupported, "", "", "", false},
    {"deepgram", unsupported, "", "", "", false},
    {"elevenlabs", unsupported, "", "", "", false},
    {"assemblyai", unsupported, "", "", "", false},
};
// clang-format on

std::string_view family_of_bare(std::string_view model) {
    auto starts = [model](std::string_view prefix) { return model.starts_with(prefix); };
    bool reasoning = model.size() >= 2 && model[0] == 'o' && model[1] >= '1' && model[1] <= '9';
    if (starts("gpt-") || starts("chatgpt-") || starts("text-embedding-") || starts("davinci") ||
        starts("babbage") || starts("ft:gpt") || starts("codex-") || reasoning) {
        return "openai";
    }
    if (starts("claude-")) {
        return "anthropic";
    }
    return starts("gemini-") ? "gemini" : "";
}

}  // namespace

const Provider* find_provider(std::string_view name) {
    auto found = std::find_if(std::begin(kProviders), std::end(kProviders),
                              [name](const Provider& p) { return p.name == name; });
    return found == std::end(kProviders) ? nullptr : found;
}

std::vector<std::string> provider_names() {
    std::vector<std::string> names;
    for (const Provider& provider : kProviders) {
        names.emplace_back(provider.name);
    }
    return names;
}

std::optional<ProviderModel> split_model(std::string_view model, std::string_view forced) {
    size_t slash = model.find('/');
    std::string_view prefix = slash == std::string_view::npos ? "" : model.substr(0, slash);
    if (!forced.empty()) {
        const Provider* provider = find_provider(forced);
        std::string rest(prefix == forced ? model.substr(slash + 1) : model);
        return provider == nullptr ? std::nullopt : std::optional(ProviderModel{provider, rest});
    }
    if (const Provider* provider = find_provider(prefix)) {
        return ProviderModel{provider, std::string(model.substr(slash + 1))};
    }
    if (slash == std::string_view::npos) {
        if (const Provider* provider = find_provider(family_of_bare(model))) {
            return ProviderModel{provider, std::string(model)};
        }
    }
    return std::nullopt;
}

}  // namespace belay::app

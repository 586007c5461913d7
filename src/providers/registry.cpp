#include "providers/registry.h"

#include "providers/anthropic.h"
#include "providers/copilot.h"
#include "providers/openai_compatible.h"

namespace belay::providers {

namespace {

// Other names LiteLLM knows for what a row serves.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"text-completion-openai", "openai"}, {"azure_ai", "azure"},
    {"openai_like", "custom_openai"},     {"vllm", "hosted_vllm"},
    {"llama.cpp", "llamafile"},           {"google_ai_studio", "gemini"},
};

}  // namespace

Registry::Registry() {
    providers_.push_back(std::make_unique<Copilot>());
    providers_.push_back(std::make_unique<Anthropic>());
    for (const PlainRow& row : plain_rows()) {
        providers_.push_back(std::make_unique<OpenAiCompatible>(row));
    }
}

Provider* Registry::find(std::string_view name) const {
    for (const auto& [alias, target] : kAliases) {
        name = name == alias ? target : name;
    }
    for (const auto& provider : providers_) {
        if (provider->name() == name) {
            return provider.get();
        }
    }
    return nullptr;
}

std::vector<std::string_view> Registry::names() const {
    std::vector<std::string_view> names;
    for (const auto& provider : providers_) {
        names.push_back(provider->name());
    }
    return names;
}

}  // namespace belay::providers

#pragma once
// The upstream providers a model may name, as LiteLLM spells them: which protocol family they
// speak, where they are, and which environment variables hold key and address. Pure data and
// look-ups.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace belay::app {

enum class Family : uint8_t {
    copilot,
    openai,  // plain OpenAI-compatible: a base URL and a key are all there is to it
    anthropic,
    gemini,
    azure,
    unsupported,  // known to LiteLLM, not served here
};

struct Provider {
    std::string_view name;
    Family family;
    std::string_view api_base;  // "" = must be configured, or the provider's adapter knows it
    std::string_view key_variable;
    std::string_view base_variable;
    bool needs_key;
};

[[nodiscard]] const Provider* find_provider(std::string_view name);
[[nodiscard]] std::vector<std::string> provider_names();

struct ProviderModel {
    const Provider* provider = nullptr;
    std::string model;  // without the prefix
};
// "groq/llama-3" by its prefix; a bare name by its family ("gpt-5" -> openai); nullopt when neither
// tells. `forced` is custom_llm_provider.
[[nodiscard]] std::optional<ProviderModel> split_model(std::string_view model,
                                                       std::string_view forced);

}  // namespace belay::app

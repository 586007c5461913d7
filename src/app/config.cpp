#include "app/config.h"

#include <algorithm>
#include <set>

#include "app/config_load.h"
#include "base/log.h"

namespace belay::app {
namespace {

Error first_error(Load& load, Diagnostic* problem) {
    auto all = load.diagnostics.take();
    auto found = std::find_if(all.begin(), all.end(), [](const Diagnostic& d) { return d.fatal; });
    Diagnostic diagnostic = found == all.end() ? Diagnostic{} : *found;
    Error error = gateway_error(Kind::invalid_request, render(diagnostic), diagnostic.excerpt);
    if (problem != nullptr) {
        *problem = std::move(diagnostic);
    }
    return error;
}

Result<Config> load_from(const std::string& path, const std::string* text, const Env& env,
                         Diagnostic* problem) {
    Load load;
    load.env = env;
    if (!read_files(load, path, text)) {
        return first_error(load, problem);
    }
    check_root(load);
    read_models(load);
    read_settings(load);
    check_names(load);
    load.config.diagnostics = load.diagnostics.take();
    return std::move(load.config);
}

}  // namespace

bool Config::has_errors() const {
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const Diagnostic& d) { return d.severity == Severity::error; });
}

bool Config::is_fatal() const {
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const Diagnostic& d) { return d.fatal; });
}

Result<Config> load_config(const std::string& path, const Env& env, Diagnostic* problem) {
    return load_from(path, nullptr, env, problem);
}

Result<Config> load_config_text(std::string_view text, const std::string& name, const Env& env,
                                Diagnostic* problem) {
    std::string copy(text);
    return load_from(name, &copy, env, problem);
}

Config default_config(const Env& env) {
    auto loaded = load_config_text("", "", env);
    Config config = loaded.ok() ? std::move(loaded).value() : Config{};
    config.diagnostics.clear();
    return config;
}

std::string_view default_yaml() {
    return R"(
model_list:
  - model_name: github_copilot/claude-opus-4.6
    litellm_params:
      model: github_copilot/claude-opus-4.6
      drop_params: true
      fallbacks: ["github_copilot/gemini-3-pro-preview", "github_copilot/gpt-5-mini"]
  - model_name: github_copilot/gemini-3-pro-preview
    litellm_params:
      model: github_copilot/gemini-3-pro-preview
      drop_params: true
      fallbacks: ["github_copilot/gpt-5-mini"]
  - model_name: github_copilot/gpt-5-mini
    litellm_params:
      model: github_copilot/gpt-5-mini
      drop_params: true
  - model_name: github_copilot/text-embedding-3-small
    litellm_params:
      model: github_copilot/text-embedding-3-small
      drop_params: true
    model_info:
      mode: embedding
  - model_name: "github_copilot/*"
    litellm_params:
      model: "github_copilot/*"
      drop_params: true
      fallbacks: ["github_copilot/gpt-5-mini"]
  - model_name: "*"
    litellm_params:
      model: github_copilot/claude-opus-4.6
      drop_params: true
      fallbacks: ["github_copilot/gemini-3-pro-preview", "github_copilot/gpt-5-mini"]
)";
}

}  // namespace belay::app

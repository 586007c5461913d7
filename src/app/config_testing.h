#pragma once
// Helpers shared by the configuration's tests: loads from text, finds diagnostics and deployments.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"

namespace belay::app::testing {

using Variables = std::map<std::string, std::string, std::less<>>;

inline Config load(std::string_view text, Variables variables = {}) {
    auto loaded = load_config_text(text, "config.yaml", map_env(std::move(variables)));
    REQUIRE_MESSAGE(loaded.ok(), loaded.error().message);
    return std::move(loaded).value();
}

// The first diagnostic whose rendered line holds `part`; nullptr when none does.
inline const Diagnostic* find(const Config& config, std::string_view part) {
    for (const Diagnostic& diagnostic : config.diagnostics) {
        if (render(diagnostic).find(part) != std::string::npos) {
            return &diagnostic;
        }
    }
    return nullptr;
}

// All of them, for messages of failed checks.
inline std::string all(const Config& config) {
    std::string out;
    for (const Diagnostic& diagnostic : config.diagnostics) {
        out += render(diagnostic) + "\n";
    }
    return out;
}

inline const routing::Deployment& deployment(const Config& config, std::string_view group) {
    for (const auto& candidate : config.table.deployments) {
        if (candidate->group == group) {
            return *candidate;
        }
    }
    FAIL("no deployment of " << group << "\n" << all(config));
    return *config.table.deployments.front();
}

inline std::string names(const std::vector<routing::FallbackTarget>& targets) {
    std::string out;
    for (const routing::FallbackTarget& target : targets) {
        out += (out.empty() ? "" : " ") + target.group;
    }
    return out;
}

// One model named m on Copilot, with further litellm_params.
inline std::string one_model(std::string_view params) {
    std::string out =
        "model_list:\n"
        "  - model_name: m\n"
        "    litellm_params:\n"
        "      model: github_copilot/gpt-5-mini\n";
    while (!params.empty()) {
        size_t end = std::min(params.find('\n'), params.size());
        out += "      " + std::string(params.substr(0, end)) + "\n";
        params.remove_prefix(std::min(end + 1, params.size()));
    }
    return out;
}

}  // namespace belay::app::testing

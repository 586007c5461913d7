#pragma once
// For this module's tests: a request with everything prepare() looks at, and header lines read
// back.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "providers/provider.h"
#include "wire/http.h"

namespace belay::providers {

// Holds what a Job refers to.
struct Fixture {
    std::string body;
    std::string model;
    protocols::Api client;
    protocols::ChatFacts facts;
    routing::Deployment deployment;
    accounts::Credential credential;

    explicit Fixture(std::string text, std::string upstream = "claude-opus-4.6",
                     protocols::Api api = protocols::Api::chat)
        : body(std::move(text)), model(std::move(upstream)), client(api) {
        Result<protocols::ChatFacts> read = api == protocols::Api::embeddings
                                                ? protocols::scan_embeddings_request(body)
                                                : protocols::scan_chat_request(body);
        if (!read.ok()) {
            FAIL(read.error().message);
        }
        facts = std::move(*read);
        deployment.provider = "github_copilot";
        deployment.group = "m";
        credential.token = Secret("tid=secret");
        credential.api_base = "https://api.individual.githubcopilot.com";
        auto profile = std::make_shared<accounts::Profile>();
        profile->headers = {{"Editor-Version", "vscode/1.104.3"},
                            {"Editor-Plugin-Version", "copilot-chat/0.26.7"},
                            {"Copilot-Integration-Id", "vscode-chat"},
                            {"User-Agent", "GitHubCopilotChat/0.26.7"},
                            {"X-GitHub-Api-Version", "2025-05-01"}};
        credential.profile = std::move(profile);
    }

    [[nodiscard]] Job job() const {
        return Job{.deployment = deployment,
                   .upstream_model = model,
                   .facts = facts,
                   .body = body,
                   .client = client,
                   .credential = &credential,
                   .request_id = "req-1",
                   .interaction_id = "turn-1"};
    }
};

class Headers {
  public:
    explicit Headers(std::string_view lines) {
        while (!lines.empty()) {
            const size_t end = lines.find("\r\n");
            REQUIRE(end != std::string_view::npos);
            const std::string_view line = lines.substr(0, end);
            const size_t colon = line.find(": ");
            REQUIRE(colon != std::string_view::npos);
            headers_.emplace_back(line.substr(0, colon), line.substr(colon + 2));
            lines.remove_prefix(end + 2);
        }
    }
    [[nodiscard]] std::string get(std::string_view name) const {
        for (const auto& [key, value] : headers_) {
            if (http::iequals(key, name)) {
                return value;
            }
        }
        return {};
    }
    [[nodiscard]] int count(std::string_view name) const {
        int found = 0;
        for (const auto& header : headers_) {
            found += http::iequals(header.first, name) ? 1 : 0;
        }
        return found;
    }

  private:
    std::vector<std::pair<std::string, std::string>> headers_;
};

}  // namespace belay::providers

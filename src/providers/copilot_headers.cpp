#include "providers/copilot_headers.h"

#include <algorithm>

#include "providers/headers.h"
#include "wire/http.h"

namespace belay::providers {

namespace {

using protocols::Api;
using protocols::Initiator;

constexpr std::string_view kApiVersion = "X-GitHub-Api-Version";
constexpr std::string_view kInitiatorHeader = "X-Initiator";
constexpr std::string_view kRequestId = "X-Request-Id";
constexpr std::string_view kInteractionId = "X-Interaction-Id";

std::string_view intent_of(Api api) {
    switch (api) {
        case Api::messages:
            return "messages-proxy";
        case Api::chat:
        case Api::responses:
        case Api::embeddings:
            break;
    }
    return "conversation-panel";
}

void add_profile(const accounts::Profile* profile, HeaderLines& lines) {
    if (profile == nullptr) {
        return;
    }
    for (const auto& [name, value] : profile->headers) {
        if (!is_reserved_header(name)) {
            lines.add(name, value);
        }
    }
}

bool profile_has(const accounts::Profile* profile, std::string_view name) {
    return profile != nullptr &&
           std::any_of(profile->headers.begin(), profile->headers.end(),
                       [name](const auto& header) { return http::iequals(header.first, name); });
}

bool strips_betas(const Adjustments& adjust) {
    return std::find(adjust.strip.begin(), adjust.strip.end(), "anthropic-beta") !=
           adjust.strip.end();
}

void add_anthropic(const Job& job, HeaderLines& lines) {
    lines.add("anthropic-version", "2023-06-01");
    if (strips_betas(job.adjust)) {
        lines.exclude("anthropic-beta");
    } else if (const std::string betas = allowed_betas(job.inbound_beta); !betas.empty()) {
        lines.add("anthropic-beta", betas);
    }
}

bool has_images(const Job& job) { return job.facts.has_images || job.adjust.force_vision; }

}  // namespace

std::string copilot_lines(const Job& job, Api api) {
    HeaderLines lines(job.deployment.extra_headers);
    lines.insist("Content-Type", "application/json");
    lines.insist("Authorization", "Bearer " + job.credential->token.reveal());
    lines.exclude(kInitiatorHeader);
    lines.add("Accept", job.facts.stream ? "text/event-stream" : "application/json");
    if (job.adjust.no_api_version) {
        lines.exclude(kApiVersion);
    }
    if (has_images(job)) {
        lines.insist("Copilot-Vision-Request", "true");
    }
    const accounts::Profile* profile = job.credential->profile.get();
    add_profile(profile, lines);
    if (!profile_has(profile, "OpenAI-Intent")) {
        lines.add("OpenAI-Intent", intent_of(api));
    }
    if (api == Api::messages) {
        add_anthropic(job, lines);
    }
    return lines.finish();
}

namespace {

bool configures(const Job& job, std::string_view name) {
    return std::any_of(job.deployment.extra_headers.begin(), job.deployment.extra_headers.end(),
                       [name](const auto& header) {
                           return http::iequals(header.first, name) && !header.second.empty();
                       });
}

}  // namespace

void add_copilot_own_lines(const Job& job, Initiator initiator, std::string& lines) {
    lines += initiator == Initiator::agent ? "X-Initiator: agent\r\n" : "X-Initiator: user\r\n";
    if (!configures(job, kRequestId)) {
        http::write_header(lines, kRequestId, job.request_id);
    }
    if (!job.interaction_id.empty() && !configures(job, kInteractionId)) {
        http::write_header(lines, kInteractionId, job.interaction_id);
    }
}

protocols::Initiator initiator_of(const Job& job) {
    if (job.repeat) {
        return Initiator::agent;
    }
    std::string_view stated = job.inbound_initiator;
    for (const auto& [name, value] : job.deployment.extra_headers) {
        if (stated.empty() && http::iequals(name, kInitiatorHeader)) {
            stated = value;
        }
    }
    if (http::iequals(stated, "agent")) {
        return Initiator::agent;
    }
    return http::iequals(stated, "user") ? Initiator::user : job.facts.initiator;
}

std::string allowed_betas(std::string_view betas) {
    static constexpr std::string_view kKnown[] = {
        "interleaved-thinking-2025-05-14", "context-management-2025-06-27",
        "advanced-tool-use-2025-11-20", "mid-conversation-system-2026-04-07"};
    std::string out;
    while (!betas.empty()) {
        const size_t comma = betas.find(',');
        std::string_view beta = betas.substr(0, comma);
        betas = comma == std::string_view::npos ? std::string_view{} : betas.substr(comma + 1);
        while (!beta.empty() && beta.front() == ' ') {
            beta.remove_prefix(1);
        }
        while (!beta.empty() && beta.back() == ' ') {
            beta.remove_suffix(1);
        }
        if (std::find(std::begin(kKnown), std::end(kKnown), beta) != std::end(kKnown)) {
            out += (out.empty() ? "" : ",") + std::string(beta);
        }
    }
    return out;
}

}  // namespace belay::providers

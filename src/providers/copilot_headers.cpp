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

// Everything but what changes with each request.
std::string build_lines(const Job& job, Api api) {
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

bool configures(const Job& job, std::string_view name) {
    return std::any_of(job.deployment.extra_headers.begin(), job.deployment.extra_headers.end(),
                       [name](const auto& header) {
                           return http::iequals(header.first, name) && !header.second.empty();
                       });
}

// What build_lines() looks at beside headers, profile, token and betas.
uint32_t shape_of(const Job& job, Api api) {
    return static_cast<uint32_t>(api) | (job.facts.stream ? 16U : 0U) |
           (has_images(job) ? 32U : 0U) | (job.adjust.no_api_version ? 64U : 0U) |
           (strips_betas(job.adjust) ? 128U : 0U);
}

}  // namespace

void CopilotHeaders::write(std::string& out, const Job& job, Api api, Initiator initiator) {
    out.reserve(1024);
    bool own_request_id = false;
    bool own_interaction_id = false;
    {
        const std::lock_guard lock(mutex_);
        const Block& block = block_of(job, api);
        out += block.lines;
        own_request_id = block.own_request_id;
        own_interaction_id = block.own_interaction_id;
    }
    out += initiator == Initiator::agent ? "X-Initiator: agent\r\n" : "X-Initiator: user\r\n";
    if (!own_request_id) {
        http::write_header(out, kRequestId, job.request_id);
    }
    if (!own_interaction_id && !job.interaction_id.empty()) {
        http::write_header(out, kInteractionId, job.interaction_id);
    }
}

const CopilotHeaders::Block& CopilotHeaders::block_of(const Job& job, Api api) {
    const uint32_t shape = shape_of(job, api);
    const std::string_view betas = api == Api::messages ? job.inbound_beta : std::string_view{};
    const accounts::Credential& credential = *job.credential;
    auto block = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& known) {
        return known.shape == shape && known.profile == credential.profile &&
               known.betas == betas && known.extra == job.deployment.extra_headers;
    });
    if (block != blocks_.end() && block->token == credential.token.reveal()) {
        return *block;
    }
    if (block == blocks_.end()) {
        if (blocks_.size() < kMax) {
            block = blocks_.insert(blocks_.end(), Block{});
        } else {
            block = blocks_.begin() + static_cast<std::ptrdiff_t>(next_++ % kMax);
        }
    }
    *block = {.shape = shape,
              .profile = credential.profile,
              .betas = std::string(betas),
              .extra = job.deployment.extra_headers,
              .token = credential.token.reveal(),
              .lines = build_lines(job, api),
              .own_request_id = configures(job, kRequestId),
              .own_interaction_id = configures(job, kInteractionId)};
    return *block;
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

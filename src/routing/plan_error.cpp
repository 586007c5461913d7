// What a client is told when nobody answered: the first group's error, with the history in
// LiteLLM's words, and the least wait that is true for the whole chain.
#include <algorithm>

#include "routing/plan_state.h"

namespace belay::routing {
namespace {

constexpr size_t kLongestMessage = 8192;

// ['a', 'b'], as LiteLLM prints lists.
std::string render_list(const std::vector<std::string>& names) {
    std::string out = "[";
    for (const std::string& name : names) {
        out += (out.size() > 1 ? ", '" : "'") + name + "'";
    }
    return out + "]";
}

std::vector<std::string> names_of(const std::vector<FallbackTarget>& targets) {
    std::vector<std::string> names;
    for (const FallbackTarget& target : targets) {
        names.push_back(target.group);
    }
    return names;
}

std::string render_map(const FallbackMap& map) {
    std::string out = "[";
    for (const auto& [group, targets] : map) {
        out +=
            (out.size() > 1 ? ", {'" : "{'") + group + "': " + render_list(names_of(targets)) + "}";
    }
    return out + "]";
}

// The first group that was really asked; nothing = every target was passed over.
const Hop* first_asked(const Plan& plan) {
    for (const Hop& hop : plan.hops) {
        if (hop.last_outcome) {
            return &hop;
        }
    }
    return nullptr;
}

std::optional<Mono> free_at(const Candidate& candidate, const Health& health, const Plan& plan,
                            Mono now) {
    if (!candidate.excluded.empty()) {
        return std::nullopt;
    }
    if (candidate.dead && !(candidate.cause && is_quota(*candidate.cause))) {
        return std::nullopt;  // waiting does not bring it back
    }
    const auto state = health.look(*candidate.deployment, now, candidate.upstream_model,
                                   seat_of(plan, *candidate.deployment));
    if (candidate.free_at || state.cooling) {
        return std::max(candidate.free_at.value_or(now), state.cooling ? state.until : now);
    }
    if (!candidate.cause) {
        return now;
    }
    return now + std::chrono::duration_cast<Mono::duration>(std::clamp<Seconds>(
                     plan.table->settings.cooldown_time, Seconds(1), Seconds(3600)));
}

std::optional<seconds> least_wait(const Plan& plan, const Health& health, Mono now) {
    std::optional<Mono> least;
    for (const Hop& hop : plan.hops) {
        for (const Candidate& candidate : hop.candidates) {
            const auto at = free_at(candidate, health, plan, now);
            if (at && (!least || *at < *least)) {
                least = at;
            }
        }
    }
    if (!least) {
        return std::nullopt;
    }
    return std::max(std::chrono::ceil<seconds>(*least - now), seconds(1));
}

Error all_cooling(const Plan& plan, const Health& health, Mono now) {
    const seconds wait = least_wait(plan, health, now).value_or(seconds(1));
    std::vector<std::string> cooling;
    for (const Hop& hop : plan.hops) {
        for (const Candidate& candidate : hop.candidates) {
            if (candidate.free_at) {
                cooling.push_back(candidate.deployment->id);
            }
        }
    }
    Error error = gateway_error(
        Kind::rate_limited,
        "No deployments available for selected model, Try again in " +
            std::to_string(wait.count()) + " seconds. Passed model=" + plan.query.model +
            ". pre-call-checks=" + (plan.table->settings.pre_call_checks ? "True" : "False") +
            ", cooldown_list=" + render_list(cooling));
    error.retry_after = wait;
    return error;
}

// Every target was passed over for what it is, not for how it does.
Error all_unfit(const Plan& plan) {
    const auto& candidates = plan.hops[0].candidates;
    const auto all = [&](auto test) {
        return std::all_of(candidates.begin(), candidates.end(), test);
    };
    if (all([](const Candidate& c) { return c.wrong_tags; })) {
        return gateway_error(Kind::unauthenticated,
                             "Not allowed to access model due to tags configuration");
    }
    if (std::any_of(candidates.begin(), candidates.end(),
                    [](const Candidate& c) { return c.too_small; })) {
        Error error = caller_error(
            Kind::context_overflow,
            "The prompt (about " + std::to_string(plan.query.prompt_tokens_estimate) +
                " tokens) exceeds the maximum context length of model=" + plan.query.model +
                " and of its fallbacks.",
            "messages");
        error.code = "context_length_exceeded";
        return error;
    }
    const auto closed =
        plan.query.restrictions != nullptr ? plan.query.restrictions->closed_seat : nullptr;
    if (closed != nullptr && std::any_of(candidates.begin(), candidates.end(), [](const auto& c) {
            return needs_account(*c.deployment);
        })) {
        return *closed;
    }
    const std::string why = candidates.empty() ? "no deployment" : candidates[0].excluded;
    return caller_error(Kind::unsupported,
                        "You passed in model=" + plan.query.model +
                            ". No deployment of it can serve this request: " + why + ".",
                        "model");
}

bool every_target_unfit(const Plan& plan) {
    for (const Hop& hop : plan.hops) {
        for (const Candidate& candidate : hop.candidates) {
            if (candidate.excluded.empty()) {
                return false;
            }
        }
    }
    return true;
}

std::string history(const Plan& plan, const Hop& told) {
    const Hop& first = plan.hops[0];
    const std::vector<std::string> targets = names_of(targets_after(plan, first));
    std::string out =
        ". Received Model Group=" + first.match.asked +
        "\nAvailable Model Group Fallbacks=" + (targets.empty() ? "None" : render_list(targets));
    if (targets.empty() && !plan.table->fallbacks.empty() && !plan.query.disable_fallbacks) {
        out += "\nNo fallback model group found for original model_group=" + first.match.asked +
               ". Fallbacks=" + render_map(plan.table->fallbacks);
    }
    if (!plan.outcomes.empty() && plan.hops.size() > 1 &&
        told.last_outcome.value_or(0) + 1 < plan.outcomes.size()) {
        const Error last = to_error(plan.outcomes.back());
        out += "\nError doing the fallback: " + last.message;
    }
    if (told.retries > 0) {
        out += " LiteLLM Retried: " + std::to_string(told.retries) +
               " times, LiteLLM Max Retries: " + std::to_string(retry_limit(plan, told));
    }
    return out;
}

void cut(std::string& text, size_t max) {
    while (text.size() > max || (text.size() == max && (text.back() & 0x80))) {
        text.pop_back();
    }
}

}  // namespace

Error final_error(const Plan& plan, const Health& health, Mono now) {
    if (!plan.outcomes.empty() && plan.outcomes.back().cause == Cause::cancelled) {
        return to_error(plan.outcomes.back());
    }
    const Hop* told = first_asked(plan);
    Error error;
    if (told) {
        const Outcome& outcome = plan.outcomes[*told->last_outcome];
        error = to_error(outcome);
        if (is_limit(outcome.cause)) {
            error.retry_after = least_wait(plan, health, now);
        }
    } else {
        error = every_target_unfit(plan) ? all_unfit(plan) : all_cooling(plan, health, now);
    }
    if (plan.table->settings.expose_router_debug_in_errors) {
        error.message += history(plan, told ? *told : plan.hops[0]);
        cut(error.message, kLongestMessage);
    }
    return error;
}

Error unknown_model(const Query& query) {
    const std::string_view path = query.mode == Mode::embedding    ? "/embeddings"
                                  : query.mode == Mode::completion ? "/completions"
                                  : query.mode == Mode::responses  ? "/responses"
                                                                   : "/chat/completions";
    return caller_error(Kind::invalid_request,
                        std::string(path) +
                            ": Invalid model name passed in model=" + query.model.substr(0, 256) +
                            ". Call `/v1/models` to view available models for your key.",
                        "model");
}

}  // namespace belay::routing

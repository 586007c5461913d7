#include "providers/copilot.h"

#include <algorithm>
#include <optional>

#include "providers/copilot_models.h"
#include "providers/params.h"
#include "wire/http.h"
#include "wire/scan.h"

namespace belay::providers {

namespace {

using protocols::Api;

constexpr std::string_view kDefaultBase = "https://api.githubcopilot.com";
constexpr int64_t kBudgetMaxByName = 32'000;  // when no catalogue tells

// One request being prepared: what the parts below share.
struct Work {
    const Job& job;
    std::string id;  // Copilot's spelling of the model
    const Family& family;
    Learned::Lesson lesson;
    Prepared& out;
};

Api choose_api(const Work& work) {
    if (work.job.client == Api::embeddings) {
        return Api::embeddings;
    }
    const ApiChoice choice = apis_for_chat(work.id, work.job.model);
    const auto usable = [&work](Api api) {
        return !work.lesson.refuses(api) && work.job.adjust.avoid != api;
    };
    for (size_t i = 0; i < choice.count; ++i) {
        if (usable(choice.apis[i])) {
            return choice.apis[i];
        }
    }
    // All that is offered was refused: one that is not listed may still serve it.
    for (const Api api : {Api::responses, Api::chat, Api::messages}) {
        if (usable(api)) {
            return api;
        }
    }
    return choice.apis[0];
}

// Members come from elsewhere than the client's body.
bool has_own_members(const Job& job) {
    return job.overrides != nullptr || job.deployment.defaults.size() != 0;
}

// ---- parameters ---------------------------------------------------------------------------------

// The accepted efforts are copied only where somebody asks for one.
protocols::ModelTraits traits_of(const Work& work, Api api) {
    protocols::ModelTraits traits;
    traits.sampling = work.family.sampling;
    const accounts::Model* model = work.job.model;
    if (model == nullptr) {
        traits.thinking_budget_max = work.family.thinking_budget ? kBudgetMaxByName : 0;
        return traits;
    }
    const accounts::ModelSupports& supports = model->supports;
    if (api != Api::chat || work.job.facts.wants_thinking || has_own_members(work.job)) {
        traits.efforts = supports.reasoning_effort;
    }
    traits.adaptive_thinking = supports.adaptive_thinking;
    traits.thinking_budget_min = std::max<int64_t>(supports.thinking_budget_min, 1024);
    traits.thinking_budget_max = supports.thinking_budget_max;
    traits.max_output_tokens = model->limits.output;
    traits.structured_output = supports.structured_outputs;
    return traits;
}

std::optional<int64_t> read_int(std::string_view raw) {
    if (raw.empty()) {
        return std::nullopt;
    }
    const int64_t value = json::int_at(raw, json::root(raw), -1);
    return value >= 0 ? std::optional(value) : std::nullopt;
}

std::string read_string(std::string_view raw) {
    if (raw.empty()) {
        return {};
    }
    std::string scratch;
    const json::Span root = json::root(raw);
    return json::type_at(raw, root) == json::Type::string
               ? std::string(json::string_at(raw, root, scratch))
               : std::string();
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

int64_t model_output_limit(const Work& work) {
    if (work.job.model == nullptr) {
        return 0;
    }
    const accounts::ModelLimits& limits = work.job.model->limits;
    if (!work.job.facts.stream && limits.output_plain > 0) {
        return limits.output > 0 ? std::min(limits.output, limits.output_plain)
                                 : limits.output_plain;
    }
    return limits.output;
}

int64_t output_limit(const Work& work) {
    const int64_t limit = model_output_limit(work);
    const int64_t cap = work.job.output_cap;
    return cap <= 0 ? limit : limit <= 0 ? cap : std::min(limit, cap);
}

// One name for the bound, within the model's limit.
void set_output_bound(const Work& work, Params& params, Api api) {
    const int64_t limit = output_limit(work);
    for (const std::string_view name : {"max_tokens", "max_completion_tokens"}) {
        if (const auto asked = read_int(params.raw(name)); asked && limit > 0 && *asked > limit) {
            params.replace(name, std::to_string(limit), "the most the model gives");
        }
    }
    if (work.job.output_cap > 0 && !params.has("max_completion_tokens")) {
        params.default_to("max_tokens", std::to_string(limit));
    }
    if (api != Api::chat) {
        return;
    }
    if (work.family.completion_tokens) {
        params.rename("max_tokens", "max_completion_tokens");
        return;
    }
    params.rename("max_completion_tokens", "max_tokens");
    // Left out, the upstream's own bound for Claude is small.
    if (work.family.claude && limit > 0) {
        params.default_to("max_tokens", std::to_string(limit));
    }
}

// LiteLLM's budgets for efforts.
int64_t budget_of_effort(std::string_view effort) {
    return effort == "low" || effort == "minimal" ? 1024 : effort == "medium" ? 2048 : 4096;
}

// The chat API takes thinking as a budget beside the messages; it must stay below the output bound.
void set_thinking_budget(const Work& work, Params& params, int64_t budget) {
    const protocols::ModelTraits& traits = work.out.edits.traits;
    int64_t most = traits.thinking_budget_max;
    const std::string_view bound =
        params.has("max_tokens") ? params.raw("max_tokens") : params.raw("max_completion_tokens");
    if (const auto asked = read_int(bound)) {
        most = std::min(most, *asked - 1);
    }
    if (most >= traits.thinking_budget_min) {
        params.default_to("thinking_budget",
                          std::to_string(std::clamp(budget, traits.thinking_budget_min, most)));
    } else {
        work.out.warnings.emplace_back("no thinking: max_tokens leaves no room for it");
    }
}

void set_thinking(const Work& work, Params& params, Api api) {
    const std::string raw(params.raw("thinking"));
    if (raw.empty()) {
        return;
    }
    const protocols::ModelTraits& traits = work.out.edits.traits;
    if (read_string(json::member(raw, json::root(raw), "type").of(raw)) == "disabled") {
        params.drop("thinking");
        return;
    }
    const bool thinks =
        traits.thinking_budget_max > 0 || (traits.adaptive_thinking && api == Api::messages);
    if (!thinks) {
        params.refuse("thinking");
        return;
    }
    if (api == Api::chat) {
        const json::Span budget = json::member(raw, json::root(raw), "budget_tokens");
        params.drop("thinking");
        set_thinking_budget(work, params, read_int(budget.of(raw)).value_or(4096));
    }
}

// The listed effort nearest to the asked one; the lower of two equally near.
std::string nearest_effort(std::string_view asked, const std::vector<std::string>& listed) {
    static constexpr std::string_view kOrder[] = {"none", "minimal", "low", "medium",
                                                  "high", "xhigh",   "max"};
    const auto rank = [](std::string_view effort) {
        return std::find(std::begin(kOrder), std::end(kOrder), effort) - std::begin(kOrder);
    };
    std::string best;
    for (const std::string& effort : listed) {
        const auto distance = [&](std::string_view e) { return std::abs(rank(e) - rank(asked)); };
        if (best.empty() || distance(effort) < distance(best) ||
            (distance(effort) == distance(best) && rank(effort) < rank(best))) {
            best = effort;
        }
    }
    return best;
}

void set_effort(const Work& work, Params& params, Api api) {
    const std::string asked = read_string(params.raw("reasoning_effort"));
    if (asked.empty() || work.job.model == nullptr || api == Api::messages) {
        return;  // unknown here, or the translation's business
    }
    const std::vector<std::string>& listed = work.out.edits.traits.efforts;
    if (std::find(listed.begin(), listed.end(), asked) != listed.end()) {
        return;
    }
    if (!listed.empty() && asked != "none") {
        params.replace("reasoning_effort", quoted(nearest_effort(asked, listed)),
                       "the nearest the model offers");
    } else if (asked == "none" || asked == "default") {
        params.drop("reasoning_effort");
    } else if (work.out.edits.traits.thinking_budget_max > 0 && api == Api::chat) {
        params.drop("reasoning_effort");
        set_thinking_budget(work, params, budget_of_effort(asked));
    } else {
        params.refuse("reasoning_effort");
    }
}

void set_sampling(const Work& work, Params& params) {
    if (work.family.sampling) {
        return;
    }
    for (const std::string_view name :
         {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
          "top_logprobs"}) {
        params.refuse(name);
    }
}

void apply_lesson(const Work& work, Params& params, Api api) {
    for (const std::string& path : work.lesson.drops) {
        const bool native = api == Api::chat || api == Api::embeddings;
        for (const std::string& member : native ? std::vector{path} : chat_members_of(path)) {
            params.drop(member, "the model refused it before");
        }
    }
    for (const auto& [from, to] : work.lesson.renames) {
        params.rename(from, to);
    }
}

Result<void> set_chat_edits(const Work& work, Api api) {
    protocols::ChatEdits& edits = work.out.edits;
    edits.traits = traits_of(work, api);
    Params params(work.job, edits, work.out.warnings);
    apply_lesson(work, params, api);
    set_sampling(work, params);
    if (work.job.facts.wants_thinking || has_own_members(work.job)) {
        set_thinking(work, params, api);
        set_effort(work, params, api);
    }
    set_output_bound(work, params, api);
    edits.force_stream_usage = api == Api::chat;
    if (api == Api::chat) {
        edits.flatten_assistant_text = true;
        edits.drop_empty_content = work.family.claude;
        edits.copilot_cache_control = work.family.claude;
        edits.copilot_reasoning = true;
        if (work.job.facts.tool_count != 0 && work.family.prefix == "gemini-") {
            edits.drop.emplace_back("tools[*].function.strict");
        }
    }
    return params.settle();
}

Result<void> set_embeddings_edits(const Work& work) {
    Params params(work.job, work.out.edits, work.out.warnings);
    apply_lesson(work, params, Api::embeddings);
    if (work.job.model != nullptr && !work.job.model->supports.dimensions) {
        params.refuse("dimensions");
    }
    return params.settle();
}

Result<void> check_tools(const Work& work) {
    const uint32_t limit = tool_limit(work.id);
    if (work.job.facts.tool_count <= limit) {
        return {};
    }
    return caller_error(Kind::invalid_request,
                        "GitHub Copilot takes at most " + std::to_string(limit) +
                            " tools in a request to " + work.id + "; this one has " +
                            std::to_string(work.job.facts.tool_count),
                        "tools");
}

// The credential's own host, which the account has checked, comes before one that is configured: a
// token goes where it was announced for, and a 421 can move it.
std::string_view base_of(const Job& job, std::vector<std::string>& warnings) {
    if (job.credential->api_base.empty()) {
        return job.deployment.api_base.empty() ? kDefaultBase
                                               : std::string_view(job.deployment.api_base);
    }
    if (!job.deployment.api_base.empty() && job.deployment.api_base != job.credential->api_base) {
        warnings.emplace_back(
            "api_base of the deployment is not used: the account names its host; set "
            "GITHUB_COPILOT_API_BASE to change it");
    }
    return job.credential->api_base;
}

}  // namespace

std::string Copilot::canonical_model(std::string_view model) const {
    return copilot_model_id(model);
}

Result<Prepared> Copilot::prepare(const Job& job) {
    if (job.credential == nullptr) {
        return gateway_error(Kind::unauthenticated,
                             "not signed in to GitHub Copilot; open the sign-in page or run "
                             "`belay login`");
    }
    Prepared out;
    const std::string id = copilot_model_id(job.upstream_model);
    Work work{job, id, family_of(id), learned_.look(id, job.now), out};
    TRY(check_tools(work));
    out.base = TRY(urls_.parse(base_of(job, out.warnings)));
    out.api = choose_api(work);
    out.target = out.base->path.size() <= 1
                     ? std::string(protocols::api_path(out.api))
                     : join(*out.base, protocols::api_path(out.api)).target();
    out.edits.model = id;
    TRY(out.api == Api::embeddings ? set_embeddings_edits(work) : set_chat_edits(work, out.api));
    out.lasting = work.lesson.empty();
    out.header_lines = copilot_lines(job, out.api);
    return out;
}

Own Copilot::add_own(const Job& job, std::string& lines) const {
    const protocols::Initiator initiator = initiator_of(job);
    add_copilot_own_lines(job, initiator, lines);
    return {initiator};
}

void Copilot::learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) {
    learned_.report(copilot_model_id(job.upstream_model), api, outcome, job.now);
}

}  // namespace belay::providers

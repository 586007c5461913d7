#include "providers/copilot_models.h"

namespace belay::providers {

namespace {

using protocols::Api;

bool starts_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "-20250929" at the end.
std::string_view without_date(std::string_view name) {
    if (name.size() < 10 || name[name.size() - 9] != '-') {
        return name;
    }
    for (const char c : name.substr(name.size() - 8)) {
        if (!is_digit(c)) {
            return name;
        }
    }
    return name.substr(0, name.size() - 9);
}

// Longer prefixes stand before shorter ones.
constexpr Family kFamilies[] = {
    {.prefix = "claude-", .thinking_budget = true, .claude = true},
    {.prefix = "gemini-"},
    {.prefix = "gpt-5-mini", .sampling = false, .completion_tokens = true},
    {.prefix = "gpt-5-codex",
     .sampling = false,
     .completion_tokens = true,
     .responses_first = true},
    {.prefix = "gpt-5.4-mini",
     .sampling = false,
     .completion_tokens = true,
     .responses_first = true},
    {.prefix = "gpt-5.4-nano",
     .sampling = false,
     .completion_tokens = true,
     .responses_first = true},
    {.prefix = "gpt-5.5", .sampling = false, .completion_tokens = true, .responses_first = true},
    {.prefix = "gpt-5.6", .sampling = false, .completion_tokens = true, .responses_first = true},
    {.prefix = "gpt-5", .sampling = false, .completion_tokens = true},
    {.prefix = "gpt-6", .sampling = false, .completion_tokens = true, .responses_first = true},
    {.prefix = "o1", .sampling = false, .completion_tokens = true},
    {.prefix = "o3", .sampling = false, .completion_tokens = true},
    {.prefix = "o4", .sampling = false, .completion_tokens = true},
    {.prefix = "grok-code", .responses_first = false},
    {.prefix = "grok-", .responses_first = true},
    {.prefix = "mai-", .responses_first = true},
    {.prefix = "oswe", .responses_first = true},
};
constexpr Family kPlain{.prefix = ""};
constexpr Family kCodex{
    .prefix = "", .sampling = false, .completion_tokens = true, .responses_first = true};

constexpr uint32_t kToolLimit = 128;
constexpr uint32_t kGrokToolLimit = 350;

}  // namespace

std::string copilot_model_id(std::string_view model) {
    if (!starts_with(model, "claude-")) {
        return std::string(model);
    }
    model = model.substr(0, model.find('['));
    std::string out(without_date(model));
    for (size_t i = 1; i + 1 < out.size(); ++i) {
        if (out[i] == '-' && is_digit(out[i - 1]) && is_digit(out[i + 1])) {
            out[i] = '.';
            break;
        }
    }
    return out;
}

const Family& family_of(std::string_view model) {
    if (contains(model, "codex")) {
        return kCodex;
    }
    for (const Family& family : kFamilies) {
        if (starts_with(model, family.prefix)) {
            return family;
        }
    }
    return kPlain;
}

ApiChoice apis_for_chat(std::string_view id, const accounts::Model* model) {
    ApiChoice choice;
    const auto add = [&choice](Api api) { choice.apis[choice.count++] = api; };
    const Family& family = family_of(id);
    if (model != nullptr) {
        using accounts::Endpoint;
        const bool responses = model->offers(Endpoint::responses);
        if (model->offers(Endpoint::chat)) {
            add(Api::chat);
        }
        if (model->offers(Endpoint::messages)) {
            add(Api::messages);
        }
        if (responses || (choice.count == 0 && model->offers(Endpoint::responses_ws))) {
            add(Api::responses);
        }
    } else if (family.responses_first) {
        add(Api::responses);
        add(Api::chat);
    } else {
        add(Api::chat);
        add(family.claude ? Api::messages : Api::responses);
    }
    if (choice.count == 0) {
        add(Api::chat);
    }
    return choice;
}

uint32_t tool_limit(std::string_view model) {
    return starts_with(model, "grok-4.5") ? kGrokToolLimit : kToolLimit;
}

}  // namespace belay::providers

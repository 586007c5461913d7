#include "providers/params.h"

#include <algorithm>

#include "wire/json.h"

namespace belay::providers {

namespace {

using Raw = protocols::ChatEdits::Raw;

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

const Raw* find(const std::vector<Raw>& members, std::string_view name) {
    for (const Raw& member : members) {
        if (member.first == name) {
            return &member;
        }
    }
    return nullptr;
}

void erase(std::vector<Raw>& members, std::string_view name) {
    std::erase_if(members, [name](const Raw& member) { return member.first == name; });
}

// A value that asks for what happens anyway.
bool is_neutral(std::string_view name, std::string_view raw) {
    if (raw == "null") {
        return true;
    }
    if (name == "temperature" || name == "top_p") {
        return raw == "1" || raw == "1.0";
    }
    if (name == "n") {
        return raw == "1";
    }
    if (name == "presence_penalty" || name == "frequency_penalty") {
        return raw == "0" || raw == "0.0";
    }
    return (name == "logprobs" && raw == "false") || (name == "logit_bias" && raw == "{}");
}

Error unsupported(const Job& job, const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) {
        list += (list.empty() ? "'" : ", '") + name + "'";
    }
    Error error =
        caller_error(Kind::invalid_request,
                     "litellm.UnsupportedParamsError: " + job.deployment.provider +
                         " does not support parameters: [" + list +
                         "], for model=" + std::string(job.upstream_model) +
                         ". Set `drop_params: true` to have them left out, or name them in "
                         "`allowed_openai_params` to have them sent.",
                     names.front());
    return error;
}

}  // namespace

std::vector<std::string> chat_members_of(std::string_view path) {
    struct Row {
        std::string_view path;  // this, or a member below it
        std::vector<std::string> members;
    };
    static const Row kRows[] = {
        {"max_output_tokens", {"max_tokens", "max_completion_tokens"}},
        {"reasoning", {"reasoning_effort", "reasoning"}},
        {"text.format", {"response_format"}},
        {"text.verbosity", {"verbosity"}},
        {"output_config.format", {"response_format"}},
        {"output_config", {"reasoning_effort", "thinking"}},
        {"thinking", {"reasoning_effort", "thinking"}},
        {"stop_sequences", {"stop"}},
        {"metadata.user_id", {"user"}},
        {"anthropic-beta", {}},
        {"messages[*].content[type=thinking]",
         {"messages[*].thinking_blocks", "messages[*].reasoning_content",
          "messages[*].reasoning_opaque"}},
        {"tools[*].strict", {"tools[*].function.strict"}},
    };
    if (path.find("cache_control") != std::string_view::npos) {
        return {"cache_control", "messages[*].cache_control",
                "messages[*].content[*].cache_control", "tools[*].cache_control",
                "tools[*].function.cache_control"};
    }
    for (const Row& row : kRows) {
        const std::string_view rest = path.substr(0, row.path.size()) == row.path
                                          ? path.substr(row.path.size())
                                          : std::string_view("x");
        if (rest.empty() || rest.front() == '.') {
            return row.members;
        }
    }
    return {std::string(path)};
}

Params::Params(const Job& job, protocols::ChatEdits& edits, std::vector<std::string>& warnings)
    : job_(job), edits_(edits), warnings_(warnings) {
    const auto& controls = job.facts.controls;
    for (const auto* list :
         {&job.deployment.additional_drop_params, &controls.additional_drop_params}) {
        edits_.drop.insert(edits_.drop.end(), list->begin(), list->end());
    }
    for (const std::string& path : job.adjust.strip) {
        const std::vector<std::string> members = chat_members_of(path);
        edits_.drop.insert(edits_.drop.end(), members.begin(), members.end());
    }
    edits_.rename.insert(edits_.rename.end(), job.adjust.rename.begin(), job.adjust.rename.end());
    for (const auto& member : job.facts.members) {
        note_name(member.name);
    }
    add_overrides();
    add_defaults();
}

void Params::add_overrides() {
    if (job_.overrides == nullptr) {
        return;
    }
    for (const auto& [key, value] : job_.overrides->members()) {
        if (key != "model" && !protocols::is_control_key(key)) {
            note_name(key);
            edits_.overrides.emplace_back(key, json::dump(value));
        }
    }
}

// max_tokens has two names; a default in one must not stand beside the client's other.
void Params::add_defaults() {
    for (const auto& [key, value] : job_.deployment.defaults.members()) {
        const std::string_view twin = key == "max_tokens"              ? "max_completion_tokens"
                                      : key == "max_completion_tokens" ? "max_tokens"
                                                                       : std::string_view{};
        if (key != "model" && !has(key) && (twin.empty() || !has(twin))) {
            note_name(key);
            edits_.defaults.emplace_back(key, json::dump(value));
        }
    }
}

std::string_view Params::raw(std::string_view name) const {
    if ((maybe_ & bit_of(name)) == 0 || is_dropped(name)) {
        return {};
    }
    if (const Raw* member = find(edits_.overrides, name)) {
        return member->second;
    }
    if (const auto* member = job_.facts.find(name)) {
        return member->item.value.of(job_.body);
    }
    if (const Raw* member = find(edits_.defaults, name)) {
        return member->second;
    }
    return {};
}

void Params::refuse(std::string_view name) {
    if (!has(name) || is_allowed(name)) {
        return;
    }
    // A default of the operator's for a model that does not take it is no fault of the caller.
    if (is_neutral(name, raw(name)) || find(edits_.defaults, name) != nullptr) {
        drop(name);
        return;
    }
    refused_.emplace_back(name);
}

void Params::drop(std::string_view name, std::string_view why) {
    if (!has(name)) {
        return;
    }
    if (!why.empty()) {
        warnings_.push_back("dropped " + std::string(name) + ": " + std::string(why));
    }
    forget(name);
}

void Params::forget(std::string_view name) {
    erase(edits_.overrides, name);
    erase(edits_.defaults, name);
    if (job_.facts.find(name) != nullptr && !is_dropped(name)) {
        edits_.drop.emplace_back(name);
    }
}

void Params::rename(std::string_view from, std::string_view to) {
    if (!has(from)) {
        return;
    }
    for (std::vector<Raw>* members : {&edits_.overrides, &edits_.defaults}) {
        for (Raw& member : *members) {
            if (member.first == from) {
                member.first = to;
                note_name(to);
            }
        }
    }
    edits_.rename.emplace_back(from, to);
}

void Params::replace(std::string_view name, std::string value, std::string_view why) {
    note_name(name);
    if (!why.empty()) {
        warnings_.push_back("changed " + std::string(name) + " to " + value + ": " +
                            std::string(why));
    }
    erase(edits_.defaults, name);
    erase(edits_.overrides, name);
    edits_.overrides.emplace_back(name, std::move(value));
}

void Params::default_to(std::string_view name, std::string value) {
    note_name(name);
    if (!has(name) && !is_dropped(name)) {
        edits_.defaults.emplace_back(name, std::move(value));
    }
}

bool Params::drops_unsupported() const {
    // A model that the client did not ask for must not fail on what was meant for another.
    if (job_.repeat) {
        return true;
    }
    if (job_.facts.controls.drop_params) {
        return *job_.facts.controls.drop_params;
    }
    return job_.deployment.drop_params.value_or(job_.drop_params);
}

bool Params::is_allowed(std::string_view name) const {
    return contains(job_.deployment.allowed_openai_params, name) ||
           contains(job_.facts.controls.allowed_openai_params, name);
}

bool Params::is_dropped(std::string_view name) const { return contains(edits_.drop, name); }

Result<void> Params::settle() {
    if (refused_.empty()) {
        return {};
    }
    if (!drops_unsupported()) {
        return unsupported(job_, refused_);
    }
    for (const std::string& name : refused_) {
        drop(name, "the model does not support it");
    }
    return {};
}

}  // namespace belay::providers

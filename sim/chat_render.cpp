#include "sim/chat_render.h"

namespace belay::sim {
namespace {

json::Value safe_results() {
    json::Value v = json::Value::object({});
    for (const char* category : {"hate", "self_harm", "sexual", "violence"}) {
        v.set(category, json::Value::object({{"filtered", false}, {"severity", "safe"}}));
    }
    return v;
}

json::Value filter_results(bool filtered) {
    json::Value v = safe_results();
    if (filtered) {
        v.set("violence", json::Value::object({{"filtered", true}, {"severity", "high"}}));
    }
    return v;
}

json::Value prompt_filter_results(bool filtered) {
    return json::Value::array({json::Value::object(
        {{"prompt_index", 0}, {"content_filter_results", filter_results(filtered)}})});
}

json::Value usage_object(const Usage& u, Family family) {
    json::Value v = json::Value::object({{"completion_tokens", u.output},
                                         {"prompt_tokens", u.prompt()},
                                         {"total_tokens", u.prompt() + u.output}});
    json::Value details = json::Value::object({{"cached_tokens", u.cached}});
    if (u.cache_write != 0) {
        details.set("cache_creation_tokens", u.cache_write);
    }
    v.set("prompt_tokens_details", std::move(details));
    if (family == Family::gpt) {
        v.set("completion_tokens_details",
              json::Value::object({{"accepted_prediction_tokens", 0},
                                   {"rejected_prediction_tokens", 0},
                                   {"reasoning_tokens", u.reasoning}}));
    } else if (family == Family::gemini) {
        v.set("reasoning_tokens", u.reasoning);
    }
    return v;
}

std::string call_id(Call& call) {
    if (call.model->family == Family::claude) {
        static constexpr std::string_view kPrefixes[] = {"tooluse_", "toolu_vrtx_", "toolu_bdrk_",
                                                         "toolu_"};
        return std::string(kPrefixes[call.random.next() % 4]) + call.random.alnum(22);
    }
    return "call_" + call.random.alnum(24);
}

std::string_view finish_name(const Quirks& quirks, Finish finish) {
    switch (finish) {
        case Finish::stop:
            return "stop";
        case Finish::length:
            return "length";
        case Finish::tool_calls:
            return quirks.stop_with_tools ? "stop" : "tool_calls";
        case Finish::content_filter:
            return "content_filter";
    }
    return "stop";
}

// What is fixed for all of one answer.
struct Frame {
    std::string id;
    std::string model;
    std::string fingerprint;
    int64_t created = 0;
};

Frame make_frame(Call& call) {
    Frame f;
    const bool gpt = call.model->family == Family::gpt;
    f.id = gpt ? "chatcmpl-" + call.random.alnum(29) : call.random.uuid();
    f.model = call.model->served_as;
    f.fingerprint = gpt ? "fp_" + call.random.hex(10) : "";
    f.created = unix_seconds(call.now);
    return f;
}

// ---- plain ------------------------------------------------------------------------------------

json::Value tool_call_object(Call& call, const ToolCall& tool) {
    return json::Value::object(
        {{"id", call_id(call)},
         {"type", "function"},
         {"function", json::Value::object({{"name", tool.name}, {"arguments", tool.arguments}})}});
}

json::Value plain_choice(const Call& call, json::Value message, Finish finish, int64_t index) {
    const Quirks& q = call.quirks;
    json::Value choice = json::Value::object({});
    if (!q.no_index) {
        choice.set("index", index);
    }
    if (!q.no_finish) {
        choice.set("finish_reason", finish_name(q, finish));
    }
    choice.set("message", std::move(message));
    if (q.content_filter) {
        choice.set("content_filter_results", filter_results(finish == Finish::content_filter));
    }
    return choice;
}

void add_reasoning(const Call& call, const Answer& answer, json::Value& message) {
    if (!answer.reasoning.empty()) {
        message.set("reasoning_text", answer.reasoning);
        message.set("reasoning_opaque", make_signature(call.state, answer.reasoning));
    }
}

json::Value plain_choices(Call& call, const Answer& answer) {
    json::Value choices = json::Value::array();
    json::Value message = json::Value::object({{"role", "assistant"}});
    const bool split = call.quirks.split_choices && !answer.calls.empty();
    message.set("content", answer.text.empty() && !answer.calls.empty() ? json::Value()
                                                                        : json::Value(answer.text));
    add_reasoning(call, answer, message);
    if (!split) {
        for (const auto& tool : answer.calls) {
            json::Value& calls = message.has("tool_calls")
                                     ? *message.find("tool_calls")
                                     : message.set("tool_calls", json::Array{});
            calls.push(tool_call_object(call, tool));
        }
        choices.push(plain_choice(call, std::move(message), answer.finish, 0));
        return choices;
    }
    choices.push(plain_choice(call, std::move(message), answer.finish, 0));
    for (const auto& tool : answer.calls) {
        json::Value part = json::Value::object({{"role", "assistant"}});
        part.set("tool_calls", json::Value::array({tool_call_object(call, tool)}));
        choices.push(plain_choice(call, std::move(part), answer.finish,
                                  static_cast<int64_t>(choices.size())));
    }
    return choices;
}

Reply render_plain(Call& call, const Answer& answer) {
    const Quirks& q = call.quirks;
    const Frame f = make_frame(call);
    json::Value v = json::Value::object({});
    v.set("choices", q.empty_choices ? json::Value::array() : plain_choices(call, answer));
    v.set("created", f.created);
    v.set("id", f.id);
    v.set("model", q.human_model ? call.model->name : f.model);
    if (!q.no_object) {
        v.set("object", "chat.completion");
    }
    if (!f.fingerprint.empty()) {
        v.set("system_fingerprint", f.fingerprint);
    }
    if (q.prompt_filter) {
        v.set("prompt_filter_results", prompt_filter_results(q.prompt_filtered));
    }
    if (!q.no_usage) {
        v.set("usage", usage_object(answer.usage, call.model->family));
        if (auto cost = render_copilot_usage(call.account->spec, *call.model, answer.usage);
            !cost.is_null()) {
            v.set("copilot_usage", std::move(cost));
        }
    }
    return json_reply(200, v);
}

// ---- stream -----------------------------------------------------------------------------------

class ChatStream {
  public:
    ChatStream(Call& call, const Answer& answer)
        : call_(call),
          quirks_(call.quirks),
          answer_(answer),
          frame_(make_frame(call)),
          reply_(stream_reply()) {}

    Reply render() {
        open();
        reason();
        for (const auto& piece : split_words(answer_.text)) {
            push(chunk(text_delta(piece)), Stage::content);
        }
        if (quirks_.whole_tool_calls) {
            whole_calls();
        } else {
            for (size_t i = 0; i < answer_.calls.size(); ++i) {
                fragmented_call(answer_.calls[i], quirks_.reuse_tool_index ? 0 : i);
            }
        }
        finish();
        return std::move(reply_);
    }

  private:
    void push(const json::Value& chunk, Stage stage) {
        std::string bytes = "data: ";
        json::write(bytes, chunk);
        bytes += "\n\n";
        reply_.parts.push_back({std::move(bytes), milliseconds(0), Cut::none, stage});
    }

    // The choice of one delta, without finish_reason.
    json::Value choice(json::Value delta) const {
        json::Value c = json::Value::object({{"index", 0}});
        if (quirks_.content_filter) {
            c.set("content_filter_results", json::Value::object({}));
        }
        c.set("delta", std::move(delta));
        return c;
    }

    json::Value wrap(json::Value choices) const {
        json::Value v = json::Value::object({{"choices", std::move(choices)}});
        v.set("created", frame_.created);
        v.set("id", quirks_.empty_ids ? "" : frame_.id);
        if (quirks_.empty_ids) {
            v.set("object", "");
        } else if (!quirks_.no_object && call_.model->family == Family::gpt) {
            v.set("object", "chat.completion.chunk");
        }
        v.set("model", quirks_.empty_ids ? "" : frame_.model);
        if (!frame_.fingerprint.empty()) {
            v.set("system_fingerprint", frame_.fingerprint);
        }
        return v;
    }

    json::Value chunk(json::Value delta) const {
        json::Value v = wrap(json::Value::array({choice(std::move(delta))}));
        if (quirks_.usage_zero) {
            v.set("usage", usage_object({}, call_.model->family));
        } else if (quirks_.usage_null) {
            v.set("usage", nullptr);
        }
        return v;
    }

    void set_role(json::Value& delta, bool first) const {
        if (first || quirks_.role_repeated) {
            delta.set("role", "assistant");
        } else if (quirks_.role_null) {
            delta.set("role", nullptr);
        }
    }

    json::Value text_delta(std::string_view text) const {
        json::Value delta = json::Value::object({{"content", std::string(text)}});
        set_role(delta, false);
        return delta;
    }

    void open() {
        if (quirks_.prompt_filter) {
            json::Value first = json::Value::object({{"choices", json::Value::array()},
                                                     {"created", 0},
                                                     {"id", ""},
                                                     {"model", ""},
                                                     {"object", ""}});
            first.set("prompt_filter_results", prompt_filter_results(quirks_.prompt_filtered));
            push(first, Stage::handshake);
        }
        if (quirks_.null_choices) {
            json::Value extra = json::Value::object({{"choices", nullptr}});
            extra.set("copilot_references", json::Value::array());
            push(extra, Stage::handshake);
        }
        json::Value delta = json::Value::object({{"content", ""}});
        if (call_.model->family == Family::gemini) {
            delta.set("content", nullptr);
        }
        set_role(delta, true);
        push(chunk(std::move(delta)), Stage::handshake);
    }

    void reason() {
        if (answer_.reasoning.empty()) {
            return;
        }
        for (const auto& piece : split_words(answer_.reasoning, 8)) {
            json::Value delta = json::Value::object({{"content", nullptr}});
            set_role(delta, false);
            delta.set("reasoning_text", piece);
            push(chunk(std::move(delta)), Stage::content);
        }
        if (call_.model->family == Family::claude) {
            json::Value delta = json::Value::object({{"content", nullptr}});
            delta.set("reasoning_opaque", make_signature(call_.state, answer_.reasoning));
            push(chunk(std::move(delta)), Stage::content);
        }
    }

    void push_call(json::Value fragment) {
        json::Value delta = json::Value::object({{"content", nullptr}});
        if (quirks_.role_null) {
            delta.set("role", nullptr);
        }
        delta.set("tool_calls", json::Value::array({std::move(fragment)}));
        push(chunk(std::move(delta)), Stage::content);
    }

    void fragmented_call(const ToolCall& tool, size_t index) {
        const int64_t at = static_cast<int64_t>(index);
        json::Value function = json::Value::object({{"name", tool.name}});
        if (!quirks_.name_first) {
            function.set("arguments", "");
        }
        push_call(json::Value::object({{"function", std::move(function)},
                                       {"id", call_id(call_)},
                                       {"index", at},
                                       {"type", "function"}}));
        auto pieces = split_even(tool.arguments, 3);
        if (quirks_.name_first) {
            pieces.insert(pieces.begin(), "");
        }
        if (quirks_.whitespace_arguments) {
            pieces.resize(1);
            pieces.insert(pieces.end(), 40, std::string(40, ' '));
        }
        for (const auto& piece : pieces) {
            json::Value fragment = json::Value::object(
                {{"function", json::Value::object({{"arguments", piece}})}, {"index", at}});
            if (quirks_.name_first) {
                fragment.set("type", "function");
            }
            push_call(std::move(fragment));
        }
    }

    // Gemini: each call in one piece; the last one rides on the finishing chunk.
    void whole_calls() {
        for (size_t i = 0; i + 1 < answer_.calls.size(); ++i) {
            push_call(whole_call(i));
        }
    }

    json::Value whole_call(size_t i) {
        const ToolCall& tool = answer_.calls[i];
        return json::Value::object(
            {{"function",
              json::Value::object({{"arguments", tool.arguments}, {"name", tool.name}})},
             {"id", call_id(call_)},
             {"index", static_cast<int64_t>(quirks_.reuse_tool_index ? 0 : i)},
             {"type", "function"}});
    }

    json::Value last_delta() {
        json::Value delta = json::Value::object({{"content", nullptr}});
        set_role(delta, false);
        if (quirks_.whole_tool_calls && !answer_.calls.empty()) {
            delta.set("tool_calls", json::Value::array({whole_call(answer_.calls.size() - 1)}));
        }
        if (!answer_.reasoning.empty() && call_.model->family != Family::claude) {
            delta.set("reasoning_opaque", make_signature(call_.state, answer_.reasoning));
        }
        if (quirks_.output_filtered) {
            delta.set("copilot_annotations",
                      json::Value::object({{"TextCopyright", json::Value::array()}}));
        }
        return delta;
    }

    void add_usage(json::Value& v) const {
        if (quirks_.no_usage) {
            v.erase("usage");
            return;
        }
        v.set("usage", usage_object(answer_.usage, call_.model->family));
        if (auto cost = render_copilot_usage(call_.account->spec, *call_.model, answer_.usage);
            !cost.is_null()) {
            v.set("copilot_usage", std::move(cost));
        }
    }

    void finish() {
        const bool carries_call = quirks_.whole_tool_calls && !answer_.calls.empty();
        if (!quirks_.no_finish || carries_call) {
            json::Value last = chunk(last_delta());
            if (!quirks_.no_finish) {
                last.find("choices")->items()[0].set("finish_reason",
                                                     finish_name(quirks_, answer_.finish));
            }
            if (!quirks_.usage_separate) {
                add_usage(last);
            }
            push(last, Stage::finish);
        }
        if (quirks_.usage_separate && !quirks_.no_usage) {
            json::Value usage = wrap(json::Value::array());
            add_usage(usage);
            push(usage, Stage::finish);
        }
        if (quirks_.late_cot_id) {
            json::Value delta = json::Value::object({{"content", nullptr}});
            delta.set("cot_id", "cot_" + call_.random.hex(16));
            push(chunk(std::move(delta)), Stage::finish);
        }
        if (!quirks_.no_done) {
            reply_.parts.push_back({"data: [DONE]\n\n", milliseconds(0), Cut::none, Stage::done});
        }
    }

    Call& call_;
    const Quirks& quirks_;
    const Answer& answer_;
    Frame frame_;
    Reply reply_;
};

}  // namespace

Reply render_chat(Call& call, const Ask& ask, const Answer& answer) {
    return ask.stream ? ChatStream(call, answer).render() : render_plain(call, answer);
}

}  // namespace belay::sim

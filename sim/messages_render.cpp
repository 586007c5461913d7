#include "sim/messages_render.h"

#include <algorithm>

namespace belay::sim {
namespace {

std::string dashed(std::string id) {
    std::replace(id.begin(), id.end(), '.', '-');
    return id;
}

std::string message_id(Random& random) {
    static constexpr std::string_view kPrefixes[] = {"msg_", "msg_vrtx_", "msg_bdrk_"};
    return std::string(kPrefixes[random.next() % 3]) + random.alnum(24);
}

std::string tool_id(Random& random) {
    static constexpr std::string_view kPrefixes[] = {"toolu_", "toolu_vrtx_", "toolu_bdrk_"};
    return std::string(kPrefixes[random.next() % 3]) + random.alnum(24);
}

std::string_view stop_reason(const Answer& answer) {
    switch (answer.finish) {
        case Finish::stop:
            return answer.stopped_by.empty() ? "end_turn" : "stop_sequence";
        case Finish::length:
            return "max_tokens";
        case Finish::tool_calls:
            return "tool_use";
        case Finish::content_filter:
            return "refusal";
    }
    return "end_turn";
}

json::Value stop_sequence(const Answer& answer) {
    return answer.stopped_by.empty() ? json::Value() : json::Value(answer.stopped_by);
}

json::Value usage_object(const Usage& u, int64_t output) {
    return json::Value::object({{"input_tokens", u.input},
                                {"cache_creation_input_tokens", u.cache_write},
                                {"cache_read_input_tokens", u.cached},
                                {"output_tokens", output}});
}

json::Value message_object(Call& call, const Answer& answer, json::Value content, bool whole) {
    json::Value v = json::Value::object({{"id", message_id(call.random)},
                                         {"type", "message"},
                                         {"role", "assistant"},
                                         {"model", dashed(call.model->id)}});
    v.set("content", std::move(content));
    v.set("stop_reason", whole ? json::Value(stop_reason(answer)) : json::Value());
    v.set("stop_sequence", whole ? stop_sequence(answer) : json::Value());
    v.set("usage", usage_object(answer.usage, whole ? answer.usage.output : 1));
    return v;
}

json::Value parsed_arguments(const ToolCall& call) {
    auto parsed = json::parse(call.arguments);
    return parsed.ok() ? std::move(*parsed) : json::Value::object({});
}

json::Value cost(const Call& call, const Answer& answer) {
    return render_copilot_usage(call.account->spec, *call.model, answer.usage);
}

Reply render_plain(Call& call, const Answer& answer) {
    json::Value content = json::Value::array();
    if (!answer.reasoning.empty()) {
        content.push(
            json::Value::object({{"type", "thinking"},
                                 {"thinking", answer.reasoning},
                                 {"signature", make_signature(call.state, answer.reasoning)}}));
    }
    if (!answer.text.empty()) {
        content.push(json::Value::object({{"type", "text"}, {"text", answer.text}}));
    }
    for (const auto& tool : answer.calls) {
        content.push(json::Value::object({{"type", "tool_use"},
                                          {"id", tool_id(call.random)},
                                          {"name", tool.name},
                                          {"input", parsed_arguments(tool)}}));
    }
    json::Value v = message_object(call, answer, std::move(content), true);
    if (json::Value c = cost(call, answer); !c.is_null()) {
        v.set("copilot_usage", std::move(c));
    }
    return json_reply(200, v);
}

class MessageStream {
  public:
    MessageStream(Call& call, const Answer& answer)
        : call_(call), answer_(answer), reply_(stream_reply()) {}

    Reply render() {
        emit("message_start",
             json::Value::object(
                 {{"message", message_object(call_, answer_, json::Value::array(), false)}}),
             Stage::handshake);
        emit("ping", json::Value::object({}), Stage::handshake);
        if (!answer_.reasoning.empty()) {
            thinking();
        }
        if (!answer_.text.empty()) {
            text();
        }
        for (const auto& tool : answer_.calls) {
            tool_use(tool);
        }
        finish();
        return std::move(reply_);
    }

  private:
    void emit(std::string_view type, json::Value event, Stage stage) {
        started_ |= stage == Stage::content;
        stage = stage == Stage::handshake && started_ ? Stage::content : stage;
        json::Value v = json::Value::object({{"type", std::string(type)}});
        for (auto& member : event.members()) {
            v.set(member.key, std::move(member.value));
        }
        std::string bytes = "event: " + std::string(type) + "\ndata: ";
        json::write(bytes, v);
        bytes += "\n\n";
        reply_.parts.push_back({std::move(bytes), milliseconds(0), Cut::none, stage});
    }

    void start(json::Value block) {
        emit("content_block_start",
             json::Value::object({{"index", index_}, {"content_block", std::move(block)}}),
             Stage::handshake);
    }

    void delta(json::Value d) {
        emit("content_block_delta",
             json::Value::object({{"index", index_}, {"delta", std::move(d)}}), Stage::content);
    }

    void stop() {
        emit("content_block_stop", json::Value::object({{"index", index_}}), Stage::handshake);
        ++index_;
    }

    void thinking() {
        start(json::Value::object({{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}));
        for (const auto& piece : split_words(answer_.reasoning, 6)) {
            delta(json::Value::object({{"type", "thinking_delta"}, {"thinking", piece}}));
        }
        delta(json::Value::object({{"type", "signature_delta"},
                                   {"signature", make_signature(call_.state, answer_.reasoning)}}));
        stop();
    }

    void text() {
        start(json::Value::object({{"type", "text"}, {"text", ""}}));
        for (const auto& piece : split_words(answer_.text)) {
            delta(json::Value::object({{"type", "text_delta"}, {"text", piece}}));
        }
        stop();
    }

    void tool_use(const ToolCall& tool) {
        start(json::Value::object({{"type", "tool_use"},
                                   {"id", tool_id(call_.random)},
                                   {"name", tool.name},
                                   {"input", json::Value::object({})}}));
        auto pieces = split_even(tool.arguments, 3);
        pieces.insert(pieces.begin(), "");
        for (const auto& piece : pieces) {
            delta(json::Value::object({{"type", "input_json_delta"}, {"partial_json", piece}}));
        }
        stop();
    }

    void finish() {
        json::Value v = json::Value::object({});
        v.set("delta", json::Value::object({{"stop_reason", std::string(stop_reason(answer_))},
                                            {"stop_sequence", stop_sequence(answer_)}}));
        v.set("usage", usage_object(answer_.usage, answer_.usage.output));
        if (json::Value c = cost(call_, answer_); !c.is_null()) {
            v.set("copilot_usage", std::move(c));
        }
        emit("message_delta", std::move(v), Stage::finish);
        if (!call_.quirks.no_terminal) {
            emit("message_stop", json::Value::object({}), Stage::done);
        }
    }

    Call& call_;
    const Answer& answer_;
    Reply reply_;
    bool started_ = false;
    int64_t index_ = 0;
};

}  // namespace

Reply render_messages(Call& call, const Ask& ask, const Answer& answer) {
    return ask.stream ? MessageStream(call, answer).render() : render_plain(call, answer);
}

}  // namespace belay::sim

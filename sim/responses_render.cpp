#include "sim/responses_render.h"

namespace belay::sim {
namespace {

using Names = std::initializer_list<std::string_view>;

constexpr size_t kIdBody = 384;

std::string_view item_status(const Answer& answer) {
    return answer.finish == Finish::length ? "incomplete" : "completed";
}

// One output item before it gets its ids.
struct Item {
    enum class Kind : uint8_t { reasoning, message, call } kind;
    const ToolCall* tool = nullptr;
    std::string call_id;
    std::string stable_id;  // for stable_item_ids
};

class ResponsesWriter {
  public:
    ResponsesWriter(Call& call, const Ask& ask, const Answer& answer)
        : call_(call),
          ask_(ask),
          answer_(answer),
          reply_(stream_reply()),
          created_(unix_seconds(call.now)) {
        if (ask.think) {
            items_.push_back({Item::Kind::reasoning, nullptr, {}, "rs_" + call.random.hex(40)});
        }
        if (!answer.text.empty() || answer.calls.empty()) {
            items_.push_back({Item::Kind::message, nullptr, {}, "msg_" + call.random.hex(40)});
        }
        for (const auto& tool : answer.calls) {
            items_.push_back({Item::Kind::call, &tool, "call_" + call.random.alnum(24),
                              "fc_" + call.random.hex(40)});
        }
        response_id_ = "resp_" + call.random.hex(40);
        wants_summary_ = call.body["reasoning"].has("summary");
        for (const auto& wanted : call.body["include"].items()) {
            wants_encrypted_ |= wanted.as_string() == "reasoning.encrypted_content";
        }
    }

    Reply plain() {
        json::Value v = response(item_statuses(), true);
        if (auto cost = copilot_usage(); !cost.is_null()) {
            v.set("copilot_usage", std::move(cost));
        }
        return json_reply(200, v);
    }

    Reply stream() {
        emit("response.created", with_response("in_progress"), Stage::handshake);
        emit("response.in_progress", with_response("in_progress"), Stage::handshake);
        for (size_t i = 0; i < items_.size(); ++i) {
            index_ = static_cast<int64_t>(i);
            switch (items_[i].kind) {
                case Item::Kind::reasoning:
                    stream_reasoning(items_[i]);
                    break;
                case Item::Kind::message:
                    stream_message(items_[i]);
                    break;
                case Item::Kind::call:
                    stream_call(items_[i]);
                    break;
            }
        }
        if (!call_.quirks.no_terminal) {
            const std::string_view status = item_statuses();
            json::Value v = json::Value::object({{"response", response(status, true)}});
            if (auto cost = copilot_usage(); !cost.is_null()) {
                v.set("copilot_usage", std::move(cost));
            }
            emit("response." + std::string(status), std::move(v), Stage::finish);
        }
        return std::move(reply_);
    }

  private:
    std::string item_id(const Item& item) {
        return call_.quirks.stable_item_ids ? item.stable_id
                                            : make_item_id(call_.state, call_.random);
    }

    std::string_view item_statuses() const {
        return answer_.finish == Finish::length || answer_.finish == Finish::content_filter
                   ? "incomplete"
                   : "completed";
    }

    json::Value copilot_usage() const {
        return render_copilot_usage(call_.account->spec, *call_.model, answer_.usage);
    }

    json::Value usage() const {
        const Usage& u = answer_.usage;
        return json::Value::object(
            {{"input_tokens", u.prompt()},
             {"input_tokens_details", json::Value::object({{"cached_tokens", u.cached}})},
             {"output_tokens", u.output},
             {"output_tokens_details", json::Value::object({{"reasoning_tokens", u.reasoning}})},
             {"total_tokens", u.prompt() + u.output}});
    }

    json::Value response(std::string_view status, bool whole) {
        json::Value v = json::Value::object(
            {{"id", call_.quirks.stable_item_ids ? response_id_
                                                 : make_item_id(call_.state, call_.random)},
             {"object", "response"},
             {"created_at", created_},
             {"status", std::string(status)},
             {"error", nullptr},
             {"incomplete_details", nullptr},
             {"model", call_.model->served_as}});
        if (whole && status == "incomplete") {
            v.set("incomplete_details",
                  json::Value::object(
                      {{"reason", answer_.finish == Finish::length ? "max_output_tokens"
                                                                   : "content_filter"}}));
        }
        json::Value output = json::Value::array();
        if (whole) {
            for (const auto& item : items_) {
                output.push(whole_item(item));
            }
        }
        v.set("output", std::move(output));
        v.set("parallel_tool_calls", ask_.parallel);
        v.set("store", false);
        v.set("tools", call_.body["tools"].is_array() ? call_.body["tools"] : json::Value::array());
        v.set("usage", whole ? usage() : json::Value());
        return v;
    }

    json::Value with_response(std::string_view status) {
        return json::Value::object({{"response", response(status, false)}});
    }

    json::Value whole_item(const Item& item) {
        json::Value v = json::Value::object({{"id", item_id(item)}});
        if (item.kind == Item::Kind::reasoning) {
            v.set("type", "reasoning");
            json::Value summary = json::Value::array();
            if (wants_summary_) {
                summary.push(
                    json::Value::object({{"type", "summary_text"}, {"text", answer_.reasoning}}));
            }
            v.set("summary", std::move(summary));
            if (wants_encrypted_) {
                v.set("encrypted_content",
                      make_signature(call_.state, answer_.reasoning + answer_.text));
            }
            return v;
        }
        v.set("status", std::string(item_status(answer_)));
        if (item.kind == Item::Kind::message) {
            v.set("type", "message");
            v.set("role", "assistant");
            v.set("phase", answer_.calls.empty() ? "final_answer" : "commentary");
            v.set("content", json::Value::array({text_part(answer_.text)}));
            return v;
        }
        v.set("type", item.tool->freeform ? "custom_tool_call" : "function_call");
        v.set("call_id", item.call_id);
        v.set("name", item.tool->name);
        v.set(item.tool->freeform ? "input" : "arguments", item.tool->arguments);
        return v;
    }

    static json::Value text_part(std::string_view text) {
        return json::Value::object({{"type", "output_text"},
                                    {"text", std::string(text)},
                                    {"annotations", json::Value::array()},
                                    {"logprobs", json::Value::array()}});
    }

    void emit(std::string_view type, json::Value event, Stage stage) {
        // Everything between the first content and the terminal event is content for fault
        // placement.
        started_ |= stage == Stage::content;
        stage = stage == Stage::handshake && started_ ? Stage::content : stage;
        event.set("type", std::string(type));
        event.set("sequence_number", sequence_++);
        std::string bytes = "event: " + std::string(type) + "\ndata: ";
        json::write(bytes, event);
        bytes += "\n\n";
        reply_.parts.push_back({std::move(bytes), milliseconds(0), Cut::none, stage});
    }

    json::Value at_item(const Item& item) {
        return json::Value::object({{"item_id", item_id(item)}, {"output_index", index_}});
    }

    void added(const Item& item) {
        json::Value bare = whole_item(item);
        if (item.kind == Item::Kind::message) {
            bare.set("content", json::Value::array());
        } else if (item.kind == Item::Kind::reasoning) {
            bare.set("summary", json::Value::array());
        } else {
            bare.set(item.tool->freeform ? "input" : "arguments", "");
        }
        if (bare.has("status")) {
            bare.set("status", "in_progress");
        }
        emit("response.output_item.added",
             json::Value::object({{"output_index", index_}, {"item", std::move(bare)}}),
             Stage::handshake);
    }

    void done(const Item& item) {
        emit("response.output_item.done",
             json::Value::object({{"output_index", index_}, {"item", whole_item(item)}}),
             Stage::handshake);
    }

    void delta(std::string_view type, const Item& item, std::string_view text, Names extra) {
        json::Value v = at_item(item);
        for (const auto name : extra) {
            v.set(name, 0);
        }
        v.set("delta", std::string(text));
        v.set("obfuscation", call_.random.alnum(1 + call_.random.next() % 12));
        emit(type, std::move(v), Stage::content);
    }

    void stream_reasoning(const Item& item) {
        added(item);
        if (wants_summary_ && !call_.quirks.summary_late) {
            json::Value part = at_item(item);
            part.set("summary_index", 0);
            part.set("part", json::Value::object({{"type", "summary_text"}, {"text", ""}}));
            emit("response.reasoning_summary_part.added", part, Stage::handshake);
            for (const auto& piece : split_words(answer_.reasoning, 6)) {
                delta("response.reasoning_summary_text.delta", item, piece, {"summary_index"});
            }
            json::Value text = at_item(item);
            text.set("summary_index", 0);
            text.set("text", answer_.reasoning);
            emit("response.reasoning_summary_text.done", text, Stage::handshake);
            part = at_item(item);
            part.set("summary_index", 0);
            part.set("part",
                     json::Value::object({{"type", "summary_text"}, {"text", answer_.reasoning}}));
            emit("response.reasoning_summary_part.done", part, Stage::handshake);
        }
        done(item);
    }

    void stream_message(const Item& item) {
        added(item);
        json::Value part = at_item(item);
        part.set("content_index", 0);
        part.set("part", text_part(""));
        emit("response.content_part.added", part, Stage::handshake);
        for (const auto& piece : split_words(answer_.text)) {
            json::Value v = at_item(item);
            v.set("content_index", 0);
            v.set("delta", piece);
            v.set("logprobs", json::Value::array());
            v.set("obfuscation", call_.random.alnum(1 + call_.random.next() % 12));
            emit("response.output_text.delta", std::move(v), Stage::content);
        }
        json::Value text = at_item(item);
        text.set("content_index", 0);
        text.set("text", answer_.text);
        text.set("logprobs", json::Value::array());
        emit("response.output_text.done", text, Stage::handshake);
        part = at_item(item);
        part.set("content_index", 0);
        part.set("part", text_part(answer_.text));
        emit("response.content_part.done", part, Stage::handshake);
        done(item);
    }

    void stream_call(const Item& item) {
        added(item);
        const std::string kind = item.tool->freeform ? "response.custom_tool_call_input"
                                                     : "response.function_call_arguments";
        for (const auto& piece : split_even(item.tool->arguments, 3)) {
            delta(kind + ".delta", item, piece, {});
        }
        json::Value v = at_item(item);
        v.set(item.tool->freeform ? "input" : "arguments", item.tool->arguments);
        emit(kind + ".done", std::move(v), Stage::handshake);
        done(item);
    }

    Call& call_;
    const Ask& ask_;
    const Answer& answer_;
    Reply reply_;
    int64_t created_;
    std::string response_id_;
    std::vector<Item> items_;
    bool wants_summary_ = false;
    bool wants_encrypted_ = false;
    bool started_ = false;
    int64_t sequence_ = 0;
    int64_t index_ = 0;
};

}  // namespace

std::string make_item_id(const State& state, Random& random) {
    std::string body = random.base64(kIdBody);
    return body + hex64(keyed_hash(state.key("item"), body));
}

bool is_item_id(const State& state, std::string_view id) {
    return id.size() == kIdBody + 16 &&
           id.substr(kIdBody) == hex64(keyed_hash(state.key("item"), id.substr(0, kIdBody)));
}

Reply render_responses(Call& call, const Ask& ask, const Answer& answer) {
    ResponsesWriter writer(call, ask, answer);
    return ask.stream ? writer.stream() : writer.plain();
}

}  // namespace belay::sim

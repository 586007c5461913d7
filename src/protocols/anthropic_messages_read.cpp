// The reply half of anthropic_messages.h.
#include <map>

#include "protocols/anthropic_messages.h"
#include "protocols/usage_json.h"

namespace belay::protocols {
namespace {

using chat::Event;
using json::Value;

constexpr size_t kBlocksMax = 4096;

Event event_of(Event::What what, std::string_view text = {}) {
    Event event;
    event.what = what;
    event.text = text;
    return event;
}

chat::Finish finish_of(std::string_view reason, bool called) {
    if (reason == "tool_use") {
        return chat::Finish::tool_calls;
    }
    if (reason == "max_tokens" || reason == "model_context_window_exceeded") {
        return chat::Finish::length;
    }
    if (reason == "refusal") {
        return chat::Finish::content_filter;
    }
    return called ? chat::Finish::tool_calls : chat::Finish::stop;
}

struct Block {
    enum class What : uint8_t { other, text, thinking, redacted, tool };
    What what = What::other;
    size_t call = 0;
    std::string thought, signature;
    bool has_input = false;
};

class MessagesReader final : public EventReader {
  public:
    void read(std::string_view name, const Value& data, std::vector<Event>& out) override;
    bool read_plain(const Value& body, std::vector<Event>& out) override;
    bool done() const override { return done_; }

  private:
    void start(const Value& message, std::vector<Event>& out);
    void start_block(int64_t index, const Value& content, std::vector<Event>& out);
    void add_delta(int64_t index, const Value& delta, std::vector<Event>& out);
    void stop_block(int64_t index, std::vector<Event>& out);
    void merge_usage(const Value& usage, const Value& bill);
    void tell_usage(std::vector<Event>& out);
    void on_message_delta(const Value& data, std::vector<Event>& out);
    void on_stop(std::vector<Event>& out);

    std::map<int64_t, Block> blocks_;
    Value usage_ = Value::object();
    Value bill_;
    std::string stop_reason_;
    size_t calls_ = 0;
    bool done_ = false;
};

void MessagesReader::read(std::string_view name, const Value& data, std::vector<Event>& out) {
    std::string_view type = data["type"].as_string(name);
    if (done_) {
        return;
    }
    if (type == "error" || name == "error" || (type.empty() && data.has("error"))) {
        out.push_back(error_event(data));
        done_ = true;
    } else if (type == "message_start") {
        start(data["message"], out);
        merge_usage(data["message"]["usage"], data["copilot_usage"]);
        tell_usage(out);  // all that is known should the stream be cut
    } else if (type == "content_block_start") {
        start_block(data["index"].as_int().value_or(0), data["content_block"], out);
    } else if (type == "content_block_delta") {
        add_delta(data["index"].as_int().value_or(0), data["delta"], out);
    } else if (type == "content_block_stop") {
        stop_block(data["index"].as_int().value_or(0), out);
    } else if (type == "message_delta") {
        on_message_delta(data, out);
    } else if (type == "message_stop") {
        merge_usage(Value(), data["copilot_usage"]);
        on_stop(out);
    }
}

bool MessagesReader::read_plain(const Value& body, std::vector<Event>& out) {
    if (body["type"].as_string() == "error" || (body.has("error") && !body.has("content"))) {
        out.push_back(error_event(body));
        return true;
    }
    if (!body["content"].is_array()) {
        return false;
    }
    start(body, out);
    int64_t index = 0;
    for (const auto& block : body["content"].items()) {
        start_block(index, block, out);
        stop_block(index++, out);
    }
    merge_usage(body["usage"], body["copilot_usage"]);
    stop_reason_ = body["stop_reason"].as_string("end_turn");
    on_stop(out);
    return true;
}

void MessagesReader::start(const Value& message, std::vector<Event>& out) {
    Event event;
    event.model = message["model"].as_string();
    out.push_back(std::move(event));
}

// In a stream a block starts empty; in a plain reply this is all of it.
void MessagesReader::start_block(int64_t index, const Value& content, std::vector<Event>& out) {
    if (blocks_.size() >= kBlocksMax) {
        return;
    }
    Block& block = blocks_[index];
    std::string_view type = content["type"].as_string();
    if (type == "text") {
        block.what = Block::What::text;
        if (std::string_view text = content["text"].as_string(); !text.empty()) {
            out.push_back(event_of(Event::What::text, text));
        }
    } else if (type == "thinking") {
        block.what = Block::What::thinking;
        block.signature = content["signature"].as_string();
        block.thought = content["thinking"].as_string();
        if (!block.thought.empty()) {
            out.push_back(event_of(Event::What::reasoning, block.thought));
        }
    } else if (type == "redacted_thinking") {
        block.what = Block::What::redacted;
        block.signature = content["data"].as_string();
    } else if (type == "tool_use") {
        block.what = Block::What::tool;
        block.call = calls_++;
        Event event = event_of(Event::What::tool_start);
        event.index = block.call;
        event.id = content["id"].as_string();
        event.name = content["name"].as_string();
        out.push_back(std::move(event));
        if (content["input"].size() > 0) {
            block.has_input = true;
            out.push_back(event_of(Event::What::tool_arguments, json::dump(content["input"])));
            out.back().index = block.call;
        }
    } else {
        out.push_back(event_of(Event::What::warning, "a content block of type \"" +
                                                         std::string(type) + "\" was left out"));
    }
}

void MessagesReader::add_delta(int64_t index, const Value& delta, std::vector<Event>& out) {
    auto at = blocks_.find(index);
    if (at == blocks_.end()) {
        return;
    }
    Block& block = at->second;
    std::string_view type = delta["type"].as_string();
    if (type == "text_delta" && block.what == Block::What::text) {
        out.push_back(event_of(Event::What::text, delta["text"].as_string()));
    } else if (type == "thinking_delta" && block.what == Block::What::thinking) {
        block.thought += delta["thinking"].as_string();
        out.push_back(event_of(Event::What::reasoning, delta["thinking"].as_string()));
    } else if (type == "signature_delta") {
        block.signature += delta["signature"].as_string();
    } else if (type == "input_json_delta" && block.what == Block::What::tool) {
        out.push_back(event_of(Event::What::tool_arguments, delta["partial_json"].as_string()));
        out.back().index = block.call;
        block.has_input |= !out.back().text.empty();
    }
    if (!out.empty() && out.back().text.empty() &&
        (out.back().what == Event::What::text || out.back().what == Event::What::reasoning ||
         out.back().what == Event::What::tool_arguments)) {
        out.pop_back();  // an empty piece says nothing
    }
}

void MessagesReader::stop_block(int64_t index, std::vector<Event>& out) {
    auto at = blocks_.find(index);
    if (at == blocks_.end()) {
        return;
    }
    Block& block = at->second;
    if (block.what == Block::What::tool) {
        if (!block.has_input) {  // a call without arguments streams none
            out.push_back(event_of(Event::What::tool_arguments, "{}"));
            out.back().index = block.call;
        }
        Event end = event_of(Event::What::tool_end);
        end.index = block.call;
        out.push_back(std::move(end));
    } else if (!block.signature.empty() &&
               (block.what == Block::What::thinking || block.what == Block::What::redacted)) {
        Event thought = event_of(Event::What::thought, block.thought);
        thought.seal = chat::Seal::messages;
        thought.proof = block.signature;
        thought.redacted = block.what == Block::What::redacted;
        out.push_back(std::move(thought));
    }
    block = Block{};
}

// Counters come in message_start and again, final, in message_delta: later ones replace earlier
// ones.
void MessagesReader::merge_usage(const Value& usage, const Value& bill) {
    for (const auto& [key, value] : usage.members()) {
        if (!value.is_null()) {
            usage_.set(key, value);
        }
    }
    if (usage["copilot_usage"].is_object()) {
        bill_ = usage["copilot_usage"];
    }
    if (bill.is_object()) {
        bill_ = bill;
    }
}

void MessagesReader::tell_usage(std::vector<Event>& out) {
    if (auto usage = read_messages_usage(usage_, bill_)) {
        Event event = event_of(Event::What::usage);
        event.usage = *usage;
        out.push_back(std::move(event));
    }
}

void MessagesReader::on_message_delta(const Value& data, std::vector<Event>& out) {
    merge_usage(data["usage"], data["copilot_usage"]);
    std::string_view reason = data["delta"]["stop_reason"].as_string();
    if (!reason.empty()) {
        stop_reason_ = reason;
        tell_usage(out);
        Event finish = event_of(Event::What::finish);
        finish.finish = finish_of(reason, calls_ > 0);
        finish.raw_finish = reason;
        out.push_back(std::move(finish));
    }
}

void MessagesReader::on_stop(std::vector<Event>& out) {
    done_ = true;
    tell_usage(out);
    Event finish = event_of(Event::What::finish);
    finish.finish = finish_of(stop_reason_, calls_ > 0);
    finish.raw_finish = stop_reason_;
    out.push_back(std::move(finish));  // the driver takes the first finish only
}

}  // namespace

std::unique_ptr<EventReader> make_messages_reader() { return std::make_unique<MessagesReader>(); }

}  // namespace belay::protocols

// The reply half of openai_responses.h: one output item at a time, known by its position.
#include <algorithm>
#include <map>

#include "protocols/openai_responses.h"
#include "protocols/usage_json.h"

namespace belay::protocols {
namespace {

using chat::Event;
using json::Value;

constexpr size_t kItemsMax = 4096;

Event event_of(Event::What what, std::string_view text = {}) {
    Event event;
    event.what = what;
    event.text = text;
    return event;
}

// What was already told of one output item, so that its `done` adds only the rest.
struct Item {
    std::string text, refusal, reasoning, arguments;
    size_t call = 0;
    bool called = false;
    bool done = false;
};

class ResponsesReader final : public EventReader {
  public:
    void read(std::string_view name, const Value& data, std::vector<Event>& out) override;
    bool read_plain(const Value& body, std::vector<Event>& out) override;
    bool done() const override { return done_; }

  private:
    void start(const Value& response, std::vector<Event>& out);
    void on_delta(std::string_view type, const Value& data, std::vector<Event>& out);
    void add_item(Item& item, const Value& value, std::vector<Event>& out);
    void finish_item(Item& item, const Value& value, std::vector<Event>& out);
    void finish_message(Item& item, const Value& value, std::vector<Event>& out);
    void finish_reasoning(Item& item, const Value& value, std::vector<Event>& out);
    void finish_call(Item& item, const Value& value, std::vector<Event>& out);
    void on_end(std::string_view type, const Value& data, std::vector<Event>& out);
    void tell_usage(const Value& data, const Value& response, std::vector<Event>& out);
    static void add_rest(std::string& told, std::string_view whole, Event::What what,
                         std::vector<Event>& out);
    Item* item_at(const Value& data);

    std::map<int64_t, Item> items_;
    size_t calls_ = 0;
    bool started_ = false;
    bool refused_ = false;
    bool done_ = false;
};

bool is_call(std::string_view type) {
    return type == "function_call" || type == "custom_tool_call";
}

std::string_view arguments_of(const Value& item) {
    return item["type"].as_string() == "custom_tool_call" ? item["input"].as_string()
                                                          : item["arguments"].as_string();
}

void ResponsesReader::read(std::string_view name, const Value& data, std::vector<Event>& out) {
    std::string_view type = data["type"].as_string(name);
    if (done_) {
        return;
    }
    if (type == "error" || (type.empty() && data.has("error"))) {
        out.push_back(error_event(data));
        done_ = true;
    } else if (type == "response.created" || type == "response.in_progress") {
        start(data["response"], out);
    } else if (type == "response.completed" || type == "response.incomplete" ||
               type == "response.failed" || type == "response.cancelled") {
        on_end(type, data, out);
    } else if (type == "response.output_item.added") {
        start(data["response"], out);
        if (Item* item = item_at(data)) {
            add_item(*item, data["item"], out);
        }
    } else if (type == "response.output_item.done") {
        if (Item* item = item_at(data)) {
            finish_item(*item, data["item"], out);
        }
    } else {
        on_delta(type, data, out);
    }
}

bool ResponsesReader::read_plain(const Value& body, std::vector<Event>& out) {
    if (body["error"].is_object() && !body["output"].is_array()) {
        out.push_back(error_event(body));
        return true;
    }
    if (!body["output"].is_array()) {
        return false;
    }
    Value terminal = Value::object();
    std::string_view status = body["status"].as_string("completed");
    terminal.set("response", body);
    start(body, out);
    on_end("response." + std::string(status), terminal, out);
    return true;
}

void ResponsesReader::start(const Value& response, std::vector<Event>& out) {
    if (!started_) {
        started_ = true;
        Event event;
        event.model = response["model"].as_string();
        out.push_back(std::move(event));
    }
}

void ResponsesReader::on_delta(std::string_view type, const Value& data, std::vector<Event>& out) {
    Item* item = item_at(data);
    if (item == nullptr) {
        return;
    }
    std::string_view delta = data["delta"].as_string();
    auto add = [&](std::string& told, Event::What what) {
        if (!delta.empty()) {
            told += delta;
            out.push_back(event_of(what, delta));
        }
    };
    if (type == "response.output_text.delta") {
        add(item->text, Event::What::text);
    } else if (type == "response.refusal.delta") {
        refused_ = true;
        add(item->refusal, Event::What::refusal);
    } else if (type == "response.reasoning_summary_text.delta" ||
               type == "response.reasoning_text.delta") {
        add(item->reasoning, Event::What::reasoning);
    } else if (type == "response.reasoning_summary_part.added" && !item->reasoning.empty()) {
        delta = "\n\n";
        add(item->reasoning, Event::What::reasoning);
    } else if (type == "response.function_call_arguments.delta" ||
               type == "response.custom_tool_call_input.delta") {
        if (item->called && !delta.empty()) {
            item->arguments += delta;
            out.push_back(event_of(Event::What::tool_arguments, delta));
            out.back().index = item->call;
        }
    }
}

void ResponsesReader::add_item(Item& item, const Value& value, std::vector<Event>& out) {
    if (!is_call(value["type"].as_string()) || item.called) {
        return;
    }
    item.called = true;
    item.call = calls_++;
    Event event = event_of(Event::What::tool_start);
    event.index = item.call;
    event.id = value["call_id"].as_string();
    event.name = value["name"].as_string();
    out.push_back(std::move(event));
}

void ResponsesReader::finish_item(Item& item, const Value& value, std::vector<Event>& out) {
    std::string_view type = value["type"].as_string();
    if (item.done) {
        return;
    }
    item.done = true;
    if (type == "message") {
        finish_message(item, value, out);
    } else if (type == "reasoning") {
        finish_reasoning(item, value, out);
    } else if (is_call(type)) {
        finish_call(item, value, out);
    } else {
        out.push_back(event_of(Event::What::warning, "an output item of type \"" +
                                                         std::string(type) + "\" was left out"));
    }
}

void ResponsesReader::finish_message(Item& item, const Value& value, std::vector<Event>& out) {
    std::string text;
    std::string refusal;
    for (const auto& part : value["content"].items()) {
        text += part["text"].as_string();
        refusal += part["refusal"].as_string();
    }
    refused_ |= !refusal.empty();
    add_rest(item.text, text, Event::What::text, out);
    add_rest(item.refusal, refusal, Event::What::refusal, out);
}

// For some models the summary comes only here.
void ResponsesReader::finish_reasoning(Item& item, const Value& value, std::vector<Event>& out) {
    std::string summary;
    for (const auto& part : value["summary"].items()) {
        summary += summary.empty() ? "" : "\n\n";
        summary += part["text"].as_string();
    }
    if (summary.empty()) {
        for (const auto& part : value["content"].items()) {
            summary += part["text"].as_string();
        }
    }
    add_rest(item.reasoning, summary, Event::What::reasoning, out);
    std::string_view proof = value["encrypted_content"].as_string();
    if (!proof.empty()) {
        Event event = event_of(Event::What::thought, item.reasoning);
        event.seal = chat::Seal::responses;
        event.proof = proof;
        out.push_back(std::move(event));
    }
}

void ResponsesReader::finish_call(Item& item, const Value& value, std::vector<Event>& out) {
    add_item(item, value, out);
    std::string_view whole = arguments_of(value);
    if (whole.size() > item.arguments.size() && whole.starts_with(item.arguments)) {
        out.push_back(event_of(Event::What::tool_arguments, whole.substr(item.arguments.size())));
        out.back().index = item.call;
        item.arguments = whole;
    }
    Event end = event_of(Event::What::tool_end);
    end.index = item.call;
    out.push_back(std::move(end));
}

// What `whole` says beyond what was told already. Texts that differ are left as they were streamed.
void ResponsesReader::add_rest(std::string& told, std::string_view whole, Event::What what,
                               std::vector<Event>& out) {
    if (whole.size() > told.size() && whole.starts_with(told)) {
        out.push_back(event_of(what, whole.substr(told.size())));
        told = whole;
    }
}

void ResponsesReader::on_end(std::string_view type, const Value& data, std::vector<Event>& out) {
    const Value& response = data["response"];
    done_ = true;
    start(response, out);
    if (type == "response.failed" || type == "response.cancelled") {
        tell_usage(data, response, out);
        const Value& error = response["error"].is_object() ? response["error"] : data["error"];
        Value told = Value::object();
        told.set("error", error);
        if (!error.is_object()) {
            told.set("error", Value::object({{"message", "The upstream ended the answer: " +
                                                             std::string(type)}}));
        }
        out.push_back(error_event(told));
        return;
    }
    int64_t index = 0;
    for (const auto& item : response["output"].items()) {
        finish_item(items_[index++], item, out);
        if (items_.size() > kItemsMax) {
            break;
        }
    }
    tell_usage(data, response, out);
    Event finish = event_of(Event::What::finish);
    std::string_view reason = response["incomplete_details"]["reason"].as_string();
    bool incomplete = type == "response.incomplete" || !reason.empty();
    finish.finish = incomplete   ? (reason == "content_filter" ? chat::Finish::content_filter
                                                               : chat::Finish::length)
                    : calls_ > 0 ? chat::Finish::tool_calls
                                 : chat::Finish::stop;
    finish.raw_finish = incomplete ? reason : response["status"].as_string("completed");
    out.push_back(std::move(finish));
}

void ResponsesReader::tell_usage(const Value& data, const Value& response,
                                 std::vector<Event>& out) {
    const Value& bill =
        response["copilot_usage"].is_object() ? response["copilot_usage"] : data["copilot_usage"];
    if (auto usage = read_responses_usage(response["usage"], bill)) {
        Event event = event_of(Event::What::usage);
        event.usage = *usage;
        out.push_back(std::move(event));
    }
}

Item* ResponsesReader::item_at(const Value& data) {
    int64_t index = data["output_index"].as_int().value_or(0);
    if (items_.size() >= kItemsMax && !items_.contains(index)) {
        return nullptr;
    }
    return &items_[index];
}

}  // namespace

std::unique_ptr<EventReader> make_responses_reader() { return std::make_unique<ResponsesReader>(); }

Event error_event(const Value& value) {
    Event event;
    event.what = Event::What::error;
    Value inner = Value::object();
    const Value& error = value["error"];
    if (error.is_object()) {
        inner = error;
    } else if (error.is_string()) {
        inner.set("message", error.as_string());
    } else {  // the members stand beside `type`
        for (const auto& [key, member] : value.members()) {
            if (key != "type" && key != "sequence_number" && key != "error") {
                inner.set(key, member);
            }
        }
    }
    Value out = Value::object();
    out.set("error", std::move(inner));
    event.text = json::dump(out);
    return event;
}

}  // namespace belay::protocols

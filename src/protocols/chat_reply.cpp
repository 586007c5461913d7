#include "protocols/chat_reply.h"

#include <algorithm>

#include "protocols/raw_text.h"
#include "protocols/usage_json.h"

namespace belay::protocols {
namespace {

using raw::append;
using raw::append_whole;
using raw::is_noise;
using raw::write_int;

struct Top {
    const Node* id = nullptr;
    const Node* created = nullptr;
    const Node* model = nullptr;
    const Node* choices = nullptr;
    const Node* usage = nullptr;
    const Node* copilot_usage = nullptr;
    const Node* error = nullptr;
    const Node* prompt_filter = nullptr;
};

bool is_top(std::string_view key) {
    return key == "id" || key == "object" || key == "created" || key == "model" ||
           key == "choices" || key == "usage" || key == "error";
}

Top read_top(const Tape& tape) {
    Top top;
    for (const Node& node : tape.children(tape.root())) {
        std::string_view key = tape.key(node);
        if (node.is_null()) {
            continue;
        }
        if (key == "choices") {
            top.choices = &node;
        } else if (key == "id") {
            top.id = &node;
        } else if (key == "created") {
            top.created = &node;
        } else if (key == "model") {
            top.model = &node;
        } else if (key == "usage") {
            top.usage = &node;
        } else if (key == "copilot_usage") {
            top.copilot_usage = &node;
        } else if (key == "error") {
            top.error = &node;
        } else if (key == "prompt_filter_results") {
            top.prompt_filter = &node;
        }
    }
    return top;
}

// A raw text that is nearly always one piece.
class Pieces {
  public:
    void add(std::string_view piece) {
        if (!any_) {
            one_ = piece;
        } else {
            if (joined_.empty()) {
                joined_ = one_;
            }
            joined_ += piece;
        }
        any_ = true;
    }
    [[nodiscard]] bool any() const { return any_; }
    [[nodiscard]] std::string_view text() const {
        return joined_.empty() ? one_ : std::string_view(joined_);
    }
    [[nodiscard]] bool empty() const { return text().empty(); }

  private:
    std::string_view one_;
    std::string joined_;
    bool any_ = false;
};

// One choice of the client's reply, put together from one or more of the upstream's. Texts are raw
// insides of JSON strings.
struct Choice {
    int64_t index = 0;
    Pieces content, reasoning, refusal;
    std::string_view finish;
    const Node* content_array = nullptr;
    std::vector<const Node*> calls, message_extra, choice_extra;
};

// Members that are not known here survive; of several choices that are one the first says it.
void keep(const Tape& tape, std::vector<const Node*>& extra, const Node& node) {
    std::string_view key = tape.key(node);
    bool said = std::any_of(extra.begin(), extra.end(),
                            [&](const Node* other) { return tape.key(*other) == key; });
    if (!node.is_null() && !is_noise(key) && !said) {
        extra.push_back(&node);
    }
}

void add_message(const Tape& tape, Choice& choice, const Node& message) {
    for (const Node& node : tape.children(message)) {
        std::string_view key = tape.key(node);
        if (key == "role") {
            continue;
        }
        if (key == "content") {
            if (node.is_text()) {
                choice.content.add(tape.inside(node));
            } else if (node.is_array()) {
                choice.content_array = &node;
            }
        } else if (key == "reasoning_text" || key == "reasoning_content") {
            choice.reasoning.add(tape.inside(node));
        } else if (key == "refusal") {
            choice.refusal.add(tape.inside(node));
        } else if (key == "tool_calls") {
            for (const Node& call : tape.children(node)) {
                if (call.is_object()) {
                    choice.calls.push_back(&call);
                }
            }
        } else {
            keep(tape, choice.message_extra, node);
        }
    }
}

class Writer {
  public:
    Writer(const Tape& tape, const ReplyOptions& options, std::string& out)
        : tape_(tape), options_(options), out_(out) {}

    void write_choice(Choice& choice) {
        if (!choice.calls.empty() && (choice.finish == "stop" || choice.finish.empty())) {
            choice.finish = "tool_calls";
        } else if (choice.calls.empty() &&
                   (choice.finish == "tool_calls" || choice.finish.empty())) {
            choice.finish = "stop";
        }
        out_ += R"({"index":)";
        write_int(out_, choice.index);
        out_ += R"(,"message":{"role":"assistant","content":)";
        write_content(choice);
        write_text("reasoning_content", choice.reasoning);
        write_text("refusal", choice.refusal);
        if (!choice.calls.empty()) {
            write_calls(choice);
        }
        write_extra(choice.message_extra);
        out_ += '}';
        write_extra(choice.choice_extra);
        out_ += R"(,"finish_reason":")";
        out_ += choice.finish;
        out_ += "\"}";
    }

  private:
    void write_content(const Choice& choice) {
        if (choice.content.any() && !(choice.content.empty() && !choice.calls.empty())) {
            out_ += '"';
            out_ += choice.content.text();
            out_ += '"';
        } else if (choice.content_array != nullptr) {
            out_ += tape_.raw(*choice.content_array);
        } else {
            out_ += "null";
        }
    }

    void write_text(std::string_view key, const Pieces& text) {
        if (!text.empty()) {
            out_ += ",\"";
            out_ += key;
            out_ += "\":\"";
            out_ += text.text();
            out_ += '"';
        }
    }

    void write_extra(const std::vector<const Node*>& extra) {
        for (const Node* node : extra) {
            out_ += ',';
            out_ += tape_.whole(*node);
        }
    }

    void write_calls(const Choice& choice) {
        out_ += R"(,"tool_calls":[)";
        for (size_t i = 0; i < choice.calls.size(); ++i) {
            out_ += i == 0 ? "" : ",";
            write_call(*choice.calls[i], i);
        }
        out_ += ']';
    }

    void write_call(const Node& call, size_t position) {
        const Node* id = tape_.find(call, "id");
        const Node* type = tape_.find(call, "type");
        const Node* function = tape_.find(call, "function");
        out_ += R"({"id":)";
        if (id != nullptr && id->has_text()) {
            out_ += tape_.raw(*id);
        } else {
            json::write_string(out_, "call_" + options_.id + "_" + std::to_string(position));
        }
        out_ += R"(,"type":)";
        out_ += type != nullptr && type->has_text() ? tape_.raw(*type) : R"("function")";
        if (function != nullptr) {
            write_function(*function);
        }
        for (const Node& node : tape_.children(call)) {
            std::string_view key = tape_.key(node);
            if (!node.is_null() && key != "id" && key != "type" && key != "function" &&
                key != "index") {
                out_ += ',';
                out_ += tape_.whole(node);
            }
        }
        out_ += '}';
    }

    void write_function(const Node& function) {
        out_ += R"(,"function":{)";
        bool arguments = false;
        for (const Node& node : tape_.children(function)) {
            if (node.is_null()) {
                continue;
            }
            bool named = tape_.key(node) == "arguments";
            arguments |= named;
            if (named && node.is_object()) {  // seen from local servers
                std::string text;
                json::write_string(text, tape_.raw(node));
                append(out_, "arguments", text);
            } else {
                append_whole(out_, tape_.whole(node));
            }
        }
        if (!arguments) {
            append(out_, "arguments", R"("{}")");
        }
        out_ += '}';
    }

    const Tape& tape_;
    const ReplyOptions& options_;
    std::string& out_;
};

// The upstream's choices put together: all of them are one unless the client asked for several.
std::vector<Choice> merge_choices(const Tape& tape, const Node& choices, int64_t wanted) {
    std::vector<Choice> out;
    for (const Node& node : tape.children(choices)) {
        const Node* index = tape.find(node, "index");
        int64_t at =
            wanted > 1 && index != nullptr ? std::max<int64_t>(0, tape.integer(*index, 0)) : 0;
        auto choice = std::find_if(out.begin(), out.end(),
                                   [&](const Choice& other) { return other.index == at; });
        if (choice == out.end()) {
            out.emplace_back().index = at;
            choice = out.end() - 1;
        }
        for (const Node& member : tape.children(node)) {
            std::string_view key = tape.key(member);
            if (key == "message" && member.is_object()) {
                add_message(tape, *choice, member);
            } else if (key == "finish_reason") {
                choice->finish = member.has_text() ? tape.inside(member) : choice->finish;
            } else if (key != "index") {
                keep(tape, choice->choice_extra, member);
            }
        }
    }
    if (out.size() > 1) {
        std::sort(out.begin(), out.end(),
                  [](const Choice& a, const Choice& b) { return a.index < b.index; });
    }
    return out;
}

std::string string_of(const Tape& tape, const Node* node) {
    std::string scratch;
    return node == nullptr ? std::string()
                           : std::string(json::string_at(tape.text(), node->value(), scratch));
}

Error no_answer(const Tape& tape, const Top& top) {
    if (top.error != nullptr) {
        return upstream_error(Kind::upstream_rejected, "The upstream answered with an error");
    }
    std::string_view filter =
        top.prompt_filter == nullptr ? std::string_view() : tape.raw(*top.prompt_filter);
    if (filter.find(R"("filtered":true)") != std::string_view::npos) {
        Error e = upstream_error(Kind::content_refused,
                                 "The upstream's content filter refused the prompt");
        e.code = "content_filter";
        return e;
    }
    return no_reply(tape.text(), "chat completion");
}

}  // namespace

Error no_reply(std::string_view body, std::string_view expected) {
    Error e = upstream_error(Kind::upstream_malformed,
                             "The upstream's answer is not a " + std::string(expected));
    e.detail = body.substr(0, 200);
    return e;
}

Result<PlainReply> mend_chat_reply(std::string_view body, const ReplyOptions& options) {
    Tape& tape = scratch_tape();
    if (!tape.read(body, Tape::Twins::ignored) || !tape.root().is_object()) {
        return no_reply(body, "chat completion");
    }
    Top top = read_top(tape);
    if (top.choices == nullptr || tape.children(*top.choices).empty()) {
        return no_answer(tape, top);
    }
    Result<PlainReply> result{PlainReply{}};
    PlainReply& reply = *result;
    reply.usage = read_chat_usage(tape, top.usage, top.copilot_usage);
    reply.upstream_model = string_of(tape, top.model);
    reply.id = string_of(tape, top.id);
    if (reply.id.empty()) {
        reply.id = options.id;
    }
    int64_t created = top.created == nullptr ? 0 : tape.integer(*top.created, 0);
    std::string& out = reply.body;
    out.reserve(body.size() + 320);
    out += R"({"id":)";
    json::write_string(out, reply.id);
    out += R"(,"object":"chat.completion","created":)";
    write_int(out, created > 0 ? created : options.created);
    out += R"(,"model":)";
    json::write_string(out, options.model.empty() ? reply.upstream_model : options.model);
    out += R"(,"choices":[)";
    std::vector<Choice> choices = merge_choices(tape, *top.choices, options.n);
    Writer writer(tape, options, out);
    for (Choice& choice : choices) {
        out += &choice == &choices.front() ? "" : ",";
        writer.write_choice(choice);
    }
    reply.finish_reason = choices.front().finish;
    out += R"(],"usage":)";
    write_chat_usage(out, reply.usage.value_or(chat::Usage{}), tape, top.usage);
    for (const Node& node : tape.children(tape.root())) {
        std::string_view key = tape.key(node);
        if (!node.is_null() && !is_top(key) && !is_noise(key)) {
            out += ',';
            out += tape.whole(node);
        }
    }
    out += '}';
    return result;
}

}  // namespace belay::protocols

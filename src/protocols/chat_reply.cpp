#include "protocols/chat_reply.h"

#include <algorithm>

#include "protocols/raw_text.h"
#include "protocols/usage_json.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
using json::Type;
using json::Walker;
using raw::is_noise;

std::string_view inside(std::string_view body, const Item& item) {
    std::string_view raw = item.value.of(body);
    return item.type == Type::string ? raw.substr(1, raw.size() - 2) : std::string_view();
}

struct Top {
    Item id, created, model, choices, usage, copilot_usage, error, prompt_filter;
    std::vector<Item> extra;
};

Top read_top(std::string_view body) {
    Top top;
    Item item;
    for (Walker walk(body, json::root(body)); walk.next(item);) {
        if (item.type == Type::null || item.key == "object") {
            continue;
        }
        if (item.key == "choices") {
            top.choices = item;
        } else if (item.key == "id") {
            top.id = item;
        } else if (item.key == "created") {
            top.created = item;
        } else if (item.key == "model") {
            top.model = item;
        } else if (item.key == "usage") {
            top.usage = item;
        } else if (item.key == "copilot_usage") {
            top.copilot_usage = item;
        } else if (item.key == "error") {
            top.error = item;
        } else if (item.key == "prompt_filter_results") {
            top.prompt_filter = item;
        } else if (!is_noise(item.key)) {
            top.extra.push_back(item);
        }
    }
    return top;
}

// One choice of the client's reply, put together from one or more of the upstream's. Texts are raw
// insides of JSON strings.
struct Choice {
    int64_t index = 0;
    std::string content, reasoning, refusal, finish;
    std::string tool_calls;                   // raw items, comma-separated
    std::string message_extra, choice_extra;  // ",\"key\":value" each
    std::vector<std::string> extra_keys;
    bool has_content = false;
    bool content_is_array = false;
    size_t calls = 0;
};

class Merger {
  public:
    Merger(std::string_view body, const ReplyOptions& options) : body_(body), options_(options) {}

    void add(Span span) {
        Span message;
        Item finish;
        int64_t index = -1;
        Item item;
        for (Walker walk(body_, span); walk.next(item);) {
            if (item.key == "index" && item.type == Type::number) {
                index = json::int_at(body_, item.value, 0);
            } else if (item.key == "message" && item.type == Type::object) {
                message = item.value;
            } else if (item.key == "finish_reason") {
                finish = item;
            }
        }
        Choice& choice = at(options_.n > 1 ? std::max<int64_t>(index, 0) : 0);
        if (!inside(body_, finish).empty()) {
            choice.finish = inside(body_, finish);
        }
        for (Walker walk(body_, span); walk.next(item);) {
            if (item.key != "index" && item.key != "message" && item.key != "finish_reason") {
                keep(choice, choice.choice_extra, item);
            }
        }
        if (!message.empty()) {
            add_message(choice, message);
        }
    }

    void write(std::string& out) {
        std::stable_sort(choices_.begin(), choices_.end(),
                         [](const auto& a, const auto& b) { return a.index < b.index; });
        bool first = true;
        for (auto& choice : choices_) {
            out += first ? "" : ",";
            first = false;
            write_choice(out, choice);
        }
    }

    [[nodiscard]] std::string finish_reason() const {
        return choices_.empty() ? std::string() : choices_.front().finish;
    }

  private:
    Choice& at(int64_t index) {
        for (auto& choice : choices_) {
            if (choice.index == index) {
                return choice;
            }
        }
        choices_.emplace_back().index = index;
        return choices_.back();
    }

    // Members that are not known here survive; of several choices that are one the first says it.
    void keep(Choice& choice, std::string& extra, const Item& item) {
        bool said = std::find(choice.extra_keys.begin(), choice.extra_keys.end(), item.key) !=
                    choice.extra_keys.end();
        if (item.type == Type::null || is_noise(item.key) || said) {
            return;
        }
        choice.extra_keys.emplace_back(item.key);
        extra += ',';
        extra += item.whole.of(body_);
    }

    void add_message(Choice& choice, Span message) {
        Item item;
        for (Walker walk(body_, message); walk.next(item);) {
            if (item.key == "role") {
                continue;
            }
            if (item.key == "content") {
                add_content(choice, item);
            } else if (item.key == "reasoning_text" || item.key == "reasoning_content") {
                choice.reasoning += inside(body_, item);
            } else if (item.key == "refusal") {
                choice.refusal += inside(body_, item);
            } else if (item.key == "tool_calls") {
                Item call;
                for (Walker calls(body_, item.value); calls.next(call);) {
                    if (call.type == Type::object) {
                        add_call(choice, call.value);
                    }
                }
            } else {
                keep(choice, choice.message_extra, item);
            }
        }
    }

    void add_content(Choice& choice, const Item& item) {
        if (item.type == Type::string && !choice.content_is_array) {
            choice.content += inside(body_, item);
            choice.has_content = true;
        } else if (item.type == Type::array && !choice.has_content) {
            choice.content = item.value.of(body_);
            choice.has_content = choice.content_is_array = true;
        }
    }

    void add_call(Choice& choice, Span call) {
        std::string& out = choice.tool_calls;
        std::string id;
        std::string type = R"("function")";
        Span function;
        std::string extra;
        Item item;
        for (Walker walk(body_, call); walk.next(item);) {
            if (item.key == "id") {
                id = inside(body_, item);
            } else if (item.key == "type" && item.type == Type::string) {
                type = item.value.of(body_);
            } else if (item.key == "function") {
                function = item.value;
            } else if (item.key != "index" && item.type != Type::null) {
                extra += ',';
                extra += item.whole.of(body_);
            }
        }
        if (id.empty()) {
            std::string text;
            json::write_string(text, "call_" + options_.id + "_" + std::to_string(choice.calls));
            id = text.substr(1, text.size() - 2);
        }
        out += choice.calls++ == 0 ? R"({"id":")" : R"(,{"id":")";
        out += id + R"(","type":)" + type;
        if (!function.empty()) {
            write_function(out, function);
        }
        out += extra + '}';
    }

    void write_function(std::string& out, Span function) {
        out += R"(,"function":{)";
        bool arguments = false;
        bool first = true;
        Item item;
        for (Walker walk(body_, function); walk.next(item);) {
            if (item.type == Type::null) {
                continue;
            }
            out += first ? "" : ",";
            first = false;
            arguments |= item.key == "arguments";
            if (item.key == "arguments" && item.type == Type::object) {
                out += R"("arguments":)";
                json::write_string(out, item.value.of(body_));
            } else {
                out += item.whole.of(body_);
            }
        }
        if (!arguments) {
            out += first ? R"("arguments":"{}")" : R"(,"arguments":"{}")";
        }
        out += '}';
    }

    static void write_choice(std::string& out, Choice& choice) {
        if (choice.calls > 0 && (choice.finish == "stop" || choice.finish.empty())) {
            choice.finish = "tool_calls";
        } else if (choice.calls == 0 && (choice.finish == "tool_calls" || choice.finish.empty())) {
            choice.finish = "stop";
        }
        out += R"({"index":)" + std::to_string(choice.index);
        out += R"(,"message":{"role":"assistant","content":)";
        bool silent = !choice.has_content || (choice.content.empty() && choice.calls > 0);
        if (silent) {
            out += "null";
        } else if (choice.content_is_array) {
            out += choice.content;
        } else {
            out += '"' + choice.content + '"';
        }
        if (!choice.reasoning.empty()) {
            out += R"(,"reasoning_content":")" + choice.reasoning + '"';
        }
        if (!choice.refusal.empty()) {
            out += R"(,"refusal":")" + choice.refusal + '"';
        }
        if (choice.calls > 0) {
            out += R"(,"tool_calls":[)" + choice.tool_calls + ']';
        }
        out += choice.message_extra + '}' + choice.choice_extra;
        out += R"(,"finish_reason":")" + choice.finish + "\"}";
    }

    std::string_view body_;
    const ReplyOptions& options_;
    std::vector<Choice> choices_;
};

std::string string_of(std::string_view body, const Item& item) {
    std::string scratch;
    return item.type == Type::string ? std::string(json::string_at(body, item.value, scratch))
                                     : std::string();
}

}  // namespace

Error no_reply(std::string_view body, std::string_view expected) {
    Error e = upstream_error(Kind::upstream_malformed,
                             "The upstream's answer is not a " + std::string(expected));
    e.detail = body.substr(0, 200);
    return e;
}

Result<PlainReply> mend_chat_reply(std::string_view body, const ReplyOptions& options) {
    if (!json::validate(body).ok() || json::type_at(body, json::root(body)) != Type::object) {
        return no_reply(body, "chat completion");
    }
    Top top = read_top(body);
    Item first;
    bool answers = top.choices.type == Type::array && Walker(body, top.choices.value).next(first);
    if (!answers && !top.error.whole.empty()) {
        return upstream_error(Kind::upstream_rejected, "The upstream answered with an error");
    }
    if (!answers) {
        std::string_view filter = top.prompt_filter.value.of(body);
        if (filter.find(R"("filtered":true)") != std::string_view::npos) {
            Error e = upstream_error(Kind::content_refused,
                                     "The upstream's content filter refused the prompt");
            e.code = "content_filter";
            return e;
        }
        return no_reply(body, "chat completion");
    }
    PlainReply reply;
    reply.usage = read_chat_usage(body, top.usage.value, top.copilot_usage.value);
    reply.upstream_model = string_of(body, top.model);
    reply.id = string_of(body, top.id);
    if (reply.id.empty()) {
        reply.id = options.id;
    }
    int64_t created = json::int_at(body, top.created.value, 0);
    std::string& out = reply.body;
    out.reserve(body.size() + 256);
    out += R"({"id":)";
    json::write_string(out, reply.id);
    out += R"(,"object":"chat.completion","created":)";
    out += std::to_string(created > 0 ? created : options.created);
    out += R"(,"model":)";
    json::write_string(out, options.model.empty() ? reply.upstream_model : options.model);
    Merger merger(body, options);
    Item choice;
    for (Walker walk(body, top.choices.value); walk.next(choice);) {
        merger.add(choice.value);
    }
    out += R"(,"choices":[)";
    merger.write(out);
    out += R"(],"usage":)";
    write_chat_usage(out, reply.usage.value_or(chat::Usage{}), body, top.usage.value);
    for (const auto& item : top.extra) {
        out += ',';
        out += item.whole.of(body);
    }
    out += '}';
    reply.finish_reason = merger.finish_reason();
    return reply;
}

}  // namespace belay::protocols

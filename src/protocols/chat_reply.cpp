#include "protocols/chat_reply.h"

#include <algorithm>

#include "protocols/raw_text.h"
#include "protocols/reply_pattern.h"
#include "protocols/usage_json.h"

namespace belay::protocols {
namespace {

using raw::append;
using raw::append_whole;
using raw::is;
using raw::is_noise;
using raw::write_int;

// A list of nodes that is nearly always short.
class Nodes {
  public:
    void add(const Node& node) {
        if (count_ < std::size(few_)) {
            few_[count_] = &node;
        } else {
            more_.push_back(&node);
        }
        ++count_;
    }
    [[nodiscard]] size_t size() const { return count_; }
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] const Node& operator[](size_t i) const {
        return i < std::size(few_) ? *few_[i] : *more_[i - std::size(few_)];
    }

  private:
    const Node* few_[4];
    size_t count_ = 0;
    std::vector<const Node*> more_;
};

constexpr size_t kGrowth = 256;  // what an ordinary reply gains: a longer usage, the model's name

struct Top {
    const Node* id = nullptr;
    const Node* created = nullptr;
    const Node* model = nullptr;
    const Node* choices = nullptr;
    const Node* usage = nullptr;
    const Node* copilot_usage = nullptr;
    const Node* error = nullptr;
    const Node* prompt_filter = nullptr;
    Nodes extra;       // goes along as it is
    size_t noise = 0;  // bytes that do not
};

// Where a member of the top level is remembered; nullptr when nothing here looks at it.
const Node** place_in(Top& top, std::string_view key) {
    auto either = [&](const auto& name, const Node*& at) { return is(key, name) ? &at : nullptr; };
    switch (key.size()) {
        case 2:
            return either("id", top.id);
        case 5:
            return is(key, "model")   ? &top.model
                   : is(key, "usage") ? &top.usage
                                      : either("error", top.error);
        case 7:
            return is(key, "choices") ? &top.choices : either("created", top.created);
        case 13:
            return either("copilot_usage", top.copilot_usage);
        case 21:
            return either("prompt_filter_results", top.prompt_filter);
        default:
            return nullptr;
    }
}

void read_top(const Tape& tape, Top& top) {
    for (const Node& node : tape.children(tape.root())) {
        std::string_view key = tape.key(node);
        if (node.is_null()) {
            continue;
        }
        const Node** place = place_in(top, key);
        if (place != nullptr) {
            *place = &node;
        }
        if (is_noise(key)) {
            top.noise += node.end - node.begin;
        } else if (place == nullptr && !is(key, "object")) {
            top.extra.add(node);
        }
    }
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
    [[nodiscard]] bool is_one() const { return any_ && joined_.empty(); }
    [[nodiscard]] std::string_view text() const {
        return joined_.empty() ? one_ : std::string_view(joined_);
    }
    [[nodiscard]] bool empty() const { return text().empty(); }
    void write_quoted(std::string& out) const {
        if (joined_.empty() && any_ && one_.data() != nullptr) {  // its quotes stand around it
            out.append(one_.data() - 1, one_.size() + 2);
        } else {
            out += '"';
            out += text();
            out += '"';
        }
    }

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
    const Node* content_node = nullptr;  // the text's
    const Node* content_array = nullptr;
    Nodes calls, message_extra, choice_extra;
    size_t noise = 0;  // bytes that do not go along
};

// Members that are not known here survive; of several choices that are one the first says it.
void keep(const Tape& tape, Choice& choice, Nodes& extra, const Node& node) {
    std::string_view key = tape.key(node);
    if (is_noise(key)) {
        choice.noise += node.end - node.begin;
        return;
    }
    bool said = node.is_null();
    for (size_t i = 0; i < extra.size() && !said; ++i) {
        said = tape.key(extra[i]) == key;
    }
    if (!said) {
        extra.add(node);
    }
}

void add_message(const Tape& tape, Choice& choice, const Node& message) {
    for (const Node& node : tape.children(message)) {
        std::string_view key = tape.key(node);
        if (is(key, "role")) {
            continue;
        }
        if (is(key, "content")) {
            if (node.is_text()) {
                choice.content.add(tape.inside(node));
                choice.content_node = &node;
            } else if (node.is_array()) {
                choice.content_array = &node;
            }
        } else if (is(key, "reasoning_text") || is(key, "reasoning_content")) {
            choice.reasoning.add(tape.inside(node));
        } else if (is(key, "refusal")) {
            choice.refusal.add(tape.inside(node));
        } else if (is(key, "tool_calls")) {
            for (const Node& call : tape.children(node)) {
                if (call.is_object()) {
                    choice.calls.add(call);
                }
            }
        } else {
            keep(tape, choice, choice.message_extra, node);
        }
    }
}

void add_choice(const Tape& tape, Choice& choice, const Node& node) {
    if (!node.is_object()) {
        return;  // its items have no names to go along by
    }
    for (const Node& member : tape.children(node)) {
        std::string_view key = tape.key(member);
        if (is(key, "message") && member.is_object()) {
            add_message(tape, choice, member);
        } else if (is(key, "finish_reason")) {
            choice.finish = member.has_text() ? tape.inside(member) : choice.finish;
        } else if (!is(key, "index")) {
            keep(tape, choice, choice.choice_extra, member);
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
        if (choice.index == 0) {
            out_ += R"({"index":0,"message":{"role":"assistant","content":)";
        } else {
            out_ += R"({"index":)";
            write_int(out_, choice.index);
            out_ += R"(,"message":{"role":"assistant","content":)";
        }
        write_content(choice);
        write_text("reasoning_content", choice.reasoning);
        write_text("refusal", choice.refusal);
        if (!choice.calls.empty()) {
            write_calls(choice);
        }
        write_extra(choice.message_extra);
        if (choice.choice_extra.empty()) {
            out_ += R"(},"finish_reason":")";
        } else {
            out_ += '}';
            write_extra(choice.choice_extra);
            out_ += R"(,"finish_reason":")";
        }
        out_ += choice.finish;
        out_ += "\"}";
    }

    void write_extra(const Nodes& extra) {
        for (size_t i = 0; i < extra.size(); ++i) {
            out_ += ',';
            out_ += tape_.whole(extra[i]);
        }
    }

  private:
    void write_content(const Choice& choice) {
        if (choice.content.any() && !(choice.content.empty() && !choice.calls.empty())) {
            choice.content.write_quoted(out_);
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
            out_ += "\":";
            text.write_quoted(out_);
        }
    }

    void write_calls(const Choice& choice) {
        out_ += R"(,"tool_calls":[)";
        for (size_t i = 0; i < choice.calls.size(); ++i) {
            out_ += i == 0 ? "" : ",";
            write_call(choice.calls[i], i);
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

// The upstream's choices put together by their indices: the client asked for several.
std::vector<Choice> merge_choices(const Tape& tape, const Node& choices) {
    std::vector<Choice> out;
    for (const Node& node : tape.children(choices)) {
        const Node* index = tape.find(node, "index");
        int64_t at = index != nullptr ? std::max<int64_t>(0, tape.integer(*index, 0)) : 0;
        auto choice = std::find_if(out.begin(), out.end(),
                                   [&](const Choice& other) { return other.index == at; });
        if (choice == out.end()) {
            out.emplace_back().index = at;
            choice = out.end() - 1;
        }
        add_choice(tape, *choice, node);
    }
    std::sort(out.begin(), out.end(),
              [](const Choice& a, const Choice& b) { return a.index < b.index; });
    return out;
}

// The string's raw text, when it is written without escapes; else "".
std::string_view plain_text(const Tape& tape, const Node* node) {
    std::string_view inside = node == nullptr ? std::string_view() : tape.inside(*node);
    return inside.find('\\') == std::string_view::npos ? inside : std::string_view();
}

void read_string(const Tape& tape, const Node* node, std::string& out) {
    if (std::string_view plain = plain_text(tape, node); !plain.empty()) {
        out = std::string(plain);
    } else if (node != nullptr) {
        std::string scratch;
        out = json::string_at(tape.text(), node->value(), scratch);
    }
}

void write_head(std::string& out, const Tape& tape, const Top& top, const PlainReply& reply,
                const ReplyOptions& options) {
    out += R"({"id":)";
    if (!plain_text(tape, top.id).empty()) {
        out += tape.raw(*top.id);
    } else {
        json::write_string(out, reply.id);
    }
    out += R"(,"object":"chat.completion","created":)";
    int64_t created = top.created == nullptr ? 0 : tape.integer(*top.created, 0);
    write_int(out, created > 0 ? created : options.created);
    out += R"(,"model":)";
    json::write_string(out, options.model.empty() ? reply.upstream_model : options.model);
    out += R"(,"choices":[)";
}

// The places of a reply of one message of text and nothing else; false when it is more than that.
bool find_places(const Tape& tape, const Top& top, const Choice& choice, ReplyPlaces& out) {
    if (choice.content_node == nullptr || !choice.content.is_one() || !choice.reasoning.empty() ||
        !choice.refusal.empty() || !choice.calls.empty() || !choice.message_extra.empty() ||
        !choice.choice_extra.empty()) {
        return false;
    }
    if (top.created == nullptr || tape.plain_count(*top.created) <= 0 ||
        plain_text(tape, top.id).empty()) {
        return false;
    }
    out.id = top.id;
    out.created = top.created;
    out.content = choice.content_node;
    out.usage = top.usage;
    out.copilot_usage = top.copilot_usage;
    out.finish = choice.finish;
    for (size_t i = 0; i < top.extra.size(); ++i) {
        out.extra += ',';
        out.extra += tape.whole(top.extra[i]);
    }
    return true;
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
    Result<PlainReply> result{PlainReply{}};
    if (options.n <= 1 && reply_patterns().write(body, options.model, *result, options.names)) {
        return result;
    }
    Tape& tape = scratch_tape();
    if (!tape.read(body, Tape::Twins::ignored) || !tape.root().is_object()) {
        return no_reply(body, "chat completion");
    }
    Top top;
    read_top(tape, top);
    if (top.choices == nullptr || !top.choices->is_array() || tape.children(*top.choices).empty()) {
        return no_answer(tape, top);
    }
    PlainReply& reply = *result;
    const ChatUsage usage = read_chat_usage_shape(tape, top.usage, top.copilot_usage);
    reply.usage = usage.usage;
    read_string(tape, top.model, reply.upstream_model);
    read_string(tape, top.id, reply.id);
    if (reply.id.empty()) {
        reply.id = options.id;
    }
    std::string& out = reply.body;
    Writer writer(tape, options, out);
    ReplyPlaces places;
    bool repeatable = false;
    if (options.n <= 1) {  // then all choices are one
        Choice choice;
        for (const Node& node : tape.children(*top.choices)) {
            add_choice(tape, choice, node);
        }
        out.reserve(body.size() - top.noise - choice.noise + kGrowth);
        write_head(out, tape, top, reply, options);
        writer.write_choice(choice);
        reply.finish_reason = choice.finish;
        repeatable = find_places(tape, top, choice, places);
    } else {
        std::vector<Choice> choices = merge_choices(tape, *top.choices);
        out.reserve(body.size() - top.noise + kGrowth);
        write_head(out, tape, top, reply, options);
        for (Choice& choice : choices) {
            out += &choice == &choices.front() ? "" : ",";
            writer.write_choice(choice);
        }
        reply.finish_reason = choices.front().finish;
    }
    out += R"(],"usage":)";
    if (usage.verbatim) {
        out += tape.raw(*top.usage);
    } else {
        write_chat_usage(out, reply.usage.value_or(chat::Usage{}), tape, top.usage);
    }
    writer.write_extra(top.extra);
    out += '}';
    if (repeatable && reply_patterns().wants_more()) {
        reply_patterns().keep(ReplyPattern(tape, places, reply, options.model));
    }
    return result;
}

}  // namespace belay::protocols

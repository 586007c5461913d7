#include "protocols/chat_stream.h"

#include <algorithm>
#include <bit>

#include "protocols/raw_text.h"
#include "protocols/usage_json.h"
#include "wire/bytes.h"
#include "wire/json.h"
#include "wire/sse.h"

namespace belay::protocols {
namespace {

using raw::append;
using raw::append_whole;
using raw::is;
using raw::is_noise;
using raw::write_int;

constexpr int64_t kChoicesMax = 64;  // choices are kept in bit sets
constexpr size_t kHeadFixed = 100;   // bytes of a head beside its values

uint64_t bit(int64_t index) { return uint64_t{1} << index; }

// Names hardly ever need an escape.
void write_text(std::string& out, std::string_view text) {
    const char* const end = text.data() + text.size();
    if (bytes::find_string_special(text.data(), end) == end) {
        out += '"';
        out += text;
        out += '"';
    } else {
        json::write_string(out, text);
    }
}

std::string_view trailing_reason(std::string_view reason) {
    if (reason == "end_turn" || reason == "STOP" || reason == "eos") {
        return "stop";
    }
    if (reason == "max_tokens" || reason == "MAX_TOKENS") {
        return "length";
    }
    if (reason == "tool_use") {
        return "tool_calls";
    }
    if (reason == "safety" || reason == "SAFETY" || reason == "refusal") {
        return "content_filter";
    }
    return reason;
}

}  // namespace

FrameFacts ChatStreamMender::on_other_event(std::string_view name, std::string_view data,
                                            std::string& out) {
    last_.before = 0;
    if (done_ || failed_) {
        return FrameFacts{.done = done_};
    }
    if (data == "[DONE]") {
        return on_done(out);
    }
    if (data.empty()) {
        return {};
    }
    FrameFacts facts;
    if (name.empty() && write_known(data, out, facts)) {
        return facts;
    }
    Tape& tape = scratch_tape();
    bool chunk = tape.read(data, Tape::Twins::ignored) && tape.root().is_object();
    if (!chunk) {
        facts = fail("The upstream sent a chunk that is no JSON object", "upstream_malformed");
        facts.malformed = true;
        return facts;
    }
    if (tape.has_line_break()) {  // pretty-printed: copied into a frame it would break it
        auto compact = json::parse(data);
        std::string one_line = compact.ok() ? json::dump(*compact) : "null";
        return on_event(name, one_line, out);
    }
    if (name == "error" && tape.find(tape.root(), "error") == nullptr) {
        return fail_with(data);
    }
    const size_t begin = out.size();
    plain_ = name.empty();
    rare_ = !plain_;
    facts = on_chunk(tape, out);
    if (repeats(facts)) {
        keep_last(data, text_, std::string_view(out).substr(begin), frame_text_ - begin);
    }
    return facts;
}

StreamEnd ChatStreamMender::on_end(std::string& out) {
    StreamEnd end;
    last_.before = 0;
    if (failed_) {
        end.how = Ended::failed;
    } else if (whole()) {
        if (!done_) {
            write_end(out);
            done_ = true;
        }
        end.how = Ended::complete;
    } else {
        end.how = content_ ? Ended::cut : Ended::empty;
    }
    end.usage = usage_;
    end.finish_reason = finish_;
    end.upstream_model = upstream_model_;
    end.id = id_;
    return end;
}

// ---- one event ---------------------------------------------------------------------------------

ChatStreamMender::Chunk ChatStreamMender::read_chunk(const Tape& tape) {
    Chunk chunk;
    extra_.clear();
    for (const Node& node : tape.children(tape.root())) {
        if (node.is_null()) {
            continue;
        }
        std::string_view key = tape.key(node);
        if (is(key, "choices")) {
            chunk.choices = &node;
        } else if (is(key, "id")) {
            chunk.id = &node;
        } else if (is(key, "created")) {
            chunk.created = &node;
        } else if (is(key, "model")) {
            chunk.model = &node;
        } else if (is(key, "object")) {
            chunk.object = &node;
        } else if (is(key, "usage")) {
            chunk.usage = &node;
        } else if (is(key, "copilot_usage")) {
            chunk.copilot_usage = &node;
        } else if (is(key, "error")) {
            chunk.error = &node;
        } else if (is(key, "message")) {
            chunk.message = &node;
        } else if (is(key, "type")) {
            chunk.type = &node;
        } else if (!is_noise(key)) {
            extra_.push_back(&node);
        }
    }
    return chunk;
}

bool ChatStreamMender::is_error(const Tape& tape, const Chunk& chunk) {
    if (chunk.error != nullptr) {
        return true;
    }
    bool says_so = (chunk.type != nullptr && tape.is(*chunk.type, "error")) ||
                   (chunk.object != nullptr && tape.is(*chunk.object, "error")) ||
                   (chunk.message != nullptr && chunk.message->is_text());
    return chunk.choices == nullptr && says_so;
}

FrameFacts ChatStreamMender::on_chunk(const Tape& tape, std::string& out) {
    Chunk chunk = read_chunk(tape);
    if (is_error(tape, chunk)) {
        if (whole()) {  // the answer is all there: what goes wrong afterwards is not the client's
            return {};
        }
        return fail_with(tape.raw(chunk.error == nullptr ? tape.root() : *chunk.error));
    }
    FrameFacts facts;
    texts_ = 0;
    const ChoiceSets state = choices_;
    if (chunk.usage != nullptr || chunk.copilot_usage != nullptr) {
        if (auto usage = read_chat_usage(tape, chunk.usage, chunk.copilot_usage)) {
            take_usage(*usage, chunk.usage == nullptr ? std::string_view() : tape.raw(*chunk.usage),
                       facts);
        }
    }
    if (chunk.model != nullptr && upstream_model_.empty()) {
        upstream_model_ = tape.inside(*chunk.model);
    }
    if (chunk.choices == nullptr) {
        return facts;
    }
    size_t before = out.size();
    bool defer = shares_index(tape, *chunk.choices);
    for (const Node& choice : tape.children(*chunk.choices)) {
        if (head_.empty()) {
            start(tape, chunk);
        }
        if (choice.is_object() && !failed_) {
            write_choice(tape, choice, defer, out, facts);
        }
    }
    for (auto& [index, reason] : deferred_) {
        write_finish(index, map_finish(reason, index), out);
        facts.content = true;
        facts.finished = true;
        facts.finish_reason = finish_;
    }
    deferred_.clear();
    if (failed_) {
        out.resize(before);
        facts.content = facts.finished = false;
        facts.error = error_;
    }
    content_ |= facts.content;
    keep_known(tape, chunk, state, out, before, facts);
    return facts;
}

void ChatStreamMender::take_usage(const chat::Usage& usage, std::string_view raw,
                                  FrameFacts& facts) {
    usage_ = usage;
    facts.usage = usage;
    if (options_.include_usage) {
        usage_raw_ = raw;
    }
}

FrameFacts ChatStreamMender::on_done(std::string& out) {
    FrameFacts facts;
    facts.done = true;
    if (content_) {
        // Seen: an answer that ends without any finish_reason. The upstream says it is done.
        for (uint64_t left = choices_.open & ~choices_.finished; left != 0; left &= left - 1) {
            const int64_t index = std::countr_zero(left);
            write_finish(index, map_finish("stop", index), out);
            facts.content = true;
            facts.finished = true;
            facts.finish_reason = finish_;
        }
    }
    done_ = true;
    if (whole()) {
        write_end(out);
    }
    return facts;
}

FrameFacts ChatStreamMender::fail(std::string_view message, std::string_view code) {
    error_ = R"({"error":{"message":)";
    json::write_string(error_, message);
    error_ += R"(,"code":)";
    json::write_string(error_, code);
    error_ += "}}";
    failed_ = true;
    return FrameFacts{.error = error_};
}

FrameFacts ChatStreamMender::fail_with(std::string_view error) {
    bool text = error.starts_with('"');
    error_ = text ? R"({"error":{"message":)" : R"({"error":)";
    error_ += error;
    error_ += text ? "}}" : "}";
    failed_ = true;
    return FrameFacts{.error = error_};
}

// ---- choices -----------------------------------------------------------------------------------

// The first chunk with a choice settles what every frame is headed with.
void ChatStreamMender::start(const Tape& tape, const Chunk& chunk) {
    std::string scratch;
    std::string id;
    if (chunk.id != nullptr) {
        id = json::string_at(tape.text(), chunk.id->value(), scratch);
    }
    const int64_t created = chunk.created == nullptr ? 0 : tape.integer(*chunk.created, 0);
    start(std::move(id), false, created > 0 ? std::to_string(created) : std::string());
}

// "" where the upstream says nothing of use. `plain`: the id needs no escape.
void ChatStreamMender::start(std::string id, bool plain, std::string_view created) {
    plain = plain && !id.empty();
    id_ = id.empty() ? options_.id : std::move(id);
    const std::string& model = options_.model.empty() ? upstream_model_ : options_.model;
    head_.reserve(kHeadFixed + id_.size() + created.size() + model.size());
    head_ = R"(data: {"id":)";
    if (plain) {
        head_ += '"';
        head_ += id_;
        head_ += '"';
    } else {
        json::write_string(head_, id_);
    }
    head_ += R"(,"object":"chat.completion.chunk","created":)";
    if (created.empty()) {
        write_int(head_, options_.created);
    } else {
        head_ += created;
    }
    head_ += R"(,"model":)";
    write_text(head_, model);
}

ChatStreamMender::Choice ChatStreamMender::read_choice(const Tape& tape, const Node& node) {
    Choice choice;
    const Node* message = nullptr;
    for (const Node& member : tape.children(node)) {
        std::string_view key = tape.key(member);
        if (is(key, "index")) {
            choice.index = std::clamp<int64_t>(tape.integer(member, 0), 0, kChoicesMax - 1);
        } else if (is(key, "delta") && member.is_object()) {
            choice.delta = &member;
        } else if (is(key, "message") && member.is_object()) {
            message = &member;
        } else if (is(key, "finish_reason")) {
            choice.finish_reason = tape.inside(member);
        }
    }
    if (choice.delta == nullptr) {
        choice.delta = message;
    }
    return choice;
}

// Claude's answers come split over several entries of `choices` without an index: they are one
// choice, and its finish belongs behind the last of them.
bool ChatStreamMender::shares_index(const Tape& tape, const Node& choices) {
    uint64_t seen = 0;
    size_t count = 0;
    for ([[maybe_unused]] const Node& node : tape.children(choices)) {
        count++;
    }
    if (count < 2) {
        return false;
    }
    bool shared = false;
    for (const Node& node : tape.children(choices)) {
        uint64_t mine = bit(read_choice(tape, node).index);
        shared |= (seen & mine) != 0;
        seen |= mine;
    }
    return shared;
}

// The finish to show with this entry, in chat words; "" for none, none any more, or not yet.
std::string_view ChatStreamMender::take_finish(const Choice& choice, bool defer) {
    if (choice.finish_reason.empty() || (choices_.finished & bit(choice.index)) != 0) {
        return {};
    }
    if (defer) {
        std::erase_if(deferred_, [&](const auto& d) { return d.first == choice.index; });
        deferred_.emplace_back(choice.index, choice.finish_reason);
        return {};
    }
    choices_.finished |= bit(choice.index);
    finish_ = map_finish(choice.finish_reason, choice.index);
    return finish_;
}

void ChatStreamMender::write_choice(const Tape& tape, const Node& node, bool defer_finish,
                                    std::string& out, FrameFacts& facts) {
    Choice choice = read_choice(tape, node);
    if (choice.finish_reason == "error") {
        fail("The upstream ended the answer with finish_reason \"error\"", "upstream_error");
        return;
    }
    choices_.open |= bit(choice.index);
    size_t before = out.size();
    out += head_;
    for (const Node* extra : extra_) {
        out += ',';
        out += tape.whole(*extra);
    }
    out += R"(,"choices":[{"index":)";
    write_int(out, choice.index);
    out += R"(,"delta":{)";
    Written written = write_delta(tape, choice, out);
    std::string_view finish = failed_ ? std::string_view() : take_finish(choice, defer_finish);
    if (!written.anything && finish.empty()) {
        out.resize(before);
        return;
    }
    out += '}';
    for (const Node& member : tape.children(node)) {
        std::string_view key = tape.key(member);
        if (!is(key, "index") && !is(key, "delta") && !is(key, "message") &&
            !is(key, "finish_reason") && !member.is_null() && !is_noise(key)) {
            out += ',';
            out += tape.whole(member);
        }
    }
    out += R"(,"finish_reason":)";
    if (finish.empty()) {
        out += "null}]}\n\n";
    } else {
        json::write_string(out, finish);
        out += "}]}\n\n";
        facts.finished = true;
        facts.finish_reason = finish_;
    }
    facts.content |= written.content || !finish.empty();
}

// Appends the members of the delta. The role stands in the first frame of a choice alone.
ChatStreamMender::Written ChatStreamMender::write_delta(const Tape& tape, const Choice& choice,
                                                        std::string& out) {
    Written written;
    bool first = (choices_.roles & bit(choice.index)) == 0;
    if (first) {
        out += R"("role":"assistant")";
        plain_ = false;
    }
    size_t said = out.size();
    if (choice.delta != nullptr) {
        for (const Node& node : tape.children(*choice.delta)) {
            write_member(tape, node, choice, first, out, written);
        }
    }
    written.anything |= written.content;
    if (first && (written.anything || !choice.finish_reason.empty())) {
        choices_.roles |= bit(choice.index);
        if (out.size() == said && written.anything) {
            append(out, "content", R"("")");
        }
    }
    return written;
}

void ChatStreamMender::write_member(const Tape& tape, const Node& node, const Choice& choice,
                                    bool first, std::string& out, Written& written) {
    std::string_view key = tape.key(node);
    if (node.is_null()) {
        return;
    }
    if (is(key, "role")) {
        written.anything |= first;
    } else if (is(key, "content") || is(key, "refusal")) {
        if (node.has_text() || node.is_array()) {
            append_whole(out, tape.whole(node));
            written.content = true;
            note_text(node, out.size());
        } else {
            written.anything |= first;
        }
    } else if (is(key, "reasoning_text") || is(key, "reasoning_content")) {
        if (node.has_text()) {
            append(out, "reasoning_content", tape.raw(node));
            written.content = true;
            note_text(node, out.size());
        }
    } else if (is(key, "tool_calls")) {
        plain_ = false;
        rare_ = true;
        size_t before = out.size();
        write_calls(tape, node, choice.index, out);
        written.content |= out.size() != before;
    } else if (is(key, "annotations")) {
        if (node.is_array() && !tape.children(node).empty()) {
            append_whole(out, tape.whole(node));
            written.anything = true;
        }
    } else if (!is_noise(key)) {
        append_whole(out, tape.whole(node));
        written.content = true;
        rare_ = true;
    }
}

// What was just written up to `end` ends in the text that the node holds.
void ChatStreamMender::note_text(const Node& node, size_t end) {
    ++texts_;
    plain_ &= node.is_text();
    rare_ |= !node.is_text();
    text_ = {node.begin + 1, node.end - 1};
    frame_text_ = end - 1 - (text_.end - text_.begin);
}

// ---- ends --------------------------------------------------------------------------------------

std::string_view ChatStreamMender::map_finish(std::string_view reason, int64_t choice) {
    reason = trailing_reason(reason);
    bool called = std::any_of(calls_.begin(), calls_.end(),
                              [&](const Call& call) { return call.choice == choice; });
    if (called && reason == "stop") {
        return "tool_calls";
    }
    return !called && reason == "tool_calls" ? "stop" : reason;
}

void ChatStreamMender::write_finish(int64_t choice, std::string_view reason, std::string& out) {
    finish_ = reason;
    choices_.finished |= bit(choice);
    out += head_;
    out += R"(,"choices":[{"index":)";
    write_int(out, choice);
    out += R"(,"delta":{},"finish_reason":)";
    json::write_string(out, reason);
    out += "}]}\n\n";
}

void ChatStreamMender::write_end(std::string& out) {
    if (options_.include_usage && usage_) {
        out += head_;
        out += R"(,"choices":[],"usage":)";
        write_chat_usage(out, *usage_, usage_raw_);
        out += "}\n\n";
    }
    sse::write_data(out, "[DONE]");
}

bool ChatStreamMender::whole() const {
    return choices_.finished != 0 && (choices_.open & ~choices_.finished) == 0;
}

}  // namespace belay::protocols

#include "protocols/chat_stream.h"

#include <algorithm>

#include "protocols/raw_text.h"
#include "protocols/usage_json.h"
#include "wire/json.h"
#include "wire/sse.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
using json::Type;
using json::Walker;
using raw::append;
using raw::append_whole;
using raw::inside;
using raw::is_noise;
using raw::is_text;

constexpr int64_t kChoicesMax = 64;  // choices are kept in bit sets

uint64_t bit(int64_t index) { return uint64_t{1} << index; }

bool has_text(const Item& item) {
    return item.type == Type::string && item.value.end - item.value.begin > 2;
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

FrameFacts ChatStreamMender::on_event(std::string_view name, std::string_view data,
                                      std::string& out) {
    if (done_ || failed_) {
        return FrameFacts{.done = done_};
    }
    if (data == "[DONE]") {
        return on_done(out);
    }
    if (data.empty()) {
        return {};
    }
    if (auto valid = json::validate(data); !valid.ok()) {
        FrameFacts facts = fail("The upstream sent a chunk that is no JSON", "upstream_malformed");
        facts.malformed = true;
        return facts;
    }
    if (data.find_first_of("\r\n") !=
        std::string_view::npos) {  // pretty-printed: would break frames
        auto compact = json::parse(data);
        if (compact.ok()) {
            std::string one_line = json::dump(*compact);
            return on_event(name, one_line, out);
        }
    }
    if (json::type_at(data, json::root(data)) != Type::object) {
        FrameFacts facts =
            fail("The upstream sent a chunk that is no object", "upstream_malformed");
        facts.malformed = true;
        return facts;
    }
    if (name == "error" && json::member(data, json::root(data), "error").empty()) {
        return fail_with(data, json::root(data));
    }
    return on_chunk(data, out);
}

StreamEnd ChatStreamMender::on_end(std::string& out) {
    StreamEnd end;
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

ChatStreamMender::Chunk ChatStreamMender::read_chunk(std::string_view data) {
    Chunk chunk;
    extra_.clear();
    Item item;
    for (Walker walk(data, json::root(data)); walk.next(item);) {
        if (item.type == Type::null) {
            continue;
        }
        if (item.key == "choices") {
            chunk.choices = item.value;
        } else if (item.key == "id") {
            chunk.id = item.value;
        } else if (item.key == "created") {
            chunk.created = item.value;
        } else if (item.key == "model") {
            chunk.model = item.value;
        } else if (item.key == "object") {
            chunk.object = item.value;
        } else if (item.key == "usage") {
            chunk.usage = item.value;
        } else if (item.key == "copilot_usage") {
            chunk.copilot_usage = item.value;
        } else if (item.key == "error") {
            chunk.error = item.value;
        } else if (item.key == "message") {
            chunk.message = item.value;
        } else if (item.key == "type") {
            chunk.type = item.value;
        } else if (!is_noise(item.key)) {
            extra_.push_back(item);
        }
    }
    return chunk;
}

bool ChatStreamMender::is_error(std::string_view data, const Chunk& chunk) const {
    if (!chunk.error.empty()) {
        return true;
    }
    bool says_so = inside(data, chunk.type) == "error" || inside(data, chunk.object) == "error";
    return chunk.choices.empty() && (says_so || is_text(data, chunk.message));
}

FrameFacts ChatStreamMender::on_chunk(std::string_view data, std::string& out) {
    Chunk chunk = read_chunk(data);
    if (is_error(data, chunk)) {
        if (whole()) {  // the answer is all there: what goes wrong afterwards is not the client's
            return {};
        }
        return fail_with(data, chunk.error.empty() ? json::root(data) : chunk.error);
    }
    FrameFacts facts;
    if (!chunk.usage.empty() || !chunk.copilot_usage.empty()) {
        if (auto usage = read_chat_usage(data, chunk.usage, chunk.copilot_usage)) {
            usage_ = usage;
            facts.usage = usage;
            usage_raw_ = chunk.usage.of(data);
        }
    }
    if (upstream_model_.empty()) {
        upstream_model_ = inside(data, chunk.model);
    }
    if (chunk.choices.empty()) {
        return facts;
    }
    size_t before = out.size();
    bool defer = shares_index(data, chunk.choices);
    Item choice;
    for (Walker walk(data, chunk.choices); walk.next(choice) && !failed_;) {
        if (head_.empty()) {
            start(data, chunk);
        }
        if (choice.type == Type::object) {
            write_choice(data, choice.value, defer, out, facts);
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
    return facts;
}

FrameFacts ChatStreamMender::on_done(std::string& out) {
    FrameFacts facts;
    facts.done = true;
    if (content_) {
        // Seen: an answer that ends without any finish_reason. The upstream says it is done.
        for (int64_t index = 0; index < kChoicesMax; index++) {
            if ((open_ & bit(index)) != 0 && (finished_ & bit(index)) == 0) {
                write_finish(index, map_finish("stop", index), out);
                facts.content = true;
                facts.finished = true;
                facts.finish_reason = finish_;
            }
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

FrameFacts ChatStreamMender::fail_with(std::string_view data, Span error) {
    bool text = json::type_at(data, error) == Type::string;
    error_ = text ? R"({"error":{"message":)" : R"({"error":)";
    error_ += error.of(data);
    error_ += text ? "}}" : "}";
    failed_ = true;
    return FrameFacts{.error = error_};
}

// ---- choices -----------------------------------------------------------------------------------

// The first chunk with a choice settles what every frame is headed with.
void ChatStreamMender::start(std::string_view data, const Chunk& chunk) {
    std::string scratch;
    id_ = is_text(data, chunk.id) ? std::string(json::string_at(data, chunk.id, scratch)) : "";
    if (id_.empty()) {
        id_ = options_.id;
    }
    int64_t created = chunk.created.empty() ? 0 : json::int_at(data, chunk.created, 0);
    head_ = R"(data: {"id":)";
    json::write_string(head_, id_);
    head_ += R"(,"object":"chat.completion.chunk","created":)";
    head_ += std::to_string(created > 0 ? created : options_.created);
    head_ += R"(,"model":)";
    json::write_string(head_, options_.model.empty() ? upstream_model_ : options_.model);
}

ChatStreamMender::Choice ChatStreamMender::read_choice(std::string_view data, Span span) {
    Choice choice;
    Span message;
    Item item;
    for (Walker walk(data, span); walk.next(item);) {
        if (item.key == "index") {
            choice.index =
                std::clamp<int64_t>(json::int_at(data, item.value, 0), 0, kChoicesMax - 1);
        } else if (item.key == "delta" && item.type == Type::object) {
            choice.delta = item.value;
        } else if (item.key == "message" && item.type == Type::object) {
            message = item.value;
        } else if (item.key == "finish_reason" && item.type == Type::string) {
            choice.finish_reason = item.value;
        }
    }
    if (choice.delta.empty()) {
        choice.delta = message;
    }
    return choice;
}

// Claude's answers come split over several entries of `choices` without an index: they are one
// choice, and its finish belongs behind the last of them.
bool ChatStreamMender::shares_index(std::string_view data, Span choices) {
    uint64_t seen = 0;
    bool shared = false;
    Item item;
    Walker walk(data, choices);
    if (!walk.next(item) || !walk.next(item)) {
        return false;
    }
    for (Walker all(data, choices); all.next(item);) {
        uint64_t mine = bit(read_choice(data, item.value).index);
        shared |= (seen & mine) != 0;
        seen |= mine;
    }
    return shared;
}

void ChatStreamMender::write_choice(std::string_view data, Span span, bool defer_finish,
                                    std::string& out, FrameFacts& facts) {
    Choice choice = read_choice(data, span);
    open_ |= bit(choice.index);
    frame_.clear();
    Written written = write_delta(data, choice, frame_);
    if (failed_) {
        return;
    }
    std::string_view finish;
    std::string_view raw = inside(data, choice.finish_reason);
    if (raw == "error") {
        fail("The upstream ended the answer with finish_reason \"error\"", "upstream_error");
        return;
    }
    if (!raw.empty() && (finished_ & bit(choice.index)) == 0) {
        if (defer_finish) {
            std::erase_if(deferred_, [&](const auto& d) { return d.first == choice.index; });
            deferred_.emplace_back(choice.index, raw);
        } else {
            finish = map_finish(raw, choice.index);
            finished_ |= bit(choice.index);
        }
    }
    facts.content |= written.content || !finish.empty();
    if (!finish.empty()) {
        finish_ = finish;
        facts.finished = true;
        facts.finish_reason = finish_;
    }
    if (!written.anything && finish.empty()) {
        return;
    }
    out += head_;
    for (const auto& item : extra_) {
        out += ',';
        out += item.whole.of(data);
    }
    out += R"(,"choices":[{"index":)";
    out += std::to_string(choice.index);
    out += R"(,"delta":{)";
    out += frame_;
    out += '}';
    Item item;
    for (Walker walk(data, span); walk.next(item);) {
        if (item.key != "index" && item.key != "delta" && item.key != "message" &&
            item.key != "finish_reason" && item.type != Type::null && !is_noise(item.key)) {
            out += ',';
            out += item.whole.of(data);
        }
    }
    out += R"(,"finish_reason":)";
    if (finish.empty()) {
        out += "null";
    } else {
        json::write_string(out, finish);
    }
    out += "}]}\n\n";
}

ChatStreamMender::Written ChatStreamMender::write_delta(std::string_view data, const Choice& choice,
                                                        std::string& out) {
    Written written;
    bool first = (roles_ & bit(choice.index)) == 0;
    bool says_text = false;
    if (first) {
        out += R"("role":"assistant")";
    }
    Item item;
    for (Walker walk(data, choice.delta); walk.next(item);) {
        if (item.type == Type::null || item.key == "role" || is_noise(item.key)) {
            written.anything |= item.key == "role" && item.type == Type::string && first;
            continue;
        }
        if (item.key == "content" || item.key == "refusal") {
            if (has_text(item) || item.type == Type::array) {
                append_whole(out, item.whole.of(data));
                says_text = true;
                written.content = true;
            } else {
                written.anything |= first;
            }
        } else if (item.key == "reasoning_text" || item.key == "reasoning_content") {
            if (has_text(item)) {
                append(out, "reasoning_content", item.value.of(data));
                says_text = true;
                written.content = true;
            }
        } else if (item.key == "tool_calls") {
            size_t before = out.size();
            write_calls(data, item.value, choice.index, out);
            says_text |= out.size() != before;
            written.content |= out.size() != before;
        } else if (item.key == "annotations") {
            written.anything |= item.type == Type::array && item.value.end - item.value.begin > 2;
            append_whole(out, item.whole.of(data));
        } else {
            append_whole(out, item.whole.of(data));
            says_text = true;
            written.content = true;
        }
    }
    written.anything |= written.content;
    if (first && written.anything) {
        roles_ |= bit(choice.index);
        if (!says_text) {
            append(out, "content", R"("")");
        }
    } else if (first && inside(data, choice.finish_reason).empty()) {
        out.clear();
    } else if (first) {
        roles_ |= bit(choice.index);
    }
    return written;
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
    finished_ |= bit(choice);
    out += head_;
    out += R"(,"choices":[{"index":)";
    out += std::to_string(choice);
    out += R"(,"delta":{},"finish_reason":)";
    json::write_string(out, reason);
    out += "}]}\n\n";
}

void ChatStreamMender::write_end(std::string& out) {
    if (options_.include_usage && usage_) {
        out += head_;
        out += R"(,"choices":[],"usage":)";
        write_chat_usage(out, *usage_, usage_raw_,
                         usage_raw_.empty() ? Span{} : json::root(usage_raw_));
        out += "}\n\n";
    }
    sse::write_data(out, "[DONE]");
}

bool ChatStreamMender::whole() const { return finished_ != 0 && (open_ & ~finished_) == 0; }

}  // namespace belay::protocols

// What chat_stream.h writes by copying: chunks like the last one, and chunks like those of the
// streams before. Both must give the bytes, the facts and the state that taking the chunk apart
// gives.
#include <cstring>

#include "protocols/chat_stream.h"
#include "wire/bytes.h"
#include "wire/json.h"

namespace belay::protocols {
namespace {

constexpr size_t kShort = 16;
// Bytes of no meaning behind what is kept, so that more of it can be copied than there is.
constexpr size_t kSlack = kShort * 2;

// Up to 32 bytes. Fewer than 16 are followed by others, at both ends, up to the 16th.
[[gnu::always_inline]] inline void copy_short(char* to, const char* from, size_t size) {
    std::memcpy(to, from, kShort);
    if (size > kShort) {
        std::memcpy(to + size - kShort, from + size - kShort, kShort);
    }
}

// Apart: it needs much of the stack, and plain texts never come here.
[[gnu::noinline]] bool is_string(std::string_view quoted) { return json::validate(quoted).ok(); }

}  // namespace

[[gnu::always_inline]] inline bool ChatStreamMender::write_like_last(std::string_view data,
                                                                     std::string& out) const {
    const size_t before = last_.before;
    const size_t after = last_.after;
    if (before == 0 || data.size() <= before + after) {
        return false;
    }
    const char* const kept = last_.kept.data();
    const size_t size = data.size() - before - after;
    const char* const text = data.data() + before;
    const char* const end = text + size;
    if (std::memcmp(data.data(), kept, before) != 0 ||
        std::memcmp(end, kept + before, after) != 0) {
        return false;
    }
    // Searched for in all that follows: what is kept after it begins with the quote that ends a
    // plain text. Others have escapes or other alphabets: from quote to quote one string still.
    if (bytes::find_string_special(text, end + after) != end && !is_string({text - 1, size + 2})) {
        return false;
    }
    const char* const frame = kept + before + after;
    const size_t frame_before = last_.frame_before;
    const size_t frame_after = last_.kept.size() - kSlack - before - after - frame_before;
    if (size > kShort * 2 || after < kShort || frame_after - kShort > kShort) {
        out.append(frame, frame_before)
            .append(text, size)
            .append(frame + frame_before, frame_after);
        return true;
    }
    // The usual text is short: one piece is appended whose end is not yet the right one, and that
    // is set right in steps of a known size.
    out.append(frame, frame_before + size + frame_after);
    char* const at = out.data() + out.size() - frame_after;
    copy_short(at - size, text, size);
    copy_short(at, frame + frame_before, frame_after);
    return true;
}

FrameFacts ChatStreamMender::on_event(std::string_view name, std::string_view data,
                                      std::string& out) {
    // Nothing is kept once the stream is over.
    if (name.empty() && write_like_last(data, out)) {
        return FrameFacts{.content = true};
    }
    return on_other_event(name, data, out);
}

// Whether a chunk with another text may follow and is written alike.
bool ChatStreamMender::repeats(const FrameFacts& facts) const {
    return texts_ == 1 && plain_ && facts.content && !facts.finished && !facts.usage &&
           facts.error.empty();
}

void ChatStreamMender::keep_last(std::string_view data, json::Span text, std::string_view frame,
                                 size_t frame_text) {
    const size_t size = text.end - text.begin;
    last_.kept.clear();
    last_.kept.reserve(data.size() - size + frame.size() - size + kSlack);
    last_.kept.append(data.data(), text.begin);
    last_.kept.append(data.substr(text.end));
    last_.kept.append(frame.data(), frame_text);
    last_.kept.append(frame.substr(frame_text + size));
    last_.kept.append(kSlack, ' ');
    last_.before = static_cast<uint32_t>(text.begin);
    last_.after = static_cast<uint32_t>(data.size() - text.end);
    last_.frame_before = static_cast<uint32_t>(frame_text);
}

bool ChatStreamMender::write_known(std::string_view data, std::string& out, FrameFacts& facts) {
    TextPattern::Found found;
    const ChunkPattern* known =
        calls_.empty() ? chunk_patterns().find(data, choices_, found) : nullptr;
    if (known == nullptr) {
        return false;
    }
    if (const auto usage = known->usage(found)) {
        take_usage(*usage, known->around.usage(found), facts);
    }
    if (upstream_model_.empty()) {
        upstream_model_ = known->upstream_model;
    }
    if (known->starts && head_.empty()) {
        start(std::string(found.id), true, found.created);
    }
    choices_ = known->after;
    if (known->finished) {
        finish_ = known->finish;
        facts.finish_reason = finish_;
    }
    facts.finished = known->finished;
    facts.content = known->content;
    content_ |= known->content;
    if (!known->framed) {
        return true;
    }
    const size_t begin = out.size();
    out += head_;
    out += known->frame_before;
    const size_t frame_text = out.size() - begin;
    out += found.content;
    out += known->frame_after;
    if (known->repeats && !facts.usage) {
        const auto at = static_cast<uint32_t>(found.content.data() - data.data());
        keep_last(data, {at, at + static_cast<uint32_t>(found.content.size())},
                  std::string_view(out).substr(begin), frame_text);
    }
    return true;
}

// What was written for the chunk begins at `begin`.
void ChatStreamMender::keep_known(const Tape& tape, const Chunk& chunk, const ChoiceSets& before,
                                  std::string_view out, size_t begin,
                                  const FrameFacts& facts) const {
    std::string_view frame = out.substr(begin);
    const auto choices = tape.children(*chunk.choices);
    const bool single = chunk.choices->is_array() &&
                        (choices.empty() || (*choices.begin()).next == chunk.choices->next);
    if (failed_ || rare_ || texts_ > 1 || !single || !calls_.empty() ||
        (!frame.empty() && !frame.starts_with(head_)) || !chunk_patterns().wants_more()) {
        return;
    }
    chunk_patterns().made();
    ChunkPattern pattern;
    ChunkPlaces places{chunk.id, chunk.created, chunk.usage, chunk.copilot_usage, {}};
    if (texts_ == 1) {
        places.text = text_;
    }
    if (!find_surroundings(tape, places, pattern)) {
        return;
    }
    pattern.before = before;
    pattern.after = choices_;
    pattern.upstream_model =
        chunk.model == nullptr ? std::string_view() : tape.inside(*chunk.model);
    pattern.starts = !choices.empty();
    pattern.content = facts.content;
    pattern.finished = facts.finished;
    pattern.finish = facts.finish_reason;
    pattern.framed = !frame.empty();
    pattern.repeats = texts_ == 1 && plain_ && facts.content && !facts.finished;
    if (pattern.framed) {
        frame.remove_prefix(head_.size());
        const size_t size = pattern.has_text ? text_.end - text_.begin : 0;
        const size_t at = pattern.has_text ? frame_text_ - begin - head_.size() : frame.size();
        pattern.frame_before = frame.substr(0, at);
        pattern.frame_after = frame.substr(at + size);
    }
    // The proof: for its own chunk it says what the long way said.
    TextPattern::Found found;
    const std::string_view usage =
        chunk.usage == nullptr ? std::string_view() : tape.raw(*chunk.usage);
    if (pattern.find(tape.text(), found) && pattern.usage(found) == facts.usage &&
        pattern.around.usage(found) == usage) {
        chunk_patterns().keep(std::move(pattern));
    }
}

}  // namespace belay::protocols

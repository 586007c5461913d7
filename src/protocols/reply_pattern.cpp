#include "protocols/reply_pattern.h"

#include <cstring>

#include "wire/bytes.h"
#include "wire/json.h"

namespace belay::protocols {
namespace {

constexpr size_t kPatternMax = 16 << 10;  // bytes of surroundings worth keeping

bool needs_no_escape(std::string_view text) {
    const char* end = text.data() + text.size();
    return bytes::find_string_special(text.data(), end) == end;
}

template <size_t N>
void add(char*& at, const char (&text)[N]) {
    std::memcpy(at, text, N - 1);
    at += N - 1;
}

void add(char*& at, std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
}

constexpr char kId[] = R"({"id":")";
constexpr char kCreated[] = R"(","object":"chat.completion","created":)";
constexpr char kModel[] = R"(,"model":")";
constexpr char kContent[] = R"(","choices":[{"index":0,"message":{"role":"assistant","content":")";
constexpr char kFinish[] = R"("},"finish_reason":")";
constexpr char kUsage[] = R"("}],"usage":)";
constexpr size_t kFixed =
    sizeof kId + sizeof kCreated + sizeof kModel + sizeof kContent + sizeof kFinish + sizeof kUsage;
constexpr size_t kUsageMax = 512;  // what the counts and their names take at most

}  // namespace

ReplyPattern::ReplyPattern(const Tape& tape, const ReplyPlaces& places, const PlainReply& mended,
                           std::string_view model)
    : model_(model),
      upstream_model_(mended.upstream_model),
      finish_(places.finish),
      extra_(places.extra),
      unknown_(unknown_usage(tape, places.usage)) {
    Counts counts;
    std::vector<CountAt> at;
    if (places.usage == nullptr || model.empty() || !needs_no_escape(model) ||
        !find_counts(tape, places.usage, places.copilot_usage, counts, at) ||
        tape.text().size() - tape.inside(*places.content).size() > kPatternMax) {
        return;
    }
    usual_only_ = counts.usual_only;
    // Strings without their quotes.
    const auto inside = [](const Node& node) { return json::Span{node.begin + 1, node.end - 1}; };
    using What = TextPattern::What;
    std::vector<TextPattern::Place> all{{inside(*places.id), What::id, {}},
                                        {places.created->value(), What::created, {}},
                                        {inside(*places.content), What::content, {}}};
    bool any_usage = false;
    for (const CountAt& count : at) {
        all.push_back({count.value, What::count, count.count});
        any_usage |= count.value.begin > places.usage->begin && count.value.end < places.usage->end;
    }
    around_ = TextPattern(tape.text(), std::move(all), places.usage->value());
    // The proof: for its own reply it writes what the mend wrote.
    PlainReply again;
    if (!any_usage || !write(tape.text(), again) || again.body != mended.body ||
        again.usage != mended.usage || again.finish_reason != mended.finish_reason ||
        again.id != mended.id) {
        around_ = {};
    }
}

void ReplyPattern::write_found(const TextPattern::Found& found, PlainReply& reply,
                               bool names) const {
    const ChatUsage usage = usage_of(found.counts);
    std::string_view own_usage;
    if (usage.verbatim) {
        own_usage = around_.usage(found);
    }
    const size_t fixed = kFixed - 6 + found.id.size() + found.created.size() + model_.size() +
                         found.content.size() + finish_.size();
    std::string& out = reply.body;
    out.clear();
    out.reserve(fixed + own_usage.size() + kUsageMax + unknown_.prompt_details.size() +
                unknown_.output_details.size() + unknown_.members.size() + extra_.size());
    out.resize(fixed);
    char* at = out.data();
    add(at, kId);
    add(at, found.id);
    add(at, kCreated);
    add(at, found.created);
    add(at, kModel);
    add(at, model_);
    add(at, kContent);
    add(at, found.content);
    add(at, kFinish);
    add(at, finish_);
    add(at, kUsage);
    if (usage.verbatim) {
        out += own_usage;
    } else {
        write_chat_usage(out, usage.usage.value_or(chat::Usage{}), unknown_);
    }
    out += extra_;
    out += '}';
    reply.usage = usage.usage;
    reply.finish_reason = finish_;
    if (names) {
        reply.upstream_model = upstream_model_;
        reply.id = found.id;
    }
}

bool ReplyPattern::write(std::string_view body, PlainReply& reply, bool names) const {
    TextPattern::Found found;
    found.counts.usual_only = usual_only_;
    if (empty() || !around_.find(body, found)) {
        return false;
    }
    write_found(found, reply, names);
    return true;
}

bool ReplyPatterns::write(std::string_view body, std::string_view model, PlainReply& reply,
                          bool names) {
    for (const ReplyPattern& pattern : patterns_) {
        if (pattern.model() == model && pattern.write(body, reply, names)) {
            credit_.used();
            return true;
        }
    }
    return false;
}

void ReplyPatterns::keep(ReplyPattern pattern) {
    credit_.made();
    if (pattern.empty()) {
        return;
    }
    if (patterns_.size() < kMax) {
        patterns_.push_back(std::move(pattern));
        return;
    }
    patterns_[next_] = std::move(pattern);
    next_ = (next_ + 1) % kMax;
}

ReplyPatterns& reply_patterns() {
    thread_local ReplyPatterns patterns;
    return patterns;
}

}  // namespace belay::protocols

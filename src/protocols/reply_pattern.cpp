#include "protocols/reply_pattern.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "wire/json.h"

namespace belay::protocols {
namespace {

constexpr size_t kDigitsMax = 15;
constexpr size_t kPatternMax = 16 << 10;  // bytes of surroundings worth keeping
constexpr int kCreditMax = 64;
constexpr unsigned kMissesPerCredit = 256;

bool needs_no_escape(std::string_view text) {
    const char* end = text.data() + text.size();
    return bytes::find_string_special(text.data(), end) == end;
}

// Over the inside of a JSON string; at its closing quote, or nullptr when it is no valid string.
const char* skip_string(const char* p, const char* end) {
    const char* const begin = p;
    bool plain = true;
    while (true) {
        p = bytes::find_string_special(p, end);
        if (p == end) {
            return nullptr;
        }
        if (*p == '"') {
            break;
        }
        plain = false;
        if (*p == '\\' && ++p == end) {
            return nullptr;
        }
        ++p;
    }
    if (!plain && !json::validate({begin - 1, static_cast<size_t>(p - begin) + 2}).ok()) {
        return nullptr;
    }
    return p;
}

// Up to 15 digits as JSON writes a whole number; -1 when there is none.
int64_t take_digits(const char*& p, const char* end) {
    const char* const begin = p;
    int64_t value = 0;
    while (p != end && *p >= '0' && *p <= '9') {
        value = value * 10 + (*p - '0');
        if (static_cast<size_t>(++p - begin) > kDigitsMax) {
            return -1;
        }
    }
    const bool padded = p - begin > 1 && *begin == '0';
    return p == begin || padded ? -1 : value;
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
    struct Place {
        json::Span value;
        What what;
        Count count;
    };
    // Strings without their quotes.
    const auto inside = [](const Node& node) { return json::Span{node.begin + 1, node.end - 1}; };
    std::vector<Place> all{{inside(*places.id), What::id, {}},
                           {places.created->value(), What::created, {}},
                           {inside(*places.content), What::content, {}}};
    for (const CountAt& count : at) {
        all.push_back({count.value, What::count, count.count});
    }
    std::sort(all.begin(), all.end(),
              [](const Place& a, const Place& b) { return a.value.begin < b.value.begin; });
    std::vector<Hole> holes;
    size_t behind = 0;
    bool any_usage = false;
    for (const Place& place : all) {
        holes.push_back({std::string(tape.text().substr(behind, place.value.begin - behind)),
                         place.what, place.count});
        behind = place.value.end;
        if (place.what == What::count && place.value.begin > places.usage->begin &&
            place.value.end < places.usage->end) {
            usage_before_ = any_usage ? usage_before_ : place.value.begin - places.usage->begin;
            usage_after_ = places.usage->end - place.value.end;
            any_usage = true;
        }
    }
    after_ = tape.text().substr(behind);
    holes_ = std::move(holes);
    // The proof: for its own reply it writes what the mend wrote.
    PlainReply again;
    if (!any_usage || !write(tape.text(), again) || again.body != mended.body ||
        again.usage != mended.usage || again.finish_reason != mended.finish_reason ||
        again.id != mended.id) {
        holes_.clear();
    }
}

bool ReplyPattern::take(const Hole& hole, const char*& p, const char* end, Found& found) {
    const char* const begin = p;
    const auto taken = [&] { return std::string_view(begin, static_cast<size_t>(p - begin)); };
    switch (hole.what) {
        case What::id:
            p = bytes::find_string_special(p, end);
            found.id = taken();
            return p != end && *p == '"' && p != begin;
        case What::content:
            p = skip_string(p, end);
            if (p == nullptr) {
                return false;
            }
            found.content = taken();
            return true;
        case What::created:
            if (take_digits(p, end) <= 0) {
                return false;
            }
            found.created = taken();
            return true;
        case What::count:
            break;
    }
    const int64_t value = take_digits(p, end);
    if (value < 0) {
        return false;
    }
    found.counts.set(hole.count, value);
    if (hole.count <= Count::reasoning) {
        found.last_count = taken();
        if (found.first_count.data() == nullptr) {
            found.first_count = found.last_count;
        }
    }
    return true;
}

bool ReplyPattern::find(std::string_view body, Found& found) const {
    const char* p = body.data();
    const char* const end = p + body.size();
    for (const Hole& hole : holes_) {
        const size_t size = hole.before.size();
        if (static_cast<size_t>(end - p) < size || std::memcmp(p, hole.before.data(), size) != 0) {
            return false;
        }
        p += size;
        if (!take(hole, p, end, found)) {
            return false;
        }
    }
    return static_cast<size_t>(end - p) == after_.size() &&
           std::memcmp(p, after_.data(), after_.size()) == 0;
}

void ReplyPattern::write_found(const Found& found, PlainReply& reply) const {
    const ChatUsage usage = usage_of(found.counts);
    std::string_view own_usage;
    if (usage.verbatim) {
        const char* begin = found.first_count.data() - usage_before_;
        const char* end = found.last_count.data() + found.last_count.size() + usage_after_;
        own_usage = {begin, static_cast<size_t>(end - begin)};
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
    reply.upstream_model = upstream_model_;
    reply.id = found.id;
}

bool ReplyPattern::write(std::string_view body, PlainReply& reply) const {
    Found found;
    found.counts.usual_only = usual_only_;
    if (holes_.empty() || !find(body, found)) {
        return false;
    }
    write_found(found, reply);
    return true;
}

bool ReplyPatterns::write(std::string_view body, std::string_view model, PlainReply& reply) {
    for (const ReplyPattern& pattern : patterns_) {
        if (pattern.model() == model && pattern.write(body, reply)) {
            credit_ = std::min(credit_ + 1, kCreditMax);
            return true;
        }
    }
    return false;
}

bool ReplyPatterns::wants_more() {
    if (++misses_ % kMissesPerCredit == 0) {
        ++credit_;
    }
    return credit_ > 0;
}

void ReplyPatterns::keep(ReplyPattern pattern) {
    --credit_;
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

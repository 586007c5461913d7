#include "protocols/chunk_pattern.h"

#include <utility>

#include "wire/bytes.h"

namespace belay::protocols {
namespace {

constexpr size_t kAroundMax = 4 << 10;  // bytes of surroundings worth keeping

bool is_plain(std::string_view text) {
    const char* end = text.data() + text.size();
    return bytes::find_string_special(text.data(), end) == end;
}

}  // namespace

bool ChunkPattern::find(std::string_view data, TextPattern::Found& found) const {
    found = {};
    found.counts.usual_only = usual_only;
    return around.find(data, found) && (!has_text || !found.content.empty());
}

std::optional<chat::Usage> ChunkPattern::usage(const TextPattern::Found& found) const {
    return has_usage ? usage_of(found.counts).usage : std::nullopt;
}

bool find_surroundings(const Tape& tape, const ChunkPlaces& places, ChunkPattern& pattern) {
    using What = TextPattern::What;
    std::vector<TextPattern::Place> all;
    if (places.id != nullptr) {
        if (!places.id->is_text() || !is_plain(tape.inside(*places.id))) {
            return false;
        }
        if (places.id->has_text()) {
            all.push_back({{places.id->begin + 1, places.id->end - 1}, What::id, {}});
        }
    }
    if (places.created != nullptr) {
        const int64_t created = tape.plain_count(*places.created);
        if (created < 0) {
            return false;
        }
        if (created > 0) {
            all.push_back({places.created->value(), What::created, {}});
        }
    }
    pattern.has_text = places.text.has_value();
    if (pattern.has_text) {
        all.push_back({*places.text, What::content, {}});
    }
    pattern.has_usage = places.usage != nullptr || places.copilot_usage != nullptr;
    json::Span usage;
    if (pattern.has_usage) {
        Counts counts;
        std::vector<CountAt> at;
        if (!find_counts(tape, places.usage, places.copilot_usage, counts, at)) {
            return false;
        }
        pattern.usual_only = counts.usual_only;
        usage = places.usage == nullptr ? json::Span{} : places.usage->value();
        bool any = places.usage == nullptr;
        for (const CountAt& count : at) {
            all.push_back({count.value, What::count, count.count});
            any |= count.value.begin > usage.begin && count.value.end < usage.end;
        }
        if (!any) {
            return false;
        }
    }
    const size_t text = pattern.has_text ? places.text->end - places.text->begin : 0;
    if (tape.text().size() - text > kAroundMax) {
        return false;
    }
    pattern.around = TextPattern(tape.text(), std::move(all), usage);
    return true;
}

const ChunkPattern* ChunkPatterns::find(std::string_view data, const ChoiceSets& state,
                                        TextPattern::Found& found) {
    for (const ChunkPattern& pattern : patterns_) {
        if (pattern.before == state && pattern.find(data, found)) {
            credit_.used();
            return &pattern;
        }
    }
    return nullptr;
}

void ChunkPatterns::keep(ChunkPattern pattern) {
    if (patterns_.size() < kMax) {
        patterns_.push_back(std::move(pattern));
        return;
    }
    patterns_[next_] = std::move(pattern);
    next_ = (next_ + 1) % kMax;
}

ChunkPatterns& chunk_patterns() {
    thread_local ChunkPatterns patterns;
    return patterns;
}

}  // namespace belay::protocols

#pragma once
// The chunks that a stream has once each (the one with the role, the first with text, the finish,
// the usage) look alike in every stream of a model. A chunk pattern keeps what stands around their
// values (see text_pattern.h), what was written for such a chunk, and what it did to the stream; a
// chunk that fits, met in the same state, is written by copying.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/usage.h"
#include "protocols/tape.h"
#include "protocols/text_pattern.h"

namespace belay::protocols {

// Choices by index, one bit each.
struct ChoiceSets {
    uint64_t roles = 0;     // their role was written
    uint64_t open = 0;      // seen
    uint64_t finished = 0;  // their finish was written
    bool operator==(const ChoiceSets&) const = default;
};

// The values of a chunk that may change; nullptr when absent or null.
struct ChunkPlaces {
    const Node* id = nullptr;
    const Node* created = nullptr;
    const Node* usage = nullptr;
    const Node* copilot_usage = nullptr;
    std::optional<json::Span> text;  // of the one text that it has, without quotes
};

struct ChunkPattern {
    TextPattern around;
    ChoiceSets before, after;
    std::string upstream_model;             // raw; "" when the chunk names none
    std::string finish;                     // in chat words
    std::string frame_before, frame_after;  // around the text, behind the head
    bool starts = false;                    // it has a choice: the head must stand
    bool content = false;
    bool finished = false;
    bool framed = false;  // a frame was written
    bool has_text = false;
    bool has_usage = false;
    bool usual_only = true;  // see Counts
    bool repeats = false;    // one with another text may follow and is written alike

    // Whether the text fits, and what it says in its places.
    [[nodiscard]] bool find(std::string_view data, TextPattern::Found& found) const;
    [[nodiscard]] std::optional<chat::Usage> usage(const TextPattern::Found& found) const;
};

// Settles `around`, `has_text`, `has_usage` and `usual_only`. False when the chunk says something
// whose place or meaning is not known, or is too large to be worth it.
[[nodiscard]] bool find_surroundings(const Tape& tape, const ChunkPlaces& places,
                                     ChunkPattern& pattern);

// This thread's patterns, a few per model.
class ChunkPatterns {
  public:
    // The one that fits a chunk met in this state, or nullptr. Valid until the next keep().
    [[nodiscard]] const ChunkPattern* find(std::string_view data, const ChoiceSets& state,
                                           TextPattern::Found& found);
    [[nodiscard]] bool wants_more() { return credit_.wants_more(); }
    void made() { credit_.made(); }
    void keep(ChunkPattern pattern);
    [[nodiscard]] size_t size() const { return patterns_.size(); }

  private:
    static constexpr size_t kMax = 24;
    std::vector<ChunkPattern> patterns_;
    size_t next_ = 0;  // to be replaced
    PatternCredit credit_;
};

[[nodiscard]] ChunkPatterns& chunk_patterns();

}  // namespace belay::protocols

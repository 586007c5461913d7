#pragma once
// A JSON text with holes: what stands around the few values that change from one text to the next.
// Upstreams repeat themselves, so a text that was read with all care once makes a pattern, and the
// next one with the same surroundings is not taken apart: it is compared, and its values are found.
//
// A text that fits is valid JSON exactly when the one that the pattern was made of was: each hole
// takes only what may stand there (a plain id, a whole number, a valid string), quotes excluded.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/usage_json.h"

namespace belay::protocols {

class TextPattern {
  public:
    enum class What : uint8_t { id, created, content, count };
    struct Place {
        json::Span value;  // strings without their quotes
        What what = What::id;
        Count count = Count::prompt;
    };
    struct Found {
        std::string_view id, created, content;  // without quotes; no data where there is no hole
        Counts counts;
        std::string_view first_count, last_count;  // of the usage object
    };

    // Fits nothing.
    TextPattern() = default;
    // `usage` is where the usage object stands in the text; empty when there is none.
    TextPattern(std::string_view text, std::vector<Place> places, json::Span usage);

    [[nodiscard]] bool empty() const { return holes_.empty() && after_.empty(); }
    // False when the text differs in more than the holes; then `found` holds anything.
    [[nodiscard]] bool find(std::string_view text, Found& found) const;
    // The usage object of a text that fits; no data when no count stands in it.
    [[nodiscard]] std::string_view usage(const Found& found) const;

  private:
    struct Hole {
        std::string before;  // the text between the last hole and this one
        What what = What::id;
        Count count = Count::prompt;
    };
    [[nodiscard]] static bool take(const Hole& hole, const char*& p, const char* end, Found& found);

    std::vector<Hole> holes_;
    std::string after_;
    // From the beginning of the usage object to its first count, and from its last to its end.
    size_t usage_before_ = 0;
    size_t usage_after_ = 0;
};

// Texts that never look alike must not pay for patterns: each one made costs, each one used earns.
class PatternCredit {
  public:
    void used() { credit_ += credit_ < kMost ? 1 : 0; }
    void made() { --credit_; }
    // Told of each text that fitted none: whether making a pattern of it is worth the time.
    [[nodiscard]] bool wants_more() {
        if (++misses_ % kMissesPerCredit == 0) {
            ++credit_;
        }
        return credit_ > 0;
    }

  private:
    static constexpr int kFirst = 16;
    static constexpr int kMost = 64;
    static constexpr unsigned kMissesPerCredit = 256;
    int credit_ = kFirst;
    unsigned misses_ = 0;
};

}  // namespace belay::protocols

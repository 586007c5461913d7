#pragma once
// Upstreams repeat themselves: two plain replies of one model differ in their id, their time, their
// text and a few counts, and in nothing else. A pattern keeps what stands around those places in a
// reply that was read and mended with all care; one with the same surroundings is written by
// copying, without being taken apart. What fits no pattern goes the long way.
//
// A pattern is kept only when it gives the very bytes of the mend for the reply it was made from.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/usage.h"
#include "protocols/convert.h"
#include "protocols/tape.h"
#include "protocols/text_pattern.h"
#include "protocols/usage_json.h"

namespace belay::protocols {

// The places of a reply of one message of text that may change, as the tape has them.
struct ReplyPlaces {
    const Node* id = nullptr;
    const Node* created = nullptr;
    const Node* content = nullptr;
    const Node* usage = nullptr;          // may be nullptr
    const Node* copilot_usage = nullptr;  // may be nullptr
    std::string_view finish;              // as shown
    std::string extra;                    // members that go along, each with a comma before it
};

class ReplyPattern {
  public:
    // Nothing known: fits no reply.
    ReplyPattern() = default;
    ReplyPattern(const Tape& tape, const ReplyPlaces& places, const PlainReply& mended,
                 std::string_view model);

    [[nodiscard]] bool empty() const { return around_.empty(); }
    [[nodiscard]] std::string_view model() const { return model_; }
    // False when the body differs in more than the places; then `reply` is untouched. `names`: its
    // id and the upstream's name of the model are wanted too.
    [[nodiscard]] bool write(std::string_view body, PlainReply& reply, bool names = true) const;

  private:
    void write_found(const TextPattern::Found& found, PlainReply& reply, bool names) const;

    TextPattern around_;
    std::string model_;           // as shown, needing no escape
    std::string upstream_model_;  // as the upstream calls it
    std::string finish_;
    std::string extra_;
    UnknownUsage unknown_;
    bool usual_only_ = true;
};

// This thread's patterns, a few per model.
class ReplyPatterns {
  public:
    [[nodiscard]] bool write(std::string_view body, std::string_view model, PlainReply& reply,
                             bool names = true);
    // Told of each reply that fitted none: whether making a pattern of it is worth the time.
    [[nodiscard]] bool wants_more() { return credit_.wants_more(); }
    void keep(ReplyPattern pattern);

  private:
    static constexpr size_t kMax = 8;
    std::vector<ReplyPattern> patterns_;
    size_t next_ = 0;  // to be replaced
    PatternCredit credit_;
};

[[nodiscard]] ReplyPatterns& reply_patterns();

}  // namespace belay::protocols

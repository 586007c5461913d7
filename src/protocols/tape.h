#pragma once
// A JSON text read once: checked like json::validate() and remembered as a flat list of its values,
// so that whoever looks into it afterwards never has to skip over text again. The hot path's
// reader: every request, reply and chunk that passes through goes over one Tape.
//
// Nodes stand in the order of the text. The children of a container follow it; `next` leads past
// all of them. Containers below `depth_kept` are checked and not taken apart: they have no children
// here, and nor have content_filter_results and prompt_filter_results where twins are ignored.
// Objects whose members are kept must not have two of one name.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/scan.h"

namespace belay::protocols {

struct Node {
    uint32_t key_begin = 0, key_end = 0;  // the name without quotes, still escaped; 0, 0 in arrays
    uint32_t begin = 0, end = 0;          // the value's text
    uint32_t next = 0;                    // index of the node behind this value
    json::Type type = json::Type::null;
    bool key_escaped = false;

    [[nodiscard]] json::Span value() const { return {begin, end}; }
    // Name and value, as they stand in an object.
    [[nodiscard]] json::Span whole() const { return {key_end == 0 ? begin : key_begin - 1, end}; }
    [[nodiscard]] bool is_null() const { return type == json::Type::null; }
    [[nodiscard]] bool is_text() const { return type == json::Type::string; }
    [[nodiscard]] bool is_object() const { return type == json::Type::object; }
    [[nodiscard]] bool is_array() const { return type == json::Type::array; }
    // A string of at least one byte.
    [[nodiscard]] bool has_text() const { return is_text() && end - begin > 2; }
};

class Tape {
  public:
    static constexpr size_t kDepthMax = 64;
    static constexpr unsigned kAll = kDepthMax;

    Tape() = default;
    Tape(const Tape&) = delete;
    Tape& operator=(const Tape&) = delete;

    // Whether two members of one name are looked for in objects whose members are kept. Requests
    // are (it is how a filter is fooled); what upstreams send is not worth the time.
    enum class Twins : uint8_t { refused, ignored };

    // False when the text is no JSON; then where() and why() tell. Keeps its memory between calls;
    // the text must outlive the use of the nodes. `members_max` bounds members and items over the
    // text.
    [[nodiscard]] bool read(std::string_view text, Twins twins, unsigned depth_kept = kAll,
                            size_t members_max = 100'000);
    [[nodiscard]] size_t where() const { return where_; }
    [[nodiscard]] std::string_view why() const { return why_; }
    // A raw line break stands between the values: the text cannot go into one SSE line as it is.
    [[nodiscard]] bool has_line_break() const { return line_break_; }

    // Gives back memory that only an unusually large text needed.
    void trim();

    [[nodiscard]] const Node& root() const { return nodes_[0]; }
    [[nodiscard]] std::string_view text() const {
        return {begin_, static_cast<size_t>(end_ - begin_)};
    }
    [[nodiscard]] std::string_view raw(const Node& node) const {
        return between(node.begin, node.end);
    }
    [[nodiscard]] std::string_view key(const Node& node) const {
        return between(node.key_begin, node.key_end);
    }
    [[nodiscard]] std::string_view whole(const Node& node) const {
        json::Span span = node.whole();
        return between(span.begin, span.end);
    }
    // The still escaped inside of a string value; "" for anything else.
    [[nodiscard]] std::string_view inside(const Node& node) const {
        return node.is_text() ? between(node.begin + 1, node.end - 1) : std::string_view();
    }
    // A number that is written as up to 15 digits and nothing else; -1 for anything else.
    [[nodiscard]] int64_t plain_count(const Node& node) const {
        const char* p = begin_ + node.begin;
        const char* end = begin_ + node.end;
        if (end - p > 15) {
            return -1;
        }
        int64_t count = 0;
        for (; p != end; ++p) {
            unsigned digit = static_cast<unsigned char>(*p) - unsigned{'0'};
            if (digit > 9) {
                return -1;
            }
            count = count * 10 + digit;
        }
        return count;
    }
    // A whole number, or the fallback.
    [[nodiscard]] int64_t integer(const Node& node, int64_t fallback) const;
    [[nodiscard]] bool is(const Node& node, std::string_view text) const {
        return inside(node) == text;
    }

    class Children {
      public:
        class Iterator {
          public:
            Iterator(const Node* all, uint32_t at) : all_(all), at_(at) {}
            const Node& operator*() const { return all_[at_]; }
            Iterator& operator++() {
                at_ = all_[at_].next;
                return *this;
            }
            bool operator!=(const Iterator& other) const { return at_ != other.at_; }

          private:
            const Node* all_;
            uint32_t at_;
        };
        Children(const Node* all, uint32_t first, uint32_t last)
            : all_(all), first_(first), last_(last) {}
        [[nodiscard]] Iterator begin() const { return {all_, first_}; }
        [[nodiscard]] Iterator end() const { return {all_, last_}; }
        [[nodiscard]] bool empty() const { return first_ == last_; }

      private:
        const Node* all_;
        uint32_t first_, last_;
    };
    // Nothing for scalars.
    [[nodiscard]] Children children(const Node& node) const {
        auto index = static_cast<uint32_t>(&node - nodes_);
        return {nodes_, index + 1, node.next};
    }
    [[nodiscard]] Children none() const { return {nodes_, 0, 0}; }
    // The member, or nullptr.
    [[nodiscard]] const Node* find(const Node& object, std::string_view name) const;

  private:
    // The name in front of a value; all zero in arrays.
    struct Name {
        uint32_t begin = 0, end = 0;
        bool escaped = false;
    };

    // Offsets come from nodes, which lie inside the text.
    [[nodiscard]] std::string_view between(uint32_t begin, uint32_t end) const {
        return {begin_ + begin, end - begin};
    }
    // `kept`: the value (in object and array: the values inside) becomes a node.
    template <bool kept>
    [[gnu::always_inline]] inline const char* value(const char* p, unsigned depth, Name name);
    template <bool kept>
    const char* object(const char* p, unsigned depth);
    template <bool kept>
    const char* array(const char* p, unsigned depth);
    const char* filter_results(const char* p, unsigned depth, Name name);
    const char* plain_string(const char* p) const;
    const char* string(const char* p);
    const char* any_string(const char* p);
    const char* string_slowly(const char* p);
    const char* odd_byte(const char* p);
    const char* number(const char* p);
    const char* space(const char* p);
    const char* space_slowly(const char* p);
    const char* fail(const char* p, const char* why);
    void grow();
    [[nodiscard]] bool may_have_twins(uint32_t first) const;
    [[nodiscard]] bool has_twins(uint32_t first) const;

    // The content filter's results that were read last, by the two names they have. They are the
    // longest part of many chunks and nearly always the same bytes: those need no second check.
    struct Seen {
        std::string text;
        unsigned depth = 0;  // where it stood: not too deep there
        size_t members = 0;  // members and items inside
    };

    const char* begin_ = nullptr;
    const char* end_ = nullptr;
    Seen seen_[2];
    // The first `count_` of the held nodes are in use. Plain pointers: every value writes one.
    std::vector<Node> held_;
    Node* nodes_ = nullptr;
    uint32_t count_ = 0;
    uint32_t room_ = 0;
    bool escaped_ = false;  // the last string read slowly held an escape
    bool line_break_ = false;
    bool refuse_twins_ = false;
    unsigned depth_kept_ = kAll;
    size_t members_left_ = 0;
    size_t where_ = 0;
    const char* why_ = "";
};

// This thread's own tape, for reads whose result is used up before anything else is read.
[[nodiscard]] Tape& scratch_tape();

}  // namespace belay::protocols

// json::validate: one pass over the text with a stack of open containers and one of member names.
// Nothing is allocated unless names are escaped or more than kInlineKeys are open at once.
#include <algorithm>
#include <deque>

#include "wire/bytes.h"
#include "wire/scan.h"
#include "wire/unescape.h"

namespace belay::json {
namespace {

constexpr size_t kDepthMax = 1024;       // whatever Limits says: bounds our own stack
constexpr size_t kInlineKeys = 96;       // more are kept on the heap
constexpr size_t kPairwiseMax = 16;      // objects with more members are sorted to find duplicates
constexpr size_t kTextMax = 0xFFFFFFF0;  // Span counts in 32 bits

// A member name, unescaped. Names with different tags differ.
struct Key {
    const char* at;
    uint32_t size;
    uint64_t tag;

    [[nodiscard]] std::string_view text() const { return {at, size}; }
};

bool same(const Key& a, const Key& b) {
    return a.tag == b.tag && a.size == b.size && std::memcmp(a.at, b.at, a.size) == 0;
}

bool before(const Key& a, const Key& b) {
    if (a.tag != b.tag) {
        return a.tag < b.tag;
    }
    if (a.size != b.size) {
        return a.size < b.size;
    }
    return std::memcmp(a.at, b.at, a.size) < 0;
}

class Validator {
  public:
    Validator(std::string_view text, const Limits& limits)
        : begin_(text.data()),
          p_(text.data()),
          end_(text.data() + text.size()),
          limits_(limits),
          depth_max_(std::min(limits.depth, kDepthMax)) {}

    Result<void> run() {
        if (static_cast<size_t>(end_ - begin_) > kTextMax) {
            return caller_error(Kind::too_large, "JSON text of more than 4 GiB");
        }
        if (document()) {
            return {};
        }
        return caller_error(
            Kind::invalid_request,
            "invalid JSON at byte " + std::to_string(p_ - begin_) + ": " + why_ + detail_);
    }

  private:
    struct Frame {
        uint32_t first_key;
        bool object;
    };
    enum class Step : uint8_t { value, after };

    bool fail(const char* why) {
        why_ = why;
        return false;
    }
    void skip_space() { p_ = bytes::skip_json_space(p_, end_); }

    bool document() {
        skip_space();
        Step step = Step::value;
        while (true) {
            if (step == Step::value) {
                if (!value(step)) {
                    return false;
                }
            } else if (depth_ == 0) {
                skip_space();
                return p_ == end_ || fail("bytes after the end of the value");
            } else if (!after(step)) {
                return false;
            }
        }
    }

    // One scalar, or the opening of a container. Leaves `step` at value when a value must follow.
    bool value(Step& step) {
        step = Step::after;
        if (p_ == end_) {
            return fail("the text ends where a value should stand");
        }
        switch (*p_) {
            case '"':
                ++p_;
                return string();
            case '{':
                return open(step, true);
            case '[':
                return open(step, false);
            case 't':
                return word("true");
            case 'f':
                return word("false");
            case 'n':
                return word("null");
            default:
                return number();
        }
    }

    bool open(Step& step, bool object) {
        if (depth_ == depth_max_) {
            return fail("nested too deeply");
        }
        frames_[depth_++] = {static_cast<uint32_t>(key_count_), object};
        ++p_;
        skip_space();
        if (p_ != end_ && *p_ == (object ? '}' : ']')) {
            ++p_;
            --depth_;
            return true;
        }
        step = Step::value;
        return object ? name() : count();
    }

    // What follows a value inside a container: a comma and the next one, or the closing bracket.
    bool after(Step& step) {
        skip_space();
        const Frame& frame = frames_[depth_ - 1];
        if (p_ == end_) {
            return fail(frame.object ? "the text ends inside an object"
                                     : "the text ends inside an array");
        }
        if (*p_ == ',') {
            ++p_;
            skip_space();
            step = Step::value;
            return frame.object ? name() : count();
        }
        if (frame.object) {
            return *p_ == '}' ? close_object() : fail("',' or '}' expected");
        }
        if (*p_ != ']') {
            return fail("',' or ']' expected");
        }
        ++p_;
        --depth_;
        return true;
    }

    bool count() { return ++members_ <= limits_.members || fail("too many members and items"); }

    // A member's name and its colon.
    bool name() {
        if (!count()) {
            return false;
        }
        if (p_ == end_ || *p_ != '"') {
            return fail("a member name in double quotes expected");
        }
        const char* first = ++p_;
        escaped_ = false;
        if (!string()) {
            return false;
        }
        push_key(first, static_cast<size_t>(p_ - 1 - first));
        skip_space();
        if (p_ == end_ || *p_ != ':') {
            return fail("':' expected after the member name");
        }
        ++p_;
        skip_space();
        return true;
    }

    // From behind the opening quote to behind the closing one.
    bool string() {
        while (true) {
            p_ = bytes::find_string_special(p_, end_);
            if (p_ == end_) {
                return fail("the text ends inside a string");
            }
            if (*p_ == '"') {
                ++p_;
                return true;
            }
            if (*p_ == '\\') {
                if (!escape()) {
                    return false;
                }
                continue;
            }
            if (static_cast<signed char>(*p_) >= 0) {
                return fail("a control byte inside a string must be escaped");
            }
            do {  // foreign scripts come in runs
                const int length = bytes::utf8_length(p_, end_);
                if (length == 0) {
                    return fail("malformed UTF-8");
                }
                p_ += length;
            } while (p_ != end_ && static_cast<signed char>(*p_) < 0);
        }
    }

    bool escape() {
        escaped_ = true;
        if (end_ - p_ < 2) {
            return fail("the text ends inside a string");
        }
        switch (p_[1]) {
            case '"':
            case '\\':
            case '/':
            case 'b':
            case 'f':
            case 'n':
            case 'r':
            case 't':
                p_ += 2;
                return true;
            case 'u':
                return unicode_escape();
            default:
                return fail("unknown escape");
        }
    }

    bool unicode_escape() {
        const int code = code_unit(p_);
        if (code < 0) {
            return fail("\\u needs four hexadecimal digits");
        }
        if (code < 0xD800 || code > 0xDFFF) {
            p_ += 6;
            return true;
        }
        const int low = code < 0xDC00 ? code_unit(p_ + 6) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return fail("a lone surrogate");
        }
        p_ += 12;
        return true;
    }

    // The code unit of the "\uXXXX" at `at`, or -1 when there is none.
    [[nodiscard]] int code_unit(const char* at) const {
        if (end_ - at < 6 || at[0] != '\\' || at[1] != 'u') {
            return -1;
        }
        int code = 0;
        for (int i = 2; i < 6; ++i) {
            const int digit = bytes::hex_digit(at[i]);
            if (digit < 0) {
                return -1;
            }
            code = code * 16 + digit;
        }
        return code;
    }

    bool word(std::string_view expected) {
        if (static_cast<size_t>(end_ - p_) < expected.size() ||
            std::memcmp(p_, expected.data(), expected.size()) != 0) {
            return fail("a value expected");
        }
        p_ += expected.size();
        return true;
    }

    bool number() {
        const char* const first = p_;
        if (*p_ == '-') {
            ++p_;
        }
        const char* const whole = p_;
        if (!digits()) {
            return fail(p_ == first ? "a value expected" : "a digit expected");
        }
        if (*whole == '0' && p_ - whole > 1) {
            p_ = whole;
            return fail("a number must not begin with 0");
        }
        if (p_ != end_ && *p_ == '.') {
            ++p_;
            if (!digits()) {
                return fail("a digit expected after '.'");
            }
        }
        if (p_ != end_ && (*p_ | 0x20) == 'e') {
            ++p_;
            if (p_ != end_ && (*p_ == '+' || *p_ == '-')) {
                ++p_;
            }
            if (!digits()) {
                return fail("a digit expected in the exponent");
            }
        }
        if (static_cast<size_t>(p_ - first) > limits_.digits) {
            p_ = first;
            return fail("a number of too many digits");
        }
        return true;
    }

    bool digits() {
        const char* const first = p_;
        while (p_ != end_ && static_cast<unsigned char>(*p_ - '0') < 10) {
            ++p_;
        }
        return p_ != first;
    }

    void push_key(const char* at, size_t size) {
        if (escaped_) {
            std::string& plain = unescaped_.emplace_back();
            unescape({at, size}, plain);
            at = plain.data();
            size = plain.size();
        }
        if (key_count_ == key_capacity_) {
            spill_.resize(key_capacity_ * 2);
            if (keys_ == inline_) {
                std::copy(inline_, inline_ + key_count_, spill_.begin());
            }
            keys_ = spill_.data();
            key_capacity_ = spill_.size();
        }
        uint64_t tag = 0;
        std::memcpy(&tag, at, std::min(size, sizeof tag));
        keys_[key_count_++] = {at, static_cast<uint32_t>(size), tag};
    }

    bool close_object() {
        const size_t first = frames_[depth_ - 1].first_key;
        const Key* twin = find_duplicate(keys_ + first, key_count_ - first);
        if (twin != nullptr) {
            detail_ = " \"" + std::string(printable(twin->text())) + "\"";
            return fail("the object that ends here has a duplicate member");
        }
        key_count_ = first;
        ++p_;
        --depth_;
        return true;
    }

    static const Key* find_duplicate(Key* keys, size_t count) {
        if (count > kPairwiseMax) {
            std::sort(keys, keys + count, before);
            Key* twin = std::adjacent_find(keys, keys + count, same);
            return twin == keys + count ? nullptr : twin;
        }
        for (size_t i = 1; i < count; ++i) {
            for (size_t j = 0; j < i; ++j) {
                if (keys[i].tag == keys[j].tag && same(keys[i], keys[j])) {
                    return &keys[i];
                }
            }
        }
        return nullptr;
    }

    // A name fit for a message: short, and only when it is plain.
    static std::string_view printable(std::string_view name) {
        const bool plain = std::all_of(name.begin(), name.end(),
                                       [](char c) { return c >= ' ' && c < 0x7F && c != '"'; });
        return plain ? name.substr(0, 64) : std::string_view("?");
    }

    const char* const begin_;
    const char* p_;
    const char* const end_;
    const Limits& limits_;
    const size_t depth_max_;
    size_t depth_ = 0;
    size_t members_ = 0;
    bool escaped_ = false;  // the last string held an escape
    const char* why_ = "";
    std::string detail_;
    Key* keys_ = inline_;
    size_t key_count_ = 0;
    size_t key_capacity_ = kInlineKeys;
    std::vector<Key> spill_;
    std::deque<std::string> unescaped_;  // a deque: its strings must not move
    Key inline_[kInlineKeys];
    Frame frames_[kDepthMax];
};

}  // namespace

Result<void> validate(std::string_view text, const Limits& limits) {
    return Validator(text, limits).run();
}

}  // namespace belay::json

#include "protocols/tape.h"

#include <algorithm>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "wire/bytes.h"

namespace belay::protocols {
namespace {

constexpr size_t kTextMax = 0xFFFFFFF0;  // offsets have 32 bits
constexpr size_t kDigitsMax = 64;
constexpr ptrdiff_t kSeenMax = 2048;
constexpr size_t kNodesFirst = 64;
constexpr size_t kNodesHeldMax = 16'384;  // half a megabyte per thread

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

constexpr std::string_view kFilterNames[] = {"prompt_filter_results", "content_filter_results"};

// Both names end in "filter_results".
bool may_be_filter_name(const char* text, uint32_t begin, uint32_t end) {
    const uint32_t size = end - begin;
    return size - kFilterNames[0].size() <= 1 && text[end - 14] == 'f';
}

// Whether the digits from `first` to `p` are a whole number of their own: nearly all are.
bool is_plain_number(const char* first, const char* p, const char* end) {
    const auto size = static_cast<size_t>(p - first);
    return size - 1 < kDigitsMax && (*first != '0' || size == 1) && p != end && *p != '.' &&
           (*p | 0x20) != 'e';
}

#if defined(__SSE2__)
// Which of the 16 bytes are no plain ASCII text inside a string (see wire/bytes.h).
inline __m128i odd_bytes(const char* p) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')),
                        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                     _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
}
#endif

template <size_t N>
bool reads(const char* p, const char* end, const char (&word)[N]) {
    return static_cast<size_t>(end - p) >= N - 1 && std::memcmp(p, word, N - 1) == 0;
}

int code_unit(const char* p, const char* end) {
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }
    int code = 0;
    for (int i = 2; i < 6; ++i) {
        int digit = bytes::hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

}  // namespace

bool Tape::read(std::string_view text, Twins twins, unsigned depth_kept, size_t members_max) {
    refuse_twins_ = twins == Twins::refused;
    begin_ = text.data();
    end_ = begin_ + text.size();
    count_ = 0;
    line_break_ = false;
    depth_kept_ = depth_kept;
    members_left_ = members_max;
    where_ = 0;
    why_ = "";
    if (text.size() > kTextMax) {
        why_ = "more than 4 GiB";
        return false;
    }
    const char* p = value<true>(space(begin_), 0, {});
    if (p == nullptr) {
        return false;
    }
    p = space(p);
    return p == end_ || fail(p, "bytes after the end of the value") != nullptr;
}

void Tape::trim() {
    if (room_ > kNodesHeldMax) {
        held_ = {};
        nodes_ = nullptr;
        count_ = room_ = 0;
    }
}

Tape& scratch_tape() {
    thread_local Tape tape;
    tape.trim();
    return tape;
}

int64_t Tape::integer(const Node& node, int64_t fallback) const {
    const int64_t count = plain_count(node);
    return count >= 0 ? count : json::int_at(text(), node.value(), fallback);
}

const Node* Tape::find(const Node& object, std::string_view name) const {
    for (const Node& node : children(object)) {
        if (key(node) == name) {
            return &node;
        }
    }
    return nullptr;
}

// Every reader takes the place where its value begins and returns the place behind it, or nullptr.
inline const char* Tape::string(const char* p) {
    const char* behind = plain_string(p);
    return behind != nullptr ? behind : any_string(p);
}

// A short string without escapes or multi-byte text; nullptr for others, and near the end: two
// bytes behind the string may be looked at.
inline const char* Tape::plain_string([[maybe_unused]] const char* p) const {
#if defined(__SSE2__)
    if (end_ - p >= 32 + 2) {
        auto mask = static_cast<unsigned>(_mm_movemask_epi8(odd_bytes(p)));
        if (mask == 0) {
            p += 16;
            mask = static_cast<unsigned>(_mm_movemask_epi8(odd_bytes(p))) | 0x8000U;
        }
        p += __builtin_ctz(mask);
        return *p == '"' ? p + 1 : nullptr;
    }
#endif
    return nullptr;
}

// One blank, the most that most writers put between two tokens, is passed at once.
inline const char* Tape::space(const char* p) {
    if (p == end_ || static_cast<unsigned char>(*p) > ' ') {
        return p;
    }
    p += *p == ' ' ? 1 : 0;
    return p == end_ || static_cast<unsigned char>(*p) > ' ' ? p : space_slowly(p);
}

// The values of containers are read in place, without a call each: this is where the time goes.
template <bool kept>
inline const char* Tape::value(const char* p, unsigned depth, Name name) {
    if (p == end_) {
        return fail(p, "the text ends where a value should stand");
    }
    const uint32_t index = count_;
    const auto begin = static_cast<uint32_t>(p - begin_);
    if constexpr (kept) {
        if (index == room_) {
            grow();
        }
        count_ = index + 1;
    }
    json::Type type = json::Type::number;
    switch (*p) {
        case '"':
            type = json::Type::string;
            p = string(p + 1);
            break;
        case '{':
            type = json::Type::object;
            p = kept && depth < depth_kept_ ? object<true>(p + 1, depth)
                                            : object<false>(p + 1, depth);
            break;
        case '[':
            type = json::Type::array;
            p = kept && depth < depth_kept_ ? array<true>(p + 1, depth)
                                            : array<false>(p + 1, depth);
            break;
        case 't':
            type = json::Type::boolean;
            p = reads(p, end_, "true") ? p + 4 : fail(p, "a value expected");
            break;
        case 'f':
            type = json::Type::boolean;
            p = reads(p, end_, "false") ? p + 5 : fail(p, "a value expected");
            break;
        case 'n':
            type = json::Type::null;
            p = reads(p, end_, "null") ? p + 4 : fail(p, "a value expected");
            break;
        default: {
            const char* first = p;
            while (p != end_ && is_digit(*p)) {
                ++p;
            }
            if (!is_plain_number(first, p, end_)) {
                p = number(first);
            }
            break;
        }
    }
    if (p == nullptr) {
        return nullptr;
    }
    if constexpr (kept) {
        Node& node = nodes_[index];
        node.key_begin = name.begin;
        node.key_end = name.end;
        node.begin = begin;
        node.end = static_cast<uint32_t>(p - begin_);
        node.next = count_;
        node.type = type;
        node.key_escaped = name.escaped;
    }
    return p;
}

template <bool kept>
const char* Tape::object(const char* p, unsigned depth) {
    if (depth >= kDepthMax) {
        return fail(p, "nested too deeply");
    }
    const uint32_t first = count_;
    p = space(p);
    if (p != end_ && *p == '}') {
        return p + 1;
    }
    while (true) {
        if (members_left_-- == 0) {
            return fail(p, "too many members and items");
        }
        if (p == end_ || *p != '"') {
            p = space(p);
            if (p == end_ || *p != '"') {
                return fail(p, "a member name in double quotes expected");
            }
        }
        Name name;
        name.begin = static_cast<uint32_t>(++p - begin_);
        const char* behind = plain_string(p);
        if (behind != nullptr) {
            p = behind;
        } else {
            escaped_ = false;
            p = any_string(p);
            if (p == nullptr) {
                return nullptr;
            }
            name.escaped = escaped_;
        }
        name.end = static_cast<uint32_t>(p - 1 - begin_);
        if (behind != nullptr && *p == ':' && static_cast<unsigned char>(p[1]) > ' ') {
            ++p;
        } else {
            p = space(p);
            if (p == end_ || *p != ':') {
                return fail(p, "':' expected after the member name");
            }
            p = space(p + 1);
        }
        if (kept && may_be_filter_name(begin_, name.begin, name.end) && !refuse_twins_) {
            p = filter_results(p, depth + 1, name);
        } else {
            p = value<kept>(p, depth + 1, name);
        }
        if (p == nullptr) {
            return nullptr;
        }
        if (p != end_ && *p == ',') {
            ++p;
            continue;
        }
        p = space(p);
        if (p == end_) {
            return fail(p, "the text ends inside an object");
        }
        if (*p == '}') {
            break;
        }
        if (*p != ',') {
            return fail(p, "',' or '}' expected");
        }
        ++p;
    }
    if (kept && refuse_twins_ && may_have_twins(first) && has_twins(first)) {
        return fail(p, "the object that ends here has a duplicate member");
    }
    return p + 1;
}

template <bool kept>
const char* Tape::array(const char* p, unsigned depth) {
    if (depth >= kDepthMax) {
        return fail(p, "nested too deeply");
    }
    p = space(p);
    if (p != end_ && *p == ']') {
        return p + 1;
    }
    while (true) {
        if (members_left_-- == 0) {
            return fail(p, "too many members and items");
        }
        p = value<kept>(p, depth + 1, {});
        if (p == nullptr) {
            return nullptr;
        }
        p = space(p);
        if (p == end_) {
            return fail(p, "the text ends inside an array");
        }
        if (*p == ']') {
            return p + 1;
        }
        if (*p != ',') {
            return fail(p, "',' or ']' expected");
        }
        p = space(p + 1);
    }
}

const char* Tape::filter_results(const char* p, unsigned depth, Name name) {
    const size_t which = name.end - name.begin == kFilterNames[0].size() ? 0 : 1;
    if (p == end_ || (*p != '{' && *p != '[') ||
        between(name.begin, name.end) != kFilterNames[which]) {
        return value<true>(p, depth, name);
    }
    Seen& seen = seen_[which];
    const size_t size = seen.text.size();
    if (size != 0 && size <= static_cast<size_t>(end_ - p) && depth <= seen.depth &&
        members_left_ >= seen.members && std::memcmp(p, seen.text.data(), size) == 0) {
        if (count_ == room_) {
            grow();
        }
        Node& node = nodes_[count_];
        node.key_begin = name.begin;
        node.key_end = name.end;
        node.begin = static_cast<uint32_t>(p - begin_);
        node.end = node.begin + static_cast<uint32_t>(size);
        node.next = ++count_;
        node.type = *p == '{' ? json::Type::object : json::Type::array;
        node.key_escaped = false;
        members_left_ -= seen.members;
        return p + size;
    }
    const unsigned depth_kept = std::exchange(depth_kept_, depth);
    const bool line_break = std::exchange(line_break_, false);
    const size_t members_left = members_left_;
    const char* behind = value<true>(p, depth, name);
    if (behind != nullptr && behind - p <= kSeenMax && !line_break_) {
        seen.text.assign(p, behind);
        seen.depth = depth;
        seen.members = members_left - members_left_;
    }
    depth_kept_ = depth_kept;
    line_break_ |= line_break;
    return behind;
}

const char* Tape::space_slowly(const char* p) {
    while (p != end_ && bytes::is_json_space(*p)) {
        line_break_ |= *p == '\n' || *p == '\r';
        ++p;
    }
    return p;
}

void Tape::grow() {
    held_.resize(std::max<size_t>(kNodesFirst, held_.size() * 2));
    nodes_ = held_.data();
    room_ = static_cast<uint32_t>(held_.size());
}

[[gnu::noinline]] const char* Tape::any_string(const char* p) {
#if defined(__SSE2__)
    // Long texts, 64 bytes at a time.
    for (; end_ - p >= 64; p += 64) {
        const __m128i odd = _mm_or_si128(_mm_or_si128(odd_bytes(p), odd_bytes(p + 16)),
                                         _mm_or_si128(odd_bytes(p + 32), odd_bytes(p + 48)));
        if (_mm_movemask_epi8(odd) != 0) {
            break;
        }
    }
#endif
    p = bytes::find_string_special(p, end_);
    return p != end_ && *p == '"' ? p + 1 : string_slowly(p);
}

const char* Tape::string_slowly(const char* p) {
    while (true) {
        p = odd_byte(p);
        if (p == nullptr) {
            return nullptr;
        }
        p = bytes::find_string_special(p, end_);
        if (p != end_ && *p == '"') {
            return p + 1;
        }
    }
}

// An escape or a run of multi-byte sequences inside a string.
const char* Tape::odd_byte(const char* p) {
    if (p == end_) {
        return fail(p, "the text ends inside a string");
    }
    if (static_cast<signed char>(*p) < 0) {
        do {
            int length = bytes::utf8_length(p, end_);
            if (length == 0) {
                return fail(p, "malformed UTF-8");
            }
            p += length;
        } while (p != end_ && static_cast<signed char>(*p) < 0);
        return p;
    }
    if (*p != '\\') {
        return fail(p, "a control byte inside a string must be escaped");
    }
    escaped_ = true;
    if (end_ - p < 2) {
        return fail(p, "the text ends inside a string");
    }
    if (p[1] != 'u') {
        return std::memchr("\"\\/bfnrt", p[1], 8) != nullptr ? p + 2 : fail(p, "unknown escape");
    }
    int code = code_unit(p, end_);
    if (code < 0) {
        return fail(p, "\\u needs four hexadecimal digits");
    }
    if (code < 0xD800 || code > 0xDFFF) {
        return p + 6;
    }
    int low = code < 0xDC00 ? code_unit(p + 6, end_) : -1;
    return low >= 0xDC00 && low <= 0xDFFF ? p + 12 : fail(p, "a lone surrogate");
}

const char* Tape::number(const char* p) {
    const char* first = p;
    auto digits = [this](const char* at) {
        while (at != end_ && is_digit(*at)) {
            ++at;
        }
        return at;
    };
    p += *p == '-' ? 1 : 0;
    const char* whole = p;
    p = digits(p);
    if (p == whole) {
        return fail(p, p == first ? "a value expected" : "a digit expected");
    }
    if (*whole == '0' && p - whole > 1) {
        return fail(whole, "a number must not begin with 0");
    }
    if (p != end_ && *p == '.') {
        const char* fraction = ++p;
        p = digits(p);
        if (p == fraction) {
            return fail(p, "a digit expected after '.'");
        }
    }
    if (p != end_ && (*p | 0x20) == 'e') {
        ++p;
        p += p != end_ && (*p == '+' || *p == '-') ? 1 : 0;
        const char* exponent = p;
        p = digits(p);
        if (p == exponent) {
            return fail(p, "a digit expected in the exponent");
        }
    }
    return static_cast<size_t>(p - first) <= kDigitsMax
               ? p
               : fail(first, "a number of too many digits");
}

const char* Tape::fail(const char* p, const char* why) {
    where_ = static_cast<size_t>(p - begin_);
    why_ = why;
    return nullptr;
}

// A cheap sieve in front of has_twins(): no two names share a bit, so no two are the same.
bool Tape::may_have_twins(uint32_t first) const {
    uint64_t seen[4] = {};
    for (uint32_t i = first; i != count_; i = nodes_[i].next) {
        std::string_view name = key(nodes_[i]);
        auto byte = [&](size_t at) {
            return static_cast<unsigned>(static_cast<uint8_t>(name[at]));
        };
        unsigned hash = name.empty()
                            ? 0
                            : byte(0) * 7 + byte(name.size() - 1) * 31 +
                                  byte(name.size() / 2) * 13 + static_cast<unsigned>(name.size());
        uint64_t bit = uint64_t{1} << (hash & 63);
        uint64_t& word = seen[hash >> 6 & 3];
        if ((word & bit) != 0) {
            return true;
        }
        word |= bit;
    }
    return false;
}

// Whether two members that begin at node `first` have one name. Names are compared as they are
// written; an escaped name that spells a plain one is found by whoever gives names a meaning.
bool Tape::has_twins(uint32_t first) const {
    std::vector<std::string_view> names;
    for (uint32_t i = first; i != count_; i = nodes_[i].next) {
        names.push_back(key(nodes_[i]));
    }
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) != names.end();
}

}  // namespace belay::protocols

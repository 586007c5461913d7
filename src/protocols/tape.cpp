#include "protocols/tape.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"

namespace belay::protocols {
namespace {

constexpr size_t kTextMax = 0xFFFFFFF0;  // offsets have 32 bits
constexpr size_t kDigitsMax = 64;
constexpr size_t kNodesHeldMax = 16'384;  // half a megabyte per thread

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

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
    text_ = text;
    begin_ = text.data();
    end_ = begin_ + text.size();
    nodes_.clear();
    key_begin_ = key_end_ = 0;
    escaped_ = line_break_ = false;
    depth_kept_ = depth_kept;
    members_left_ = members_max;
    where_ = 0;
    why_ = "";
    if (text.size() > kTextMax) {
        why_ = "more than 4 GiB";
        return false;
    }
    const char* p = value(space(begin_), 0);
    if (p == nullptr) {
        return false;
    }
    p = space(p);
    return p == end_ || fail(p, "bytes after the end of the value") != nullptr;
}

void Tape::trim() {
    if (nodes_.capacity() > kNodesHeldMax) {
        nodes_ = {};
    }
}

Tape& scratch_tape() {
    thread_local Tape tape;
    tape.trim();
    return tape;
}

int64_t Tape::integer(const Node& node, int64_t fallback) const {
    std::string_view digits = raw(node);
    if (digits.size() > 15) {
        return json::int_at(text_, node.value(), fallback);
    }
    int64_t value = 0;
    for (char c : digits) {
        if (!is_digit(c)) {
            return json::int_at(text_, node.value(), fallback);
        }
        value = value * 10 + (c - '0');
    }
    return value;
}

const Node* Tape::find(const Node& object, std::string_view name) const {
    for (const Node& node : children(object)) {
        if (key(node) == name) {
            return &node;
        }
    }
    return nullptr;
}

inline const char* Tape::string(const char* p) {
    p = bytes::find_string_special(p, end_);
    return p != end_ && *p == '"' ? p + 1 : string_slowly(p);
}

inline const char* Tape::space(const char* p) {
    while (p != end_ && static_cast<unsigned char>(*p) <= ' ' && bytes::is_json_space(*p)) {
        line_break_ |= *p == '\n' || *p == '\r';
        ++p;
    }
    return p;
}

// Every reader takes the place where its value begins and returns the place behind it, or nullptr.
const char* Tape::value(const char* p, unsigned depth) {
    if (p == end_) {
        return fail(p, "the text ends where a value should stand");
    }
    bool kept = depth <= depth_kept_;
    size_t index = nodes_.size();
    if (kept) {
        Node& node = nodes_.emplace_back();
        node.key_begin = key_begin_;
        node.key_end = key_end_;
        node.key_escaped = escaped_;
        node.begin = static_cast<uint32_t>(p - begin_);
    }
    json::Type type = json::Type::number;
    switch (*p) {
        case '"':
            type = json::Type::string;
            p = string(p + 1);
            break;
        case '{':
            type = json::Type::object;
            p = object(p + 1, depth);
            break;
        case '[':
            type = json::Type::array;
            p = array(p + 1, depth);
            break;
        case 't':
            type = json::Type::boolean;
            p = word(p, "true");
            break;
        case 'f':
            type = json::Type::boolean;
            p = word(p, "false");
            break;
        case 'n':
            type = json::Type::null;
            p = word(p, "null");
            break;
        default:
            p = number(p);
            break;
    }
    if (kept && p != nullptr) {
        Node& node = nodes_[index];
        node.type = type;
        node.end = static_cast<uint32_t>(p - begin_);
        node.next = static_cast<uint32_t>(nodes_.size());
    }
    return p;
}

const char* Tape::object(const char* p, unsigned depth) {
    if (depth >= kDepthMax) {
        return fail(p, "nested too deeply");
    }
    auto first = static_cast<uint32_t>(nodes_.size());
    p = space(p);
    if (p != end_ && *p == '}') {
        return p + 1;
    }
    while (true) {
        if (members_left_-- == 0) {
            return fail(p, "too many members and items");
        }
        if (p == end_ || *p != '"') {
            return fail(p, "a member name in double quotes expected");
        }
        const char* name = ++p;
        escaped_ = false;
        p = string(p);
        if (p == nullptr) {
            return nullptr;
        }
        key_begin_ = static_cast<uint32_t>(name - begin_);
        key_end_ = static_cast<uint32_t>(p - 1 - begin_);
        p = space(p);
        if (p == end_ || *p != ':') {
            return fail(p, "':' expected after the member name");
        }
        p = value(space(p + 1), depth + 1);
        if (p == nullptr) {
            return nullptr;
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
        p = space(p + 1);
    }
    if (refuse_twins_ && depth + 1 <= depth_kept_ && may_have_twins(first) && has_twins(first)) {
        return fail(p, "the object that ends here has a duplicate member");
    }
    return p + 1;
}

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
        key_begin_ = key_end_ = 0;
        escaped_ = false;
        p = value(p, depth + 1);
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

const char* Tape::word(const char* p, std::string_view expected) {
    bool there = static_cast<size_t>(end_ - p) >= expected.size() &&
                 std::memcmp(p, expected.data(), expected.size()) == 0;
    return there ? p + expected.size() : fail(p, "a value expected");
}

const char* Tape::fail(const char* p, const char* why) {
    where_ = static_cast<size_t>(p - begin_);
    why_ = why;
    return nullptr;
}

// A cheap sieve in front of has_twins(): no two names share a bit, so no two are the same.
bool Tape::may_have_twins(uint32_t first) const {
    uint64_t seen[4] = {};
    for (uint32_t i = first; i != nodes_.size(); i = nodes_[i].next) {
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
    for (uint32_t i = first; i != nodes_.size(); i = nodes_[i].next) {
        names.push_back(key(nodes_[i]));
    }
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) != names.end();
}

}  // namespace belay::protocols

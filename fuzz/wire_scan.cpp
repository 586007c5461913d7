// The hot path's JSON. validate against a second, naive reader written from the grammar alone; the
// Walker against the document; Splice against edits of the document; and on text that is no JSON
// the Walker must end and stay inside the text.
#include <cstdint>
#include <cstdlib>
#include <set>

#include "wire/scan.h"

using namespace belay;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

constexpr json::Limits kLimits{.depth = 12, .members = 200, .digits = 20};

// RFC 8259 by recursive descent, byte by byte; names are compared after json::parse has read them.
class Naive {
  public:
    explicit Naive(std::string_view text) : text_(text) {}

    bool accepts() {
        space();
        if (!value(0)) {
            return false;
        }
        space();
        return at_ == text_.size();
    }

  private:
    [[nodiscard]] int peek() const {
        return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : -1;
    }
    bool take(int c) {
        if (peek() != c) {
            return false;
        }
        ++at_;
        return true;
    }
    void space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') {
            ++at_;
        }
    }
    bool digits() {
        const size_t first = at_;
        while (peek() >= '0' && peek() <= '9') {
            ++at_;
        }
        return at_ > first;
    }
    bool word(std::string_view w) {
        if (text_.substr(at_, w.size()) != w) {
            return false;
        }
        at_ += w.size();
        return true;
    }
    bool number() {
        const size_t first = at_;
        take('-');
        if (!take('0') && !digits()) {
            return false;
        }
        if (take('.') && !digits()) {
            return false;
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            if (!digits()) {
                return false;
            }
        }
        return at_ - first <= kLimits.digits;
    }
    bool unit(uint32_t& code) {
        code = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const int c = peek();
            if (c >= '0' && c <= '9') {
                code = code * 16 + static_cast<uint32_t>(c - '0');
            } else if ((c | 32) >= 'a' && (c | 32) <= 'f' && c > 0) {
                code = code * 16 + static_cast<uint32_t>((c | 32) - 'a' + 10);
            } else {
                return false;
            }
        }
        return true;
    }
    // Decodes one UTF-8 sequence the arithmetic way.
    bool sequence(std::string& out) {
        const int lead = peek();
        const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC0 || lead > 0xF7 || at_ + static_cast<size_t>(more) >= text_.size() + 0) {
            return false;
        }
        uint32_t code = static_cast<uint32_t>(lead) & (0x3Fu >> more);
        for (int i = 1; i <= more; ++i) {
            const auto c = static_cast<unsigned char>(text_[at_ + static_cast<size_t>(i)]);
            if (c >> 6 != 2) {
                return false;
            }
            code = code << 6 | (c & 0x3Fu);
        }
        const uint32_t least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
            return false;
        }
        out += text_.substr(at_, static_cast<size_t>(more) + 1);
        at_ += static_cast<size_t>(more) + 1;
        return true;
    }
    bool escape(std::string& out) {
        const int c = peek();
        ++at_;
        if (c == 'u') {
            uint32_t code = 0;
            uint32_t low = 0;
            if (!unit(code) || (code >= 0xDC00 && code <= 0xDFFF)) {
                return false;
            }
            if (code >= 0xD800 && code <= 0xDBFF &&
                !(word("\\u") && unit(low) && low >= 0xDC00 && low <= 0xDFFF)) {
                return false;
            }
            // Same code, same text: enough to compare names.
            encode(out, low == 0 ? code : 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
            return true;
        }
        const std::string_view from = "\"\\/bfnrt";
        const std::string_view to = "\"\\/\b\f\n\r\t";
        const size_t found = c < 0 ? from.npos : from.find(static_cast<char>(c));
        if (found == from.npos) {
            return false;
        }
        out += to[found];
        return true;
    }
    static void encode(std::string& out, uint32_t code) {
        if (code < 0x80) {
            out += static_cast<char>(code);
            return;
        }
        const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        const uint32_t lead = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
        out += static_cast<char>(lead | code >> (6 * more));
        for (int i = more - 1; i >= 0; --i) {
            out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
        }
    }
    bool string(std::string& out) {
        if (!take('"')) {
            return false;
        }
        while (true) {
            const int c = peek();
            if (c < 0x20) {
                return false;
            }
            if (take('"')) {
                return true;
            }
            if (take('\\')) {
                if (!escape(out)) {
                    return false;
                }
            } else if (c >= 0x80) {
                if (!sequence(out)) {
                    return false;
                }
            } else {
                out += static_cast<char>(c);
                ++at_;
            }
        }
    }
    bool count() { return ++members_ <= kLimits.members; }
    bool value(size_t depth) {
        std::string ignored;
        switch (peek()) {
            case '"':
                return string(ignored);
            case 't':
                return word("true");
            case 'f':
                return word("false");
            case 'n':
                return word("null");
            case '[':
                return depth < kLimits.depth && array(depth + 1);
            case '{':
                return depth < kLimits.depth && object(depth + 1);
            default:
                return number();
        }
    }
    bool array(size_t depth) {
        ++at_;
        space();
        if (take(']')) {
            return true;
        }
        do {
            space();
            if (!count() || !value(depth)) {
                return false;
            }
            space();
        } while (take(','));
        return take(']');
    }
    bool object(size_t depth) {
        std::set<std::string> names;
        ++at_;
        space();
        if (take('}')) {
            return true;
        }
        do {
            space();
            std::string name;
            if (!count() || !string(name) || !names.insert(name).second) {
                return false;
            }
            space();
            if (!take(':')) {
                return false;
            }
            space();
            if (!value(depth)) {
                return false;
            }
            space();
        } while (take(','));
        return take('}');
    }

    std::string_view text_;
    size_t at_ = 0;
    size_t members_ = 0;
};

// Walks everything below `container`; ends for any bytes.
void roam(std::string_view text, json::Span container, int depth, size_t& budget) {
    std::string scratch;
    json::Item item;
    for (json::Walker walker(text, container); walker.next(item) && budget > 0;) {
        --budget;
        require(item.value.begin < item.value.end && item.value.end <= text.size());
        require(item.whole.begin <= item.value.begin && item.whole.end == item.value.end);
        (void)json::string_at(text, item.value, scratch);
        (void)json::int_at(text, item.value, 0);
        (void)item.is("model");
        if (depth > 0) {
            roam(text, item.value, depth - 1, budget);
        }
    }
}

// Walker and document see the same.
void compare(std::string_view text, json::Span span, const json::Value& value) {
    require(json::parse(span.of(text), kLimits).value() == value);
    std::string scratch;
    if (value.is_string()) {
        require(json::string_at(text, span, scratch) == value.as_string());
        return;
    }
    if (value.is_number()) {
        require(json::int_at(text, span, 77) == value.as_int().value_or(77));
        return;
    }
    size_t index = 0;
    json::Item item;
    for (json::Walker walker(text, span); walker.next(item); ++index) {
        require(index < value.size());
        if (value.is_object()) {
            const json::Member& member = value.members()[index];
            require(item.is(member.key));
            require(json::member(text, span, member.key) == item.value);
            compare(text, item.value, member.value);
        } else {
            compare(text, item.value, value.items()[index]);
        }
    }
    require(index == value.size());
}

// Removes the members that the bits of `choice` tell, replaces others, adds one; by both ways.
void edit(std::string_view text, const json::Value& value, uint32_t choice) {
    const json::Span root = json::root(text);
    json::Splice splice(text);
    json::Value expected = value;
    json::Item item;
    size_t index = 0;
    size_t left = 0;
    for (json::Walker walker(text); walker.next(item); ++index) {
        const uint32_t what = choice >> (2 * (index % 14)) & 3;
        auto& mine = expected;
        if (what == 1) {
            splice.remove(root, item);
            if (mine.is_object()) {
                mine.members().erase(mine.members().begin() + static_cast<long>(left));
            } else {
                mine.items().erase(mine.items().begin() + static_cast<long>(left));
            }
            continue;
        }
        if (what == 2) {
            splice.replace(item.value, "[\"x\"]");
            (mine.is_object() ? mine.members()[left].value : mine.items()[left]) =
                json::Value::array({"x"});
        }
        ++left;
    }
    if (value.is_object() && choice >> 31 != 0) {
        splice.add_member(root, "\x01 added only here", "{}");
        expected.members().insert(expected.members().begin(),
                                  {"\x01 added only here", json::Value::object()});
        if (value.has("\x01 added only here")) {
            return;
        }
    }
    const auto edited = json::parse(splice.apply());
    require(edited.ok());
    require(edited.value() == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) {
        return 0;
    }
    const uint32_t choice =
        data[0] | data[1] << 8 | data[2] << 16 | static_cast<uint32_t>(data[3]) << 24;
    const std::string_view text(reinterpret_cast<const char*>(data) + 4, size - 4);
    const bool valid = json::validate(text, kLimits).ok();
    require(valid == Naive(text).accepts());
    size_t budget = 10'000;
    roam(text, json::root(text), 16, budget);
    roam(text, {choice & 0xFF, choice >> 8}, 4, budget);
    if (valid) {
        const json::Value value = json::parse(text, kLimits).value();
        compare(text, json::root(text), value);
        if (value.is_object() || value.is_array()) {
            edit(text, value, choice);
        }
    }
    return 0;
}

#pragma once
// The hot path's JSON: spans over raw text, no allocation. A body is validated once with validate()
// (or by Scanner as it goes); afterwards its parts are visited in place and edited by splicing, so
// unknown members, member order, number texts and white space go through untouched.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/json.h"

namespace belay::json {

// A half-open range of byte offsets into the text it was made from.
struct Span {
    uint32_t begin = 0;
    uint32_t end = 0;
    [[nodiscard]] bool empty() const { return begin == end; }
    [[nodiscard]] std::string_view of(std::string_view text) const {
        return text.substr(begin, end - begin);
    }
    bool operator==(const Span&) const = default;
};

// The whole text is one JSON value within the limits, else the error names the byte position.
// One linear pass; strings and white space are skipped 16 bytes at a time.
[[nodiscard]] Result<void> validate(std::string_view text, const Limits& limits = {});

enum class Type : uint8_t { null, boolean, number, string, array, object };

// A member of an object or an item of an array, inside a text that validate() has accepted.
struct Item {
    std::string_view
        key;     // member name without quotes, still escaped (compare with is()); "" in arrays
    Span whole;  // key and value (in an object); the value alone (in an array)
    Span value;  // the value's text
    Type type = Type::null;
    bool key_escaped = false;  // the name is spelt with escapes

    // Whether this is the member `name`, however its own name is spelt ("mod\u0065l").
    [[nodiscard]] bool is(std::string_view name) const;
};

// The same for a raw name on its own.
[[nodiscard]] bool key_is(std::string_view key, std::string_view name);

// Steps through one object or array of validated text:
//   for (Walker w(text, span); w.next(item);) { if (item.is("model")) ... }
// `span` is the container's text ('{'..'}' or '['..']'); another type yields no items.
class Walker {
  public:
    Walker(std::string_view text, Span container);
    explicit Walker(std::string_view text);  // the text's own top-level container
    [[nodiscard]] bool next(Item& item);

  private:
    std::string_view text_;
    uint32_t pos_ = 0;
    uint32_t end_ = 0;
    bool object_ = false;
};

// The span of the one value in `text`, white space around it left out.
[[nodiscard]] Span root(std::string_view text);
[[nodiscard]] Type type_at(std::string_view text, Span value);
// A member of validated text; an empty span when it is absent.
[[nodiscard]] Span member(std::string_view text, Span object, std::string_view key);

// The text of a string value without quotes. Without escapes it points into `text`; otherwise it is
// unescaped into `scratch`.
[[nodiscard]] std::string_view string_at(std::string_view text, Span value, std::string& scratch);
[[nodiscard]] int64_t int_at(std::string_view text, Span value, int64_t fallback);
[[nodiscard]] bool bool_at(std::string_view text, Span value, bool fallback);

// A list of edits of one validated text. Edits may be given in any order but must not overlap; one
// that falls inside a removed item is dropped. apply() copies the text once.
class Splice {
  public:
    explicit Splice(std::string_view text) : text_(text) {}
    void replace(Span span, std::string_view with);
    void insert(uint32_t at, std::string_view what);
    // Removes a member or item with the comma that belongs to it. `container` is its object or
    // array. Several members of one container may be removed.
    void remove(Span container, const Item& item);
    // Adds `"key":raw` as the first member of an object (with a comma when it has others). `key` is
    // plain text, `raw` is JSON. Of several additions the earlier stands first.
    void add_member(Span object, std::string_view key, std::string_view raw);
    [[nodiscard]] bool empty() const {
        return edits_.empty() && removals_.empty() && additions_.empty();
    }
    // Sorts the edits once and appends the edited text to `out`.
    void apply(std::string& out);
    [[nodiscard]] std::string apply();

  private:
    struct Edit {
        uint32_t begin, end;
        std::string with;
    };
    // A removal (of the item that begins at `at`) or an addition (of `text`).
    struct Structural {
        Span container;
        uint32_t at;
        std::string text;
    };
    using StructuralIterator = std::vector<Structural>::const_iterator;
    void settle_all();
    bool settle_removals(Span container, StructuralIterator removal, StructuralIterator end);

    std::string_view text_;
    std::vector<Edit> edits_;
    std::vector<Structural> removals_;
    std::vector<Structural> additions_;
};

}  // namespace belay::json

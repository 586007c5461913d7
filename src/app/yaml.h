#pragma once
// YAML as LiteLLM's users write it: one document, read into a small tree in which every key and
// value knows its place. app/config is the only reader. Scalars are typed by YAML 1.1 as PyYAML
// does it (yes/on are booleans, ~ is null, 1_000 is a number, "quoted" is text, 5e-06 without a dot
// is text). Never resolves tags of other languages, never follows a file, never grows beyond
// Limits: aliases and merge keys ("<<") work, and what they expand to counts.
//
//   document := one value            value := scalar | [ value... ] | { text key: value... }
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace belay::yaml {

struct Limits {
    size_t bytes = 4u << 20;  // of the text
    size_t depth = 64;
    size_t nodes = 200'000;         // after alias expansion
    size_t text_bytes = 16u << 20;  // scalar text after alias expansion
};

// Where something stands. `source` is the caller's number of the file; line and column count from 1
// (columns in characters). line 0 = nowhere.
struct Place {
    int source = 0;
    int line = 0;
    int column = 0;
    bool operator==(const Place&) const = default;
};

enum class Type : uint8_t { null, boolean, integer, real, text, sequence, mapping };
enum class Style : uint8_t { plain, quoted, block };

struct Entry;

struct Node {
    Type type = Type::null;
    Style style = Style::plain;
    Place place;
    // Set by the configuration loader: the variable that the text came from. Such text is not
    // shown.
    std::string variable;
    // text: the value. integer and real: a valid JSON number (underscores, octal and sexagesimal
    // forms are worked out; .inf and .nan stay text). boolean: "true" or "false".
    std::string text;
    std::vector<Node> items;
    std::vector<Entry> entries;  // in file order; keys are unique

    [[nodiscard]] bool is_null() const { return type == Type::null; }
    [[nodiscard]] bool is_text() const { return type == Type::text; }
    [[nodiscard]] bool is_number() const { return type == Type::integer || type == Type::real; }
    [[nodiscard]] bool is_scalar() const { return type < Type::sequence; }
    [[nodiscard]] bool is_sequence() const { return type == Type::sequence; }
    [[nodiscard]] bool is_mapping() const { return type == Type::mapping; }
    // The member's entry or value, or nullptr.
    [[nodiscard]] const Entry* find_entry(std::string_view key) const;
    [[nodiscard]] const Node* find(std::string_view key) const;
    [[nodiscard]] Node* find(std::string_view key);
};

struct Entry {
    std::string key;
    Place place;
    Node value;
};

// A mapping that names one key twice: the last one counts, as in PyYAML.
struct Duplicate {
    std::string key;
    Place first;
    Place second;
};

struct Problem {
    Place place;
    std::string message;  // one sentence, no place in it
    std::string hint;     // the cure, may be empty
};

struct Parsed {
    bool ok = false;
    Node root;  // null for an empty document
    std::vector<Duplicate> duplicates;
    Problem problem;  // when not ok
};

[[nodiscard]] Parsed parse(std::string_view text, int source = 0, const Limits& limits = {});

// The type a plain scalar has, and its text brought to the form that Node::text promises.
[[nodiscard]] Type resolve_plain(std::string_view text, std::string& normal);

// "a mapping", "a list", "text", "a whole number" ...: for messages.
[[nodiscard]] std::string_view describe(Type type);

}  // namespace belay::yaml

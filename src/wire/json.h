#pragma once
// JSON, two ways. `Value` is a small document that keeps member order and the exact text of
// numbers, for everything that is translated. `scan.h` is the other way: spans over the raw text
// for the hot path, where nothing is parsed into a document.
//
// Both accept exactly RFC 8259: valid UTF-8, no lone surrogates in escapes, no trailing bytes.
// Bounds (Limits) hold for both; a violation is Kind::invalid_request with the byte position.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace belay::json {

struct Limits {
    size_t depth = 64;
    size_t members = 100'000;  // members and items over the whole text
    size_t digits = 64;        // length of one number
};

class Value;
using Array = std::vector<Value>;
struct Member;
using Object = std::vector<Member>;

struct Number {
    std::string text;  // a valid JSON number, exactly as read
    bool operator==(const Number&) const = default;
};

class Value {
  public:
    // Defined below Member: before it the variant is not complete.
    Value();  // null
    Value(std::nullptr_t);
    Value(bool b);
    Value(int n);
    Value(unsigned n);
    Value(int64_t n);
    Value(uint64_t n);
    Value(double n);  // shortest text that reads back the same; NaN and infinities become null
    Value(const char* s);
    Value(std::string_view s);
    Value(std::string s);
    Value(Number n);
    Value(Array a);
    Value(Object o);
    Value(const Value&);
    Value(Value&&) noexcept;
    Value& operator=(const Value&);
    Value& operator=(Value&&) noexcept;
    ~Value();

    [[nodiscard]] static Value array(std::initializer_list<Value> items = {});
    [[nodiscard]] static Value object(std::initializer_list<Member> members = {});

    [[nodiscard]] bool is_null() const { return data_.index() == 0; }
    [[nodiscard]] bool is_bool() const { return data_.index() == 1; }
    [[nodiscard]] bool is_number() const { return data_.index() == 2; }
    [[nodiscard]] bool is_string() const { return data_.index() == 3; }
    [[nodiscard]] bool is_array() const { return data_.index() == 4; }
    [[nodiscard]] bool is_object() const { return data_.index() == 5; }

    // Readers never fail: a value of another type gives the fallback.
    [[nodiscard]] bool as_bool(bool fallback = false) const;
    [[nodiscard]] std::string_view as_string(std::string_view fallback = {}) const;
    [[nodiscard]] std::optional<int64_t> as_int()
        const;  // whole numbers in range only (1.0 counts)
    [[nodiscard]] std::optional<double> as_double() const;
    [[nodiscard]] std::string_view number_text() const;  // "" when it is no number

    // Array and Object access; empty statics when it is neither.
    [[nodiscard]] const Array& items() const;
    [[nodiscard]] const Object& members() const;
    [[nodiscard]] Array& items();     // turns null (or another type) into an empty array first
    [[nodiscard]] Object& members();  // likewise into an empty object
    [[nodiscard]] size_t size() const;

    // The member, or nullptr. With duplicate keys (possible only when built by hand) the first.
    [[nodiscard]] const Value* find(std::string_view key) const;
    [[nodiscard]] Value* find(std::string_view key);
    // The member, or a shared null: chains safely (v["a"]["b"].as_string()).
    [[nodiscard]] const Value& operator[](std::string_view key) const;
    [[nodiscard]] const Value& operator[](size_t index) const;
    [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

    Value& set(std::string_view key,
               Value value);  // replaces or appends; returns the member's value
    bool erase(std::string_view key);
    Value& push(Value value);

    bool operator==(const Value&) const;

  private:
    std::variant<std::monostate, bool, Number, std::string, Array, Object> data_;
};

struct Member {
    std::string key;
    Value value;
    bool operator==(const Member&) const = default;
};

inline Value::Value() = default;
inline Value::Value(const Value&) = default;
inline Value::Value(Value&&) noexcept = default;
inline Value& Value::operator=(const Value&) = default;
inline Value& Value::operator=(Value&&) noexcept = default;
inline Value::~Value() = default;
inline Value::Value(std::nullptr_t) {}
inline Value::Value(bool b) : data_(b) {}
inline Value::Value(int n) : Value(static_cast<int64_t>(n)) {}
inline Value::Value(unsigned n) : Value(static_cast<int64_t>(n)) {}
inline Value::Value(const char* s) : data_(std::string(s)) {}
inline Value::Value(std::string_view s) : data_(std::string(s)) {}
inline Value::Value(std::string s) : data_(std::move(s)) {}
inline Value::Value(Number n) : data_(std::move(n)) {}
inline Value::Value(Array a) : data_(std::move(a)) {}
inline Value::Value(Object o) : data_(std::move(o)) {}

// Duplicate keys in one object are refused (they are how a filter is fooled).
[[nodiscard]] Result<Value> parse(std::string_view text, const Limits& limits = {});

[[nodiscard]] std::string dump(const Value& value);          // compact
[[nodiscard]] std::string dump_pretty(const Value& value);   // two spaces, for people
void write(std::string& out, const Value& value);            // compact, appended
void write_string(std::string& out, std::string_view text);  // quoted and escaped, appended

}  // namespace belay::json

#pragma once
// The log: typed events with named fields, one line each, to stderr. Human lines on a terminal,
// JSON on request. Every line passes one scrubber that knows the live secret values and the shapes
// of known tokens; control bytes are escaped. A prompt or a completion is never a field.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace belay::log {

enum class Level : uint8_t { debug, info, warn, error };
enum class Format : uint8_t { human, json };

struct Field {
    std::string_view name;
    std::string value;
    enum class Type : uint8_t { text, number } type = Type::text;

    Field(std::string_view n, std::string_view v) : name(n), value(v) {}
    Field(std::string_view n, const std::string& v) : name(n), value(v) {}
    Field(std::string_view n, const char* v) : name(n), value(v) {}
    Field(std::string_view n, int64_t v) : name(n), value(std::to_string(v)), type(Type::number) {}
    Field(std::string_view n, int v) : Field(n, static_cast<int64_t>(v)) {}
    Field(std::string_view n, uint64_t v) : Field(n, static_cast<int64_t>(v)) {}
};

struct Options {
    Level level = Level::info;
    Format format = Format::human;
    bool colour = false;
    int fd = 2;  // where lines go
};

// For the start of the process; later changes may race with readers of options().
void configure(const Options& options);
[[nodiscard]] const Options& options();
[[nodiscard]] bool enabled(Level level);

// `event` is a short stable name ("token.refreshed"); `message` is for people.
void write(Level level, std::string_view event, std::string_view message,
           std::initializer_list<Field> fields = {});
// A line that is already laid out for a person (request lines, the start-up page); scrubbed like
// any. Line breaks, and our own colours when Options::colour is on, stay; other control bytes are
// escaped, so a line made of foreign text must go through scrub() piece by piece. In JSON format
// `event` and `fields` are written instead of `line`.
void write_line(Level level, std::string_view event, std::string_view line,
                std::initializer_list<Field> fields = {});

// Registers a live secret value for the scrubber (thread-safe; values shorter than 8 are ignored).
void remember_secret(std::string_view value);
// The text with known secrets and token shapes (gho_, ghu_, github_pat_, sk-..., tid=...) replaced
// by
// "[redacted]" and control bytes escaped.
[[nodiscard]] std::string scrub(std::string_view text);

}  // namespace belay::log

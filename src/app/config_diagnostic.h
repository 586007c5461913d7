#pragma once
// What a configuration has to be told about: one Diagnostic per finding, with its place, the line
// it stands in and the cure. Made by the loader, shown by `belay check`, by start-up and by reload.
// Never holds a secret: excerpts mask the values of secret keys, and values that came from the
// environment are named by their variable only.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/yaml.h"

namespace belay::app {

enum class Severity : uint8_t {
    note,     // worth knowing: a key that is kept but has no effect yet
    warning,  // probably not what was meant; everything still loads
    error,    // something is left out or replaced by its default
};

struct Diagnostic {
    Severity severity = Severity::warning;
    std::string file;  // as the user named it; "" = no file (environment, built-in)
    int line = 0;      // from 1; 0 = nowhere
    int column = 0;
    std::string message;
    std::string hint;        // the cure or the did-you-mean; may be empty
    std::string suggestion;  // the bare suggested name, for tools; may be empty
    std::string excerpt;     // the line, masked, at most 200 bytes
    // The configuration must not be used: start-up exits 78, a reload changes nothing.
    bool fatal = false;
    // For notes on keys without effect: the key's dotted name, so that they can be listed briefly.
    std::string key;

    bool operator==(const Diagnostic&) const = default;
};

[[nodiscard]] std::string_view severity_name(Severity severity);
// "config.yaml:12:5: error: message. hint" on one line.
[[nodiscard]] std::string render(const Diagnostic& diagnostic);

// A file that was read. Kept while loading so that diagnostics can quote it.
struct Source {
    std::string name;  // as the user named it
    std::string text;
};

// Collects diagnostics for one load; knows the sources by their number.
class Diagnostics {
  public:
    int add_source(std::string name, std::string text);
    [[nodiscard]] const Source* source(int number) const;

    // The reference stays good until the next add.
    Diagnostic& add(Severity severity, yaml::Place place, std::string message,
                    std::string hint = {});
    Diagnostic& note(yaml::Place place, std::string message, std::string hint = {}) {
        return add(Severity::note, place, std::move(message), std::move(hint));
    }
    Diagnostic& warn(yaml::Place place, std::string message, std::string hint = {}) {
        return add(Severity::warning, place, std::move(message), std::move(hint));
    }
    Diagnostic& fail(yaml::Place place, std::string message, std::string hint = {}) {
        return add(Severity::error, place, std::move(message), std::move(hint));
    }

    [[nodiscard]] const std::vector<Diagnostic>& all() const { return all_; }
    // In the order of files and lines; at most kMost, the rest is counted in a last note.
    [[nodiscard]] std::vector<Diagnostic> take();

    static constexpr size_t kMost = 1000;

  private:
    std::vector<Source> sources_;
    std::vector<Diagnostic> all_;
    std::vector<int> order_;
    size_t dropped_ = 0;
    Diagnostic spare_;
};

// One line of a file, fit to be shown: secret values masked, control bytes escaped, shortened.
[[nodiscard]] std::string mask_line(std::string_view line);

}  // namespace belay::app

// Renders the reference page from the table.
#include <algorithm>

#include "app/keys_table.h"

namespace belay::app {
namespace {

constexpr std::string_view kOpening = R"(# Configuration reference

<!-- Made by `belay check --reference` from src/app/keys_table*.cpp. Do not edit. -->

Belay reads LiteLLM's `config.yaml` as it stands. The file is named by `--config`, or by the
environment variable `CONFIG_FILE_PATH`, or it is `config.yaml` in the working directory; without
any file the built-in chain (Claude Opus, then Gemini 3 Pro, then GPT-5 mini) is served.

- `belay check` reads a file offline, says what is wrong with it and where, and shows the chains that
  result. It exits 0, or 78 when there are errors. `--json` is for programs.
- A value `os.environ/NAME` is replaced by the environment variable `NAME` wherever it stands. A
  missing variable counts as no value and is reported by name.
- An unknown key never stops the gateway: it is reported with the key that was probably meant. An
  unknown key in `litellm_params` is sent to the model as a default, as LiteLLM does, unless it is
  plainly a misspelt setting.
- A value of the wrong type is an error: the gateway does not start with it, and a reload that brings
  one changes nothing. An invalid entry of `model_list` is left out and the others are served.
- The file is read again when it changes and on SIGHUP. Keys marked "restart" take effect then only
  after a restart.
- YAML anchors, aliases and `<<` work. Durations in seconds may be numbers or text. A file may have
  4 MiB, and 64 levels.

"Works" says whether a key has its effect in this version, is kept without an effect yet, or is not
needed here.
)";

std::string cell(std::string_view text) {
    std::string out;
    for (char c : text) {
        out += c == '|' ? "\\|" : std::string(1, c);
    }
    return out;
}

std::string choices_text(std::string_view choices) {
    std::string out;
    while (!choices.empty()) {
        size_t bar = choices.find('|');
        out += (out.empty() ? "`" : ", `") + std::string(choices.substr(0, bar)) + "`";
        choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
    }
    return out;
}

std::string row(const Key& key) {
    std::string type(type_name(key.type));
    std::string doc = cell(key.doc);
    if (!key.choices.empty()) {
        doc += ": " + choices_text(key.choices);
    }
    return "| `" + std::string(key.name) + "` | " + type + " | " + cell(key.fallback) + " | " +
           doc + " | " + (key.reloadable ? "live" : "restart") + " | " +
           std::string(support_name(key.support)) + " |\n";
}

std::string heading(Section section) {
    return section == Section::root ? "Top level" : "`" + std::string(section_name(section)) + "`";
}

}  // namespace

std::string render_reference() {
    std::string out(kOpening);
    const Key* before = nullptr;
    for (const Key& key : keys()) {
        if (before == nullptr || before->section != key.section) {
            out += "\n## " + heading(key.section) + "\n\n";
            out += "| Key | Type | Default | Meaning | Changes | Works |\n";
            out += "|---|---|---|---|---|---|\n";
        }
        out += row(key);
        before = &key;
    }
    return out;
}

}  // namespace belay::app

// Files: reading, includes, environment references.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "app/config_load.h"

namespace belay::app {
namespace {

namespace fs = std::filesystem;

constexpr int kMostIncludeLevels = 8;
constexpr size_t kMostFiles = 64;
constexpr size_t kMostBytes = 4u << 20;
constexpr std::string_view kReference = "os.environ/";

Diagnostic& fail_fatally(Load& load, yaml::Place place, std::string message, std::string hint) {
    Diagnostic& diagnostic = load.diagnostics.fail(place, std::move(message), std::move(hint));
    diagnostic.fatal = true;
    return diagnostic;
}

std::optional<std::string> slurp(const std::string& path, std::string& why) {
    std::error_code code;
    auto status = fs::status(path, code);
    if (!fs::exists(status)) {
        why = "there is no such file";
        return std::nullopt;
    }
    if (fs::is_directory(status)) {
        why = "it is a directory";
        return std::nullopt;
    }
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        why = std::strerror(errno);
        return std::nullopt;
    }
    std::string text(kMostBytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > kMostBytes) {
        why = "it is larger than 4 MiB";
        return std::nullopt;
    }
    return text;
}

class Reader {
  public:
    explicit Reader(Load& load) : load_(load) {}

    // `from` is where an include names the file; nowhere for the main file.
    bool read(const std::string& name, const std::string* given, yaml::Place from, int level,
              yaml::Node& out) {
        std::string why;
        auto text = given != nullptr ? std::optional(*given) : slurp(name, why);
        if (!text) {
            Diagnostic& problem =
                fail_fatally(load_, from, "cannot read " + name + ": " + why,
                             level == 0 ? "name an existing file with --config, or none at all"
                                        : "include paths are relative to the file that names them");
            problem.file = problem.file.empty() ? name : problem.file;
            return false;
        }
        if (given == nullptr) {
            load_.config.files.push_back(name);
        }
        int source = load_.diagnostics.add_source(name, *text);
        yaml::Parsed parsed = yaml::parse(*text, source);
        if (!parsed.ok) {
            fail_fatally(load_, parsed.problem.place, parsed.problem.message, parsed.problem.hint);
            return false;
        }
        report_duplicates(parsed);
        if (!parsed.root.is_mapping() && !parsed.root.is_null()) {
            fail_fatally(load_, parsed.root.place,
                         "the file must be a mapping of sections, not " +
                             std::string(yaml::describe(parsed.root.type)),
                         "begin it with 'model_list:'");
            return false;
        }
        out = std::move(parsed.root);
        out.type = yaml::Type::mapping;
        return include(name, level, out);
    }

  private:
    void report_duplicates(const yaml::Parsed& parsed) {
        for (const yaml::Duplicate& duplicate : parsed.duplicates) {
            load_.diagnostics.warn(duplicate.second,
                                   "'" + duplicate.key +
                                       "' stands here a second time; the first is at line " +
                                       std::to_string(duplicate.first.line) + ", column " +
                                       std::to_string(duplicate.first.column) + " and is not used",
                                   "join the two, or remove one");
        }
    }

    bool include(const std::string& name, int level, yaml::Node& root) {
        const yaml::Node* list = root.find("include");
        auto files = list == nullptr ? std::nullopt : to_text_list(*list);
        if (!files) {
            return true;  // absent, or reported as a wrong value later
        }
        if (level >= kMostIncludeLevels || load_.config.files.size() + files->size() > kMostFiles) {
            fail_fatally(load_, list->place, "includes are nested too deeply or are too many",
                         "at most 8 levels and 64 files; does a file include itself?");
            return false;
        }
        yaml::Place place = list->place;
        for (const std::string& file : *files) {
            std::string path = (fs::path(name).parent_path() / file).string();
            yaml::Node included;
            if (!read(path, nullptr, place, level + 1, included)) {
                return false;
            }
            merge(root, std::move(included), path);
        }
        return true;
    }

    // Lists are appended, other values replace; as LiteLLM does it.
    void merge(yaml::Node& root, yaml::Node included, const std::string& path) {
        for (yaml::Entry& entry : included.entries) {
            if (entry.key == "include") {
                continue;
            }
            yaml::Node* old = root.find(entry.key);
            if (old == nullptr) {
                root.entries.push_back(std::move(entry));
            } else if (old->is_sequence() && entry.value.is_sequence()) {
                std::move(entry.value.items.begin(), entry.value.items.end(),
                          std::back_inserter(old->items));
            } else {
                if (old->is_mapping() && !old->entries.empty()) {
                    load_.diagnostics.warn(entry.place,
                                           "this '" + entry.key +
                                               "' replaces the whole one of the file "
                                               "that includes " +
                                               path,
                                           "keep each section in one file");
                }
                *old = std::move(entry.value);
            }
        }
    }

    Load& load_;
};

bool is_variable_name(std::string_view name) {
    bool good = !name.empty() && name.size() <= 256;
    for (char c : name) {
        good = good && c != '=' && static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
    }
    return good;
}

// environment_variables come first: later references see them.
void read_variables(Load& load) {
    yaml::Node* section = load.root.find("environment_variables");
    if (section == nullptr || !section->is_mapping()) {
        return;
    }
    resolve_environment(load, *section, "environment_variables");
    for (const yaml::Entry& entry : section->entries) {
        auto value = to_text(entry.value);
        if (!is_variable_name(entry.key) || (!value && !entry.value.is_null()) ||
            (value && value->find('\0') != std::string::npos)) {
            fail_fatally(load, entry.place,
                         "environment_variables." + entry.key.substr(0, 60) +
                             " is no variable with a text value",
                         "write 'NAME: \"value\"'");
        } else if (value) {
            load.config.environment_variables.emplace_back(entry.key, *value);
        }
    }
    load.env = [own = load.config.environment_variables,
                outer = load.env](std::string_view name) -> std::optional<std::string> {
        for (const auto& [key, value] : own) {
            if (key == name) {
                return value;
            }
        }
        return outer ? outer(name) : std::nullopt;
    };
}

}  // namespace

bool read_files(Load& load, const std::string& path, const std::string* text) {
    load.config.path = path;
    if (!Reader(load).read(path, text, {}, 0, load.root)) {
        return false;
    }
    read_variables(load);
    for (yaml::Entry& entry : load.root.entries) {
        if (entry.key != "environment_variables") {
            resolve_environment(load, entry.value, entry.key);
        }
    }
    return true;
}

void resolve_environment(Load& load, yaml::Node& node, std::string_view key) {
    for (yaml::Node& item : node.items) {
        resolve_environment(load, item, key);
    }
    for (yaml::Entry& entry : node.entries) {
        resolve_environment(load, entry.value, entry.key);
    }
    if (!node.is_text() || !node.text.starts_with(kReference)) {
        return;
    }
    node.variable = node.text.substr(kReference.size());
    auto value = load.env ? load.env(node.variable) : std::nullopt;
    if (value && value->find('\0') == std::string::npos) {
        node.text = std::move(*value);
        return;
    }
    load.diagnostics.warn(node.place,
                          "the environment variable " + node.variable + " is not set, so '" +
                              std::string(key) + "' has no value",
                          "set " + node.variable + ", or remove the line");
    node.type = yaml::Type::null;
    node.text.clear();
}

Env process_env() {
    return [](std::string_view name) -> std::optional<std::string> {
        const char* value = std::getenv(std::string(name).c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
}

Env map_env(std::map<std::string, std::string, std::less<>> variables) {
    return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
        auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
}

std::string find_config_path(std::string_view asked, const Env& env) {
    if (!asked.empty()) {
        return std::string(asked);
    }
    if (auto named = env("CONFIG_FILE_PATH"); named && !named->empty()) {
        return *named;
    }
    std::error_code code;
    return fs::is_regular_file("config.yaml", code) ? "config.yaml" : "";
}

}  // namespace belay::app

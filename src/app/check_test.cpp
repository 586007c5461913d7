#include "app/check.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/config_testing.h"
#include "app/config_text.h"
#include "wire/json.h"

using namespace belay;
using namespace belay::app;
using namespace belay::app::testing;

namespace {

namespace fs = std::filesystem;

// A folder of this test alone, removed afterwards.
class Folder {
  public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "belay-check-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string write(const std::string& name, std::string_view text) const {
        std::string file = path_ + "/" + name;
        fs::create_directories(fs::path(file).parent_path());
        std::ofstream(file) << text;
        return file;
    }

  private:
    std::string path_;
};

struct Checked {
    int code;
    std::string text;
};

Checked run(const std::string& path, bool as_json = false, Colour colour = Colour::off) {
    CheckOptions options;
    options.path = path;
    options.json = as_json;
    options.colour = colour;
    Checked out{0, ""};
    out.code = check(options, map_env({}), out.text);
    return out;
}

constexpr const char* kSlips =
    "router_settings:\n"
    "  num_retires: 3\n"
    "  cooldown_time: -5\n"
    "general_settings:\n"
    "  disable_spend_updates: true\n"
    "model_list:\n"
    "  - model_name: a\n"
    "    litellm_params: {model: github_copilot/a, fallbacks: [bee]}\n"
    "  - model_name: bees\n"
    "    litellm_params: {model: github_copilot/b}\n";

}  // namespace

// The report has place, line, caret and cure of each finding, errors first, and the chains.
TEST_CASE("the report, word for word") {
    std::string text = render_diagnostics(load(kSlips).diagnostics, Colour::off, 80) +
                       render_chains(load(kSlips).table, Colour::off, 80);
    CHECK(text ==
          "error config.yaml:3:18\n"
          "  router_settings.cooldown_time must be seconds, 0 or more, not -5\n"
          "  3 │   cooldown_time: -5\n"
          "    │                  ^\n"
          "  → leave the key out to have no limit\n"
          "\n"
          "error config.yaml:8:59\n"
          "  'bee' in the fallbacks of a matches no model; the chain goes on without it\n"
          "  8 │     litellm_params: {model: github_copilot/a, fallbacks: [bee]}\n"
          "    │                                                           ^\n"
          "  → did you mean bees?\n"
          "\n"
          "warning config.yaml:2:3\n"
          "  unknown key 'num_retires' in router_settings\n"
          "  2 │   num_retires: 3\n"
          "    │   ^\n"
          "  → did you mean num_retries?\n"
          "\n"
          "note Kept, but without effect in this version:\n"
          "  general_settings.disable_spend_updates (line 5)\n"
          "\n"
          "Chains\n"
          "  a  ← github_copilot/a\n"
          "  bees  ← github_copilot/b\n");
}

// Nothing is wider than the terminal, however long names and lines are.
TEST_CASE("the report fits 80 columns") {
    std::string longest(150, 'n');
    std::string text = "unknown_" + longest + ": 1\nmodel_list:\n";
    for (int i = 0; i < 4; ++i) {
        std::string n = longest + std::to_string(i);
        text += "  - {model_name: " + n + ", litellm_params: {model: github_copilot/" + n +
                ", fallbacks: [" + longest + std::to_string(i + 1) + "], tmeout: 5}}\n";
    }
    Config config = load(text);
    std::string report = render_diagnostics(config.diagnostics, Colour::off, 80) +
                         render_chains(config.table, Colour::off, 80);
    size_t lines = 0;
    for (size_t at = 0; at < report.size(); ++lines) {
        size_t end = report.find('\n', at);
        REQUIRE(end != std::string::npos);
        std::string line = report.substr(at, end - at);
        CHECK_MESSAGE(display_width(line) <= 80, line);
        at = end + 1;
    }
    CHECK(lines > 20);
}

// 0 when only warnings stand, 78 with errors, and 78 when the file cannot be read at all.
TEST_CASE("exit codes") {
    Folder folder;
    CHECK(run(folder.write("slips.yaml", kSlips)).code == 78);
    Checked warned = run(folder.write("warn.yaml", one_model("") + "zzz: 1\n"));
    CHECK(warned.code == 0);
    CHECK(warned.text.find("1 warning in") != std::string::npos);
    CHECK(run("").code == 0);
    CHECK(run(folder.write("broken.yaml", "a: [")).code == 78);
    Checked missing = run("/nonexistent/config.yaml");
    CHECK(missing.code == 78);
    CHECK(missing.text.find("there is no such file") != std::string::npos);
}

TEST_CASE("--json has the same findings and chains") {
    Folder folder;
    Checked checked = run(folder.write("slips.yaml", kSlips), true);
    auto parsed = json::parse(checked.text);
    REQUIRE(parsed.ok());
    const json::Value& report = *parsed;
    CHECK(report["ok"] == json::Value(false));
    CHECK(report["errors"].as_int() == 2);
    CHECK(report["warnings"].as_int() == 1);
    CHECK(report["diagnostics"].size() == 4);
    CHECK(report["diagnostics"][0]["suggestion"].as_string() == "num_retries");
    CHECK(report["diagnostics"][0]["line"].as_int() == 2);
    CHECK(report["chains"][0]["model"].as_string() == "a");
    CHECK(report["chains"][1]["deployments"][0]["provider"].as_string() == "github_copilot");
    CHECK(json::parse(run("/nonexistent", true).text).ok());
}

// Colour adds escapes and changes no text.
TEST_CASE("colour changes nothing else") {
    Folder folder;
    std::string path = folder.write("slips.yaml", kSlips);
    std::string coloured = run(path, false, Colour::on).text, plain;
    for (size_t i = 0; i < coloured.size(); ++i) {
        if (coloured[i] == '\x1b') {
            i = coloured.find('m', i);
        } else {
            plain += coloured[i];
        }
    }
    CHECK(coloured != plain);
    CHECK(plain == run(path).text);
}

// Includes append lists and replace the rest; loops and missing files end the load.
TEST_CASE("include") {
    Folder folder;
    folder.write(
        "parts/more.yaml",
        "model_list:\n  - {model_name: b, litellm_params: {model: github_copilot/b, rpm: x}}\n"
        "  - {model_name: c, litellm_params: {model: github_copilot/c}}\n"
        "router_settings: {num_retries: 9}\ninclude: [deep.yaml]\n");
    folder.write("parts/deep.yaml", "general_settings: {master_key: sk-deep}\n");
    std::string main = folder.write("main.yaml", one_model("") +
                                                     "include: [parts/more.yaml]\n"
                                                     "router_settings: {num_retries: 1}\n");
    auto loaded = load_config(main, map_env({}));
    REQUIRE(loaded.ok());
    CHECK(loaded->table.deployments.size() == 2);
    CHECK(loaded->table.settings.num_retries == 9);
    CHECK(loaded->general.master_key.equals("sk-deep"));
    CHECK(loaded->files.size() == 3);
    const Diagnostic* wrong = find(*loaded, "litellm_params.rpm");
    REQUIRE(wrong != nullptr);
    CHECK(wrong->file.ends_with("parts/more.yaml"));
    CHECK(wrong->line == 2);
    CHECK(find(*loaded, "replaces the whole one") != nullptr);

    CHECK_FALSE(load_config(folder.write("loop.yaml", "include: loop.yaml\n"), map_env({})).ok());
    Diagnostic problem;
    CHECK_FALSE(
        load_config(folder.write("gone.yaml", "\ninclude: [no.yaml]\n"), map_env({}), &problem)
            .ok());
    CHECK(problem.line == 2);
}

// The examples that come with the program are free of findings.
TEST_CASE("the examples are good") {
    for (const char* name : {"config.yaml", "config.advanced.yaml"}) {
        std::string path = std::string(BELAY_SOURCE_DIR) + "/examples/" + name;
        auto loaded = load_config(path, map_env({{"OPENAI_API_KEY", "k"},
                                                 {"ANTHROPIC_API_KEY", "k"},
                                                 {"LITELLM_MASTER_KEY", "sk-long-and-random"}}));
        REQUIRE_MESSAGE(loaded.ok(), name);
        for (const Diagnostic& d : loaded->diagnostics) {
            CHECK_MESSAGE(d.severity == Severity::note, render(d));
        }
    }
}

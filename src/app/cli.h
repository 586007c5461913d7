#pragma once
// The command line: one binary, one verb per job. Parses arguments, calls the verb, returns the
// exit code: 0 good, 1 failed, 2 wrong usage, 78 (EX_CONFIG) a configuration that must not run.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::app {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfig = 78;

struct ServeOptions {
    std::string config;
    std::optional<std::string> host;  // --host; else the file's, else 127.0.0.1
    std::optional<uint16_t> port;
    std::optional<uint16_t> auth_port;
    size_t workers = 0;  // 0: one per core
    bool detailed_debug = false;
    bool demo = false;
    bool published_on_loopback =
        false;               // in a container whose ports reach only the host's loopback
    std::string ready_file;  // gets {"api":port,"auth":port} once ready
};
[[nodiscard]] Result<ServeOptions> parse_serve(const std::vector<std::string_view>& arguments);

int run(const std::vector<std::string_view>& arguments);

// The verbs.
int serve(const ServeOptions& options);
int login_verb(const std::vector<std::string_view>& arguments);
int models_verb(const std::vector<std::string_view>& arguments);
int check_verb(const std::vector<std::string_view>& arguments);
int explain_verb(const std::vector<std::string_view>& arguments);
int sim_verb(const std::vector<std::string_view>& arguments);
int health_verb(const std::vector<std::string_view>& arguments);
int keys_verb(const std::vector<std::string_view>& arguments);
int spend_verb(const std::vector<std::string_view>& arguments);
int import_verb(const std::vector<std::string_view>& arguments);
int backup_verb(const std::vector<std::string_view>& arguments);
int restore_verb(const std::vector<std::string_view>& arguments);
int export_verb(const std::vector<std::string_view>& arguments);

// Flags of the form --name value or --name=value, in any order; what is left are words.
class Flags {
  public:
    explicit Flags(const std::vector<std::string_view>& arguments) : arguments_(arguments) {}
    // True when the flag was given; removes it.
    [[nodiscard]] bool take(std::string_view name);
    // Its value; fails when it has none.
    [[nodiscard]] Result<std::optional<std::string>> take_value(std::string_view name);
    [[nodiscard]] Result<std::optional<int64_t>> take_number(std::string_view name, int64_t least,
                                                             int64_t most);
    // What is left: words, or an error naming the first unknown flag (with the nearest known one).
    [[nodiscard]] Result<std::vector<std::string_view>> rest(
        const std::vector<std::string_view>& known) const;

  private:
    std::vector<std::string_view> arguments_;
};

// Writes to stdout / stderr.
void print(std::string_view text);
void complain(std::string_view text);
[[nodiscard]] bool stdout_is_terminal();
[[nodiscard]] bool stderr_is_terminal();
[[nodiscard]] size_t terminal_columns();

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace belay::app

#pragma once
// `belay check`: reads a configuration offline and says everything there is to say about it: what
// is wrong and where, what was probably meant, what has no effect yet, and the chains that result.
// The text is for a terminal of 80 columns; --json is for programs.
#include <string>
#include <vector>

#include "app/config.h"

namespace belay::app {

enum class Colour : uint8_t { off, on };

struct CheckOptions {
    std::string path;  // as find_config_path() gave it; "" = the built-in configuration
    bool json = false;
    Colour colour = Colour::off;
    size_t columns = 80;
};

inline constexpr int kCheckOk = 0;       // warnings included
inline constexpr int kCheckFailed = 78;  // EX_CONFIG: there are errors

// Appends the report to `out`, returns the exit code.
int check(const CheckOptions& options, const Env& env, std::string& out);

// Its parts, for start-up and reload to print.
// The findings with excerpts and carets; notes on keys without effect are joined at the end.
[[nodiscard]] std::string render_diagnostics(const std::vector<Diagnostic>& diagnostics,
                                             Colour colour, size_t columns);
// One tree per model: who serves it and who follows.
[[nodiscard]] std::string render_chains(const routing::Table& table, Colour colour, size_t columns);

}  // namespace belay::app

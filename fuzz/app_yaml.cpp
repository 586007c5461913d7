// Any bytes as a configuration: the YAML reader and the whole loader neither crash, nor hang, nor
// grow beyond their limits, and the report of what they found fits its columns.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "app/check.h"
#include "app/config.h"
#include "app/config_names.h"
#include "app/yaml.h"

using namespace belay;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    if (text.find("include") != std::string_view::npos) {
        return 0;  // files of this machine are no part of the input
    }
    auto loaded = app::load_config_text(text, "fuzz.yaml", app::map_env({{"A", "value-of-a"}}));
    if (!loaded.ok()) {
        return 0;
    }
    const app::Config& config = *loaded;
    for (const std::string& group : app::group_names(config.table)) {
        auto chain = app::chain_names(config.table, group);
        size_t most = static_cast<size_t>(config.table.settings.max_fallbacks) + 1;
        if (chain.empty() || chain.size() > most) {
            std::abort();
        }
    }
    if (config.diagnostics.size() > 2 * app::Diagnostics::kMost + 1) {
        std::abort();
    }
    (void)app::render_diagnostics(config.diagnostics, app::Colour::off, 80);
    (void)app::render_chains(config.table, app::Colour::off, 80);
    return 0;
}

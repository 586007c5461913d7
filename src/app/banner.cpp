#include "app/banner.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "accounts/login_cli.h"
#include "app/check.h"
#include "app/demo.h"
#include "app/serve.h"
#include "base/log.h"

namespace belay::app {
void print_banner(const Service& service, const ServeOptions& options, const Demo* demo,
                  milliseconds took) {
    const bool colour = stdout_is_terminal() && log::options().colour;
    const auto bold = [&](const std::string& text) {
        return colour ? "\x1b[1m" + text + "\x1b[0m" : text;
    };
    const auto faint = [&](const std::string& text) {
        return colour ? "\x1b[2m" + text + "\x1b[0m" : text;
    };
    const std::string host =
        service.host() == "0.0.0.0" || service.host() == "::" ? "127.0.0.1" : service.host();
    const std::string api = "http://" + host + ":" + std::to_string(service.api_port());
    const std::string page =
        "http://" + host + ":" + std::to_string(service.auth_port()) + "/github";
    const Config& config = service.config();
    std::string out = "\n" + bold("Belay " + std::string(kVersion));
    out += faint("  " + (config.path.empty() ? "built-in configuration" : config.path) +
                 ", ready in " + std::to_string(took.count()) + " ms") +
           "\n\n";
    out += "  API      " + bold(api) + "\n";
    out +=
        "  Key      " +
        std::string(service.example_key() ? "sk-1234 (the example key, good on this machine only)"
                                          : "your master key") +
        "\n";
    out += "  Sign-in  " + bold(page) + "\n";
    out += "           " + accounts::describe_account(*service.account()) + "\n\n";
    const std::string chains =
        render_chains(config.table, colour ? Colour::on : Colour::off, terminal_columns());
    out += chains;
    if (!chains.empty() && chains.back() != '\n') {
        out += "\n";
    }
    if (demo != nullptr) {
        out += "\nThis is a demo: the upstream is a simulator at " + demo->url() +
               ",\nnothing leaves this machine and nothing is kept. Try:\n\n"
               "  curl " +
               api +
               "/v1/chat/completions \\\n"
               "    -H 'Authorization: Bearer sk-1234' \\\n"
               "    -d '{\"model\":\"github_copilot/claude-opus-4.6\",\n"
               "         \"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n";
    }
    (void)options;
    out += "\n";
    print(out);
}

void write_ready_file(const std::string& path, uint16_t api, uint16_t auth) {
    const std::string temporary = path + ".tmp";
    const std::string text =
        "{\"api\":" + std::to_string(api) + ",\"auth\":" + std::to_string(auth) + "}\n";
    const int fd = ::open(temporary.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    const bool good =
        fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0) {
        ::close(fd);
    }
    if (!good || ::rename(temporary.c_str(), path.c_str()) != 0) {
        log::write(log::Level::warn, "ready_file", "the ready file could not be written",
                   {{"path", path}});
    }
}

}  // namespace belay::app

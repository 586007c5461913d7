#include "app/demo.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace belay::app {

Result<std::unique_ptr<Demo>> Demo::start() {
    std::unique_ptr<Demo> demo(new Demo());
    std::string pattern = "/tmp/belay-demo-XXXXXX";
    if (const char* tmp = std::getenv("TMPDIR"); tmp != nullptr && *tmp != '\0') {
        pattern = std::string(tmp) + "/belay-demo-XXXXXX";
    }
    if (mkdtemp(pattern.data()) == nullptr) {
        return gateway_error(Kind::internal, "the demo needs a temporary folder: " + pattern +
                                                 " could not be made (set TMPDIR)");
    }
    demo->home_ = pattern;
    const std::string tokens = pattern + "/github_copilot";
    ::mkdir(tokens.c_str(), 0700);
    const int fd = ::open((tokens + "/access-token").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    constexpr std::string_view kToken = "gho_sim_pro_plus";
    const bool written =
        fd >= 0 && ::write(fd, kToken.data(), kToken.size()) == static_cast<ssize_t>(kToken.size());
    if (fd >= 0) {
        ::close(fd);
    }
    if (!written) {
        return gateway_error(Kind::internal, "the demo could not write to " + tokens);
    }
    demo->server_ = TRY(sim::start(sim::ServerOptions{}));
    return demo;
}

Demo::~Demo() {
    server_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(home_, ignored);
}

std::string Demo::url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

Env Demo::wrap(Env env) const {
    const std::string base = url();
    std::map<std::string, std::string, std::less<>> set = {
        {"GITHUB_COPILOT_DEVICE_CODE_URL", base + "/login/device/code"},
        {"GITHUB_COPILOT_ACCESS_TOKEN_URL", base + "/login/oauth/access_token"},
        {"GITHUB_COPILOT_API_KEY_URL", base + "/copilot_internal/v2/token"},
        {"GITHUB_COPILOT_API_BASE", base},
        {"GITHUB_COPILOT_TOKEN_DIR", home_ + "/github_copilot"},
        {"BELAY_DATA_DIR", home_ + "/data"},
        {"LITELLM_MASTER_KEY", "sk-1234"},
    };
    return [set = std::move(set),
            env = std::move(env)](std::string_view name) -> std::optional<std::string> {
        if (const auto found = set.find(name); found != set.end()) {
            return found->second;
        }
        // The user's own tokens have no business in a demo.
        if (name == "COPILOT_GITHUB_TOKEN" || name == "GITHUB_COPILOT_TOKEN" ||
            name == "GH_TOKEN" || name == "GITHUB_TOKEN" || name == "CONFIG_FILE_PATH") {
            return std::nullopt;
        }
        return env(name);
    };
}

}  // namespace belay::app

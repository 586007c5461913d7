#include "app/config_testing.h"

using namespace belay;
using namespace belay::app;
using namespace belay::app::testing;

namespace {

std::string text_of(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) {
        out += line + "\n";
    }
    return out;
}

std::string row(const std::string& name, const std::string& more = "") {
    return "  - {model_name: " + name + ", litellm_params: {model: github_copilot/x" + more +
           "}}\n";
}

}  // namespace

// The same file again changes nothing.
TEST_CASE("no difference is told when there is none") {
    std::string text = "router_settings: {num_retries: 1}\nmodel_list:\n" + row("a") + row("a");
    CHECK(describe_changes(load(text), load(text)).empty());
    CHECK(describe_changes(load(text), load("# moved\n\n" + text)).empty());
}

// Models and settings are told by name; secrets without their value; restart keys are marked.
TEST_CASE("differences are told") {
    Config before = load(
        "router_settings: {num_retries: 1, timeout: 5}\n"
        "server_settings: {port: 4000}\n"
        "general_settings: {master_key: sk-before-secret}\n"
        "environment_variables: {A: one-secret}\n"
        "model_list:\n" +
        row("kept") + row("gone") + row("tuned") + row("more"));
    Config after = load(
        "router_settings: {num_retries: 3, retry_after: 2}\n"
        "server_settings: {port: 5000}\n"
        "general_settings: {master_key: sk-after-secret}\n"
        "environment_variables: {A: two-secret}\n"
        "model_list:\n" +
        row("kept") + row("new") + row("tuned", ", rpm: 5") + row("more") +
        row("more", ", rpm: 7"));
    CHECK(text_of(describe_changes(before, after)) ==
          "model gone: removed\n"
          "model more: 1 -> 2 deployments\n"
          "model new: added\n"
          "model tuned: changed\n"
          "environment_variables.A: changed (takes effect after a restart)\n"
          "general_settings.master_key: changed\n"
          "router_settings.num_retries: 1 -> 3\n"
          "router_settings.retry_after: unset -> 2\n"
          "router_settings.timeout: 5 -> unset\n"
          "server_settings.port: 4000 -> 5000 (takes effect after a restart)\n");
    CHECK(text_of(changed_restart_keys(before, after)) ==
          "environment_variables.A\nserver_settings.port\n");
}

// A key in the environment that changes is noticed although the file is the same.
TEST_CASE("what the environment changes") {
    std::string text = one_model("api_key: os.environ/KEY");
    Config before = load(text, {{"KEY", "one-secret"}, {"LITELLM_MASTER_KEY", "sk-1-secret"}});
    Config after = load(text, {{"KEY", "two-secret"}, {"LITELLM_MASTER_KEY", "sk-2-secret"}});
    CHECK(text_of(describe_changes(before, after)) ==
          "model m: changed\nthe master key of the environment: changed\n");
}

#include "app/cli.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace belay::app {
namespace {

constexpr std::string_view kHelp =
    R"(belay: your GitHub Copilot subscription as a local OpenAI-compatible API

  belay serve      the gateway on 127.0.0.1:4000, the sign-in page on :4001
  belay login      sign in to GitHub Copilot in this terminal
  belay models     what the subscription offers           [--json]
  belay check      read the configuration, offline      [--config FILE] [--json]
  belay explain ID the story of one request               (--last: the newest)
  belay keys       virtual keys: create, list, info, revoke  (belay keys help)
  belay spend      who spent what        [--by key|user|team|model|day] [--json]
  belay export     the records, CSV or JSON lines  [--format jsonl] [--out FILE]
  belay import     a LiteLLM database's keys, teams, models  (belay import help)
  belay backup FILE    keys and records in one file, while it runs
  belay restore FILE   the other way, while it does not
  belay sim        a simulated GitHub and Copilot          [--port N]
  belay health     is the gateway up? (exit code 0 or 1)  [--url URL]
  belay version

belay serve
  --config FILE            LiteLLM's config.yaml (default: ./config.yaml)
  --host ADDRESS           where to listen (default 127.0.0.1)
  --port N                 the API (default 4000)
  --auth-port N            the sign-in page (default 4001)
  --workers N              event loops (default: one per core)
  --demo                   everything on a simulator: no account, no network
  --detailed_debug         say more
  --ready-file FILE        write the ports there once ready

belay spend, belay export (beside a running gateway too)
  --last 7d                whole days up to today, UTC (spend: 30d, export: all)
  --from DAY  --until DAY  both included: 2026-11-01
  --key --user --team --organization --model --customer    only these
  --tag (spend)  --session --model-group --status --error --id (export)
  --json (spend)           for scripts; amounts are exact US$

belay backup, belay restore
  --with-sign-in           the sign-in to GitHub too; not in it otherwise
  --dry-run (restore)      check the file, change nothing
)";

struct Verb {
    std::string_view name;
    int (*run)(const std::vector<std::string_view>& arguments);
};
constexpr Verb kVerbs[] = {
    {"login", login_verb},     {"models", models_verb}, {"check", check_verb},
    {"explain", explain_verb}, {"keys", keys_verb},     {"spend", spend_verb},
    {"export", export_verb},   {"import", import_verb}, {"backup", backup_verb},
    {"restore", restore_verb}, {"sim", sim_verb},       {"health", health_verb},
};
constexpr std::string_view kOwnHelp[] = {"keys", "import"};  // verbs that answer --help themselves

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n <= 0) {
            return;
        }
        text.remove_prefix(static_cast<size_t>(n));
    }
}

// The nearest of `known`, or "".
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
    std::string_view best;
    size_t best_distance = 3;
    for (const std::string_view k : known) {
        std::vector<size_t> row(k.size() + 1);
        for (size_t j = 0; j <= k.size(); ++j) {
            row[j] = j;
        }
        for (size_t i = 1; i <= word.size(); ++i) {
            size_t diagonal = row[0];
            row[0] = i;
            for (size_t j = 1; j <= k.size(); ++j) {
                const size_t above = row[j];
                row[j] = std::min(
                    {row[j] + 1, row[j - 1] + 1, diagonal + (word[i - 1] == k[j - 1] ? 0 : 1)});
                diagonal = above;
            }
        }
        if (row[k.size()] < best_distance) {
            best_distance = row[k.size()];
            best = k;
        }
    }
    return best;
}

const Verb* find_verb(std::string_view name) {
    const auto* found = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                     [name](const Verb& verb) { return verb.name == name; });
    return found == std::end(kVerbs) ? nullptr : found;
}

int fail_usage(const Error& error) {
    complain("belay: " + error.message + "\nTry: belay help\n");
    return kExitUsage;
}

}  // namespace

void print(std::string_view text) { write_all(STDOUT_FILENO, text); }
void complain(std::string_view text) { write_all(STDERR_FILENO, text); }
bool stdout_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

size_t terminal_columns() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) {
        return size.ws_col;
    }
    return 80;
}

bool Flags::take(std::string_view name) {
    const auto at = std::find(arguments_.begin(), arguments_.end(), name);
    if (at == arguments_.end()) {
        return false;
    }
    arguments_.erase(at);
    return true;
}

Result<std::optional<std::string>> Flags::take_value(std::string_view name) {
    for (auto at = arguments_.begin(); at != arguments_.end(); ++at) {
        if (at->starts_with(name) && at->size() > name.size() && (*at)[name.size()] == '=') {
            std::string value(at->substr(name.size() + 1));
            arguments_.erase(at);
            return std::optional<std::string>(std::move(value));
        }
        if (*at != name) {
            continue;
        }
        if (at + 1 == arguments_.end() || (at + 1)->starts_with("--")) {
            return caller_error(Kind::invalid_request, std::string(name) + " needs a value");
        }
        std::string value(*(at + 1));
        arguments_.erase(at, at + 2);
        return std::optional<std::string>(std::move(value));
    }
    return std::optional<std::string>();
}

Result<std::optional<int64_t>> Flags::take_number(std::string_view name, int64_t least,
                                                  int64_t most) {
    const auto text = TRY(take_value(name));
    if (!text) {
        return std::optional<int64_t>();
    }
    int64_t n = 0;
    const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), n);
    if (failed != std::errc() || end != text->data() + text->size() || n < least || n > most) {
        return caller_error(Kind::invalid_request,
                            std::string(name) + " takes a whole number from " +
                                std::to_string(least) + " to " + std::to_string(most) + ", not '" +
                                *text + "'");
    }
    return std::optional<int64_t>(n);
}

Result<std::vector<std::string_view>> Flags::rest(
    const std::vector<std::string_view>& known) const {
    for (const std::string_view a : arguments_) {
        if (a.starts_with("-") && a.size() > 1) {
            std::string message = "unknown flag " + std::string(a);
            if (const auto near = nearest(a, known); !near.empty()) {
                message += ". Did you mean " + std::string(near) + "?";
            }
            return caller_error(Kind::invalid_request, std::move(message));
        }
    }
    return arguments_;
}

Result<ServeOptions> parse_serve(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    ServeOptions options;
    options.config = TRY(flags.take_value("--config")).value_or("");
    if (options.config.empty()) {
        options.config = TRY(flags.take_value("-c")).value_or("");
    }
    options.host = TRY(flags.take_value("--host"));
    if (const auto port = TRY(flags.take_number("--port", 0, 65535))) {
        options.port = static_cast<uint16_t>(*port);
    }
    if (const auto port = TRY(flags.take_number("--auth-port", 0, 65535))) {
        options.auth_port = static_cast<uint16_t>(*port);
    }
    for (const std::string_view name : {"--workers", "--num_workers"}) {
        if (const auto n = TRY(flags.take_number(name, 1, 256))) {
            options.workers = static_cast<size_t>(*n);
        }
    }
    options.detailed_debug = flags.take("--detailed_debug");
    options.detailed_debug = flags.take("--debug") || options.detailed_debug;
    options.demo = flags.take("--demo");
    options.published_on_loopback = flags.take("--published-on-loopback");
    options.ready_file = TRY(flags.take_value("--ready-file")).value_or("");
    const auto words = TRY(flags.rest({"--config", "--host", "--port", "--auth-port", "--workers",
                                       "--num_workers", "--detailed_debug", "--debug", "--demo",
                                       "--ready-file", "--published-on-loopback"}));
    if (!words.empty()) {
        return caller_error(Kind::invalid_request,
                            "belay serve takes flags only, not '" + std::string(words[0]) + "'");
    }
    return options;
}

int run(const std::vector<std::string_view>& arguments) {
    if (arguments.empty() || arguments[0] == "help" || arguments[0] == "--help" ||
        arguments[0] == "-h") {
        print(kHelp);
        return arguments.empty() ? kExitUsage : 0;
    }
    const std::string_view verb = arguments[0];
    const std::vector<std::string_view> rest(arguments.begin() + 1, arguments.end());
    if (std::find(rest.begin(), rest.end(), "--help") != rest.end()) {
        const bool own =
            std::find(std::begin(kOwnHelp), std::end(kOwnHelp), verb) != std::end(kOwnHelp);
        return own ? find_verb(verb)->run({"help"}) : (print(kHelp), 0);
    }
    if (verb == "serve") {
        auto options = parse_serve(rest);
        return options ? serve(*options) : fail_usage(options.error());
    }
    if (const Verb* known = find_verb(verb)) {
        return known->run(rest);
    }
    if (verb == "version" || verb == "--version") {
        print("belay " + std::string(kVersion) + "\n");
        return 0;
    }
    std::string message = "there is no verb '" + std::string(verb) + "'";
    std::vector<std::string_view> names = {"serve", "version", "help"};
    for (const Verb& one : kVerbs) {
        names.push_back(one.name);
    }
    if (const auto near = nearest(verb, names); !near.empty()) {
        message += ". Did you mean " + std::string(near) + "?";
    }
    return fail_usage(caller_error(Kind::invalid_request, message));
}

}  // namespace belay::app

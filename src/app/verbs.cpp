// The small verbs: check, explain, models, login, sim, health.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

#include "accounts/login_cli.h"
#include "accounts/models_text.h"
#include "app/check.h"
#include "app/cli.h"
#include "app/desk.h"
#include "app/keys_table.h"
#include "app/runtime.h"
#include "base/log.h"
#include "ledger/render.h"
#include "sim/server.h"
#include "store/data_dir.h"
#include "store/postgres_ledger.h"
#include "store/sqlite_ledger.h"
#include "wire/json.h"

namespace belay::app {
namespace {

Result<std::string> read_file(const std::string& path) {
    std::string text;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        return caller_error(Kind::not_found, "cannot read " + path);
    }
    char buffer[4096];
    size_t n = 0;
    while ((n = std::fread(buffer, 1, sizeof buffer, file)) > 0 && text.size() < (4u << 20)) {
        text.append(buffer, n);
    }
    std::fclose(file);
    return text;
}

int fail(const Error& error, int code = kExitFailed) {
    complain("belay: " + log::scrub(error.message) + "\n");
    return code;
}

int wrong_usage(const Error& error) {
    complain("belay: " + error.message + "\nTry: belay help\n");
    return kExitUsage;
}

void quiet_log() {
    log::Options options;
    options.level = log::Level::error;
    log::configure(options);
}

void wait_for_signal() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    int caught = 0;
    sigwait(&signals, &caught);
}

void block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

net::Task<void> get_models(accounts::AccountService& account, Mono deadline,
                           Result<accounts::CataloguePtr>& out) {
    out = co_await account.list_models(deadline);
}

net::Task<void> probe(net::HttpClient& client, std::string url, int& status) {
    net::ClientFetcher fetcher(client);
    net::FetchRequest request;
    request.url = std::move(url);
    request.timeout = milliseconds(3'000);
    auto reply = co_await fetcher.fetch(std::move(request));
    status = reply ? reply->status : 0;
}

}  // namespace

int check_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    auto config = flags.take_value("--config");
    if (!config) {
        return wrong_usage(config.error());
    }
    const bool json = flags.take("--json");
    const bool reference = flags.take("--reference");
    auto words = flags.rest({"--config", "--json", "--reference"});
    if (!words) {
        return wrong_usage(words.error());
    }
    if (reference) {
        print(render_reference());
        return 0;
    }
    const Env env = process_env();
    std::string asked = config->value_or("");
    if (asked.empty() && !words->empty()) {
        asked = (*words)[0];
    }
    CheckOptions options;
    options.path = find_config_path(asked, env);
    options.json = json;
    options.colour = stdout_is_terminal() && !env("NO_COLOR") ? Colour::on : Colour::off;
    options.columns = terminal_columns();
    std::string out;
    const int code = check(options, env, out);
    print(out);
    return code;
}

int explain_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    const bool last = flags.take("--last");
    const bool json = flags.take("--json");
    auto config_path = flags.take_value("--config");
    auto words = flags.rest({"--last", "--json", "--config"});
    if (!config_path) {
        return wrong_usage(config_path.error());
    }
    if (!words) {
        return wrong_usage(words.error());
    }
    if (words->empty() && !last) {
        return wrong_usage(caller_error(
            Kind::invalid_request,
            "belay explain needs the id of a request (header x-litellm-call-id), or --last"));
    }
    const Env env = process_env();
    const std::string dir = data_dir_of(env);
    const auto config = read_verb_config(config_path->value_or(""), env);
    if (!config) {
        return fail(config.error(), kExitConfig);
    }
    const std::string& url = config->general.database_url.reveal();
    ledger::Entry entry;
    if (last) {
        auto found =
            url.empty() ? store::find_last_entries(dir, 1) : store::find_last_entries(dir, url, 1);
        if (!found) {
            return fail(found.error());
        }
        if (found->empty()) {
            return fail(gateway_error(Kind::not_found, "no request has been recorded yet"));
        }
        entry = std::move((*found)[0]);
    } else {
        auto found = url.empty() ? store::find_entry(dir, (*words)[0])
                                 : store::find_entry(dir, url, (*words)[0]);
        if (!found) {
            return fail(found.error());
        }
        entry = std::move(*found);
    }
    if (json) {
        std::string out = R"({"record":)";
        ledger::write_json(out, entry.record);
        out += R"(,"trace":)";
        ledger::write_json(out, entry.trace);
        print(out + "}\n");
        return 0;
    }
    print(ledger::explain(entry.trace, entry.record));
    return 0;
}

int models_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    const bool json = flags.take("--json");
    if (auto words = flags.rest({"--json"}); !words) {
        return wrong_usage(words.error());
    }
    quiet_log();
    auto control = ControlPlane::start(process_env());
    if (!control) {
        return fail(control.error(), kExitConfig);
    }
    (*control)->begin();
    Result<accounts::CataloguePtr> models = accounts::CataloguePtr();
    (*control)->run(get_models((*control)->account(), system_clock().mono() + seconds(30), models));
    if (!models) {
        return fail(models.error());
    }
    const auto view = (*control)->account().view();
    accounts::TableOptions options;
    options.width = terminal_columns();
    options.billing = view->credits ? accounts::Billing::credits : accounts::Billing::requests;
    print(json ? accounts::render_models_json(**models)
               : accounts::render_models_table(**models, options));
    return 0;
}

int login_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    if (auto words = flags.rest({}); !words) {
        return wrong_usage(words.error());
    }
    quiet_log();
    block_signals();
    auto control = ControlPlane::start(process_env());
    if (!control) {
        return fail(control.error(), kExitConfig);
    }
    accounts::LoginStory story(stdout_is_terminal() ? accounts::LoginStory::Colour::ansi
                                                    : accounts::LoginStory::Colour::none);
    (*control)->begin();
    (*control)->account().sign_in("terminal");
    while (true) {
        const auto view = (*control)->account().view();
        print(story.tell(*view, system_clock().mono()));
        if (story.end() != accounts::LoginEnd::going) {
            return story.end() == accounts::LoginEnd::signed_in ? 0 : kExitFailed;
        }
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        const timespec pause{0, 200'000'000};
        if (sigtimedwait(&signals, nullptr, &pause) > 0) {
            (*control)->account().cancel_sign_in("terminal");
            print("\nSign-in cancelled.\n");
            return kExitFailed;
        }
    }
}

int sim_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    auto port = flags.take_number("--port", 0, 65535);
    auto host = flags.take_value("--host");
    auto loops = flags.take_number("--loops", 1, 64);
    auto scenario = flags.take_value("--scenario");
    for (const Error* error :
         {port ? nullptr : &port.error(), host ? nullptr : &host.error(),
          loops ? nullptr : &loops.error(), scenario ? nullptr : &scenario.error()}) {
        if (error != nullptr) {
            return wrong_usage(*error);
        }
    }
    if (auto words = flags.rest({"--port", "--host", "--loops", "--scenario"}); !words) {
        return wrong_usage(words.error());
    }
    block_signals();
    sim::ServerOptions options;
    options.port = static_cast<uint16_t>(port->value_or(4100));
    options.host = host->value_or("127.0.0.1");
    options.loops = static_cast<int>(loops->value_or(1));
    if (*scenario) {
        auto text = read_file(**scenario);
        if (!text) {
            return fail(text.error());
        }
        auto value = json::parse(*text);
        if (!value) {
            return fail(value.error(), kExitConfig);
        }
        auto parsed = sim::parse_scenario(*value);
        if (!parsed) {
            return fail(parsed.error(), kExitConfig);
        }
        options.scenario = std::move(*parsed);
    }
    auto server = sim::start(std::move(options));
    if (!server) {
        return fail(server.error());
    }
    print("simulator on http://" + host->value_or("127.0.0.1") + ":" +
          std::to_string((*server)->port()) + "\n");
    wait_for_signal();
    return 0;
}

int health_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    auto url = flags.take_value("--url");
    if (!url) {
        return wrong_usage(url.error());
    }
    if (auto words = flags.rest({"--url"}); !words) {
        return wrong_usage(words.error());
    }
    net::Loops loops(1);
    loops.start();
    net::HttpClient client(loops[0], std::make_shared<net::ClientContext>(net::ClientOptions()));
    int status = 0;
    std::atomic<bool> done{false};
    const std::string where = url->value_or("http://127.0.0.1:4000/health/liveliness");
    struct Run {
        static net::Task<void> all(net::HttpClient& c, std::string u, int& s,
                                   std::atomic<bool>& d) {
            co_await probe(c, std::move(u), s);
            d.store(true);
            d.notify_all();
        }
    };
    loops[0].post([&] { loops[0].spawn(Run::all(client, where, status, done)); });
    done.wait(false);
    loops.stop();
    loops.join();
    if (status == 200) {
        print("healthy\n");
        return 0;
    }
    complain("belay: no healthy gateway at " + where + "\n");
    return kExitFailed;
}

}  // namespace belay::app

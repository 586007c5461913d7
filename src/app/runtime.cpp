#include "app/runtime.h"

#include <future>

#include "wire/url.h"

namespace belay::app {
namespace {

std::optional<Url> read_proxy(const Env& env, std::string_view upper, std::string_view lower) {
    auto value = env(upper);
    if (!value || value->empty()) {
        value = env(lower);
    }
    if (!value || value->empty()) {
        return std::nullopt;
    }
    if (value->find("://") == std::string::npos) {
        *value = "http://" + *value;
    }
    auto url = parse_url(*value);
    return url ? std::optional<Url>(std::move(*url)) : std::nullopt;
}

net::Task<void> run_and_tell(net::Task<void> work, std::promise<void>& done) {
    co_await work;
    done.set_value();
}

}  // namespace

net::ClientOptions read_client_options(const Env& env) {
    net::ClientOptions options;
    options.https_proxy = read_proxy(env, "HTTPS_PROXY", "https_proxy");
    options.http_proxy = read_proxy(env, "HTTP_PROXY", "http_proxy");
    std::string no_proxy = env("NO_PROXY").value_or("");
    if (no_proxy.empty()) {
        no_proxy = env("no_proxy").value_or("");
    }
    for (size_t at = 0; at < no_proxy.size();) {
        const size_t end = std::min(no_proxy.find(',', at), no_proxy.size());
        std::string item = no_proxy.substr(at, end - at);
        item.erase(0, item.find_first_not_of(' '));
        item.erase(item.find_last_not_of(' ') + 1);
        if (!item.empty()) {
            options.no_proxy.push_back(std::move(item));
        }
        at = end + 1;
    }
    for (const std::string_view name :
         {"BELAY_CA_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"}) {
        if (const auto file = env(name); file && !file->empty()) {
            options.ca_file = *file;
            break;
        }
    }
    return options;
}

Result<std::unique_ptr<ControlPlane>> ControlPlane::start(const Env& env,
                                                          const std::string& sign_in_url,
                                                          const std::string& accounts_dir,
                                                          const std::string& connect_url) {
    auto planned = accounts::plan_account(json::Value(), env);
    if (!planned) {
        return std::move(planned).error();
    }
    planned->sign_in_hint = "open " + sign_in_url + " or run `belay login`";
    std::unique_ptr<ControlPlane> plane(new ControlPlane());
    plane->context_ = std::make_shared<net::ClientContext>(read_client_options(env));
    plane->client_ = std::make_unique<net::HttpClient>(plane->loop(), plane->context_);
    plane->fetcher_ = std::make_unique<net::ClientFetcher>(*plane->client_);
    plane->accounts_ = std::make_unique<accounts::AccountSet>(
        plane->loop(), *plane->fetcher_, system_clock(), std::move(*planned), accounts_dir,
        "connect your own GitHub account at " + connect_url);
    return plane;
}

void ControlPlane::on_change(std::function<void(const accounts::AccountView&)> hook) {
    account().on_change(std::move(hook));
}

void ControlPlane::begin() {
    begun_ = true;
    loops_.start();
    loop().post([this] { accounts_->start(); });
}

ControlPlane::~ControlPlane() {
    if (!begun_) {
        return;
    }
    loops_.run_on(0, [this] { accounts_->stop(); });
    // Destroyed on the loop, after whatever was woken has run.
    loops_.run_on(0, [this] {
        accounts_.reset();
        fetcher_.reset();
        client_.reset();
    });
    loops_.stop();
    loops_.join();
}

void ControlPlane::run(net::Task<void> work) {
    std::promise<void> done;
    // std::function wants copies; the task is moved through a shared holder.
    auto holder = std::make_shared<net::Task<void>>(std::move(work));
    loop().post([this, holder, &done] { loop().spawn(run_and_tell(std::move(*holder), done)); });
    done.get_future().wait();
}

}  // namespace belay::app

#include "admin/signin.h"

#include <algorithm>

#include "admin/assets.h"
#include "admin/signin_view.h"
#include "base/ids.h"
#include "wire/json.h"
#include "wire/url.h"

namespace belay::admin {
namespace {

constexpr std::string_view kCookie = "belay_signin";
constexpr size_t kSessionHex = 32;

bool is_session_id(std::string_view id) {
    return id.size() == kSessionHex && std::all_of(id.begin(), id.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

std::string_view cookie_value(std::string_view cookies, std::string_view name) {
    while (!cookies.empty()) {
        const size_t end = cookies.find(';');
        std::string_view pair = cookies.substr(0, end);
        pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
        if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
            return pair.substr(name.size() + 1);
        }
        cookies = end == std::string_view::npos ? std::string_view() : cookies.substr(end + 1);
    }
    return {};
}

// Host without its port: "[::1]:4001" -> "::1".
std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) {
        const size_t end = host.find(']');
        return end == std::string_view::npos ? std::string_view() : host.substr(1, end - 1);
    }
    return host.substr(0, host.find(':'));
}

void add_safety_headers(SigninReply& reply) {
    reply.headers.insert(
        reply.headers.end(),
        {{"Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
          "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
         {"X-Content-Type-Options", "nosniff"},
         {"X-Frame-Options", "DENY"},
         {"Referrer-Policy", "no-referrer"},
         {"Cross-Origin-Opener-Policy", "same-origin"},
         {"Cross-Origin-Resource-Policy", "same-origin"}});
}

SigninReply plain(int status, std::string_view text) {
    SigninReply reply;
    reply.status = status;
    reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}};
    reply.body = std::string(text) + "\n";
    add_safety_headers(reply);
    return reply;
}

SigninReply redirect() {
    SigninReply reply = plain(303, "/github");
    reply.headers.emplace_back("Location", "/github");
    return reply;
}

SigninReply json_reply(int status, const json::Value& value) {
    SigninReply reply;
    reply.status = status;
    reply.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
    reply.body = json::dump(value);
    add_safety_headers(reply);
    return reply;
}

const std::string& asset_version() {
    static const std::string version = [] {
        std::string all;
        for (size_t i = 0; i < kAssetCount; ++i) {
            all += kAssets[i].data;
        }
        return sha256_hex(all).substr(0, 12);
    }();
    return version;
}

SigninReply serve_asset(std::string_view name, std::string_view query) {
    const Asset* asset = find_asset(name);
    if (asset == nullptr) {
        return plain(404, "There is no such file.");
    }
    SigninReply reply;
    const std::string_view type = name.ends_with(".css")  ? "text/css; charset=utf-8"
                                  : name.ends_with(".js") ? "text/javascript; charset=utf-8"
                                                          : "image/svg+xml";
    const bool current = query_value(query, "v") == asset_version();
    reply.headers = {
        {"Content-Type", std::string(type)},
        {"Cache-Control", current ? "public, max-age=31536000, immutable" : "no-cache"}};
    reply.body = asset->data;
    add_safety_headers(reply);
    return reply;
}

// A change must come from this very page. Browsers say so by Sec-Fetch-Site, older ones by Origin.
bool is_own_page(const SigninRequest& request) {
    if (!request.sec_fetch_site.empty()) {
        return request.sec_fetch_site == "same-origin";
    }
    return request.origin == "http://" + std::string(request.host) ||
           request.origin == "https://" + std::string(request.host);
}

}  // namespace

struct SigninPage::Session {
    std::string id;     // the cookie
    std::string owner;  // what the account service is told: not the cookie itself
    std::string token;  // the page's half
    bool fresh = false;
    bool locked = false;
};

SigninPort port_of(accounts::AccountService& service) {
    return {[&service] { return service.view(); },
            [&service](std::string owner) {
                service.sign_in(std::move(owner), accounts::Replace::ask);
            },
            [&service](std::string owner) { service.confirm(std::move(owner)); },
            [&service](std::string owner) { service.cancel_sign_in(std::move(owner)); },
            [&service] { service.sign_out(); }};
}

SigninPage::SigninPage(SigninPort port, const Clock& clock, SigninOptions options)
    : port_(std::move(port)), clock_(clock), options_(std::move(options)), key_(random_hex(32)) {}

bool SigninPage::serves(std::string_view path) {
    return path == "/github" || path.starts_with("/github/");
}

SigninReply SigninPage::handle(const SigninRequest& request) const {
    if (!knows_host(request.host)) {
        return plain(421,
                     "This address is not served here. Open http://localhost and the port, or add "
                     "the name to the allowed hosts.");
    }
    const bool get = request.method == "GET" || request.method == "HEAD";
    if (get && request.path == "/") {
        return redirect();
    }
    constexpr std::string_view kAssetsPath = "/github/assets/";
    if (get && request.path.starts_with(kAssetsPath)) {
        return serve_asset(request.path.substr(kAssetsPath.size()), request.query);
    }
    if (get && request.path == "/github/connect") {
        return connect(request);
    }
    const Session session = read_session(request);
    if (get && (request.path == "/github" || request.path == "/github/")) {
        return page(request, session);
    }
    if (get && request.path == "/github/status") {
        return status(request, session);
    }
    const bool changes = request.path == "/github/start" || request.path == "/github/confirm" ||
                         request.path == "/github/cancel" || request.path == "/github/signout";
    if (changes) {
        return request.method == "POST" ? change(request, session)
                                        : plain(405, "Only POST changes anything here.");
    }
    return plain(404, "There is no such page. Try /github.");
}

bool SigninPage::knows_host(std::string_view host) const {
    if (host.empty() || host.size() > 255) {
        return false;
    }
    // A page of another site reaches us under its own name; it cannot have one of these.
    return is_loopback_host(host_name(host)) ||
           std::find(options_.hosts.begin(), options_.hosts.end(), host) != options_.hosts.end();
}

std::string SigninPage::token_for(std::string_view session_id) const {
    return sha256_hex(key_.reveal() + "/" + std::string(session_id));
}

SigninPage::Session SigninPage::read_session(const SigninRequest& request) const {
    Session session;
    session.id = cookie_value(request.cookie, kCookie);
    if (!is_session_id(session.id)) {
        session.id = random_hex(kSessionHex / 2);
        session.fresh = true;
    }
    session.token = token_for(session.id);
    session.owner = sha256_hex("owner/" + session.id).substr(0, 24);
    session.locked =
        !options_.link_token.empty() && !options_.link_token.equals(request.link_token);
    return session;
}

SigninReply SigninPage::page(const SigninRequest& request, const Session& session) const {
    const accounts::AccountViewPtr view = port_.view();
    PanelContext context{*view,
                         decide_state(*view, session.owner),
                         clock_.wall(),
                         session.token,
                         options_.api_url,
                         options_.store_text,
                         asset_version(),
                         "/github"};
    // A page that another site opened shows itself but begins nothing.
    context.may_begin_by_itself = request.sec_fetch_site.empty() ||
                                  request.sec_fetch_site == "none" ||
                                  request.sec_fetch_site == "same-origin";
    context.locked = session.locked;
    SigninReply reply;
    reply.headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}};
    if (session.fresh) {
        reply.headers.emplace_back("Set-Cookie", std::string(kCookie) + "=" + session.id +
                                                     "; Path=/github; HttpOnly; SameSite=Lax");
    }
    reply.body = render_page(context);
    add_safety_headers(reply);
    return reply;
}

SigninReply SigninPage::connect(const SigninRequest& request) const {
    const std::string_view name = host_name(request.host);
    const bool bracketed = request.host.starts_with('[');
    const std::string here = (bracketed ? "[" + std::string(name) + "]" : std::string(name)) + ":" +
                             std::to_string(options_.api_port);
    if (options_.api_port != 0 && request.host != here) {
        SigninReply reply = plain(303, "The page is at http://" + here + "/github/connect");
        reply.headers.emplace_back("Location", "http://" + here + "/github/connect");
        return reply;
    }
    SigninReply reply;
    reply.headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}};
    reply.body = render_connect_page(asset_version());
    add_safety_headers(reply);
    return reply;
}

SigninReply SigninPage::status(const SigninRequest& request, const Session& session) const {
    if (session.fresh || !constant_time_equal(request.page_token, session.token)) {
        return json_reply(403, json::Value::object({{"error", "reload"}}));
    }
    if (session.locked) {
        return json_reply(403, json::Value::object({{"error", "locked"}}));
    }
    const accounts::AccountViewPtr view = port_.view();
    const PanelContext context{*view,
                               decide_state(*view, session.owner),
                               clock_.wall(),
                               session.token,
                               options_.api_url,
                               options_.store_text,
                               asset_version(),
                               "/github"};
    std::string panel = render_panel(context);
    // The panel's own text tells whether the browser has it already.
    const std::string key = sha256_hex(panel).substr(0, 16);
    json::Value out = json::Value::object({{"state", state_name(context.state)}, {"key", key}});
    if (view->code_expires_at != Wall::min()) {
        out.set("expires_in", unix_seconds(view->code_expires_at) - unix_seconds(context.now));
    }
    if (query_value(request.query, "have") != key) {
        out.set("announce", describe_state(context));
        out.set("html", std::move(panel));
    }
    return json_reply(200, out);
}

SigninReply SigninPage::change(const SigninRequest& request, const Session& session) const {
    if (!is_own_page(request)) {
        return plain(403, "Only this page itself may do that. Open /github and use its buttons.");
    }
    const bool form = request.content_type.starts_with("application/x-www-form-urlencoded");
    if (!form && !request.content_type.starts_with("application/json")) {
        return plain(415, "Send application/json.");
    }
    // The form is for browsers without JavaScript; it carries the page's token in a field.
    const std::string token =
        form ? query_value(request.body, "token") : std::string(request.page_token);
    if (session.fresh || session.locked || !constant_time_equal(token, session.token)) {
        return plain(403, "This page is out of date. Reload it.");
    }
    bool takeover = false;
    if (form) {
        takeover = query_value(request.body, "takeover") == "true";
    } else {
        const auto body = json::parse(request.body.empty() ? "{}" : request.body);
        if (!body.ok() || !body->is_object()) {
            return plain(400, "The body must be a JSON object.");
        }
        takeover = (*body)["takeover"].as_bool();
    }
    if (request.path == "/github/start") {
        if (const accounts::AccountViewPtr view = port_.view(); takeover) {
            port_.cancel(view->device_owner);
        }
        port_.sign_in(session.owner);
    } else if (request.path == "/github/confirm") {
        port_.confirm(session.owner);
    } else if (request.path == "/github/cancel") {
        port_.cancel(session.owner);
    } else {
        port_.sign_out();
    }
    return form ? redirect() : json_reply(202, json::Value::object({{"ok", true}}));
}

}  // namespace belay::admin

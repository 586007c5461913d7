#pragma once
// The sign-in page: http://localhost:4001/github. Independent of sockets: a request's facts in, a
// whole reply out. Shows one account's device flow and state, works without JavaScript, and with it
// follows the state live by asking for /github/status.
//
//   GET  /github                 the page
//   GET  /github/status?have=K   JSON: the state, and the page's panel as HTML when it is not K
//   POST /github/start           begins a sign-in   {"takeover": true} ends somebody else's first
//   POST /github/confirm         lets another account take the present one's place
//   POST /github/cancel          ends the one begun here
//   POST /github/signout         removes the stored sign-in
//   GET  /github/connect         a person's own account: the page; the rest is /copilot/connect/*
//                                of the management API, so it is served beside that one
//   GET  /github/assets/NAME     style, script, icon
//
// Safe next to hostile pages and other local services: foreign Hosts are refused, nothing changes
// on GET, a change needs Sec-Fetch-Site or Origin of this very page plus the page's token, and the
// code is shown to the browser session that asked for it, nobody else. The only address it links to
// for signing in is the constant one of the account's GitHub, never one from a reply.
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "accounts/service.h"
#include "base/clock.h"
#include "base/secret.h"

namespace belay::admin {

struct SigninRequest {
    std::string_view method;
    std::string_view path;   // without the query, checked by wire safe_path
    std::string_view query;  // without '?'
    std::string_view host;   // header values; "" when absent
    std::string_view origin;
    std::string_view sec_fetch_site;
    std::string_view content_type;
    std::string_view cookie;
    std::string_view page_token;  // X-Belay-Token
    std::string_view link_token;  // X-Belay-Link
    std::string_view body;
};

struct SigninReply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;  // with Content-Type
    std::string body;
};

struct SigninOptions {
    // Host values that are accepted besides loopback names (any port): "box.lan:4001".
    std::vector<std::string> hosts;
    std::string api_url = "http://localhost:4000";  // shown when signed in
    uint16_t api_port = 0;  // where /github/connect works; 0 = wherever it is asked for
    std::string store_text = "~/.config/litellm/github_copilot";
    // When set, nothing but the empty page is shown without it: the operator opens
    // http://…/github#k=TOKEN. For listeners that others can reach.
    Secret link_token;
};

// What the page does to the account; functions so that a test stands in for the service.
struct SigninPort {
    std::function<accounts::AccountViewPtr()> view;
    std::function<void(std::string owner)> sign_in;
    std::function<void(std::string owner)> confirm;
    std::function<void(std::string owner)> cancel;
    std::function<void()> sign_out;
};
[[nodiscard]] SigninPort port_of(accounts::AccountService& service);

// Thread-safe: immutable after construction; any loop may call handle().
class SigninPage final {
  public:
    SigninPage(SigninPort port, const Clock& clock, SigninOptions options);
    SigninPage(const SigninPage&) = delete;
    SigninPage& operator=(const SigninPage&) = delete;

    // Any path that begins with /github, and "/" (which leads there).
    [[nodiscard]] SigninReply handle(const SigninRequest& request) const;
    [[nodiscard]] static bool serves(std::string_view path);

  private:
    struct Session;
    [[nodiscard]] Session read_session(const SigninRequest& request) const;
    [[nodiscard]] std::string token_for(std::string_view session_id) const;
    [[nodiscard]] bool knows_host(std::string_view host) const;
    [[nodiscard]] SigninReply page(const SigninRequest& request, const Session& session) const;
    [[nodiscard]] SigninReply connect(const SigninRequest& request) const;
    [[nodiscard]] SigninReply status(const SigninRequest& request, const Session& session) const;
    [[nodiscard]] SigninReply change(const SigninRequest& request, const Session& session) const;

    const SigninPort port_;
    const Clock& clock_;
    const SigninOptions options_;
    const Secret key_;  // of the page tokens; new with each process
};

}  // namespace belay::admin

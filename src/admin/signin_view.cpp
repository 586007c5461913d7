#include "admin/signin_view.h"

namespace belay::admin {
namespace {

using accounts::AccountView;
using accounts::DeviceFlow;
using accounts::Phase;

// The rope above the panel: slack, swaying, taut or loose, by the state's name in CSS.
constexpr std::string_view kRope =
    R"(<svg class="rope" viewBox="0 0 560 150" aria-hidden="true" focusable="false">
<g class="anchor"><circle cx="280" cy="14" r="9"></circle><circle cx="280" cy="14" r="3.5"></circle></g>
<g class="line slack"><path class="strand" d="M280 18 C 256 60, 322 62, 300 98 C 290 114, 280 122, 280 150"></path>
<path class="twist" d="M280 18 C 256 60, 322 62, 300 98 C 290 114, 280 122, 280 150"></path></g>
<g class="line taut"><path class="strand" d="M280 18 C 280 62, 280 100, 280 150"></path>
<path class="twist" d="M280 18 C 280 62, 280 100, 280 150"></path></g>
<g class="line loose"><path class="strand" d="M280 18 C 276 44, 292 58, 284 84 S 268 100, 274 112"></path>
<path class="twist" d="M280 18 C 276 44, 292 58, 284 84 S 268 100, 274 112"></path></g>
<g class="knot"><path class="gap" d="M280 60 V98"></path>
<path class="strand" d="M280 54 C 306 54, 306 78, 280 79 C 254 80, 254 104, 280 104 C 306 104, 306 80, 280 79 C 254 78, 254 54, 280 54"></path>
<path class="twist" d="M280 54 C 306 54, 306 78, 280 79 C 254 80, 254 104, 280 104 C 306 104, 306 80, 280 79 C 254 78, 254 54, 280 54"></path></g>
</svg>)";

constexpr std::string_view kMark =
    R"(<svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M12 12c-5-3-6-9 0-9s5 6 0 9-6 9 0 9 5-6 0-9z"></path></svg>)";

bool is_passing(SigninState state) {
    return state == SigninState::asking || state == SigninState::waiting ||
           state == SigninState::checking || state == SigninState::unreachable ||
           state == SigninState::elsewhere;
}

}  // namespace

std::string_view state_name(SigninState state) {
    switch (state) {
        case SigninState::welcome:
            return "welcome";
        case SigninState::asking:
            return "asking";
        case SigninState::waiting:
            return "waiting";
        case SigninState::elsewhere:
            return "elsewhere";
        case SigninState::confirm:
            return "confirm";
        case SigninState::checking:
            return "checking";
        case SigninState::ready:
            return "ready";
        case SigninState::expired:
            return "expired";
        case SigninState::denied:
            return "denied";
        case SigninState::failed:
            return "failed";
        case SigninState::needs_login:
            return "needs_login";
        case SigninState::refused:
            return "refused";
        case SigninState::unreachable:
            return "unreachable";
    }
    return "welcome";
}

SigninState decide_state(const AccountView& view, std::string_view owner) {
    const bool mine = view.device_owner == owner;
    const bool usable = view.phase == Phase::signed_in;
    if (mine && !view.pending_login.empty()) {
        return SigninState::confirm;
    }
    switch (view.device) {
        case DeviceFlow::State::starting:
        case DeviceFlow::State::waiting:
            if (mine) {
                return view.device == DeviceFlow::State::waiting ? SigninState::waiting
                                                                 : SigninState::asking;
            }
            if (!usable) {
                return SigninState::elsewhere;
            }
            break;
        case DeviceFlow::State::expired:
        case DeviceFlow::State::denied:
        case DeviceFlow::State::failed:
            // A failed change of accounts leaves the present one; the page says ready.
            if (mine && !usable) {
                return view.device == DeviceFlow::State::expired  ? SigninState::expired
                       : view.device == DeviceFlow::State::denied ? SigninState::denied
                                                                  : SigninState::failed;
            }
            break;
        case DeviceFlow::State::idle:
        case DeviceFlow::State::success:
            break;
    }
    switch (view.phase) {
        case Phase::starting:
            return SigninState::checking;
        case Phase::signed_out:
            return SigninState::welcome;
        case Phase::signed_in:
            return SigninState::ready;
        case Phase::needs_login:
            return SigninState::needs_login;
        case Phase::refused:
            return SigninState::refused;
        case Phase::unreachable:
            return SigninState::unreachable;
    }
    return SigninState::welcome;
}

std::string describe_state(const PanelContext& c) {
    switch (c.state) {
        case SigninState::welcome:
            return "Not signed in.";
        case SigninState::asking:
            return "Asking GitHub for a code.";
        case SigninState::waiting:
            return c.view.device_offline ? "GitHub cannot be reached. Trying again."
                                         : "Your code is " + c.view.user_code + ".";
        case SigninState::elsewhere:
            return "A sign-in is under way in another window.";
        case SigninState::confirm:
            return "Use " + c.view.pending_login + " instead of " + c.view.login + "?";
        case SigninState::checking:
            return "GitHub has let you in. Checking Copilot.";
        case SigninState::ready:
            return "Signed in" + (c.view.login.empty() ? std::string() : " as " + c.view.login) +
                   ". Ready.";
        case SigninState::expired:
            return "The code has expired.";
        case SigninState::denied:
            return "The sign-in was cancelled at GitHub.";
        case SigninState::failed:
            return "GitHub refused the sign-in.";
        case SigninState::needs_login:
            return "GitHub asks you to sign in again.";
        case SigninState::refused:
            return c.view.problem.title + ".";
        case SigninState::unreachable:
            return "GitHub cannot be reached. Trying again.";
    }
    return {};
}

namespace {

std::string page_head(std::string_view asset_version, bool refreshes) {
    const std::string v = "?v=" + std::string(asset_version);
    std::string html =
        "<!doctype html>\n<html lang=\"en\" class=\"no-script\">\n<head>\n<meta "
        "charset=\"utf-8\">\n";
    html += "<title>Belay · GitHub Copilot sign-in</title>\n";
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    html += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    html +=
        "<link rel=\"icon\" type=\"image/svg+xml\" href=\"/github/assets/icon.svg" + v + "\">\n";
    html += "<link rel=\"stylesheet\" href=\"/github/assets/signin.css" + v + "\">\n";
    html += "<script src=\"/github/assets/signin.js" + v + "\" defer></script>\n";
    if (refreshes) {
        html += "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n";
    }
    return html + "</head>\n";
}

std::string page_top() {
    return "<header><a class=\"brand\" href=\"/github\">" + std::string(kMark) +
           "<span>Belay</span></a></header>\n<main>\n" + std::string(kRope) +
           "\n<section id=\"panel\" class=\"card\">\n";
}

std::string page_bottom(std::string_view footer) {
    std::string html = "</section>\n</main>\n";
    html += "<p id=\"live\" class=\"sr\" role=\"status\" aria-live=\"polite\"></p>\n";
    html +=
        "<p id=\"lost\" class=\"lost\" hidden>Belay is not answering. Is it still running?</p>\n";
    return html + "<footer><p>" + std::string(footer) + "</p></footer>\n</body>\n</html>\n";
}

}  // namespace

std::string render_page(const PanelContext& c) {
    const std::string_view state = c.locked ? "locked" : state_name(c.state);
    std::string html = page_head(c.asset_version, !c.locked && is_passing(c.state));
    html += "<body data-state=\"" + std::string(state) + "\" data-token=\"" +
            escape_html(c.locked ? std::string_view() : c.page_token) + "\" data-begin=\"" +
            (c.may_begin_by_itself ? "yes" : "no") + "\">\n";
    html += page_top();
    html += c.locked
                ? "<h1>This page is locked</h1>\n<p class=\"lead\">Open it by the link that Belay "
                  "printed when it started; it ends in #k=…</p>\n"
                : render_panel(c);
    return html + page_bottom("The sign-in is kept on this machine only, in <code>" +
                              escape_html(c.store_text) + "</code>.");
}

std::string render_connect_page(std::string_view asset_version) {
    std::string html = page_head(asset_version, false);
    html +=
        "<body data-state=\"key\" data-token=\"\" data-begin=\"no\" "
        "data-base=\"/copilot/connect\">\n" +
        page_top();
    html +=
        "<h1>Connect your Copilot account</h1>\n<p class=\"lead\">Show who you are with your "
        "Belay key. Your keys then use your own Copilot subscription.</p>\n"
        "<form id=\"who\"><label for=\"key\">Your key</label><input id=\"key\" type=\"password\" "
        "autocomplete=\"off\" spellcheck=\"false\" placeholder=\"sk-…\" required>"
        "<p class=\"note warn\" id=\"wrong\" role=\"alert\" hidden></p>"
        "<div class=\"actions\"><button class=\"primary\">Continue</button></div></form>\n"
        "<noscript><p class=\"note warn\">This page needs JavaScript.</p></noscript>\n";
    return html + page_bottom("The key stays in this page and is sent to this gateway alone.");
}

std::string escape_html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
                    out += c;
                }
        }
    }
    return out;
}

std::string initials(std::string_view login) {
    std::string out;
    bool start = true;
    for (const char c : login) {
        const bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter && start && out.size() < 2) {
            out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        }
        start = !letter;
    }
    if (out.size() == 1 && login.size() > 1 && login[1] >= 'a' && login[1] <= 'z') {
        out += static_cast<char>(login[1] - 32);
    }
    return out.empty() ? "?" : out;
}

}  // namespace belay::admin

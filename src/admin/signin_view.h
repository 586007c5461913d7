#pragma once
// What the sign-in page shows: from the account's view to one of a dozen states, and each state as
// HTML. Pure. All text from outside is escaped here and nowhere else.
#include <string>
#include <string_view>

#include "accounts/service.h"

namespace belay::admin {

enum class SigninState : uint8_t {
    welcome,      // nobody is signed in
    asking,       // asking GitHub for a code
    waiting,      // the code is shown
    elsewhere,    // another browser or terminal has begun a sign-in
    confirm,      // another account than the present one: whose place it takes is asked
    checking,     // signed in at GitHub, asking for Copilot
    ready,        // all good
    expired,      // the code's time is over
    denied,       // "Cancel" was pressed at GitHub
    failed,       // GitHub refused the flow
    needs_login,  // the stored sign-in is no longer accepted
    refused,      // no (usable) Copilot subscription
    unreachable,  // GitHub is not answering; tries again by itself
};
[[nodiscard]] std::string_view state_name(SigninState state);
[[nodiscard]] SigninState decide_state(const accounts::AccountView& view, std::string_view owner);

struct PanelContext {
    const accounts::AccountView& view;
    SigninState state = SigninState::welcome;
    Wall now{};
    std::string_view page_token;
    std::string_view api_url;
    std::string_view store_text;
    std::string_view asset_version;
    std::string_view nonce_path;  // prefix of the routes: "/github"
    bool may_begin_by_itself = false;
    bool locked = false;           // the link token is missing
    std::string_view person = {};  // whose own account it is; "" = the gateway's
};

// One line for screen readers when the state is entered.
[[nodiscard]] std::string describe_state(const PanelContext& context);
// The changing middle of the page.
[[nodiscard]] std::string render_panel(const PanelContext& context);
// The whole page around it.
[[nodiscard]] std::string render_page(const PanelContext& context);

// The page where a person connects their own account: asks who they are, unless their browser's
// session says so, and shows panels of the management API from then on.
[[nodiscard]] std::string render_connect_page(std::string_view asset_version);

// & < > " ' as entities.
[[nodiscard]] std::string escape_html(std::string_view text);
// "OC" for octocat, "JD" for jane-doe.
[[nodiscard]] std::string initials(std::string_view login);

}  // namespace belay::admin

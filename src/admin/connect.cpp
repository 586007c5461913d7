// /copilot/connect/*: what the page /github/connect asks and does, as the user whose browser
// session or key it has. The panels are those of the sign-in page, for the person's own account.
#include <array>

#include "admin/accounts.h"
#include "admin/families.h"
#include "admin/signin_view.h"
#include "base/ids.h"

namespace belay::admin {
namespace {

using accounts::AccountView;
using accounts::AccountViewPtr;

constexpr std::string_view kBase = "/copilot/connect";

// Keys that the master key makes belong to this name, which is no person.
constexpr std::string_view kNobody = "default_user_id";
constexpr std::string_view kOperator = "litellm-dashboard-admin";

Result<std::string> person(const Call& call) {
    const std::string& user = call.caller.user_id;
    if (call.caller.is_master || user == kOperator) {
        return forbidden(
            "This is the operator's key: the gateway's own account is signed in at /github. "
            "Use a key of your own to connect yours.");
    }
    if (user.empty() || user == kNobody || !call.exists(EntityKind::user, user)) {
        return forbidden(
            "This key belongs to no user, so it has no Copilot account of its own. Ask your "
            "administrator for a key with a user_id.");
    }
    return user;
}

// What the account service is told of who asks: one page of the person is as good as another.
std::string mark_of(const std::string& user) { return "user/" + sha256_hex(user).substr(0, 24); }

accounts::AccountSet::ServicePtr service_of(const Call& call, const std::string& user) {
    const std::string id = account_of_user(call, user);
    return id.empty() || call.services.accounts == nullptr ? nullptr
                                                           : call.services.accounts->find(id);
}

Result<Value> status(Call& call) {
    const std::string user = TRY(person(call));
    const auto service = service_of(call, user);
    const AccountViewPtr view =
        service != nullptr ? service->view() : std::make_shared<const AccountView>();
    PanelContext context{
        *view, decide_state(*view, mark_of(user)), call.services.clock.wall(), "", "", "", "",
        kBase};
    context.person = user;
    std::string panel = render_panel(context);
    const std::string key = sha256_hex(panel).substr(0, 16);
    Value out = Value::object({{"state", Value(state_name(context.state))}, {"key", Value(key)}});
    if (view->code_expires_at != Wall::min()) {
        out.set("expires_in", unix_seconds(view->code_expires_at) - unix_seconds(context.now));
    }
    if (call.asked("have") != key) {
        out.set("announce", describe_state(context));
        out.set("html", std::move(panel));
    }
    call.headers.emplace_back("Cache-Control", "no-store");
    return out;
}

Value done(Call& call) {
    call.status = 202;
    return Value::object({{"ok", Value(true)}});
}

Result<Value> start(Call& call) {
    const std::string user = TRY(person(call));
    accounts::AccountSet* set = call.services.accounts;
    if (set == nullptr) {
        return not_found("This gateway keeps no persons' accounts");
    }
    std::string id = account_of_user(call, user);
    if (id.empty()) {
        id = make_account(call, user, {});
    }
    call.then = [set, id, mark = mark_of(user)] {
        if (const auto service = set->find(id)) {
            service->sign_in(mark, accounts::Replace::ask);
        }
    };
    return done(call);
}

Result<Value> confirm(Call& call) {
    const std::string user = TRY(person(call));
    if (const auto service = service_of(call, user)) {
        service->confirm(mark_of(user));
    }
    return done(call);
}

Result<Value> cancel(Call& call) {
    const std::string user = TRY(person(call));
    if (const auto service = service_of(call, user)) {
        service->cancel_sign_in(mark_of(user));
    }
    return done(call);
}

Result<Value> disconnect(Call& call) {
    const std::string user = TRY(person(call));
    if (const std::string id = account_of_user(call, user); !id.empty()) {
        call.erase(EntityKind::account, id);
        call.accounts_changed();
    }
    return done(call);
}

constexpr Field kStatus[] = {{"have", Type::text, "the panel that the page has"}};
constexpr Field kChange[] = {{"takeover", Type::boolean, "accepted"}};

}  // namespace

std::span<const Route> connect_routes() {
    static const auto change = [](std::string_view path, std::string_view id, std::string_view doc,
                                  Handler handler) {
        return Route{"POST",  path,           "",       id, "accounts", doc, kOwners,
                     handler, Effect::writes, {kChange}};
    };
    static const std::array made = {
        Route{"GET",
              "/copilot/connect/status",
              "",
              "connect_status",
              "accounts",
              "How the caller's own Copilot account stands, as a panel of the connect page",
              kPeople,
              status,
              Effect::reads,
              {},
              kStatus},
        change("/copilot/connect/start", "connect_start",
               "Begins the caller's sign-in at GitHub; success binds the account to the caller",
               start),
        change("/copilot/connect/confirm", "connect_confirm",
               "Lets another GitHub account take the present one's place", confirm),
        change("/copilot/connect/cancel", "connect_cancel", "Ends a sign-in that was begun",
               cancel),
        change("/copilot/connect/disconnect", "connect_disconnect",
               "Removes the caller's account with its sign-in", disconnect),
    };
    return made;
}

}  // namespace belay::admin

// /invitation/* and /onboarding/*: links by which a user sets a password.
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/password.h"
#include "base/ids.h"

namespace belay::admin {
namespace {

constexpr int64_t kLifeMs = 7 * 86'400'000LL;
constexpr size_t kShortestPassword = 8;

constexpr Field kRow[] = {
    {"id", Type::text, "the link's secret"},
    {"user_id", Type::text, "whose"},
    {"is_accepted", Type::boolean, "whether it was used", "false"},
    {"accepted_at", Type::time, "when it was used"},
    {"expires_at", Type::time, "when it ends"},
};

Value row(const Value& document) { return row_of({kRow, kStamps}, document); }

Result<Value> find_invitation(const Call& call, const std::string& id) {
    Value document = call.doc(EntityKind::invitation, id);
    if (document.is_null()) {
        return not_found(in_error("Invitation id does not exist in the database."),
                         "invitation_id");
    }
    return document;
}

Result<Value> make(Call& call) {
    const std::string user = call.text("user_id");
    if (!call.exists(EntityKind::user, user)) {
        return bad_request(in_error("User id does not exist in 'LiteLLM_UserTable'"), "user_id");
    }
    const std::string id = random_hex(24);
    Value document =
        Value::object({{"id", Value(id)}, {"user_id", Value(user)}, {"is_accepted", Value(false)}});
    document.set("expires_at", render_utc(Wall(milliseconds(call.now_ms + kLifeMs))));
    call.put(EntityKind::invitation, id, std::move(document));
    return row(call.doc(EntityKind::invitation, id));
}

Result<Value> info(Call& call) {
    return row(TRY(find_invitation(call, call.asked("invitation_id"))));
}

Result<Value> update(Call& call) {
    const std::string id = call.text("invitation_id");
    Value document = TRY(find_invitation(call, id));
    document.set("is_accepted", call.body["is_accepted"]);
    document.set("accepted_at", call.body["is_accepted"].as_bool() ? Value(call.now) : Value());
    call.put(EntityKind::invitation, id, std::move(document));
    return row(call.doc(EntityKind::invitation, id));
}

Result<Value> remove(Call& call) {
    const std::string id = call.text("invitation_id");
    const Value document = TRY(find_invitation(call, id));
    call.erase(EntityKind::invitation, id);
    return row(document);
}

// An invitation that can be used now; every other is refused alike.
Result<Value> open_invitation(const Call& call, const std::string& id) {
    const Value document = call.doc(EntityKind::invitation, id);
    const std::string_view end = document["expires_at"].as_string();
    if (document.is_null() || document["is_accepted"].as_bool() || end.empty() ||
        unix_millis(parse_utc(end)) <= call.now_ms) {
        return unauthorized("Invitation link does not exist, was used, or has expired");
    }
    return document;
}

Result<Value> get_token(Call& call) {
    const Value invitation = TRY(open_invitation(call, call.asked("invite_link")));
    const Value user = call.doc(EntityKind::user, invitation["user_id"].as_string());
    return Value::object({{"login_url", Value(call.settings->root_path + "/ui/onboarding")},
                          {"user_id", invitation["user_id"]},
                          {"user_email", user["user_email"]}});
}

Result<Value> claim(Call& call) {
    const std::string id = call.text("invitation_link");
    Value invitation = TRY(open_invitation(call, id));
    const std::string user = call.text("user_id");
    Value document = call.doc(EntityKind::user, user);
    if (invitation["user_id"].as_string() != user || document.is_null()) {
        return unauthorized("This invitation is for another user");
    }
    if (call.text("password").size() < kShortestPassword) {
        return bad_request("A password has at least 8 characters", "password");
    }
    document.set("password", hash_password(call.text("password")));
    call.put(EntityKind::user, user, std::move(document));
    invitation.set("is_accepted", true);
    invitation.set("accepted_at", call.now);
    call.put(EntityKind::invitation, id, std::move(invitation));
    return user_row(call, call.doc(EntityKind::user, user));
}

constexpr Field kNew[] = {{"user_id", Type::text, "whom", "", true}};
constexpr Field kWhichQuery[] = {{"invitation_id", Type::text, "which", "", true}};
constexpr Field kUpdate[] = {
    {"invitation_id", Type::text, "which", "", true},
    {"is_accepted", Type::boolean, "whether it was used", "", true},
};
constexpr Field kLinkQuery[] = {{"invite_link", Type::text, "the invitation's id", "", true}};
constexpr Field kClaim[] = {
    {"invitation_link", Type::text, "the invitation's id", "", true},
    {"user_id", Type::text, "whose", "", true},
    {"password", Type::text, "8 characters or more", "", true},
};

}  // namespace

std::span<const Route> invitation_routes() {
    static const std::array made = {
        Route{"POST",
              "/invitation/new",
              "",
              "new_invitation",
              "login",
              "Makes a link by which a user sets a password",
              kAdmin,
              make,
              Effect::writes,
              {kNew}},
        Route{"GET",
              "/invitation/info",
              "",
              "invitation_info",
              "login",
              "One invitation",
              kAdmin,
              info,
              Effect::reads,
              {},
              kWhichQuery},
        Route{"POST",
              "/invitation/update",
              "",
              "update_invitation",
              "login",
              "Marks an invitation",
              kAdmin,
              update,
              Effect::writes,
              {kUpdate}},
        Route{"POST",
              "/invitation/delete",
              "",
              "delete_invitation",
              "login",
              "Deletes an invitation",
              kAdmin,
              remove,
              Effect::writes,
              {kWhichQuery}},
        Route{"GET",
              "/onboarding/get_token",
              "",
              "onboarding_token",
              "login",
              "Whom an invitation is for",
              kAll,
              get_token,
              Effect::reads,
              {},
              kLinkQuery,
              Access::open},
        Route{"POST",
              "/onboarding/claim_token",
              "",
              "claim_onboarding",
              "login",
              "Sets the invited user's password",
              kAll,
              claim,
              Effect::writes,
              {kClaim},
              {},
              Access::open},
    };
    return made;
}

}  // namespace belay::admin

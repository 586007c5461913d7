// /copilot/account/*: the Copilot accounts of this gateway, whose each is, and how it stands. The
// tokens are in the vault and leave it for GitHub alone. An account has one owner and a user has
// one account: nobody spends another's seat.
#include <algorithm>
#include <array>

#include "admin/accounts.h"
#include "admin/call.h"
#include "admin/families.h"

namespace belay::admin {
namespace {

using accounts::AccountView;
using accounts::AccountViewPtr;
using accounts::Phase;

std::string_view phase_name(Phase phase) {
    switch (phase) {
        case Phase::starting:
            return "starting";
        case Phase::signed_out:
            return "signed_out";
        case Phase::signed_in:
            return "signed_in";
        case Phase::needs_login:
            return "needs_login";
        case Phase::refused:
            return "refused";
        case Phase::unreachable:
            return "unreachable";
    }
    return "signed_out";
}

Value moment(Wall at) {
    return at == Wall::min() || at == Wall::max() ? Value() : Value(render_utc(at));
}

Value text_or_null(std::string_view text) { return text.empty() ? Value() : Value(text); }

Value quota_rows(const AccountView& view) {
    Value rows = Value::array();
    for (const accounts::Quota& q : view.quotas) {
        const bool has_end = !q.unlimited && !q.placeholder;
        rows.push(Value::object({{"quota_id", Value(q.id)},
                                 {"unit", q.credits ? "credits" : "requests"},
                                 {"unlimited", Value(q.unlimited)},
                                 {"entitlement", has_end ? Value(q.entitlement) : Value()},
                                 {"remaining", has_end ? Value(q.remaining) : Value()},
                                 {"percent_remaining", Value(q.percent_remaining)},
                                 {"overage_permitted", Value(q.overage_permitted)},
                                 {"resets_at", moment(q.reset_at)}}));
    }
    return rows;
}

Value problem_row(const AccountView& view) {
    const accounts::Problem& p = view.problem;
    if (p.what == accounts::Problem::What::none) {
        return {};
    }
    return Value::object({{"id", Value(p.id)},
                          {"title", Value(p.title)},
                          {"text", Value(p.text)},
                          {"url", text_or_null(p.url)}});
}

Value keys_bound_to(const Call& call, std::string_view id) {
    Value rows = Value::array();
    const auto keys =
        call.services.directory.list(EntityKind::key, [&](const governance::Entity& key) {
            return key.doc["metadata"]["copilot_account"].as_string() == id;
        });
    for (const auto& key : keys) {
        rows.push(Value(key->id));
    }
    return rows;
}

Value account_row(const Call& call, std::string_view id, const Value& doc,
                  const AccountViewPtr& seen) {
    static const AccountViewPtr kNothing = std::make_shared<const AccountView>();
    const AccountView& view = seen != nullptr ? *seen : *kNothing;
    Value row = Value::object();
    row.set("account_id", id);
    row.set("account_alias", doc["account_alias"]);
    row.set("user_id", doc["user_id"]);
    row.set("keys", keys_bound_to(call, id));
    row.set("state", phase_name(view.phase));
    row.set("login", view.login.empty() ? doc["login"] : Value(view.login));
    row.set("plan", text_or_null(view.plan));
    row.set("sku", text_or_null(view.sku));
    row.set("quotas", quota_rows(view));
    row.set("models",
            view.catalogue ? Value(static_cast<int64_t>(view.catalogue->models.size())) : Value());
    row.set("token_expires_at", moment(view.token_expires_at));
    row.set("problem", problem_row(view));
    row.set("connected_at", doc["connected_at"]);
    row.set("created_at", doc["created_at"]);
    row.set("created_by", doc["created_by"]);
    return row;
}

AccountViewPtr view_of(const Call& call, std::string_view id) {
    accounts::AccountSet* set = call.services.accounts;
    if (set == nullptr) {
        return nullptr;
    }
    if (id == accounts::kDefaultAccount) {
        return set->main().view();
    }
    const auto service = set->find(id);
    return service != nullptr ? service->view() : nullptr;
}

Value row_now(const Call& call, std::string_view id) {
    const Value doc =
        id == accounts::kDefaultAccount ? Value::object() : call.doc(EntityKind::account, id);
    return account_row(call, id, doc, view_of(call, id));
}

Error unknown(std::string_view id) {
    return not_found("Account not found, passed account_id=" + std::string(id), "account_id");
}

// The named account's document when the caller may change it: its owner and administrators.
Result<Value> own_account(const Call& call, const std::string& id) {
    const Value doc = call.doc(EntityKind::account, id);
    const bool owner = call.is_self(doc["user_id"].as_string());
    if (!owner && !call.is_admin()) {
        return call.admin_only();
    }
    if (!doc.is_object()) {
        return unknown(id);
    }
    return doc;
}

// One account for one person, one person for one account.
Result<void> check_user(const Call& call, const std::string& user, std::string_view id) {
    if (!call.exists(EntityKind::user, user)) {
        return not_found("User not found, passed user_id=" + user, "user_id");
    }
    const std::string other = account_of_user(call, user);
    if (!other.empty() && other != id) {
        return conflict("User " + user + " has the account " + other +
                            " already. A person has one Copilot seat: unbind that one first.",
                        "user_id");
    }
    return {};
}

Result<Value> list(Call& call) {
    Value rows = Value::array();
    if (call.reads_all()) {
        rows.push(row_now(call, accounts::kDefaultAccount));
    }
    for (const auto& entity : call.services.directory.list(EntityKind::account)) {
        if (call.reads_all() || call.is_self(entity->doc["user_id"].as_string())) {
            rows.push(account_row(call, entity->id, entity->doc, view_of(call, entity->id)));
        }
    }
    return Value::object({{"accounts", std::move(rows)}});
}

Result<Value> info(Call& call) {
    const std::string id = call.asked("account_id");
    const Value doc = call.doc(EntityKind::account, id);
    const bool is_default = id == accounts::kDefaultAccount;
    if (!call.reads_all() && !call.is_self(doc["user_id"].as_string())) {
        return call.admin_only();
    }
    if (!is_default && !doc.is_object()) {
        return unknown(id);
    }
    return row_now(call, id);
}

Result<Value> make(Call& call) {
    const std::string user = call.text("user_id");
    if (!call.is_admin() && !call.is_self(user)) {
        return call.admin_only();
    }
    if (!user.empty()) {
        TRY(check_user(call, user, {}));
    }
    const std::string id = make_account(call, user, call.text("account_alias"));
    return account_row(call, id, call.doc(EntityKind::account, id), nullptr);
}

Result<void> bind_user(Call& call, const std::string& id, Value& doc) {
    const std::string user = call.text("user_id");
    const std::string_view owner = doc["user_id"].as_string();
    if (!owner.empty() && owner != user) {
        return conflict("The account " + id + " is bound to user " + std::string(owner) +
                            ". A Copilot seat belongs to one person: unbind it first.",
                        "user_id");
    }
    TRY(check_user(call, user, id));
    const std::string_view before = doc["last_user_id"].as_string();
    const AccountViewPtr view = view_of(call, id);
    const bool signed_in = view != nullptr && view->phase != Phase::signed_out;
    if (signed_in && !before.empty() && before != user) {
        return conflict("The account " + id + " is signed in as " +
                            std::string(doc["login"].as_string("somebody else")) + " for user " +
                            std::string(before) + ": sign it out before another user gets it.",
                        "user_id");
    }
    doc.set("user_id", user);
    doc.set("last_user_id", user);
    if (signed_in && view->phase == Phase::signed_in) {
        doc.set("connected_at", call.now);
    }
    return {};
}

// A key of nobody, or of the account's owner.
Result<void> bind_key(Call& call, const std::string& id, const Value& doc) {
    const std::string hash = call.services.directory.id_of(call.text("key"));
    Value key = call.doc(EntityKind::key, hash);
    if (!key.is_object()) {
        return not_found("Key not found, passed key=" + governance::key_name(call.text("key")),
                         "key");
    }
    const std::string_view holder = key["user_id"].as_string();
    const std::string_view owner = doc["user_id"].as_string();
    if (!holder.empty() && holder != owner) {
        return conflict("The key belongs to user " + std::string(holder) + " and the account " +
                            id + (owner.empty() ? " to nobody" : " to " + std::string(owner)) +
                            ". A Copilot seat serves its owner's keys: bind the user instead.",
                        "key");
    }
    Value metadata = key["metadata"].is_object() ? key["metadata"] : Value::object();
    metadata.set("copilot_account", id);
    key.set("metadata", std::move(metadata));
    call.put(EntityKind::key, hash, std::move(key));
    return {};
}

Result<Value> bind(Call& call) {
    const std::string id = call.text("account_id");
    Value doc = call.doc(EntityKind::account, id);
    if (id == accounts::kDefaultAccount) {
        return bad_request(
            "The process's own account is the operator's: general_settings."
            "copilot_default_account says who may use it.",
            "account_id");
    }
    if (!doc.is_object()) {
        return unknown(id);
    }
    if (call.text("user_id").empty() == call.text("key").empty()) {
        return bad_request("Give user_id or key: what the account is bound to", "user_id");
    }
    if (!call.text("key").empty()) {
        TRY(bind_key(call, id, doc));
        return row_now(call, id);
    }
    TRY(bind_user(call, id, doc));
    call.put(EntityKind::account, id, std::move(doc));
    call.accounts_changed();
    return row_now(call, id);
}

Result<Value> unbind(Call& call) {
    const std::string id = call.text("account_id");
    Value doc = TRY(own_account(call, id));
    if (!call.text("key").empty()) {
        const std::string hash = call.services.directory.id_of(call.text("key"));
        Value key = call.doc(EntityKind::key, hash);
        if (key["metadata"]["copilot_account"].as_string() != id) {
            return not_found("The key is not bound to the account " + id, "key");
        }
        Value metadata = key["metadata"];
        metadata.erase("copilot_account");
        key.set("metadata", std::move(metadata));
        call.put(EntityKind::key, hash, std::move(key));
        return row_now(call, id);
    }
    doc.erase("user_id");
    doc.erase("connected_at");
    call.put(EntityKind::account, id, std::move(doc));
    call.accounts_changed();
    return row_now(call, id);
}

Result<Value> sign_out(Call& call) {
    const std::string id = call.text("account_id");
    accounts::AccountSet* set = call.services.accounts;
    if (id == accounts::kDefaultAccount) {
        if (!call.is_admin()) {
            return call.admin_only();
        }
        if (set != nullptr) {
            set->main().sign_out();
        }
    } else {
        Value doc = TRY(own_account(call, id));
        if (const auto service = set != nullptr ? set->find(id) : nullptr) {
            service->sign_out();
        }
        if (doc["user_id"].is_null()) {
            doc.erase("last_user_id");  // nobody's sign-in is in it any more
            doc.erase("login");
            call.put(EntityKind::account, id, std::move(doc));
        }
    }
    return Value::object({{"account_id", Value(id)}, {"message", "Signed out"}});
}

Result<Value> remove(Call& call) {
    const std::string id = call.text("account_id");
    (void)TRY(own_account(call, id));
    call.erase(EntityKind::account, id);
    call.accounts_changed();
    return Value::object({{"account_id", Value(id)}, {"message", "Deleted"}});
}

constexpr Field kOne[] = {{"account_id", Type::text, "which", "", true}};
constexpr Field kMake[] = {
    {"user_id", Type::text, "whose it is; none = a service's, for keys that belong to nobody"},
    {"account_alias", Type::text, "a name for people"},
};
constexpr Field kBind[] = {
    {"account_id", Type::text, "which", "", true},
    {"user_id", Type::text, "all keys of this user, or"},
    {"key", Type::text, "one key or its hash"},
};

}  // namespace

std::string account_of_user(const Call& call, std::string_view user) {
    const auto found =
        call.services.directory.list(EntityKind::account, [&](const governance::Entity& account) {
            return !user.empty() && account.doc["user_id"].as_string() == user;
        });
    return found.empty() ? std::string() : found.front()->id;
}

std::string make_account(Call& call, const std::string& user, const std::string& alias) {
    const std::string id = accounts::make_account_id();
    Value doc = Value::object();
    if (!user.empty()) {
        doc.set("user_id", user);
        doc.set("last_user_id", user);
    }
    if (!alias.empty()) {
        doc.set("account_alias", alias);
    }
    call.put(EntityKind::account, id, std::move(doc));
    call.accounts_changed();
    return id;
}

std::span<const Route> account_routes() {
    static const std::array made = {
        Route{"GET", "/copilot/account/list", "", "list_copilot_accounts", "accounts",
              "Copilot accounts: state, login, plan, quota; never a token", kPeople, list},
        Route{"GET",
              "/copilot/account/info",
              "",
              "copilot_account_info",
              "accounts",
              "One of them; \"default\" is the process's own",
              kPeople,
              info,
              Effect::reads,
              {},
              kOne},
        Route{"POST",
              "/copilot/account/new",
              "",
              "new_copilot_account",
              "accounts",
              "Makes room for a person's sign-in",
              kOwners,
              make,
              Effect::writes,
              {kMake}},
        Route{"POST",
              "/copilot/account/bind",
              "",
              "bind_copilot_account",
              "accounts",
              "Says whose an account is",
              kAdmin,
              bind,
              Effect::writes,
              {kBind}},
        Route{"POST",
              "/copilot/account/unbind",
              "",
              "unbind_copilot_account",
              "accounts",
              "Takes it from its user, or from one key",
              kOwners,
              unbind,
              Effect::writes,
              {kBind}},
        Route{"POST",
              "/copilot/account/sign_out",
              "",
              "sign_out_copilot_account",
              "accounts",
              "Removes the stored sign-in; the account stays its owner's",
              kOwners,
              sign_out,
              Effect::writes,
              {kOne}},
        Route{"POST",
              "/copilot/account/delete",
              "",
              "delete_copilot_account",
              "accounts",
              "Removes the account with its sign-in",
              kOwners,
              remove,
              Effect::writes,
              {kOne}},
    };
    return made;
}

}  // namespace belay::admin

#pragma once
// What a handler of the management API sees: one checked request, the entities as they are with the
// handler's own changes over them, and the words for refusing. It reads, collects changes and
// returns a document; management.cpp commits and answers.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/management.h"
#include "admin/schema.h"

// GCC 12 takes inlined moves of std::variant for reads of what was never set (GCC bug 105562).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace belay::admin {

using governance::EntityKind;
using json::Value;

class Call {
  public:
    Call(const Ask& from, const Services& with, const Route& at);

    const Ask& ask;
    const Services& services;
    const Route& route;
    const governance::Caller& caller;
    const std::shared_ptr<const Settings> settings;
    const int64_t now_ms;
    const std::string now;  // the same, as rows have it
    Value body = Value::object();
    Value query = Value::object();
    std::vector<std::pair<std::string_view, std::string>> path;

    // The reply, where it is not 200 and the returned document.
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<std::string> raw;  // instead of the document

    // ---- what was asked
    [[nodiscard]] const std::string& in_path(std::string_view name) const;
    [[nodiscard]] bool given(std::string_view name) const { return body.has(name); }
    // Text of the body or the query; "" when absent or null.
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] std::string asked(std::string_view name) const;
    [[nodiscard]] int64_t asked_int(std::string_view name) const;
    [[nodiscard]] bool asked_bool(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;        // body
    [[nodiscard]] std::vector<std::string> asked_texts(std::string_view name) const;  // query

    // ---- what is stored
    // The document with this call's changes; null when there is none.
    [[nodiscard]] Value doc(EntityKind kind, std::string_view id) const;
    [[nodiscard]] bool exists(EntityKind kind, std::string_view id) const;
    // Sets or (null) deletes; stamps updated_at and updated_by, and created_* when it is new.
    void put(EntityKind kind, std::string_view id, Value document);
    void erase(EntityKind kind, std::string_view id) { put(kind, id, Value()); }
    // What a scope has spent is `amount` from now on: in `document` (which the caller puts) and,
    // after the commit, in the governor. A restart finds it again by kSpendOffset.
    void set_spent(governance::ScopeKind kind, std::string id, Value& document, NanoCredits amount);
    // LiteLLM's hash of a key that is stored under another id: kept sealed in its document, so that
    // the API shows it (Management::show_tokens).
    void keep_token(Value& document, const std::string& id, const Secret& key) const;
    // After the commit the routing table is built anew.
    void models_changed() { models_changed_ = true; }
    void accounts_changed() { accounts_changed_ = true; }
    // Runs after the commit, before the reply.
    std::function<void()> then;
    // For handlers that change entities as an effect of reading (none) or of signing in.
    [[nodiscard]] const std::vector<governance::Change>& changes() const { return changes_; }
    // What this call is called in the audit log: "created" unless a route says otherwise.
    std::string audit_action;

    // Settled spend of a scope in US$: the governor's, or what is stored when that is more.
    [[nodiscard]] Value spend(governance::ScopeKind kind, std::string_view id,
                              const Value& document) const;
    [[nodiscard]] NanoCredits spend_amount(governance::ScopeKind kind, std::string_view id,
                                           const Value& document) const;
    [[nodiscard]] std::string actor() const;  // who changes: litellm-changed-by, user, or the key

    // ---- who calls
    [[nodiscard]] bool is_admin() const { return caller.is_admin(); }
    [[nodiscard]] bool reads_all() const { return caller.reads_all(); }
    [[nodiscard]] bool is_self(std::string_view user) const {
        return !user.empty() && user == caller.user_id;
    }
    [[nodiscard]] bool is_team_member(const Value& team) const;
    [[nodiscard]] bool manages_team(const Value& team) const;  // its admin, or its organization's
    [[nodiscard]] bool manages_organization(std::string_view organization) const;
    [[nodiscard]] bool is_organization_member(std::string_view organization) const;
    [[nodiscard]] Error admin_only() const;  // LiteLLM's text, with route, role and user

  private:
    friend class Management;
    [[nodiscard]] bool exists_in_store(governance::ScopeKind kind, std::string_view id) const;
    std::vector<governance::Change> changes_;
    std::vector<governance::Spent> spent_;
    bool models_changed_ = false;
    bool accounts_changed_ = false;
};

// What a start adds to the ledger's sum over all time to get the spend of the running window, in
// nano-credits; absent: the initial `spend`. Never shown.
inline constexpr std::string_view kSpendOffset = "spend_offset_nano";

// ---- refusing: Kind gives the status (render_refusal in management.cpp) -----------------------
[[nodiscard]] Error bad_request(std::string message, std::string param = {});
[[nodiscard]] Error not_found(std::string message, std::string param = {});
[[nodiscard]] Error forbidden(std::string message, std::string param = {});
[[nodiscard]] Error unauthorized(std::string message, std::string type = "auth_error");
[[nodiscard]] Error conflict(std::string message, std::string param = {});  // 409
// "{'error': '<message>'}", as LiteLLM shows a dictionary.
[[nodiscard]] std::string in_error(std::string_view message);

// ---- values -----------------------------------------------------------------------------------
[[nodiscard]] Value usd(NanoCredits amount);            // a number with at least one decimal
[[nodiscard]] NanoCredits amount_of(const Value& usd);  // 0 when it is no number
[[nodiscard]] bool contains(const Value& list, std::string_view text);
[[nodiscard]] std::vector<std::string> to_texts(const Value& list);
[[nodiscard]] Value to_list(const std::vector<std::string>& texts);
// Adds text to the list member `name` of `object` unless it is there; remove: the other way.
void add_to_list(Value& object, std::string_view name, std::string_view text);
void remove_from_list(Value& object, std::string_view name, std::string_view text);

// ---- rules that several entities share --------------------------------------------------------
// Budgets are not negative, durations are readable; LiteLLM answers 400.
[[nodiscard]] Result<void> check_limits(const Value& body);
// Copies the members of `tables` that the body has into `document` (null clears), then sets
// budget_reset_at when budget_duration was given.
[[nodiscard]] Result<void> merge(const Call& call, std::initializer_list<Fields> tables,
                                 Value& document);
// Names the entity's own limits as LiteLLM's budget row, or the budget it refers to; null if none.
[[nodiscard]] Value budget_table(const Call& call, const Value& document);
[[nodiscard]] Result<int64_t> expiry(const Call& call, std::string_view duration);  // 0 = never
[[nodiscard]] Result<void> check_budget_id(const Call& call);

// ---- pages ------------------------------------------------------------------------------------
struct Page {
    size_t from = 0, until = 0;
    int64_t page = 1, size = 0, total = 0, pages = 0;
};
[[nodiscard]] Page page_of(size_t total, int64_t page, int64_t size);
// By a member of the documents; null sorts last. Stable.
void sort_rows(std::vector<Value>& rows, std::string_view by, bool descending);

// ---- shown rows, used across families ---------------------------------------------------------
[[nodiscard]] Value key_row(const Call& call, std::string_view hash, const Value& document);
[[nodiscard]] Value user_row(const Call& call, const Value& document);
[[nodiscard]] Value team_row(const Call& call, const Value& document);
[[nodiscard]] Value membership_row(const Call& call, const Value& document);

// A key made from `body` (checked, or a handler's own); puts it and returns its row with `key`.
[[nodiscard]] Result<Value> make_key(Call& call, const Value& body);
// Marks keys deleted, keeping a copy for reports.
void delete_key(Call& call, std::string_view hash, const Value& document);
// Adds a user (made when unknown) to a team, in the team's, the user's and the membership's rows.
struct Joined {
    Value user, membership;
};
[[nodiscard]] Result<Joined> join_team(Call& call, std::string_view team, const Value& member,
                                       const Value& terms);
void leave_team(Call& call, std::string_view team, std::string_view user);

}  // namespace belay::admin

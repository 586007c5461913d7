#include "admin/call.h"

#include <algorithm>

#include "admin/families.h"
#include "governance/duration.h"
#include "governance/keys.h"

namespace belay::admin {

using governance::ScopeKind;

Call::Call(const Ask& from, const Services& with, const Route& at)
    : ask(from),
      services(with),
      route(at),
      caller([&]() -> const governance::Caller& {
          static const governance::Caller kNobody = [] {
              governance::Caller nobody;
              nobody.role = governance::Role::customer;
              return nobody;
          }();
          return from.caller ? *from.caller : kNobody;
      }()),
      settings(with.settings ? with.settings() : std::make_shared<const Settings>()),
      now_ms(unix_millis(with.clock.wall())),
      now(render_utc(with.clock.wall())) {}

const std::string& Call::in_path(std::string_view name) const {
    static const std::string kNone;
    for (const auto& [key, value] : path) {
        if (key == name) {
            return value;
        }
    }
    return kNone;
}

std::string Call::text(std::string_view name) const { return std::string(body[name].as_string()); }
std::string Call::asked(std::string_view name) const {
    return std::string(query[name].as_string());
}
int64_t Call::asked_int(std::string_view name) const { return query[name].as_int().value_or(0); }
bool Call::asked_bool(std::string_view name) const { return query[name].as_bool(); }
std::vector<std::string> Call::texts(std::string_view name) const { return to_texts(body[name]); }
std::vector<std::string> Call::asked_texts(std::string_view name) const {
    return to_texts(query[name]);
}

Value Call::doc(EntityKind kind, std::string_view id) const {
    for (const governance::Change& change : changes_) {
        if (change.kind == kind && change.id == id) {
            return change.doc;
        }
    }
    const auto entity = services.directory.find(kind, id);
    return entity && !entity->is_deleted() ? entity->doc : Value();
}

bool Call::exists(EntityKind kind, std::string_view id) const { return !doc(kind, id).is_null(); }

void Call::put(EntityKind kind, std::string_view id, Value document) {
    const bool fresh = !document.is_null() && !exists(kind, id);
    if (!document.is_null()) {
        // A key that moves to a new secret brings the day of its making along.
        if (fresh && document["created_at"].is_null()) {
            document.set("created_at", now);
            document.set("created_by", actor());
        }
        document.set("updated_at", now);
        document.set("updated_by", actor());
    }
    if (kind == EntityKind::model || kind == EntityKind::config) {
        models_changed_ = true;
    }
    accounts_changed_ = accounts_changed_ || kind == EntityKind::account;
    for (governance::Change& change : changes_) {
        if (change.kind == kind && change.id == id) {
            change.doc = std::move(document);
            return;
        }
    }
    const auto entity = services.directory.find(kind, id);
    governance::Change change;
    change.kind = kind;
    change.id = std::string(id);
    change.doc = std::move(document);
    change.expected = entity && !entity->is_deleted() ? entity->version : 0;
    changes_.push_back(std::move(change));
}

void Call::keep_token(Value& document, const std::string& id, const Secret& key) const {
    document.erase("sealed_token");
    const std::string token = governance::key_hash(key.reveal());
    if (id != token && services.seal != nullptr) {
        if (auto sealed = services.seal->seal(token, "key/" + id); sealed.ok()) {
            document.set("sealed_token", std::move(*sealed));
        }
    }
}

void Call::set_spent(ScopeKind kind, std::string id, Value& document, NanoCredits amount) {
    if (exists_in_store(kind, id)) {
        const Value* stored = document.find(kSpendOffset);
        const int64_t offset =
            stored != nullptr ? stored->as_int().value_or(0) : amount_of(document["spend"]).value;
        const int64_t now_spent = services.governor.standing(kind, id).spent.value;
        document.set(kSpendOffset, offset + amount.value - now_spent);
    }
    document.set("spend", usd(amount));
    spent_.push_back({kind, std::move(id), {}, amount, 0});
}

bool Call::exists_in_store(ScopeKind kind, std::string_view id) const {
    switch (kind) {
        case ScopeKind::key:
            return exists(EntityKind::key, id);
        case ScopeKind::user:
            return exists(EntityKind::user, id);
        case ScopeKind::team:
            return exists(EntityKind::team, id);
        case ScopeKind::team_member:
            return exists(EntityKind::team_member, id);
        case ScopeKind::organization:
            return exists(EntityKind::organization, id);
        case ScopeKind::customer:
            return exists(EntityKind::customer, id);
        case ScopeKind::tag:
            return exists(EntityKind::tag, id);
        case ScopeKind::global:
            break;
    }
    return false;
}

NanoCredits Call::spend_amount(ScopeKind kind, std::string_view id, const Value& document) const {
    return std::max(services.governor.standing(kind, id).spent, amount_of(document["spend"]));
}

Value Call::spend(ScopeKind kind, std::string_view id, const Value& document) const {
    return usd(spend_amount(kind, id, document));
}

std::string Call::actor() const {
    if (!ask.changed_by.empty()) {
        return ask.changed_by;
    }
    if (!caller.user_id.empty()) {
        return caller.user_id;
    }
    return caller.is_master ? "default_user_id" : caller.key_hash;
}

bool Call::is_team_member(const Value& team) const {
    if (caller.user_id.empty()) {
        return false;
    }
    for (const Value& member : team["members_with_roles"].items()) {
        if (member["user_id"].as_string() == caller.user_id) {
            return true;
        }
    }
    return contains(team["members"], caller.user_id);
}

bool Call::manages_team(const Value& team) const {
    if (is_admin()) {
        return true;
    }
    if (caller.user_id.empty()) {
        return false;
    }
    for (const Value& member : team["members_with_roles"].items()) {
        if (member["user_id"].as_string() == caller.user_id &&
            member["role"].as_string() == "admin") {
            return true;
        }
    }
    return contains(team["admins"], caller.user_id) ||
           manages_organization(team["organization_id"].as_string());
}

bool Call::manages_organization(std::string_view organization) const {
    if (is_admin()) {
        return true;
    }
    if (organization.empty() || caller.user_id.empty()) {
        return false;
    }
    const Value member =
        doc(EntityKind::org_member, std::string(organization) + "/" + caller.user_id);
    return member["user_role"].as_string() == "org_admin";
}

bool Call::is_organization_member(std::string_view organization) const {
    return !organization.empty() && !caller.user_id.empty() &&
           exists(EntityKind::org_member, std::string(organization) + "/" + caller.user_id);
}

Error Call::admin_only() const {
    Error e = forbidden(
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for "
        "new keys/users/teams. Route=" +
        std::string(route.path) +
        ". Your role=" + std::string(governance::role_name(effective_role(caller))) +
        ". Your user_id=" + (caller.user_id.empty() ? "None" : caller.user_id));
    e.code = "auth_error";
    return e;
}

Error bad_request(std::string message, std::string param) {
    return caller_error(Kind::invalid_request, std::move(message), std::move(param));
}
Error not_found(std::string message, std::string param) {
    return caller_error(Kind::not_found, std::move(message), std::move(param));
}
Error forbidden(std::string message, std::string param) {
    return caller_error(Kind::forbidden, std::move(message), std::move(param));
}
Error unauthorized(std::string message, std::string type) {
    Error e = caller_error(Kind::unauthenticated, std::move(message));
    e.code = std::move(type);
    return e;
}
Error conflict(std::string message, std::string param) {
    Error e = bad_request(std::move(message), std::move(param));
    e.code = "conflict";
    return e;
}
std::string in_error(std::string_view message) {
    return "{'error': '" + std::string(message) + "'}";
}

Value usd(NanoCredits amount) {
    std::string text = render_usd(amount);
    if (text.find('.') == std::string::npos) {
        text += ".0";
    }
    return json::Number{std::move(text)};
}

NanoCredits amount_of(const Value& value) {
    const auto parsed = parse_usd(value.is_string() ? value.as_string() : value.number_text());
    return parsed.ok() ? *parsed : NanoCredits{};
}

bool contains(const Value& list, std::string_view text) {
    return std::any_of(list.items().begin(), list.items().end(),
                       [&](const Value& item) { return item.as_string() == text; });
}

std::vector<std::string> to_texts(const Value& list) {
    std::vector<std::string> out;
    if (list.is_string() && !list.as_string().empty()) {
        out.emplace_back(list.as_string());
    }
    for (const Value& item : list.items()) {
        if (item.is_string()) {
            out.emplace_back(item.as_string());
        }
    }
    return out;
}

Value to_list(const std::vector<std::string>& texts) {
    Value list = Value::array();
    for (const std::string& text : texts) {
        list.push(Value(text));
    }
    return list;
}

void add_to_list(Value& object, std::string_view name, std::string_view text) {
    Value list = object[name].is_array() ? object[name] : Value::array();
    if (!contains(list, text)) {
        list.push(Value(text));
    }
    object.set(name, std::move(list));
}

void remove_from_list(Value& object, std::string_view name, std::string_view text) {
    Value left = Value::array();
    for (const Value& item : object[name].items()) {
        if (item.as_string() != text) {
            left.push(item);
        }
    }
    object.set(name, std::move(left));
}

Result<void> check_limits(const Value& body) {
    for (const std::string_view name :
         {"max_budget", "soft_budget", "temp_budget_increase", "max_budget_in_team",
          "team_member_budget", "max_budget_in_organization"}) {
        const Value& amount = body[name];
        if (amount.is_null()) {
            continue;
        }
        const std::string text(amount.number_text());
        if (amount.as_double().value_or(0) < 0) {
            return bad_request(
                in_error(std::string(name) + " cannot be negative. Received: " + text),
                std::string(name));
        }
        if (!parse_usd(text).ok()) {
            return bad_request(
                in_error(std::string(name) + " is more than can be counted: " + text),
                std::string(name));
        }
    }
    for (const std::string_view name :
         {"budget_duration", "duration", "team_member_budget_duration", "rotation_interval",
          "grace_period", "team_member_key_duration"}) {
        const Value& duration = body[name];
        if (duration.is_string()) {
            if (auto parsed = governance::parse_duration(duration.as_string()); !parsed.ok()) {
                return bad_request(in_error(std::string(name) + ": " + parsed.error().message),
                                   std::string(name));
            }
        }
    }
    for (const Value& window : body["budget_limits"].items()) {
        auto parsed = governance::parse_duration(window["budget_duration"].as_string());
        if (!window["max_budget"].is_number() ||
            window["max_budget"].as_double().value_or(-1) < 0 || !parsed.ok() || !*parsed) {
            return bad_request(
                in_error("budget_limits takes a list of {budget_duration, max_budget}, the budget "
                         "not negative and the duration like 1d or 30d"),
                "budget_limits");
        }
    }
    for (const json::Member& model : body["model_max_budget"].members()) {
        const Value& limit = model.value;
        const Value& amount =
            limit.has("budget_limit") ? limit["budget_limit"] : limit["max_budget"];
        const Value& length =
            limit.has("time_period") ? limit["time_period"] : limit["budget_duration"];
        if ((!limit.is_object() && !limit.is_number()) ||
            (limit.is_object() && !(amount.as_double().value_or(-1) >= 0)) ||
            (length.is_string() && !governance::parse_duration(length.as_string()).ok())) {
            return bad_request(in_error("model_max_budget for " + model.key +
                                        " takes {budget_limit, time_period}, for example "
                                        "{\"budget_limit\": 10, \"time_period\": \"1d\"}"),
                               "model_max_budget");
        }
    }
    const double most = body["max_budget"].as_double().value_or(-1);
    const double soft = body["soft_budget"].as_double().value_or(-1);
    if (most >= 0 && soft >= 0 && soft >= most && body.has("team_alias")) {
        return bad_request(in_error("soft_budget must be strictly lower than max_budget"),
                           "soft_budget");
    }
    return {};
}

Result<void> merge(const Call& call, std::initializer_list<Fields> tables, Value& document) {
    for (const Fields table : tables) {
        for (const Field& field : table) {
            if (const Value* value = call.body.find(field.name)) {
                document.set(field.name, *value);
            }
        }
    }
    if (!call.body.has("budget_duration")) {
        return {};
    }
    const std::string duration = call.text("budget_duration");
    if (duration.empty()) {
        document.set("budget_reset_at", Value());
        return {};
    }
    const int64_t end = TRY(governance::window_end(duration, call.now_ms, call.settings->zone));
    document.set("budget_reset_at", render_utc(Wall(milliseconds(end))));
    return {};
}

Value budget_table(const Call& call, const Value& document) {
    const std::string_view id = document["budget_id"].as_string();
    const Value referred = id.empty() ? Value() : call.doc(EntityKind::budget, id);
    const Value& from = referred.is_null() ? document : referred;
    Value table = Value::object();
    bool any = !id.empty();
    table.set("budget_id", id.empty() ? Value() : Value(id));
    for (const Field& field : kLimitFields) {
        const Value& value = from[field.name];
        any = any || (!value.is_null() && !(value.is_object() && value.size() == 0));
        table.set(field.name, value);
    }
    table.set("budget_reset_at", from["budget_reset_at"]);
    return any ? table : Value();
}

Result<int64_t> expiry(const Call& call, std::string_view duration) {
    const auto length = TRY(governance::parse_duration(duration));
    return length ? call.now_ms + *length : 0;
}

Result<void> check_budget_id(const Call& call) {
    const std::string id = call.text("budget_id");
    if (!id.empty() && !call.exists(EntityKind::budget, id)) {
        return bad_request(in_error("Budget not found, passed budget_id=" + id), "budget_id");
    }
    return {};
}

Page page_of(size_t total, int64_t page, int64_t size) {
    Page p;
    p.page = std::max<int64_t>(page, 1);
    p.size = std::max<int64_t>(size, 1);
    p.total = static_cast<int64_t>(total);
    p.pages = (p.total + p.size - 1) / p.size;
    const int64_t from = p.page - 1 > p.total / p.size ? p.total : (p.page - 1) * p.size;
    p.from = static_cast<size_t>(std::min(from, p.total));
    p.until = static_cast<size_t>(std::min(from + p.size, p.total));
    return p;
}

void sort_rows(std::vector<Value>& rows, std::string_view by, bool descending) {
    const auto less = [&](const Value& a, const Value& b) {
        const Value& x = a[by];
        const Value& y = b[by];
        if (x.is_null() || y.is_null()) {
            return !x.is_null() && y.is_null();
        }
        if (x.is_number() && y.is_number()) {
            const double m = x.as_double().value_or(0);
            const double n = y.as_double().value_or(0);
            return descending ? m > n : m < n;
        }
        return descending ? x.as_string() > y.as_string() : x.as_string() < y.as_string();
    };
    std::stable_sort(rows.begin(), rows.end(), less);
}

}  // namespace belay::admin

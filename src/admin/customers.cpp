// /customer/* and /end_user/*: those whom requests name as their end user.
#include <algorithm>
#include <array>

#include "admin/call.h"
#include "admin/families.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;

constexpr size_t kMostShown = 10'000;

constexpr Field kFields[] = {
    {"alias", Type::text, "a name for people"},
    {"blocked", Type::boolean, "requests that name it are refused", "false"},
    {"allowed_model_region", Type::text, "kept for clients", "", false, "eu|us"},
    {"default_model", Type::text, "the model of its requests"},
    {"budget_id", Type::text, "a budget whose limits hold where it has none of its own"},
    {"object_permission", Type::map, "kept for clients"},
};
constexpr Field kWho[] = {{"user_id", Type::text, "its id, as requests name it", "", true}};
constexpr Field kSpend[] = {{"spend", Type::number, "what it has spent already, US$"}};

Value customer_row(const Call& call, const Value& document) {
    Value row = row_of({kWho, kFields, kStamps}, document);
    for (const Field& field : kLimitFields) {
        row.erase(field.name);  // shown as its budget
    }
    row.set("spend", call.spend(ScopeKind::customer, document["user_id"].as_string(), document));
    row.set("litellm_budget_table", budget_table(call, document));
    return row;
}

Result<Value> find_customer(const Call& call, std::string_view id) {
    Value customer = call.doc(EntityKind::customer, id);
    if (customer.is_null()) {
        return not_found(in_error("End User Id=" + std::string(id) + " does not exist in db"),
                         "end_user_id");
    }
    return customer;
}

Result<void> set_all(Call& call, Value& customer, const std::string& id) {
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    if (!call.body["max_budget"].is_null() && !call.text("budget_id").empty()) {
        return bad_request(
            in_error("give max_budget or budget_id, not both: the first makes a budget of its own"),
            "budget_id");
    }
    TRY(merge(call, {kLimitFields, kFields}, customer));
    if (call.body["spend"].is_number()) {
        call.set_spent(ScopeKind::customer, id, customer, amount_of(call.body["spend"]));
    }
    return {};
}

Result<Value> make(Call& call) {
    const std::string id = call.text("user_id");
    if (id.empty() || id.size() > 256) {
        return bad_request("user_id has 1 to 256 characters", "user_id");
    }
    if (call.exists(EntityKind::customer, id)) {
        return bad_request(
            "Customer already exists, passed user_id=" + id + ". Please pass a new user_id.",
            "user_id");
    }
    Value customer = Value::object({{"user_id", Value(id)}, {"spend", Value(json::Number{"0.0"})}});
    TRY(set_all(call, customer, id));
    call.put(EntityKind::customer, id, std::move(customer));
    return customer_row(call, call.doc(EntityKind::customer, id));
}

Result<Value> update(Call& call) {
    const std::string id = call.text("user_id");
    Value customer = TRY(find_customer(call, id));
    TRY(set_all(call, customer, id));
    call.put(EntityKind::customer, id, std::move(customer));
    return customer_row(call, call.doc(EntityKind::customer, id));
}

Result<Value> remove(Call& call) {
    const auto ids = call.texts("user_ids");
    for (const std::string& id : ids) {
        TRY(find_customer(call, id));
        call.erase(EntityKind::customer, id);
    }
    return Value::object(
        {{"deleted_customers", Value(static_cast<int64_t>(ids.size()))},
         {"message", "Successfully deleted customers with ids: " + json::dump(to_list(ids))}});
}

// One that requests have named and nobody has made is known by what it spent, as LiteLLM makes a
// row of each on its first request.
Result<Value> info(Call& call) {
    const std::string id = call.asked("end_user_id");
    const auto customer = find_customer(call, id);
    if (customer || id.empty()) {
        return customer_row(call, TRY(customer));
    }
    ledger::DayFilter filter;
    filter.end_users.push_back(id);
    ledger::Metrics total;
    for (const ledger::DaySum& sum : TRY(call.services.queries.day_sums(filter))) {
        total += sum.metrics;
    }
    if (total.requests == 0) {
        return customer.error();
    }
    Value row = customer_row(call, Value::object({{"user_id", Value(id)}}));
    row.set("spend", usd(total.cost));
    return row;
}

Result<Value> list(Call& call) {
    Value rows = Value::array();
    for (const auto& customer : call.services.directory.list(EntityKind::customer)) {
        if (rows.size() < kMostShown) {
            rows.push(customer_row(call, customer->doc));
        }
    }
    return rows;
}

Result<Value> set_blocked(Call& call, bool blocked) {
    Value rows = Value::array();
    for (const std::string& id : call.texts("user_ids")) {
        Value customer = call.doc(EntityKind::customer, id);
        if (customer.is_null()) {
            if (!blocked) {
                continue;
            }
            customer = Value::object({{"user_id", Value(id)}});
        }
        customer.set("blocked", blocked);
        call.put(EntityKind::customer, id, std::move(customer));
        rows.push(customer_row(call, call.doc(EntityKind::customer, id)));
    }
    call.audit_action = blocked ? "blocked" : "updated";
    return Value::object({{"blocked_users", std::move(rows)}});
}
Result<Value> block(Call& call) { return set_blocked(call, true); }
Result<Value> unblock(Call& call) { return set_blocked(call, false); }

constexpr Field kIds[] = {{"user_ids", Type::list, "whom", "", true}};
constexpr Field kInfo[] = {{"end_user_id", Type::text, "whom", "", true}};

}  // namespace

std::span<const Route> customer_routes() {
    static const std::array made = {
        Route{"POST",
              "/customer/new",
              "/end_user/new",
              "new_customer",
              "customers",
              "Makes a customer",
              kAdmin,
              make,
              Effect::writes,
              {kWho, kFields, kLimitFields, kSpend}},
        Route{"POST",
              "/customer/update",
              "/end_user/update",
              "update_customer",
              "customers",
              "Changes a customer",
              kAdmin,
              update,
              Effect::writes,
              {kWho, kFields, kLimitFields, kSpend}},
        Route{"POST",
              "/customer/delete",
              "/end_user/delete",
              "delete_customers",
              "customers",
              "Deletes customers",
              kAdmin,
              remove,
              Effect::writes,
              {kIds}},
        Route{"GET",
              "/customer/info",
              "/end_user/info",
              "customer_info",
              "customers",
              "One customer",
              kAdminsRead,
              info,
              Effect::reads,
              {},
              kInfo},
        Route{"GET", "/customer/list", "/end_user/list", "list_customers", "customers",
              "All customers", kAdminsRead, list},
        Route{"POST",
              "/customer/block",
              "/end_user/block",
              "block_customers",
              "customers",
              "Refuses requests that name them",
              kAdmin,
              block,
              Effect::writes,
              {kIds}},
        Route{"POST",
              "/customer/unblock",
              "/end_user/unblock",
              "unblock_customers",
              "customers",
              "Admits them again",
              kAdmin,
              unblock,
              Effect::writes,
              {kIds}},
    };
    return made;
}

}  // namespace belay::admin

// /budget/*: limits under a name, for keys, users, teams, customers and tags to refer to.
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "base/ids.h"

namespace belay::admin {
namespace {

constexpr Field kState[] = {
    {"budget_id", Type::text, "its id"},
};
constexpr Field kReset[] = {
    {"budget_reset_at", Type::time, "end of the running window"},
};

Value budget_row(const Value& document) {
    return row_of({kState, kLimitFields, kReset, kStamps}, document);
}

Error unknown(std::string_view id) {
    return not_found(in_error("Budget not found, passed budget_id=" + std::string(id)),
                     "budget_id");
}

Result<Value> make(Call& call) {
    TRY(check_limits(call.body));
    const std::string asked = call.text("budget_id");
    const std::string id = asked.empty() ? random_uuid() : asked;
    if (call.exists(EntityKind::budget, id)) {
        return bad_request(in_error("Budget with id " + id + " already exists"), "budget_id");
    }
    Value budget = Value::object({{"budget_id", Value(id)}});
    TRY(merge(call, {kLimitFields}, budget));
    if (call.body["budget_reset_at"].is_string()) {
        budget.set("budget_reset_at", call.body["budget_reset_at"]);
    }
    call.put(EntityKind::budget, id, std::move(budget));
    return budget_row(call.doc(EntityKind::budget, id));
}

Result<Value> update(Call& call) {
    TRY(check_limits(call.body));
    const std::string id = call.text("budget_id");
    if (id.empty()) {
        return bad_request(in_error("budget_id is required"), "budget_id");
    }
    Value budget = call.doc(EntityKind::budget, id);
    if (budget.is_null()) {
        return unknown(id);
    }
    TRY(merge(call, {kLimitFields}, budget));
    call.put(EntityKind::budget, id, std::move(budget));
    return budget_row(call.doc(EntityKind::budget, id));
}

Result<Value> info(Call& call) {
    if (call.texts("budgets").empty()) {
        return bad_request(in_error("Specify list of budget ids to query. Passed in=[]"),
                           "budgets");
    }
    Value rows = Value::array();
    for (const std::string& id : call.texts("budgets")) {
        const Value budget = call.doc(EntityKind::budget, id);
        if (!budget.is_null()) {
            rows.push(budget_row(budget));
        }
    }
    return rows;
}

Result<Value> list(Call& call) {
    Value rows = Value::array();
    for (const auto& budget : call.services.directory.list(EntityKind::budget)) {
        rows.push(budget_row(budget->doc));
    }
    return rows;
}

std::string_view type_name(Type type) {
    switch (type) {
        case Type::integer:
            return "Integer";
        case Type::number:
            return "Float";
        case Type::map:
            return "Object";
        case Type::text:
        case Type::boolean:
        case Type::list:
        case Type::any:
        case Type::duration:
        case Type::time:
            break;
    }
    return "String";
}

Result<Value> settings(Call& call) {
    const std::string id = call.asked("budget_id");
    const Value budget = call.doc(EntityKind::budget, id);
    if (budget.is_null()) {
        return unknown(id);
    }
    Value fields = Value::array();
    for (const Field& field : kLimitFields) {
        fields.push(Value::object({{"field_name", Value(field.name)},
                                   {"field_type", Value(type_name(field.type))},
                                   {"field_description", Value(field.doc)},
                                   {"field_value", budget[field.name]},
                                   {"stored_in_db", Value(true)},
                                   {"field_default_value", Value()}}));
    }
    return fields;
}

Result<Value> remove(Call& call) {
    const std::string id = call.text("id");
    const Value budget = call.doc(EntityKind::budget, id);
    if (budget.is_null()) {
        return unknown(id);
    }
    call.erase(EntityKind::budget, id);
    return budget_row(budget);
}

constexpr Field kMany[] = {{"budgets", Type::list, "ids", "", true}};
constexpr Field kOneQuery[] = {{"budget_id", Type::text, "which", "", true}};
constexpr Field kDelete[] = {{"id", Type::text, "which", "", true}};

}  // namespace

std::span<const Route> budget_routes() {
    static const std::array made = {
        Route{"POST",
              "/budget/new",
              "",
              "new_budget",
              "budgets",
              "Makes a budget",
              kAdmin,
              make,
              Effect::writes,
              {kState, kLimitFields, kReset}},
        Route{"POST",
              "/budget/update",
              "",
              "update_budget",
              "budgets",
              "Changes a budget",
              kAdmin,
              update,
              Effect::writes,
              {kState, kLimitFields}},
        Route{"POST",
              "/budget/info",
              "",
              "budget_info",
              "budgets",
              "Budgets by id",
              kAdminsRead,
              info,
              Effect::reads,
              {kMany}},
        Route{"GET", "/budget/list", "", "list_budgets", "budgets", "All budgets", kAdminsRead,
              list},
        Route{"GET",
              "/budget/settings",
              "",
              "budget_settings",
              "budgets",
              "A budget's fields, described",
              kAdminsRead,
              settings,
              Effect::reads,
              {},
              kOneQuery},
        Route{"POST",
              "/budget/delete",
              "",
              "delete_budget",
              "budgets",
              "Deletes a budget",
              kAdmin,
              remove,
              Effect::writes,
              {kDelete}},
    };
    return made;
}

}  // namespace belay::admin

// /tag/*: words that requests carry, with budgets and models of their own.
#include <array>

#include "admin/call.h"
#include "admin/families.h"

namespace belay::admin {
namespace {

using governance::ScopeKind;

constexpr Field kName[] = {{"name", Type::text, "the tag", "", true}};
constexpr Field kFields[] = {
    {"description", Type::text, "what it stands for"},
    {"models", Type::list, "models it may be used with", "[]"},
    {"budget_id", Type::text, "a budget whose limits hold where it has none of its own"},
};
constexpr Field kState[] = {
    {"model_info", Type::map, "kept for clients"},
};

Value tag_row(const Call& call, const Value& document) {
    Value row = row_of({kName, kFields, kState, kStamps}, document);
    row.set("spend", call.spend(ScopeKind::tag, document["name"].as_string(), document));
    row.set("litellm_budget_table", budget_table(call, document));
    return row;
}

Error unknown(std::string_view name) {
    return not_found(in_error("Tag " + std::string(name) + " not found"), "name");
}

// The ids or names in `models` to the names behind them, as the dashboard shows them.
Value names_of(const Call& call, const Value& models) {
    Value names = Value::object();
    const auto table = call.services.table ? call.services.table() : nullptr;
    for (const Value& model : models.items()) {
        std::string name(model.as_string());
        for (const auto& deployment : table ? table->deployments : decltype(table->deployments)()) {
            if (deployment->id == model.as_string()) {
                name = deployment->group;
            }
        }
        names.set(model.as_string(), name);
    }
    return names;
}

Result<Value> make(Call& call) {
    const std::string name = call.text("name");
    if (name.empty() || name.size() > 256) {
        return bad_request(in_error("name has 1 to 256 characters"), "name");
    }
    if (call.exists(EntityKind::tag, name)) {
        return bad_request(in_error("Tag " + name + " already exists"), "name");
    }
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    Value tag = Value::object({{"name", Value(name)}, {"spend", Value(json::Number{"0.0"})}});
    TRY(merge(call, {kFields, kLimitFields}, tag));
    tag.set("model_info", names_of(call, tag["models"]));
    call.put(EntityKind::tag, name, std::move(tag));
    return Value::object({{"message", "Tag " + name + " created successfully"},
                          {"tag", tag_row(call, call.doc(EntityKind::tag, name))}});
}

Result<Value> update(Call& call) {
    const std::string name = call.text("name");
    Value tag = call.doc(EntityKind::tag, name);
    if (tag.is_null()) {
        return unknown(name);
    }
    TRY(check_limits(call.body));
    TRY(check_budget_id(call));
    TRY(merge(call, {kFields, kLimitFields}, tag));
    tag.set("model_info", names_of(call, tag["models"]));
    call.put(EntityKind::tag, name, std::move(tag));
    return Value::object({{"message", "Tag " + name + " updated successfully"},
                          {"tag", tag_row(call, call.doc(EntityKind::tag, name))}});
}

Result<Value> info(Call& call) {
    Value rows = Value::object();
    for (const std::string& name : call.texts("names")) {
        const Value tag = call.doc(EntityKind::tag, name);
        if (tag.is_null()) {
            return unknown(name);
        }
        rows.set(name, tag_row(call, tag));
    }
    return rows;
}

// Those that were made, and those that requests have carried.
Result<Value> list(Call& call) {
    Value rows = Value::array();
    for (const auto& tag : call.services.directory.list(EntityKind::tag)) {
        rows.push(tag_row(call, tag->doc));
    }
    const auto seen = TRY(call.services.queries.tag_sums("0000-00-00", "9999-99-99"));
    for (const auto& sum : seen) {
        if (!call.exists(EntityKind::tag, sum.tag)) {
            Value row = row_of(
                {kName, kFields, kState, kStamps},
                Value::object({{"name", Value(sum.tag)}, {"description", "seen in requests"}}));
            row.set("spend", usd(sum.metrics.cost));
            rows.push(std::move(row));
        }
    }
    return rows;
}

Result<Value> remove(Call& call) {
    const std::string name = call.text("name");
    if (!call.exists(EntityKind::tag, name)) {
        return unknown(name);
    }
    call.erase(EntityKind::tag, name);
    return Value::object({{"message", "Tag " + name + " deleted successfully"}});
}

constexpr Field kNames[] = {{"names", Type::list, "which", "", true}};

}  // namespace

std::span<const Route> tag_routes() {
    static const std::array made = {
        Route{"POST",
              "/tag/new",
              "",
              "new_tag",
              "tags",
              "Makes a tag",
              kAdmin,
              make,
              Effect::writes,
              {kName, kFields, kLimitFields}},
        Route{"POST",
              "/tag/update",
              "",
              "update_tag",
              "tags",
              "Changes a tag",
              kAdmin,
              update,
              Effect::writes,
              {kName, kFields, kLimitFields}},
        Route{"POST",
              "/tag/info",
              "",
              "tag_info",
              "tags",
              "Tags by name",
              kAdminsRead,
              info,
              Effect::reads,
              {kNames}},
        Route{"GET", "/tag/list", "", "list_tags", "tags", "Tags made and tags seen", kAdminsRead,
              list},
        Route{"POST",
              "/tag/delete",
              "",
              "delete_tag",
              "tags",
              "Deletes a tag",
              kAdmin,
              remove,
              Effect::writes,
              {kName}},
    };
    return made;
}

}  // namespace belay::admin

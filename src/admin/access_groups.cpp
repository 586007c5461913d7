// Access groups: names that stand for models in keys' and teams' lists. /access_group/* by name;
// /v1/access_group by id, with the teams and keys that have it.
#include <algorithm>
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "base/ids.h"

namespace belay::admin {
namespace {

// Group names of the table for ids of deployments.
Result<std::vector<std::string>> model_names(const Call& call) {
    std::vector<std::string> names = call.texts("model_names");
    const auto table = call.services.table ? call.services.table() : nullptr;
    for (const std::string& id : call.texts("model_ids")) {
        std::string found(call.doc(EntityKind::model, id)["model_name"].as_string());
        for (const auto& deployment : table ? table->deployments : decltype(table->deployments)()) {
            if (deployment->id == id) {
                found = deployment->group;
            }
        }
        if (found.empty()) {
            return bad_request(in_error("Model not found, passed model_id=" + id), "model_ids");
        }
        names.push_back(std::move(found));
    }
    for (const std::string& name : call.texts("model_names")) {
        const bool known =
            table && std::any_of(table->deployments.begin(), table->deployments.end(),
                                 [&](const auto& d) { return d->group == name; });
        const auto stored = call.services.directory.list(EntityKind::model, [&](const auto& e) {
            return e.doc["model_name"].as_string() == name;
        });
        if (!known && stored.empty()) {
            return bad_request(in_error("Model(s) not found: " + name), "model_names");
        }
    }
    if (names.empty()) {
        return bad_request(in_error("model_names or model_ids is required"), "model_names");
    }
    return names;
}

Value shown(const Value& document) {
    const Value& names = document["access_model_names"];
    return Value::object({{"access_group", document["access_group_name"]},
                          {"model_names", names},
                          {"deployment_count", Value(static_cast<int64_t>(names.size()))}});
}

Error unknown(std::string_view name) {
    return not_found(in_error("Access group '" + std::string(name) + "' not found"),
                     "access_group");
}

Result<Value> make(Call& call) {
    const std::string name = call.text("access_group");
    if (name.empty() || name.size() > 256) {
        return bad_request(in_error("access_group has 1 to 256 characters"), "access_group");
    }
    if (call.exists(EntityKind::access_group, name)) {
        return conflict(in_error("Access group '" + name + "' already exists"), "access_group");
    }
    const auto names = TRY(model_names(call));
    call.put(EntityKind::access_group, name,
             Value::object({{"access_group_id", Value(name)},
                            {"access_group_name", Value(name)},
                            {"access_model_names", to_list(names)}}));
    Value out = shown(call.doc(EntityKind::access_group, name));
    out.set("models_updated", static_cast<int64_t>(names.size()));
    return out;
}

Result<Value> list(Call& call) {
    Value rows = Value::array();
    for (const auto& group : call.services.directory.list(EntityKind::access_group)) {
        rows.push(shown(group->doc));
    }
    return Value::object({{"access_groups", std::move(rows)}});
}

Result<Value> info(Call& call) {
    const Value document = call.doc(EntityKind::access_group, call.in_path("access_group"));
    if (document.is_null()) {
        return unknown(call.in_path("access_group"));
    }
    return shown(document);
}

Result<Value> update(Call& call) {
    const std::string& name = call.in_path("access_group");
    Value document = call.doc(EntityKind::access_group, name);
    if (document.is_null()) {
        return unknown(name);
    }
    const auto names = TRY(model_names(call));
    document.set("access_model_names", to_list(names));
    call.put(EntityKind::access_group, name, std::move(document));
    Value out = shown(call.doc(EntityKind::access_group, name));
    out.set("models_updated", static_cast<int64_t>(names.size()));
    return out;
}

Result<Value> remove(Call& call) {
    const std::string& name = call.in_path("access_group");
    const Value document = call.doc(EntityKind::access_group, name);
    if (document.is_null()) {
        return unknown(name);
    }
    call.erase(EntityKind::access_group, name);
    return Value::object(
        {{"access_group", Value(name)},
         {"models_updated", Value(static_cast<int64_t>(document["access_model_names"].size()))},
         {"message", "Access group '" + name + "' deleted successfully"}});
}

// ---- /v1/access_group
// ----------------------------------------------------------------------------

constexpr Field kUnified[] = {
    {"access_group_name", Type::text, "a name for people; unique"},
    {"description", Type::text, "what it is for"},
    {"access_model_names", Type::list, "models", "[]"},
    {"access_mcp_server_ids", Type::list, "kept for clients", "[]"},
    {"access_agent_ids", Type::list, "kept for clients", "[]"},
    {"assigned_team_ids", Type::list, "teams that have it", "[]"},
    {"assigned_key_ids", Type::list, "keys that have it", "[]"},
};
constexpr Field kUnifiedState[] = {{"access_group_id", Type::text, "its id"}};

Value unified_row(const Value& document) {
    return row_of({kUnifiedState, kUnified, kStamps}, document);
}

// Gives the group to the teams and keys that are named, takes it from those no longer named.
void assign(Call& call, EntityKind kind, const std::string& group, const Value& before,
            const Value& after) {
    for (const std::string& id : to_texts(before)) {
        Value row = call.doc(kind, id);
        if (!contains(after, id) && !row.is_null()) {
            remove_from_list(row, "access_group_ids", group);
            call.put(kind, id, std::move(row));
        }
    }
    for (const std::string& id : to_texts(after)) {
        Value row = call.doc(kind, id);
        if (!row.is_null() && !contains(row["access_group_ids"], group)) {
            add_to_list(row, "access_group_ids", group);
            call.put(kind, id, std::move(row));
        }
    }
}

Result<Value> store_unified(Call& call, const std::string& id, Value document) {
    const Value before = document;
    const std::string name = call.text("access_group_name");
    for (const auto& other : call.services.directory.list(EntityKind::access_group)) {
        if (!name.empty() && other->id != id &&
            other->doc["access_group_name"].as_string() == name) {
            return conflict(in_error("Access group '" + name + "' already exists"),
                            "access_group_name");
        }
    }
    TRY(merge(call, {kUnified}, document));
    Value hashes = Value::array();
    for (const std::string& key : to_texts(document["assigned_key_ids"])) {
        hashes.push(Value(call.services.directory.id_of(key)));
    }
    document.set("assigned_key_ids", std::move(hashes));
    for (const std::string& team : to_texts(document["assigned_team_ids"])) {
        if (!call.exists(EntityKind::team, team)) {
            return bad_request(in_error("Team not found, passed team_id=" + team),
                               "assigned_team_ids");
        }
    }
    assign(call, EntityKind::team, id, before["assigned_team_ids"], document["assigned_team_ids"]);
    assign(call, EntityKind::key, id, before["assigned_key_ids"], document["assigned_key_ids"]);
    call.put(EntityKind::access_group, id, std::move(document));
    return unified_row(call.doc(EntityKind::access_group, id));
}

Result<Value> make_unified(Call& call) {
    if (call.text("access_group_name").empty()) {
        return bad_request(in_error("access_group_name is required"), "access_group_name");
    }
    const std::string id = random_uuid();
    Value row = TRY(store_unified(call, id, Value::object({{"access_group_id", Value(id)}})));
    call.status = 201;
    return row;
}

Result<Value> list_unified(Call& call) {
    Value rows = Value::array();
    for (const auto& group : call.services.directory.list(EntityKind::access_group)) {
        rows.push(unified_row(group->doc));
    }
    return rows;
}

Result<Value> info_unified(Call& call) {
    const Value document = call.doc(EntityKind::access_group, call.in_path("access_group_id"));
    if (document.is_null()) {
        return unknown(call.in_path("access_group_id"));
    }
    return unified_row(document);
}

Result<Value> update_unified(Call& call) {
    const std::string& id = call.in_path("access_group_id");
    Value document = call.doc(EntityKind::access_group, id);
    if (document.is_null()) {
        return unknown(id);
    }
    return store_unified(call, id, std::move(document));
}

Result<Value> remove_unified(Call& call) {
    const std::string& id = call.in_path("access_group_id");
    const Value document = call.doc(EntityKind::access_group, id);
    if (document.is_null()) {
        return unknown(id);
    }
    const Value nobody = Value::array();
    assign(call, EntityKind::team, id, document["assigned_team_ids"], nobody);
    assign(call, EntityKind::key, id, document["assigned_key_ids"], nobody);
    call.erase(EntityKind::access_group, id);
    call.status = 204;
    call.raw = std::string();
    return Value();
}

constexpr Field kNew[] = {
    {"access_group", Type::text, "its name", "", true},
    {"model_names", Type::list, "groups of models"},
    {"model_ids", Type::list, "deployments"},
};
constexpr Field kUpdate[] = {
    {"model_names", Type::list, "groups of models"},
    {"model_ids", Type::list, "deployments"},
};

}  // namespace

std::span<const Route> access_group_routes() {
    static const std::array made = {
        Route{"POST",
              "/access_group/new",
              "",
              "new_access_group",
              "access_groups",
              "Makes a group of models",
              kAdmin,
              make,
              Effect::writes,
              {kNew}},
        Route{"GET", "/access_group/list", "", "list_access_groups", "access_groups", "All groups",
              kAdminsRead, list},
        Route{"GET", "/access_group/{access_group}/info", "", "access_group_info", "access_groups",
              "One group", kAdminsRead, info},
        Route{"PUT",
              "/access_group/{access_group}/update",
              "",
              "update_access_group",
              "access_groups",
              "Replaces a group's models",
              kAdmin,
              update,
              Effect::writes,
              {kUpdate}},
        Route{"DELETE", "/access_group/{access_group}/delete", "", "delete_access_group",
              "access_groups", "Deletes a group", kAdmin, remove, Effect::writes},
        Route{"POST",
              "/v1/access_group",
              "/v1/unified_access_group",
              "new_unified_access_group",
              "access_groups",
              "Makes a group and assigns it",
              kAdmin,
              make_unified,
              Effect::writes,
              {kUnified}},
        Route{"GET", "/v1/access_group", "/v1/unified_access_group", "list_unified_access_groups",
              "access_groups", "All groups", kAdminsRead, list_unified},
        Route{"GET", "/v1/access_group/{access_group_id}",
              "/v1/unified_access_group/{access_group_id}", "unified_access_group_info",
              "access_groups", "One group", kAdminsRead, info_unified},
        Route{"PUT",
              "/v1/access_group/{access_group_id}",
              "/v1/unified_access_group/{access_group_id}",
              "update_unified_access_group",
              "access_groups",
              "Changes a group",
              kAdmin,
              update_unified,
              Effect::writes,
              {kUnified}},
        Route{"DELETE", "/v1/access_group/{access_group_id}",
              "/v1/unified_access_group/{access_group_id}", "delete_unified_access_group",
              "access_groups", "Deletes a group", kAdmin, remove_unified, Effect::writes},
    };
    return made;
}

}  // namespace belay::admin

// /model/*: deployments added, changed and removed at run time, and what is known of all of them.
#include <algorithm>
#include <array>
#include <cctype>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/model_rows.h"
#include "admin/secrets.h"
#include "base/ids.h"

namespace belay::admin {
namespace {

constexpr Field kModel[] = {
    {"model_name", Type::text, "the group that clients ask for"},
    {"litellm_params", Type::map, "where and how: model, api_base, api_key, rpm, ..."},
    {"model_info", Type::map, "id, team_id, base_model, access_groups, mode, ..."},
};

Error not_stored() {
    return gateway_error(
        Kind::internal,
        "{'error': 'Set `'STORE_MODEL_IN_DB='True'` in your env to enable this feature.'}");
}

// A proxy admin, or the admin of the team that the model is for.
Result<void> may_manage(const Call& call, const Value& info) {
    if (call.is_admin()) {
        return {};
    }
    const std::string_view team = info["team_id"].as_string();
    if (team.empty() || !call.manages_team(call.doc(EntityKind::team, team))) {
        return call.admin_only();
    }
    return {};
}

// The environment is the operator's: a team admin's model may not read it and send it elsewhere.
Result<void> check_params(const Call& call, const Value& params) {
    if (params["model"].as_string().empty()) {
        return bad_request(in_error("litellm_params.model is required: provider/model"),
                           "litellm_params");
    }
    if (!call.is_admin() && json::dump(params).find("os.environ/") != std::string::npos) {
        return forbidden("Only a proxy admin's model may refer to os.environ/", "litellm_params");
    }
    const std::string credential(params["litellm_credential_name"].as_string());
    if (!credential.empty() &&
        (!call.is_admin() || !call.exists(EntityKind::credential, credential))) {
        return bad_request(in_error("No such credential: " + credential), "litellm_params");
    }
    return {};
}

Value shown(const Call& call, std::string_view id) {
    const Value stored = call.doc(EntityKind::model, id);
    return Value::object({{"model_id", Value(id)},
                          {"model_name", stored["model_name"]},
                          {"litellm_params", without_secrets(stored["litellm_params"])},
                          {"model_info", stored["model_info"]},
                          {"created_at", stored["created_at"]},
                          {"created_by", stored["created_by"]},
                          {"updated_at", stored["updated_at"]},
                          {"updated_by", stored["updated_by"]}});
}

bool in_table(const Call& call, std::string_view id) {
    const auto table = call.services.table ? call.services.table() : nullptr;
    return table && std::any_of(table->deployments.begin(), table->deployments.end(),
                                [&](const auto& d) { return d->id == id; });
}

Result<Value> make(Call& call) {
    Value info = call.body["model_info"].is_object() ? call.body["model_info"] : Value::object();
    TRY(may_manage(call, info));
    if (!call.settings->store_model_in_db) {
        return not_stored();
    }
    const std::string name = call.text("model_name");
    if (name.empty()) {
        return bad_request(in_error("model_name is required"), "model_name");
    }
    TRY(check_params(call, call.body["litellm_params"]));
    const std::string asked(info["id"].as_string());
    const std::string id = asked.empty() ? random_uuid() : asked;
    if (call.exists(EntityKind::model, id) || in_table(call, id)) {
        return bad_request(in_error("Model id " + id + " already exists"), "model_info");
    }
    const std::string team(info["team_id"].as_string());
    if (!team.empty()) {
        Value row = call.doc(EntityKind::team, team);
        if (row.is_null()) {
            return bad_request(in_error("Team not found, passed team_id=" + team), "model_info");
        }
        // A team that may call everything may call this one too; others get it by name.
        if (row["models"].size() != 0) {
            add_to_list(row, "models", name);
            call.put(EntityKind::team, team, std::move(row));
        }
    }
    info.set("id", id);
    info.set("db_model", true);
    Value document = Value::object({{"model_name", Value(name)}});
    document.set("litellm_params",
                 TRY(seal_members(call.body["litellm_params"], Which::secret_names,
                                  call.services.seal, "model/" + id)));
    document.set("model_info", std::move(info));
    call.put(EntityKind::model, id, std::move(document));
    return shown(call, id);
}

Result<Value> change(Call& call, const std::string& id) {
    if (!call.settings->store_model_in_db) {
        return not_stored();
    }
    Value document = call.doc(EntityKind::model, id);
    if (document.is_null()) {
        return in_table(call, id)
                   ? bad_request(in_error("Can't edit model. Model in config. Store model in db "
                                          "via `/model/new`. to edit."),
                                 "model_info")
                   : bad_request(in_error("Model id = " + id + " not found on litellm proxy"),
                                 "model_info");
    }
    TRY(may_manage(call, document["model_info"]));
    if (!call.text("model_name").empty()) {
        document.set("model_name", call.text("model_name"));
    }
    if (call.body["litellm_params"].is_object()) {
        Value params = document["litellm_params"];
        const Value sealed = TRY(seal_members(call.body["litellm_params"], Which::secret_names,
                                              call.services.seal, "model/" + id));
        for (const json::Member& member : sealed.members()) {
            if (member.value.as_string() != kMask) {
                params.set(member.key, member.value);
            }
        }
        TRY(check_params(call, params));
        document.set("litellm_params", std::move(params));
    }
    if (call.body["model_info"].is_object()) {
        Value info = document["model_info"];
        for (const json::Member& member : call.body["model_info"].members()) {
            info.set(member.key, member.value);
        }
        TRY(may_manage(call, info));
        info.set("id", id);
        info.set("db_model", true);
        document.set("model_info", std::move(info));
    }
    call.put(EntityKind::model, id, std::move(document));
    return shown(call, id);
}

Result<Value> update(Call& call) {
    const std::string id(call.body["model_info"]["id"].as_string());
    if (id.empty()) {
        return bad_request(in_error("model_info.id is required"), "model_info");
    }
    return change(call, id);
}

Result<Value> patch(Call& call) { return change(call, call.in_path("model_id")); }

Result<Value> remove(Call& call) {
    const std::string id = call.text("id");
    const Value document = call.doc(EntityKind::model, id);
    if (document.is_null()) {
        return bad_request(in_error("Model with id=" + id + " not found in db"), "id");
    }
    TRY(may_manage(call, document["model_info"]));
    call.erase(EntityKind::model, id);
    return Value::object({{"message", "Model: " + id + " deleted successfully"}});
}

// ---- reading
// -------------------------------------------------------------------------------------

Value array_of(std::vector<Value> rows) { return Value(json::Array(std::move(rows))); }

Result<Value> info(Call& call) {
    const std::string id = call.asked("litellm_model_id");
    std::vector<Value> rows;
    for (Value& row : deployment_rows(call)) {
        if (may_use(call, row) && (id.empty() || row["model_info"]["id"].as_string() == id)) {
            rows.push_back(std::move(row));
        }
    }
    if (rows.empty() && !id.empty()) {
        return bad_request(in_error("Model id = " + id + " not found on litellm proxy"),
                           "litellm_model_id");
    }
    return Value::object({{"data", array_of(std::move(rows))}});
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool listed(const Call& call, const Value& row) {
    const std::string model = call.asked("model");
    const std::string id = call.asked("modelId");
    const std::string team = call.asked("teamId");
    const std::string search = lower(call.asked("search"));
    const auto has = [&](const Value& text) {
        return lower(text.as_string()).find(search) != std::string::npos;
    };
    return may_use(call, row) && (model.empty() || row["model_name"].as_string() == model) &&
           (id.empty() || row["model_info"]["id"].as_string() == id) &&
           (team.empty() || row["model_info"]["team_id"].as_string() == team) &&
           (!call.asked_bool("user_models_only") ||
            call.is_self(row["model_info"]["created_by"].as_string())) &&
           (has(row["model_name"]) || has(row["litellm_params"]["model"]));
}

Result<Value> info_v2(Call& call) {
    std::vector<Value> found;
    for (Value& row : deployment_rows(call)) {
        if (listed(call, row)) {
            row.set("costs", row["model_info"]["input_cost_per_token"]);
            row.set("status", row["model_info"]["db_model"].as_bool() ? "db" : "config");
            found.push_back(std::move(row));
        }
    }
    if (!call.asked("sortBy").empty()) {
        sort_rows(found, call.asked("sortBy"), call.asked("sortOrder") == "desc");
    }
    const Page page = page_of(found.size(), call.asked_int("page"), call.asked_int("size"));
    Value data = Value::array();
    for (size_t i = page.from; i < page.until; ++i) {
        found[i].erase("costs");
        found[i].erase("status");
        data.push(std::move(found[i]));
    }
    return Value::object({{"data", std::move(data)},
                          {"total_count", Value(page.total)},
                          {"current_page", Value(page.page)},
                          {"size", Value(page.size)},
                          {"total_pages", Value(page.pages)}});
}

Result<Value> group_info(Call& call) {
    const std::string group = call.asked("model_group");
    std::vector<Value> rows;
    for (Value& row : group_rows(call)) {
        if (group.empty() || row["model_group"].as_string() == group) {
            rows.push_back(std::move(row));
        }
    }
    return Value::object({{"data", array_of(std::move(rows))}});
}

constexpr Field kDelete[] = {{"id", Type::text, "model_info.id", "", true}};
constexpr Field kInfoQuery[] = {
    {"litellm_model_id", Type::text, "this deployment"},
    {"include_team_models", Type::boolean, "accepted; a team's models are always shown to it"},
    {"teamId", Type::text, "accepted"},
};
constexpr Field kPageQuery[] = {
    {"model", Type::text, "of this group"},
    {"user_models_only", Type::boolean, "that the caller added", "false"},
    {"include_team_models", Type::boolean, "accepted; a team's models are always shown to it"},
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"size", Type::integer, "rows on a page", "50", false, "", 1, 1000},
    {"search", Type::text, "a part of the group or the upstream name"},
    {"modelId", Type::text, "this deployment"},
    {"teamId", Type::text, "of this team"},
    {"sortBy", Type::text, "order", "", false, "model_name|created_at|updated_at|costs|status"},
    {"sortOrder", Type::text, "direction", "\"asc\"", false, "asc|desc"},
    {"exclude_auto_routers", Type::boolean, "accepted"},
};
constexpr Field kGroupQuery[] = {{"model_group", Type::text, "this group"}};

}  // namespace

std::span<const Route> model_routes() {
    static const std::array made = {
        Route{"POST",
              "/model/new",
              "",
              "new_model",
              "models",
              "Adds a deployment; the next request can use it",
              kAdmin | kOrgAdmin | kUser,
              make,
              Effect::writes,
              {kModel}},
        Route{"POST",
              "/model/update",
              "",
              "update_model",
              "models",
              "Changes a deployment that was added at run time",
              kAdmin | kOrgAdmin | kUser,
              update,
              Effect::writes,
              {kModel}},
        Route{"PATCH",
              "/model/{model_id}/update",
              "",
              "patch_model",
              "models",
              "The same by path",
              kAdmin | kOrgAdmin | kUser,
              patch,
              Effect::writes,
              {kModel}},
        Route{"POST",
              "/model/delete",
              "",
              "delete_model",
              "models",
              "Removes a deployment that was added at run time",
              kAdmin | kOrgAdmin | kUser,
              remove,
              Effect::writes,
              {kDelete}},
        Route{"GET",
              "/model/info",
              "/v1/model/info",
              "model_info",
              "models",
              "Deployments that the caller may use",
              kAll,
              info,
              Effect::reads,
              {},
              kInfoQuery},
        Route{"GET",
              "/v2/model/info",
              "",
              "model_info_v2",
              "models",
              "Deployments by page",
              kAll,
              info_v2,
              Effect::reads,
              {},
              kPageQuery},
        Route{"GET",
              "/model_group/info",
              "",
              "model_group_info",
              "models",
              "Groups that the caller may ask for",
              kAll,
              group_info,
              Effect::reads,
              {},
              kGroupQuery},
    };
    return made;
}

}  // namespace belay::admin

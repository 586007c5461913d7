// /credentials: secrets under a name, for deployments to refer to. Write-only: what is shown is
// which values there are.
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/secrets.h"

namespace belay::admin {
namespace {

Value shown(const Value& document) {
    Value values = Value::object();
    for (const json::Member& member : document["credential_values"].members()) {
        values.set(member.key, kMask);
    }
    return Value::object({{"credential_name", document["credential_name"]},
                          {"credential_values", std::move(values)},
                          {"credential_info", document["credential_info"]}});
}

Error unknown(std::string_view name) {
    return not_found(in_error("Credential not found. Got credential name: " + std::string(name)),
                     "credential_name");
}

Result<void> set_values(const Call& call, const std::string& name, Value& document) {
    Value values =
        document["credential_values"].is_object() ? document["credential_values"] : Value::object();
    const Value sealed = TRY(seal_members(call.body["credential_values"], Which::all,
                                          call.services.seal, "credential/" + name));
    for (const json::Member& member : sealed.members()) {
        if (call.body["credential_values"][member.key].as_string() != kMask) {
            values.set(member.key, member.value);
        }
    }
    document.set("credential_values", std::move(values));
    if (call.body["credential_info"].is_object()) {
        document.set("credential_info", call.body["credential_info"]);
    }
    return {};
}

Result<Value> make(Call& call) {
    const std::string name = call.text("credential_name");
    if (name.empty() || name.size() > 256) {
        return bad_request(in_error("credential_name has 1 to 256 characters"), "credential_name");
    }
    if (call.exists(EntityKind::credential, name)) {
        return bad_request(in_error("Credential " + name + " already exists"), "credential_name");
    }
    if (!call.text("model_id").empty()) {
        const Value model = call.doc(EntityKind::model, call.text("model_id"));
        if (model.is_null() || call.services.seal == nullptr) {
            return not_found(in_error("Model not found, passed model_id=" + call.text("model_id")),
                             "model_id");
        }
        const Value opened = TRY(open_members(model["litellm_params"], *call.services.seal,
                                              "model/" + call.text("model_id")));
        Value values = Value::object();
        for (const json::Member& member : opened.members()) {
            if (is_secret_name(member.key) || member.key == "api_base") {
                values.set(member.key, member.value);
            }
        }
        call.body.set("credential_values", std::move(values));
    }
    Value document =
        Value::object({{"credential_name", Value(name)}, {"credential_info", Value::object()}});
    TRY(set_values(call, name, document));
    call.put(EntityKind::credential, name, std::move(document));
    call.models_changed();
    return Value::object(
        {{"success", Value(true)}, {"message", "Credential created successfully"}});
}

Result<Value> list(Call& call) {
    Value rows = Value::array();
    for (const auto& credential : call.services.directory.list(EntityKind::credential)) {
        rows.push(shown(credential->doc));
    }
    return Value::object({{"success", Value(true)}, {"credentials", std::move(rows)}});
}

Result<Value> by_name(Call& call) {
    const Value document = call.doc(EntityKind::credential, call.in_path("credential_name"));
    if (document.is_null()) {
        return unknown(call.in_path("credential_name"));
    }
    return shown(document);
}

Result<Value> by_model(Call& call) {
    const std::string id = call.in_path("model_id");
    const Value model = call.doc(EntityKind::model, id);
    if (model.is_null()) {
        return not_found(in_error("Model not found, passed model_id=" + id), "model_id");
    }
    Value values = Value::object();
    for (const json::Member& member : model["litellm_params"].members()) {
        if (is_secret_name(member.key)) {
            values.set(member.key, kMask);
        }
    }
    return Value::object({{"credential_name", Value(id + "-credential")},
                          {"credential_values", std::move(values)},
                          {"credential_info", Value::object()}});
}

Result<Value> update(Call& call) {
    const std::string name = call.in_path("credential_name");
    Value document = call.doc(EntityKind::credential, name);
    if (document.is_null()) {
        return unknown(name);
    }
    TRY(set_values(call, name, document));
    call.put(EntityKind::credential, name, std::move(document));
    call.models_changed();
    return Value::object(
        {{"success", Value(true)}, {"message", "Credential updated successfully"}});
}

Result<Value> remove(Call& call) {
    const std::string name = call.in_path("credential_name");
    if (!call.exists(EntityKind::credential, name)) {
        return unknown(name);
    }
    for (const auto& model : call.services.directory.list(EntityKind::model)) {
        if (model->doc["litellm_params"]["litellm_credential_name"].as_string() == name) {
            return bad_request(in_error("The model " + model->id + " uses this credential"),
                               "credential_name");
        }
    }
    call.erase(EntityKind::credential, name);
    call.models_changed();
    return Value::object(
        {{"success", Value(true)}, {"message", "Credential deleted successfully"}});
}

constexpr Field kNew[] = {
    {"credential_name", Type::text, "its name", "", true},
    {"credential_values", Type::map, "secrets by name; stored sealed, never returned"},
    {"credential_info", Type::map, "custom_llm_provider, description"},
    {"model_id", Type::text, "take the values from this stored model"},
};
constexpr Field kUpdate[] = {
    {"credential_name", Type::text, "accepted; the path says which"},
    {"credential_values", Type::map, "values to be replaced; others stay"},
    {"credential_info", Type::map, "custom_llm_provider, description"},
};

}  // namespace

std::span<const Route> credential_routes() {
    static const std::array made = {
        Route{"POST",
              "/credentials",
              "",
              "new_credential",
              "credentials",
              "Stores a credential",
              kAdmin,
              make,
              Effect::writes,
              {kNew}},
        Route{"GET", "/credentials", "", "list_credentials", "credentials",
              "Credentials without their values", kAdminsRead, list},
        Route{"GET", "/credentials/by_name/{credential_name*}", "", "credential_by_name",
              "credentials", "One credential", kAdminsRead, by_name},
        Route{"GET", "/credentials/by_model/{model_id*}", "", "credential_by_model", "credentials",
              "Which secrets a stored model has", kAdminsRead, by_model},
        Route{"PATCH",
              "/credentials/{credential_name*}",
              "",
              "update_credential",
              "credentials",
              "Replaces values",
              kAdmin,
              update,
              Effect::writes,
              {kUpdate}},
        Route{"DELETE", "/credentials/{credential_name*}", "", "delete_credential", "credentials",
              "Deletes a credential that no model uses", kAdmin, remove, Effect::writes},
    };
    return made;
}

}  // namespace belay::admin

// POST /responses, reading side. The service is stateless and strict: whatever is not in the
// documented item schema is refused by name, and upstream-issued item ids may not come back.
#include <algorithm>
#include <set>

#include "sim/capi.h"
#include "sim/responses_render.h"

namespace belay::sim {
namespace {

using Refusal = std::optional<Reply>;
using Names = std::initializer_list<std::string_view>;

constexpr std::string_view kInvalidType = "invalid_request_error";

Refusal invalid(const Call& call, std::string message, std::string_view param = {}) {
    return capi_error(call, 400, "invalid_request_body", std::move(message), param, kInvalidType);
}

Refusal only(const Call& call, const json::Value& object, const std::string& where, Names known) {
    for (const auto& member : object.members()) {
        if (std::find(known.begin(), known.end(), member.key) == known.end()) {
            const std::string name = where.empty() ? member.key : where + "." + member.key;
            return invalid(call, "Unknown parameter: '" + name + "'.", name);
        }
    }
    return std::nullopt;
}

Refusal check_statelessness(const Call& call) {
    const json::Value& body = call.body;
    if (body["store"].as_bool()) {
        return invalid(call, "store must be false: responses are not stored.", "store");
    }
    if (body.has("previous_response_id") && !body["previous_response_id"].is_null()) {
        return capi_error(call, 400, "previous_response_not_found",
                          "Previous response with id '" +
                              std::string(body["previous_response_id"].as_string()) +
                              "' not found.",
                          "previous_response_id", kInvalidType);
    }
    for (const char* name : {"background", "conversation", "prompt"}) {
        const json::Value* value = body.find(name);
        if (value != nullptr && !value->is_null() && !(value->is_bool() && !value->as_bool())) {
            return invalid(call, "Unsupported parameter: '" + std::string(name) + "'.", name);
        }
    }
    return std::nullopt;
}

Refusal check_parameters(const Call& call) {
    for (const char* name : {"service_tier", "frequency_penalty", "presence_penalty", "n"}) {
        if (call.body.has(name)) {
            return invalid(call,
                           "Unsupported parameter: '" + std::string(name) +
                               "' is not supported with this model.",
                           name);
        }
    }
    for (const auto& name : call.model->rejects) {
        if (name != "max_tokens" && call.body.has(name)) {
            return invalid(
                call, "Unsupported parameter: '" + name + "' is not supported with this model.",
                name);
        }
    }
    if (auto bad = only(call, call.body, "",
                        {"model",
                         "input",
                         "instructions",
                         "stream",
                         "store",
                         "include",
                         "reasoning",
                         "max_output_tokens",
                         "truncation",
                         "text",
                         "tools",
                         "tool_choice",
                         "parallel_tool_calls",
                         "prompt_cache_key",
                         "prompt_cache_retention",
                         "context_management",
                         "temperature",
                         "top_p",
                         "metadata",
                         "user",
                         "safety_identifier",
                         "background",
                         "previous_response_id",
                         "conversation",
                         "prompt",
                         "stream_options",
                         "max_tool_calls",
                         "top_logprobs"})) {
        return bad;
    }
    const auto limit = call.body["max_output_tokens"].as_int();
    if (limit && *limit < 16) {
        return invalid(call,
                       "Invalid 'max_output_tokens': integer below minimum value. Expected a "
                       "value >= 16, but got " +
                           std::to_string(*limit) + " instead.");
    }
    return check_effort(call, call.body["reasoning"]["effort"].as_string());
}

Refusal read_tool(const Call& call, const json::Value& tool, size_t index, Ask& ask) {
    const std::string where = "tools[" + std::to_string(index) + "]";
    const auto type = tool["type"].as_string();
    if (type == "function") {
        if (auto bad =
                only(call, tool, where, {"type", "name", "description", "strict", "parameters"})) {
            return bad;
        }
        if (tool.has("description") && tool["description"].as_string().empty() &&
            !tool["description"].is_null()) {
            return invalid(call, "[StringParam] [" + where +
                                     ".description] [empty_string] Invalid '" + where +
                                     ".description': empty string. Expected a string with "
                                     "minimum length 1.");
        }
        ask.tools.push_back({std::string(tool["name"].as_string()), tool["parameters"]});
        return check_tool(call, tool["name"].as_string(), tool["parameters"], where);
    }
    if (type == "custom") {
        ask.tools.push_back({std::string(tool["name"].as_string()), {}, true});
        return check_tool(call, tool["name"].as_string(), {}, where);
    }
    if (type.starts_with("web_search") && call.state.scenario.web_search) {
        return std::nullopt;
    }
    return capi_error(call, 400, "unsupported_value",
                      "The requested tool " + std::string(type) + " is not supported.", "tools",
                      kInvalidType);
}

Refusal read_tools(const Call& call, Ask& ask) {
    const json::Value& tools = call.body["tools"];
    if (tools.size() > 128) {
        return named_error(call, "too_many_tools");
    }
    for (size_t i = 0; i < tools.size(); ++i) {
        if (auto bad = read_tool(call, tools[i], i, ask)) {
            return bad;
        }
        ask.prompt_tokens += count_tokens(json::dump(tools[i]));
    }
    const json::Value& choice = call.body["tool_choice"];
    if (choice.is_object()) {
        ask.mode = ToolMode::named;
        ask.tool_name = choice["name"].as_string();
        if (ask.tool_name.empty()) {
            return invalid(call, "Missing required parameter: 'tool_choice.name'.");
        }
    } else if (choice.as_string() == "none") {
        ask.mode = ToolMode::none;
    } else if (choice.as_string() == "required") {
        ask.mode = ToolMode::required;
    }
    ask.parallel = call.body["parallel_tool_calls"].as_bool(true);
    return std::nullopt;
}

// Reads the items of `input` one by one.
class InputReader {
  public:
    InputReader(const Call& call, Ask& ask) : call_(call), ask_(ask) {}

    Refusal read(const json::Value& input) {
        if (input.is_string()) {
            ask_.text = input.as_string();
            add_step(ask_, input, 4 + count_tokens(ask_.text));
            return std::nullopt;
        }
        if (!input.is_array() || input.size() == 0) {
            return invalid(call_, "Missing required parameter: 'input'.", "input");
        }
        for (size_t i = 0; i < input.size(); ++i) {
            where_ = "input[" + std::to_string(i) + "]";
            tokens_ = 4;
            if (auto bad = item(input[i])) {
                return bad;
            }
            add_step(ask_, input[i], tokens_);
        }
        if (!open_.empty()) {
            return invalid(call_, "No tool output found for function call " + *open_.begin() + ".",
                           "input");
        }
        return std::nullopt;
    }

  private:
    Refusal item(const json::Value& value) {
        if (is_item_id(call_.state, value["id"].as_string())) {
            return named_error(call_, "input_item_id");
        }
        const auto type = value["type"].as_string("message");
        if (type == "message") {
            return message(value);
        }
        if (type == "reasoning") {
            return reasoning(value);
        }
        if (type == "function_call" || type == "custom_tool_call") {
            return call(value, type);
        }
        if (type == "function_call_output" || type == "custom_tool_call_output") {
            return output(value);
        }
        if (type == "item_reference") {
            return invalid(call_, "Item with id '" + std::string(value["id"].as_string()) +
                                      "' not found. Items are not persisted when `store` is set to "
                                      "false.");
        }
        if (type == "compaction") {
            return sealed(value);
        }
        return invalid(call_, "Invalid value: '" + std::string(type) + "'.", where_ + ".type");
    }

    Refusal message(const json::Value& value) {
        if (auto bad =
                only(call_, value, where_, {"type", "role", "content", "id", "status", "phase"})) {
            return bad;
        }
        const auto role = value["role"].as_string();
        if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
            return invalid(call_, "Invalid value: '" + std::string(role) + "'.", where_ + ".role");
        }
        std::string text;
        if (auto bad = content(value["content"], where_ + ".content", text)) {
            return bad;
        }
        tokens_ += count_tokens(text);
        if (role == "user") {
            ask_.text = text;
            ask_.after_tool = false;
        }
        return std::nullopt;
    }

    Refusal content(const json::Value& parts, const std::string& where, std::string& text) {
        if (parts.is_string()) {
            text = parts.as_string();
            return std::nullopt;
        }
        for (size_t i = 0; i < parts.size(); ++i) {
            const json::Value& part = parts[i];
            const std::string here = where + "[" + std::to_string(i) + "]";
            const auto type = part["type"].as_string();
            Refusal bad;
            if (type == "input_text" || type == "output_text") {
                bad = only(call_, part, here, {"type", "text", "annotations", "logprobs"});
                text += (text.empty() ? "" : "\n") + std::string(part["text"].as_string());
            } else if (type == "input_image") {
                bad = only(call_, part, here, {"type", "image_url", "detail", "file_id"});
                ++ask_.images;
            } else if (type == "input_file") {
                bad = only(call_, part, here,
                           {"type", "file_data", "filename", "file_id", "file_url"});
            } else if (type == "refusal") {
                bad = only(call_, part, here, {"type", "refusal"});
            } else {
                bad = invalid(call_, "Invalid value: '" + std::string(type) + "'.", here + ".type");
            }
            if (bad) {
                return bad;
            }
        }
        return std::nullopt;
    }

    Refusal reasoning(const json::Value& value) {
        if (value.has("status")) {
            return invalid(call_, "Unknown parameter: '" + where_ + ".status'.",
                           where_ + ".status");
        }
        if (auto bad = only(call_, value, where_,
                            {"type", "id", "summary", "encrypted_content", "content"})) {
            return bad;
        }
        return sealed(value);
    }

    Refusal sealed(const json::Value& value) {
        const auto text = value["encrypted_content"].as_string();
        if (!text.empty() && !is_signature(call_.state, text)) {
            return invalid(call_, "The encrypted content for item " +
                                      std::string(value["id"].as_string()) +
                                      " could not be verified.");
        }
        return std::nullopt;
    }

    Refusal call(const json::Value& value, std::string_view type) {
        const bool custom = type == "custom_tool_call";
        if (auto bad =
                only(call_, value, where_,
                     {"type", "id", "call_id", "name", custom ? "input" : "arguments", "status"})) {
            return bad;
        }
        const std::string id(value["call_id"].as_string());
        if (id.empty()) {
            return invalid(call_, "Missing required parameter: '" + where_ + ".call_id'.");
        }
        open_.insert(id);
        known_.insert(id);
        tokens_ += count_tokens(value["arguments"].as_string(value["input"].as_string())) + 8;
        return std::nullopt;
    }

    Refusal output(const json::Value& value) {
        if (auto bad = only(call_, value, where_, {"type", "id", "call_id", "output", "status"})) {
            return bad;
        }
        const std::string id(value["call_id"].as_string());
        if (!known_.contains(id)) {
            return invalid(call_,
                           "No tool call found for function call output with call_id " + id + ".",
                           "input");
        }
        open_.erase(id);
        std::string text;
        if (auto bad = content(value["output"], where_ + ".output", text)) {
            return bad;
        }
        tokens_ += count_tokens(text);
        ask_.tool_result = text;
        ask_.after_tool = true;
        return std::nullopt;
    }

    const Call& call_;
    Ask& ask_;
    std::string where_;
    int64_t tokens_ = 0;
    std::set<std::string> open_;
    std::set<std::string> known_;
};

Refusal read_responses(Call& call, Ask& ask) {
    for (const auto check : {check_statelessness, check_parameters}) {
        if (auto bad = check(call)) {
            return bad;
        }
    }
    if (auto bad = read_tools(call, ask)) {
        return bad;
    }
    ask.prompt_tokens += count_tokens(call.body["instructions"].as_string());
    if (auto bad = InputReader(call, ask).read(call.body["input"])) {
        return bad;
    }
    if (auto bad = check_vision(call, ask)) {
        return bad;
    }
    const json::Value& format = call.body["text"]["format"];
    if (format["type"].as_string() == "json_schema") {
        ask.schema = format.find("schema");
    }
    ask.json_object = format["type"].as_string() == "json_object";
    ask.prompt_tokens += 85 * ask.images;
    ask.output_max = call.body["max_output_tokens"].as_int().value_or(0);
    ask.think =
        !call.model->efforts.empty() && call.body["reasoning"]["effort"].as_string() != "none";
    return std::nullopt;
}

std::string responses_stream_error(const Fault& fault) {
    json::Value e = json::Value::object({{"code", fault.code}, {"message", fault.message}});
    json::Value v = json::Value::object({{"type", "response.failed"}, {"sequence_number", 9999}});
    if (fault.stream_shape == "error") {
        v = json::Value::object({{"type", "error"},
                                 {"sequence_number", 9999},
                                 {"code", fault.code},
                                 {"message", fault.message},
                                 {"param", nullptr}});
    } else {
        v.set("response", json::Value::object({{"id", "resp_failed"},
                                               {"object", "response"},
                                               {"status", "failed"},
                                               {"error", std::move(e)},
                                               {"output", json::Value::array()}}));
    }
    return "event: " + std::string(v["type"].as_string()) + "\ndata: " + json::dump(v) + "\n\n";
}

// Unlike the other surfaces this one says no numbers.
Reply responses_too_long(const Call& call, int64_t, int64_t) {
    return capi_error(
        call, 400, "invalid_request_body",
        "Your input exceeds the context window of this model. Please adjust your input "
        "and try again.",
        "input", kInvalidType);
}

}  // namespace

const Protocol& responses_protocol() {
    static constexpr Protocol kProtocol{"/responses", read_responses, render_responses,
                                        responses_stream_error, responses_too_long};
    return kProtocol;
}

}  // namespace belay::sim

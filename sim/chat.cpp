// POST /chat/completions, reading side: what the service accepts and what it refuses, per family.
#include <algorithm>
#include <set>

#include "sim/capi.h"
#include "sim/chat_render.h"

namespace belay::sim {
namespace {

using Refusal = std::optional<Reply>;

Refusal invalid(const Call& call, std::string message) {
    return capi_error(call, 400, "invalid_request_body", std::move(message));
}

Refusal check_parameters(const Call& call) {
    const json::Value& body = call.body;
    for (const auto& name : call.model->rejects) {
        if (!body.has(name)) {
            continue;
        }
        std::string message =
            "Unsupported parameter: '" + name + "' is not supported with this model.";
        if (name == "max_tokens") {
            message += " Use 'max_completion_tokens' instead.";
        }
        return invalid(call, message);
    }
    if (const json::Value* p = body.find("prediction");
        p != nullptr && (*p)["content"].size() == 0 && (*p)["content"].as_string().empty()) {
        return invalid(call, "Invalid 'prediction': content must not be empty.");
    }
    const auto limit = body["max_tokens"].as_int();
    if (call.state.scenario.strict_max_tokens && limit && *limit > call.model->output_max) {
        return invalid(call, "max_tokens is too large: " + std::to_string(*limit) +
                                 ". This model supports at most " +
                                 std::to_string(call.model->output_max) + " completion tokens.");
    }
    if (call.model->family == Family::claude && body.has("thinking_budget")) {
        const int64_t budget = body["thinking_budget"].as_int().value_or(0);
        if (budget < call.model->thinking_min || budget > call.model->thinking_max) {
            return invalid(call, "thinking_budget must be between " +
                                     std::to_string(call.model->thinking_min) + " and " +
                                     std::to_string(call.model->thinking_max));
        }
    }
    return check_effort(call, body["reasoning_effort"].as_string());
}

Refusal read_tools(const Call& call, Ask& ask) {
    const json::Value& tools = call.body["tools"];
    if (tools.size() > 128) {
        return named_error(call, "too_many_tools");
    }
    for (size_t i = 0; i < tools.size(); ++i) {
        const json::Value& function = tools[i]["function"];
        const std::string name(function["name"].as_string());
        if (auto bad = check_tool(call, name, function["parameters"],
                                  "tools[" + std::to_string(i) + "].function")) {
            return bad;
        }
        if (!call.model->tools) {
            return invalid(call, "tools are not supported by this model");
        }
        ask.tools.push_back({name, function["parameters"]});
        ask.prompt_tokens += count_tokens(json::dump(tools[i]));
    }
    const json::Value& choice = call.body["tool_choice"];
    if (choice.as_string() == "none") {
        ask.mode = ToolMode::none;
    } else if (choice.as_string() == "required") {
        ask.mode = ToolMode::required;
    } else if (choice.is_object()) {
        ask.mode = ToolMode::named;
        ask.tool_name = choice["function"]["name"].as_string();
        if (ask.tool_name.empty()) {
            return invalid(call, "Missing required parameter: 'tool_choice.function'.");
        }
    }
    ask.parallel = call.body["parallel_tool_calls"].as_bool(true);
    return std::nullopt;
}

// Text and images of one message's content.
Refusal read_content(const Call& call, const json::Value& content, Ask& ask, std::string& text) {
    if (content.is_string()) {
        text = content.as_string();
        return std::nullopt;
    }
    for (const auto& part : content.items()) {
        const auto type = part["type"].as_string();
        if (type == "text") {
            text += (text.empty() ? "" : "\n") + std::string(part["text"].as_string());
        } else if (type == "image_url") {
            ++ask.images;
        } else {
            return invalid(call, "type has to be either 'image_url' or 'text'");
        }
    }
    return std::nullopt;
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Refusal check_claude_message(const Call& call, const json::Value& message, std::string_view role,
                             const std::string& text, size_t index) {
    const bool has_more = message["tool_calls"].size() > 0 || message["content"].is_array();
    if ((role == "user" || (role == "assistant" && !has_more)) && text.empty() &&
        !message["content"].is_array()) {
        return invalid(
            call, "messages." + std::to_string(index) + ": text content blocks must be non-empty");
    }
    if (message.has("reasoning_text") && !is_blank(message["reasoning_text"].as_string()) &&
        !is_signature(call.state, message["reasoning_opaque"].as_string())) {
        return named_error(call, "invalid_signature");
    }
    return std::nullopt;
}

Refusal check_reasoning(const Call& call, const json::Value& message) {
    if (message.has("reasoning_opaque") &&
        !is_signature(call.state, message["reasoning_opaque"].as_string())) {
        return call.model->family == Family::claude ? named_error(call, "invalid_signature")
                                                    : invalid(call, "Corrupted thought signature.");
    }
    if (call.model->family == Family::gemini && call.state.scenario.strict_opaque &&
        message["tool_calls"].size() > 0 && !message.has("reasoning_opaque")) {
        return invalid(call, "Function call is missing a thought_signature.");
    }
    return std::nullopt;
}

// Tool calls and their results must pair up.
class Pairing {
  public:
    Refusal assistant(const Call& call, const json::Value& message) {
        if (auto open = unanswered(call)) {
            return open;
        }
        for (const auto& tool : message["tool_calls"].items()) {
            open_.emplace(tool["id"].as_string());
        }
        return std::nullopt;
    }
    Refusal result(const Call& call, const json::Value& message) {
        if (open_.erase(std::string(message["tool_call_id"].as_string())) == 0) {
            return invalid(
                call,
                "messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'.");
        }
        return std::nullopt;
    }
    Refusal unanswered(const Call& call) const {
        if (open_.empty()) {
            return std::nullopt;
        }
        return invalid(
            call,
            "An assistant message with 'tool_calls' must be followed by tool messages "
            "responding to each 'tool_call_id'. The following tool_call_ids did not have "
            "response messages: " +
                *open_.begin());
    }

  private:
    std::set<std::string> open_;
};

Refusal read_message(const Call& call, const json::Value& message, size_t index, Pairing& pairing,
                     Ask& ask) {
    const auto role = message["role"].as_string();
    std::string text;
    if (auto bad = read_content(call, message["content"], ask, text)) {
        return bad;
    }
    if (role == "assistant") {
        if (auto bad = pairing.assistant(call, message)) {
            return bad;
        }
        if (auto bad = check_reasoning(call, message)) {
            return bad;
        }
    } else if (role == "tool") {
        if (auto bad = pairing.result(call, message)) {
            return bad;
        }
    } else if (role == "user" || role == "system" || role == "developer") {
        if (auto bad = pairing.unanswered(call)) {
            return bad;
        }
    } else {
        return invalid(call, "Invalid value for 'messages[" + std::to_string(index) + "].role'.");
    }
    if (call.model->family == Family::claude) {
        if (auto bad = check_claude_message(call, message, role, text, index)) {
            return bad;
        }
    }
    ask.cache_marks += message.has("copilot_cache_control") ? 1 : 0;
    ask.after_tool = role == "tool";
    (role == "tool" ? ask.tool_result : role == "user" ? ask.text : text) = text;
    int64_t tokens = 4 + count_tokens(text);
    for (const auto& tool : message["tool_calls"].items()) {
        tokens += count_tokens(tool["function"]["arguments"].as_string()) + 8;
    }
    add_step(ask, message, tokens);
    return std::nullopt;
}

Refusal read_format(const Call& call, Ask& ask) {
    const json::Value& format = call.body["response_format"];
    const auto type = format["type"].as_string();
    if (type == "json_object") {
        ask.json_object = true;
    } else if (type == "json_schema") {
        ask.schema = format["json_schema"].find("schema");
        if (ask.schema == nullptr || format["json_schema"]["name"].as_string().empty()) {
            return invalid(call, "Missing required parameter: 'response_format.json_schema.name'.");
        }
    } else if (!type.empty() && type != "text") {
        return invalid(call, "Invalid value: '" + std::string(type) + "'.");
    }
    return std::nullopt;
}

Refusal read_chat(Call& call, Ask& ask) {
    const json::Value& messages = call.body["messages"];
    if (!messages.is_array() || messages.size() == 0) {
        return invalid(call, "Missing required parameter: 'messages'.");
    }
    if (auto bad = check_parameters(call)) {
        return bad;
    }
    if (auto bad = read_tools(call, ask)) {
        return bad;
    }
    if (auto bad = read_format(call, ask)) {
        return bad;
    }
    Pairing pairing;
    for (size_t i = 0; i < messages.size(); ++i) {
        if (auto bad = read_message(call, messages[i], i, pairing, ask)) {
            return bad;
        }
    }
    if (auto bad = pairing.unanswered(call)) {
        return bad;
    }
    if (ask.cache_marks > 4) {
        return invalid(call, "A maximum of 4 blocks with cache_control may be provided. Found " +
                                 std::to_string(ask.cache_marks) + ".");
    }
    if (auto bad = check_vision(call, ask)) {
        return bad;
    }
    ask.prompt_tokens += 85 * ask.images;
    ask.output_max = call.body["max_completion_tokens"].as_int().value_or(
        call.body["max_tokens"].as_int().value_or(0));
    read_stops(call.body["stop"], ask);
    ask.think = call.quirks.reasoning ||
                (call.model->family == Family::claude && call.body.has("thinking_budget"));
    return std::nullopt;
}

std::string chat_stream_error(const Fault& fault) {
    json::Value e = json::Value::object({{"message", fault.message}, {"code", fault.code}});
    if (!fault.type.empty()) {
        e.set("type", fault.type);
    }
    e.set("metadata", json::Value::object({}));
    return "data: " + json::dump(json::Value::object({{"error", std::move(e)}})) + "\n\n";
}

Reply chat_too_long(const Call& call, int64_t tokens, int64_t limit) {
    return capi_error(call, 400, "model_max_prompt_tokens_exceeded",
                      "prompt token count of " + std::to_string(tokens) + " exceeds the limit of " +
                          std::to_string(limit));
}

}  // namespace

const Protocol& chat_protocol() {
    static constexpr Protocol kProtocol{"/chat/completions", read_chat, render_chat,
                                        chat_stream_error, chat_too_long};
    return kProtocol;
}

}  // namespace belay::sim

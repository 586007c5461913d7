#include "protocols/openai_chat.h"

#include <algorithm>

namespace belay::protocols {
namespace {

using chat::Message;
using chat::Part;
using chat::Request;
using chat::Role;
using json::Value;

constexpr std::string_view kSealResponses = "responses:";

void warn(Request& request, std::string text) { request.warnings.push_back(std::move(text)); }

Part text_part(std::string_view text) {
    Part part;
    part.text = text;
    return part;
}

// "data:image/png;base64,AAAA" into media type and data; anything else is a remote address.
void set_address(Part& part, std::string_view url) {
    size_t comma = url.find(',');
    std::string_view head = url.substr(0, comma);
    if (!url.starts_with("data:") || comma == std::string_view::npos ||
        !head.ends_with(";base64")) {
        part.url = url;
        return;
    }
    head.remove_prefix(5);
    part.media_type = head.substr(0, head.find(';'));
    part.data = url.substr(comma + 1);
}

Part read_image(const Value& value) {
    Part part;
    part.what = Part::What::image;
    const Value& image = value["image_url"];
    if (image.is_string()) {
        set_address(part, image.as_string());
    } else if (image.is_object()) {
        set_address(part, image["url"].as_string());
        part.detail = image["detail"].as_string();
        if (image["media_type"].is_string()) {
            part.media_type = image["media_type"].as_string();
        }
    } else {  // Anthropic's block, which some agents send to chat endpoints
        const Value& source = value["source"];
        part.media_type = source["media_type"].as_string();
        part.data = source["data"].as_string();
        part.url = source["url"].as_string();
    }
    return part;
}

Part read_file(const Value& value) {
    Part part;
    part.what = Part::What::document;
    const Value& file = value["file"];
    if (file.is_object()) {
        set_address(part, file["file_data"].as_string());
        part.name = file["filename"].as_string();
    } else {
        const Value& source = value["source"];
        part.media_type = source["media_type"].as_string();
        part.data = source["data"].as_string();
        part.url = source["url"].as_string();
        part.name = value["title"].as_string();
    }
    return part;
}

std::vector<Part> read_parts(Request& request, const Value& content);

Part read_tool_result(Request& request, const Value& value) {
    Part part;
    part.what = Part::What::tool_result;
    part.id = value["tool_use_id"].as_string();
    part.content = read_parts(request, value["content"]);
    part.is_error = value["is_error"].as_bool();
    return part;
}

void read_part(Request& request, const Value& value, std::vector<Part>& out) {
    std::string_view type = value["type"].as_string();
    if (type == "text" || type == "input_text" || type == "output_text") {
        out.push_back(text_part(value["text"].as_string()));
    } else if (type == "refusal") {
        out.push_back(text_part(value["refusal"].as_string()));
        out.back().what = Part::What::refusal;
    } else if (type == "image_url" || type == "image" || type == "input_image") {
        out.push_back(read_image(value));
    } else if (type == "file" || type == "document") {
        out.push_back(read_file(value));
    } else if (type == "tool_result") {
        out.push_back(read_tool_result(request, value));
    } else {
        warn(request, "a content part of type \"" + std::string(type) + "\" was left out");
        return;
    }
    out.back().cache = value["cache_control"].is_object();
}

std::vector<Part> read_parts(Request& request, const Value& content) {
    std::vector<Part> parts;
    if (content.is_string()) {
        parts.push_back(text_part(content.as_string()));
    }
    for (const auto& item : content.items()) {
        if (item.is_string()) {
            parts.push_back(text_part(item.as_string()));
        } else {
            read_part(request, item, parts);
        }
    }
    return parts;
}

void read_thoughts(const Value& message, std::vector<Part>& parts) {
    for (const auto& block : message["thinking_blocks"].items()) {
        Part part;
        part.what = Part::What::thinking;
        part.seal = chat::Seal::messages;
        part.redacted = block["type"].as_string() == "redacted_thinking";
        part.text = block["thinking"].as_string();
        part.proof = block[part.redacted ? "data" : "signature"].as_string();
        if (!part.proof.empty()) {
            parts.push_back(std::move(part));
        }
    }
    std::string_view opaque = message["reasoning_opaque"].as_string();
    while (opaque.starts_with(kSealResponses)) {
        opaque.remove_prefix(kSealResponses.size());
        size_t end = std::min(opaque.find(kSealResponses), opaque.size());
        Part part;
        part.what = Part::What::thinking;
        part.seal = chat::Seal::responses;
        part.proof = opaque.substr(0, end);
        opaque.remove_prefix(end);
        if (!part.proof.empty()) {
            parts.push_back(std::move(part));
        }
    }
}

Part call_part(std::string_view id, const Value& function) {
    Part part;
    part.what = Part::What::tool_use;
    part.id = id;
    part.name = function["name"].as_string();
    const Value& arguments = function["arguments"];
    part.arguments =
        arguments.is_object() ? json::dump(arguments) : std::string(arguments.as_string());
    return part;
}

std::string legacy_id(const Value& function) {
    return "call_" + std::string(function["name"].as_string());
}

void read_assistant(Request& request, const Value& value, Message& message) {
    read_thoughts(value, message.parts);
    for (auto& part : read_parts(request, value["content"])) {
        message.parts.push_back(std::move(part));
    }
    if (value["refusal"].is_string() && !value["refusal"].as_string().empty()) {
        message.parts.push_back(text_part(value["refusal"].as_string()));
        message.parts.back().what = Part::What::refusal;
    }
    for (const auto& call : value["tool_calls"].items()) {
        if (call["function"].is_object()) {
            message.parts.push_back(call_part(call["id"].as_string(), call["function"]));
        } else {
            warn(request, "a tool call that is no function call was left out");
        }
    }
    if (value["function_call"].is_object()) {
        const Value& function = value["function_call"];
        message.parts.push_back(call_part(legacy_id(function), function));
    }
}

// Adjacent tool messages stay messages of their own; renderers merge where their protocol wants it.
void read_message(Request& request, const Value& value) {
    Message message;
    std::string_view role = value["role"].as_string();
    message.name = value["name"].as_string();
    if (role == "assistant") {
        message.role = Role::assistant;
        read_assistant(request, value, message);
    } else if (role == "tool" || role == "function") {
        message.role = Role::tool;
        Part part;
        part.what = Part::What::tool_result;
        part.id =
            role == "tool" ? std::string(value["tool_call_id"].as_string()) : legacy_id(value);
        part.content = read_parts(request, value["content"]);
        message.parts.push_back(std::move(part));
    } else {
        message.role = role == "system" || role == "developer" ? Role::system : Role::user;
        message.parts = read_parts(request, value["content"]);
    }
    if (value["cache_control"].is_object() && !message.parts.empty()) {
        message.parts.back().cache = true;
    }
    request.messages.push_back(std::move(message));
}

void read_tool(Request& request, const Value& function, bool cache) {
    chat::Tool tool;
    tool.name = function["name"].as_string();
    tool.description = function["description"].as_string();
    tool.parameters = function["parameters"];
    if (function["strict"].is_bool()) {
        tool.strict = function["strict"].as_bool();
    }
    tool.cache = cache;
    request.tools.push_back(std::move(tool));
}

void read_tools(Request& request, const Value& body) {
    for (const auto& tool : body["tools"].items()) {
        if (tool["function"].is_object()) {
            read_tool(request, tool["function"], tool["cache_control"].is_object());
        } else {
            warn(request,
                 "a tool of type \"" + std::string(tool["type"].as_string()) + "\" was left out");
        }
    }
    for (const auto& function : body["functions"].items()) {
        read_tool(request, function, false);
    }
}

chat::ToolChoice read_tool_choice(const Value& choice) {
    using How = chat::ToolChoice::How;
    std::string_view word = choice.as_string();
    if (word == "auto") {
        return {How::automatic, {}};
    }
    if (word == "none") {
        return {How::none, {}};
    }
    if (word == "required" || word == "any") {
        return {How::required, {}};
    }
    const Value& named = choice["function"].is_object() ? choice["function"] : choice;
    if (named["name"].is_string()) {
        return {How::named, std::string(named["name"].as_string())};
    }
    return {};
}

chat::Format read_format(const Value& value) {
    chat::Format format;
    std::string_view type = value["type"].as_string();
    if (type == "json_object") {
        format.what = chat::Format::What::json_object;
    } else if (type == "json_schema") {
        const Value& schema = value["json_schema"];
        format.what = chat::Format::What::json_schema;
        format.name = schema["name"].as_string();
        format.description = schema["description"].as_string();
        format.schema = schema["schema"];
        if (schema["strict"].is_bool()) {
            format.strict = schema["strict"].as_bool();
        }
    }
    return format;
}

void read_thinking(Request& request, const Value& body) {
    request.effort = body["reasoning_effort"].as_string();
    if (request.effort.empty()) {
        request.effort = body["reasoning"]["effort"].as_string();
    }
    const Value& thinking = body["thinking"];
    std::string_view type = thinking["type"].as_string();
    std::optional<int64_t> budget = thinking["budget_tokens"].as_int();
    if (!budget) {
        budget = body["thinking_budget"].as_int();
    }
    if (type == "disabled") {
        request.thinking.how = chat::Thinking::How::off;
    } else if (type == "adaptive") {
        request.thinking.how = chat::Thinking::How::adaptive;
    } else if (budget && *budget > 0) {
        request.thinking = {chat::Thinking::How::budget, *budget};
    }
}

std::optional<json::Number> number(const Value& value) {
    if (!value.is_number()) {
        return std::nullopt;
    }
    return json::Number{std::string(value.number_text())};
}

void read_parameters(Request& request, const Value& body) {
    request.model = body["model"].as_string();
    request.stream = body["stream"].as_bool();
    request.max_tokens = body["max_completion_tokens"].as_int();
    if (!request.max_tokens) {
        request.max_tokens = body["max_tokens"].as_int();
    }
    request.temperature = number(body["temperature"]);
    request.top_p = number(body["top_p"]);
    if (body["stop"].is_string()) {
        request.stop.emplace_back(body["stop"].as_string());
    }
    for (const auto& stop : body["stop"].items()) {
        request.stop.emplace_back(stop.as_string());
    }
    if (body["parallel_tool_calls"].is_bool()) {
        request.parallel_tool_calls = body["parallel_tool_calls"].as_bool();
    }
    request.tool_choice =
        read_tool_choice(body.has("tool_choice") ? body["tool_choice"] : body["function_call"]);
    request.format = read_format(body["response_format"]);
    request.verbosity = body["verbosity"].as_string();
    request.user = body["user"].as_string();
    request.prompt_cache_key = body["prompt_cache_key"].as_string();
    read_thinking(request, body);
}

// Members that say nothing in other protocols. The rest of the unknown is told as well.
void warn_about_rest(Request& request, const Value& body) {
    static constexpr std::string_view kRead[] = {"model",
                                                 "messages",
                                                 "stream",
                                                 "stream_options",
                                                 "max_completion_tokens",
                                                 "max_tokens",
                                                 "temperature",
                                                 "top_p",
                                                 "stop",
                                                 "parallel_tool_calls",
                                                 "tool_choice",
                                                 "function_call",
                                                 "tools",
                                                 "functions",
                                                 "response_format",
                                                 "verbosity",
                                                 "user",
                                                 "prompt_cache_key",
                                                 "reasoning_effort",
                                                 "reasoning",
                                                 "thinking",
                                                 "thinking_budget",
                                                 "store",
                                                 "metadata"};
    for (const auto& [key, value] : body.members()) {
        bool read = std::find(std::begin(kRead), std::end(kRead), key) != std::end(kRead);
        bool idle = value.is_null() || (key == "n" && value.as_int() == 1) ||
                    (key.ends_with("_penalty") && value.as_double() == 0.0);
        if (!read && !idle) {
            warn(request, "parameter \"" + key.substr(0, 64) + "\" was left out");
        }
    }
}

}  // namespace

Result<chat::Request> parse_chat_request(std::string_view body) {
    Value value = TRY(json::parse(body));
    Request request;
    for (const auto& message : value["messages"].items()) {
        read_message(request, message);
    }
    read_tools(request, value);
    read_parameters(request, value);
    warn_about_rest(request, value);
    return request;
}

}  // namespace belay::protocols

// POST /v1/messages and its count_tokens, reading side: the vendor's strict schema, as the service
// passes its refusals on in its own envelope.
#include <algorithm>
#include <set>

#include "sim/capi.h"
#include "sim/messages_render.h"

namespace belay::sim {
namespace {

using Refusal = std::optional<Reply>;
using Names = std::initializer_list<std::string_view>;

constexpr std::string_view kToolBeta = "advanced-tool-use-2025-11-20";
constexpr std::string_view kContextBeta = "context-management-2025-06-27";
constexpr std::string_view kSystemBeta = "mid-conversation-system-2026-04-07";

Refusal invalid(const Call& call, std::string message) {
    return capi_error(call, 400, "invalid_request_body", std::move(message));
}

Refusal extra(const Call& call, const std::string& where) {
    return invalid(call, where + ": Extra inputs are not permitted");
}

Refusal only(const Call& call, const json::Value& object, const std::string& where, Names known) {
    for (const auto& member : object.members()) {
        if (std::find(known.begin(), known.end(), member.key) == known.end()) {
            return extra(call, where.empty() ? member.key : where + "." + member.key);
        }
    }
    return std::nullopt;
}

std::vector<std::string_view> betas_of(const Call& call) {
    std::vector<std::string_view> betas;
    for (const auto& header : call.request.headers) {
        if (header.name.size() != 14 || find_header({header}, "anthropic-beta").empty()) {
            continue;
        }
        std::string_view rest = header.value;
        while (!rest.empty()) {
            const size_t comma = rest.find(',');
            auto one = rest.substr(0, comma);
            while (one.starts_with(" ")) {
                one.remove_prefix(1);
            }
            if (!one.empty()) {
                betas.push_back(one);
            }
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        }
    }
    return betas;
}

bool has_beta(const Call& call, std::string_view beta) {
    const auto betas = betas_of(call);
    return std::find(betas.begin(), betas.end(), beta) != betas.end();
}

Refusal check_betas(const Call& call) {
    std::string unknown;
    for (const auto beta : betas_of(call)) {
        const bool known = beta == "interleaved-thinking-2025-05-14" || beta == kContextBeta ||
                           beta == kToolBeta ||
                           (beta == kSystemBeta && call.model->adaptive_thinking);
        if (!known) {
            unknown += (unknown.empty() ? "" : ", ") + std::string(beta);
        }
    }
    if (unknown.empty()) {
        return std::nullopt;
    }
    return invalid(call, "unsupported beta header(s): " + unknown);
}

Refusal check_thinking(const Call& call, Ask& ask) {
    const json::Value& thinking = call.body["thinking"];
    const auto type = thinking["type"].as_string();
    if (type.empty() || type == "disabled") {
        return std::nullopt;
    }
    ask.think = true;
    if (type == "adaptive") {
        if (!call.model->adaptive_thinking) {
            return invalid(call, "thinking.type: adaptive thinking is not supported by this model");
        }
        return only(call, thinking, "thinking.adaptive", {"type", "display"});
    }
    if (type != "enabled") {
        return invalid(call, "thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'");
    }
    if (!call.model->enabled_thinking) {
        return invalid(call,
                       "`thinking.type.enabled` is not supported for this model. Use "
                       "`thinking.type.adaptive` and `output_config.effort` to control thinking "
                       "behavior.");
    }
    const int64_t budget = thinking["budget_tokens"].as_int().value_or(0);
    if (budget < std::max<int64_t>(1024, call.model->thinking_min)) {
        return invalid(call,
                       "thinking.enabled.budget_tokens: Input should be greater than or equal "
                       "to 1024");
    }
    if (budget > call.model->thinking_max) {
        return invalid(call,
                       "thinking.enabled.budget_tokens: Input should be less than or equal to " +
                           std::to_string(call.model->thinking_max));
    }
    if (budget >= call.body["max_tokens"].as_int().value_or(0)) {
        return invalid(call, "`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    return only(call, thinking, "thinking.enabled", {"type", "budget_tokens", "display"});
}

Refusal check_sampling(const Call& call, const Ask& ask) {
    const json::Value& body = call.body;
    if (ask.think && body.has("temperature") && body["temperature"].as_double() != 1.0) {
        return invalid(call,
                       "`temperature` may only be set to 1 when thinking is enabled or in "
                       "adaptive mode.");
    }
    if (body.has("temperature") && body.has("top_p")) {
        return invalid(call,
                       "`temperature` and `top_p` cannot both be specified for this model. "
                       "Please use only one.");
    }
    return std::nullopt;
}

Refusal check_body(const Call& call, Ask& ask) {
    const json::Value& body = call.body;
    if (body.has("context_management") && !has_beta(call, kContextBeta)) {
        return extra(call, "context_management");
    }
    if (auto bad = only(call, body, "",
                        {"model", "messages", "max_tokens", "system", "stream", "temperature",
                         "top_p", "top_k", "stop_sequences", "tools", "tool_choice", "thinking",
                         "metadata", "context_management", "output_config"})) {
        return bad;
    }
    const auto limit = body["max_tokens"].as_int();
    if (!limit) {
        return invalid(call, "max_tokens: Field required");
    }
    const int64_t most = call.model->adaptive_thinking ? 128'000 : 64'000;
    if (*limit < 1 || *limit > most) {
        return capi_error(call, 400, "invalid_request_error",
                          "max_tokens: " + std::to_string(*limit) + " > " + std::to_string(most) +
                              ", which is the maximum allowed number of output tokens for " +
                              call.model_id);
    }
    const json::Value& output = body["output_config"];
    if (auto bad = only(call, output, "output_config", {"effort", "format"})) {
        return bad;
    }
    if (auto bad = check_effort(call, output["effort"].as_string())) {
        return bad;
    }
    if (auto bad = only(call, output["format"], "output_config.format", {"type", "schema"})) {
        return bad;
    }
    ask.schema = output["format"].find("schema");
    if (auto bad = check_thinking(call, ask)) {
        return bad;
    }
    return check_sampling(call, ask);
}

// Reads blocks; knows where it is for the messages of refusals.
class BlockReader {
  public:
    BlockReader(const Call& call, Ask& ask) : call_(call), ask_(ask) {}

    Refusal cache_control(const json::Value& block, const std::string& where) {
        const json::Value* mark = block.find("cache_control");
        if (mark == nullptr || mark->is_null()) {
            return std::nullopt;
        }
        ++ask_.cache_marks;
        return only(call_, *mark, where + ".cache_control.ephemeral", {"type"});
    }

    Refusal system(const json::Value& value) {
        if (value.is_string()) {
            ask_.prompt_tokens += count_tokens(value.as_string());
        }
        for (size_t i = 0; i < value.size() && value.is_array(); ++i) {
            const std::string where = "system." + std::to_string(i);
            if (auto bad = cache_control(value[i], where)) {
                return bad;
            }
            if (value[i]["text"].as_string().empty()) {
                return invalid(call_, "system: text content blocks must be non-empty");
            }
            ask_.prompt_tokens += count_tokens(value[i]["text"].as_string());
        }
        return std::nullopt;
    }

    Refusal messages(const json::Value& list) {
        for (size_t i = 0; i < list.size(); ++i) {
            where_ = "messages." + std::to_string(i);
            if (auto bad = message(list[i], i)) {
                return bad;
            }
        }
        if (!open_.empty()) {
            return unanswered();
        }
        if (ask_.cache_marks > 4) {
            return invalid(call_,
                           "A maximum of 4 blocks with cache_control may be provided. Found " +
                               std::to_string(ask_.cache_marks) + ".");
        }
        if (list.size() > 0 && list[list.size() - 1]["role"].as_string() == "assistant") {
            return invalid(call_,
                           "This model does not support assistant message prefill. The "
                           "conversation must end with a user message.");
        }
        return std::nullopt;
    }

  private:
    Refusal unanswered() const {
        return invalid(call_, where_ +
                                  ": `tool_use` ids were found without `tool_result` blocks "
                                  "immediately after: " +
                                  *open_.begin() + ".");
    }

    Refusal message(const json::Value& value, size_t index) {
        const auto role = value["role"].as_string();
        const bool system_ok = role == "system" && has_beta(call_, kSystemBeta);
        if (role != "user" && role != "assistant" && !system_ok) {
            return invalid(call_, where_ + ".role: Input should be 'user' or 'assistant'");
        }
        if (auto bad = only(call_, value, where_, {"role", "content"})) {
            return bad;
        }
        tokens_ = 4;
        text_.clear();
        after_tool_ = false;
        const std::set<std::string> expected = std::move(open_);
        open_.clear();
        answered_.clear();
        const json::Value& content = value["content"];
        if (content.is_string()) {
            if (content.as_string().empty()) {
                return invalid(call_, "messages: text content blocks must be non-empty");
            }
            text_ = content.as_string();
        }
        for (size_t i = 0; i < content.size() && content.is_array(); ++i) {
            here_ = where_ + ".content." + std::to_string(i);
            if (auto bad = block(content[i], expected)) {
                return bad;
            }
        }
        for (const auto& id : expected) {
            if (!answered_.contains(id)) {
                open_.insert(id);
                return unanswered();
            }
        }
        tokens_ += count_tokens(text_);
        if (role == "user") {
            ask_.after_tool = after_tool_ && text_.empty();
            ask_.text = text_.empty() ? ask_.text : text_;
        }
        (void)index;
        add_step(ask_, value, tokens_);
        return std::nullopt;
    }

    Refusal block(const json::Value& b, const std::set<std::string>& expected) {
        if (auto bad = cache_control(b, here_)) {
            return bad;
        }
        const auto type = b["type"].as_string();
        if (type == "text") {
            if (b["text"].as_string().empty()) {
                return invalid(call_, "messages: text content blocks must be non-empty");
            }
            text_ += (text_.empty() ? "" : "\n") + std::string(b["text"].as_string());
            return std::nullopt;
        }
        if (type == "image" || type == "document") {
            return media(b, type);
        }
        if (type == "thinking") {
            if (b["thinking"].as_string().empty()) {
                return invalid(call_,
                               here_ + ".thinking: each thinking block must contain thinking");
            }
            return signature(b["signature"].as_string());
        }
        if (type == "redacted_thinking") {
            return signature(b["data"].as_string());
        }
        if (type == "tool_use") {
            open_.emplace(b["id"].as_string());
            tokens_ += count_tokens(json::dump(b["input"])) + 8;
            return std::nullopt;
        }
        if (type == "tool_result") {
            return tool_result(b, expected);
        }
        const bool tool_search = type == "server_tool_use" || type == "tool_search_tool_result" ||
                                 type == "tool_reference";
        if (tool_search && has_beta(call_, kToolBeta)) {
            return std::nullopt;
        }
        return invalid(call_, here_ + ": Input tag '" + std::string(type) +
                                  "' found using 'type' does not match any of the expected tags");
    }

    Refusal media(const json::Value& b, std::string_view type) {
        const auto source = b["source"]["type"].as_string();
        if (type == "image") {
            ++ask_.images;
            if (source != "base64") {
                return invalid(call_, here_ +
                                          ".image.source.base64: external image urls are not "
                                          "supported");
            }
        } else if (source == "file") {
            return invalid(call_, here_ + ".document.source: file sources are not supported");
        }
        tokens_ += 85;
        return std::nullopt;
    }

    Refusal signature(std::string_view value) {
        if (is_signature(call_.state, value)) {
            return std::nullopt;
        }
        return invalid(call_, here_ + ": Invalid signature in thinking block");
    }

    Refusal tool_result(const json::Value& b, const std::set<std::string>& expected) {
        const std::string id(b["tool_use_id"].as_string());
        if (!expected.contains(id)) {
            return invalid(
                call_, here_ + ": unexpected `tool_use_id` found in `tool_result` blocks: " + id +
                           ". Each `tool_result` block must have a corresponding "
                           "`tool_use` block in the previous message.");
        }
        answered_.insert(id);
        after_tool_ = true;
        std::string text(b["content"].as_string());
        for (size_t i = 0; i < b["content"].size() && b["content"].is_array(); ++i) {
            const json::Value& part = b["content"][i];
            if (part.has("cache_control")) {
                return extra(
                    call_, here_ + ".tool_result.content." + std::to_string(i) + ".cache_control");
            }
            ask_.images += part["type"].as_string() == "image" ? 1 : 0;
            text += part["text"].as_string();
        }
        tokens_ += count_tokens(text);
        ask_.tool_result = text;
        return std::nullopt;
    }

    const Call& call_;
    Ask& ask_;
    std::string where_;
    std::string here_;
    std::string text_;
    int64_t tokens_ = 0;
    bool after_tool_ = false;
    std::set<std::string> open_;
    std::set<std::string> answered_;
};

bool is_hosted(std::string_view type) {
    return type.starts_with("web_search_") || type.starts_with("web_fetch_") ||
           type.starts_with("code_execution_") || type.starts_with("advisor_");
}

Refusal read_tools(const Call& call, BlockReader& reader, Ask& ask) {
    const json::Value& tools = call.body["tools"];
    if (tools.size() > 128) {
        return named_error(call, "too_many_tools");
    }
    for (size_t i = 0; i < tools.size(); ++i) {
        const json::Value& tool = tools[i];
        const std::string where = "tools." + std::to_string(i);
        const auto type = tool["type"].as_string("custom");
        if (auto bad = reader.cache_control(tool, where)) {
            return bad;
        }
        if (is_hosted(type) &&
            !(call.state.scenario.web_search && type.starts_with("web_search_"))) {
            return invalid(call,
                           where + ": Input tag '" + std::string(type) +
                               "' found using 'type' does not match any of the expected tags");
        }
        if ((tool.has("defer_loading") || type.starts_with("tool_search_tool_")) &&
            !has_beta(call, kToolBeta)) {
            return extra(call, where + ".custom.defer_loading");
        }
        if (type != "custom") {
            continue;
        }
        if (tool["input_schema"].has("$schema")) {
            return extra(call, where + ".custom.input_schema.$schema");
        }
        if (auto bad = check_tool(call, tool["name"].as_string(), tool["input_schema"], where)) {
            return bad;
        }
        ask.tools.push_back({std::string(tool["name"].as_string()), tool["input_schema"]});
        ask.prompt_tokens += count_tokens(json::dump(tool));
    }
    const json::Value& choice = call.body["tool_choice"];
    const auto type = choice["type"].as_string();
    ask.mode = type == "any"    ? ToolMode::required
               : type == "tool" ? ToolMode::named
               : type == "none" ? ToolMode::none
                                : ToolMode::automatic;
    ask.tool_name = choice["name"].as_string();
    ask.parallel = !choice["disable_parallel_tool_use"].as_bool();
    return std::nullopt;
}

Refusal read_messages(Call& call, Ask& ask) {
    if (auto bad = check_betas(call)) {
        return bad;
    }
    if (auto bad = check_body(call, ask)) {
        return bad;
    }
    if (call.body["messages"].size() == 0) {
        return invalid(call, "messages: at least one message is required");
    }
    BlockReader reader(call, ask);
    if (auto bad = read_tools(call, reader, ask)) {
        return bad;
    }
    if (auto bad = reader.system(call.body["system"])) {
        return bad;
    }
    if (auto bad = reader.messages(call.body["messages"])) {
        return bad;
    }
    if (auto bad = check_vision(call, ask)) {
        return bad;
    }
    read_stops(call.body["stop_sequences"], ask);
    ask.prompt_tokens += 85 * ask.images;
    ask.output_max = call.body["max_tokens"].as_int().value_or(0);
    return std::nullopt;
}

std::string messages_stream_error(const Fault& fault) {
    static constexpr std::pair<int, std::string_view> kTypes[] = {
        {400, "invalid_request_error"}, {401, "authentication_error"}, {402, "billing_error"},
        {403, "permission_error"},      {404, "not_found_error"},      {413, "request_too_large"},
        {429, "rate_limit_error"},      {529, "overloaded_error"}};
    std::string type = "api_error";
    for (const auto& [status, name] : kTypes) {
        if (status == fault.status) {
            type = name;
        }
    }
    json::Value error = json::Value::object({{"type", type}, {"message", fault.message}});
    if (!fault.code.empty() && fault.code != type) {
        error.set("code", fault.code);
    }
    json::Value v = json::Value::object({{"type", "error"}, {"error", std::move(error)}});
    if (fault.stream_shape == "untyped") {
        v.erase("type");
        v.find("error")->erase("type");
    }
    return "event: error\ndata: " + json::dump(v) + "\n\n";
}

Reply messages_too_long(const Call& call, int64_t tokens, int64_t limit) {
    return capi_error(call, 400, "model_max_prompt_tokens_exceeded",
                      "prompt token count of " + std::to_string(tokens) + " exceeds the limit of " +
                          std::to_string(limit));
}

// A rough walk over everything that is text: counting is tolerant of shapes that generation
// refuses.
int64_t count_all(const json::Value& value, int depth = 0) {
    if (value.is_string()) {
        const auto text = value.as_string();
        return text.size() > 4096 && text.find(' ') == std::string_view::npos ? 85
                                                                              : count_tokens(text);
    }
    int64_t sum = 0;
    for (const auto& item : value.items()) {
        sum += depth < 32 ? count_all(item, depth + 1) : 0;
    }
    for (const auto& member : value.members()) {
        sum += depth < 32 ? count_all(member.value, depth + 1) : 0;
    }
    return sum;
}

}  // namespace

const Protocol& messages_protocol() {
    static constexpr Protocol kProtocol{"/v1/messages", read_messages, render_messages,
                                        messages_stream_error, messages_too_long};
    return kProtocol;
}

Reply serve_count_tokens(Call& call) {
    if (!call.body.is_object()) {
        return named_error(call, "bad_request_text");
    }
    call.model_id = call.body["model"].as_string();
    if (auto refusal = check_model(call, "")) {
        const bool endpoint = refusal->body().find("unsupported_api") != std::string::npos;
        if (!endpoint || call.model->type == ModelType::embeddings) {
            return named_error(call, "model_not_supported");
        }
    }
    if (auto refusal = check_betas(call)) {
        return std::move(*refusal);
    }
    const int64_t tokens = 4 + count_all(call.body["messages"]) + count_all(call.body["system"]) +
                           count_all(call.body["tools"]);
    return json_reply(200, json::Value::object({{"input_tokens", tokens}}));
}

}  // namespace belay::sim

// The request half of anthropic_messages.h.
#include "protocols/anthropic_messages.h"

#include <algorithm>
#include <set>

#include "protocols/openai_responses.h"

namespace belay::protocols {
namespace {

using chat::Message;
using chat::Part;
using chat::Request;
using chat::Role;
using json::Value;

constexpr int64_t kMaxTokensDefault =
    4096;  // what the editors send when the catalogue has no number
constexpr size_t kBreakpointsMax = 4;

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Value typed(std::string_view type) {
    Value out = Value::object();
    out.set("type", type);
    return out;
}

Value text_block(std::string_view text) {
    Value out = typed("text");
    out.set("text", text);
    return out;
}

void mark(Value& block) { block.set("cache_control", typed("ephemeral")); }

class Renderer {
  public:
    Renderer(const Request& request, const ModelTraits& traits)
        : request_(request), traits_(traits) {}

    Result<UpstreamRequest> render() {
        Value body = Value::object();
        body.set("model", request_.model);
        decide_thinking();
        set_max_tokens(body);
        Value system = system_blocks();
        Value messages = TRY(message_list());
        add_format(body, system);
        if (system.size() > 0) {
            body.set("system", std::move(system));
        }
        body.set("messages", std::move(messages));
        set_tools(body);
        set_thinking(body);
        set_sampling(body);
        set_stop(body);
        body.set("stream", request_.stream);
        limit_breakpoints(body);
        UpstreamRequest out;
        out.body = json::dump(body);
        out.warnings = request_.warnings;
        out.warnings.insert(out.warnings.end(), warnings_.begin(), warnings_.end());
        return out;
    }

  private:
    void warn(std::string text) { warnings_.push_back(std::move(text)); }

    // ---- messages ------------------------------------------------------------------------------

    Value system_blocks() {
        Value blocks = Value::array();
        for (const auto& message : request_.messages) {
            if (message.role != Role::system) {
                continue;
            }
            for (const auto& part : message.parts) {
                if (part.what == Part::What::text && !is_blank(part.text)) {
                    blocks.push(text_block(part.text));
                    if (part.cache) {
                        mark(blocks.items().back());
                    }
                }
            }
        }
        return blocks;
    }

    // User and assistant take turns: neighbours of one side are merged, both ends are the user's.
    Result<Value> message_list() {
        find_calls();
        Value list = Value::array();
        for (const auto& message : request_.messages) {
            if (message.role == Role::system) {
                continue;
            }
            std::string_view role = message.role == Role::assistant ? "assistant" : "user";
            Value blocks = TRY(block_list(message));
            if (blocks.size() == 0) {
                continue;
            }
            Value* last = list.size() > 0 ? &list.items().back() : nullptr;
            if (last != nullptr && (*last)["role"].as_string() == role) {
                for (auto& block : blocks.items()) {
                    last->find("content")->push(std::move(block));
                }
            } else {
                push_message(list, role, std::move(blocks));
            }
        }
        if (list.size() == 0 || list[size_t{0}]["role"].as_string() != "user") {
            Value first = Value::array();
            push_message(first, "user", Value::array({text_block("(continue)")}));
            for (auto& message : list.items()) {
                first.push(std::move(message));
            }
            list = std::move(first);
        }
        if (list[list.size() - 1]["role"].as_string() == "assistant") {
            push_message(list, "user", Value::array({text_block("Continue.")}));
            warn("a short user message was added: the upstream refuses an answer begun in advance");
        }
        for (auto& message : list.items()) {
            results_first(*message.find("content"));
        }
        return list;
    }

    static void push_message(Value& list, std::string_view role, Value blocks) {
        Value message = Value::object();
        message.set("role", role);
        message.set("content", std::move(blocks));
        list.push(std::move(message));
    }

    // The results of tool calls must come before anything else that the user says.
    static void results_first(Value& content) {
        auto& blocks = content.items();
        std::stable_partition(blocks.begin(), blocks.end(), [](const Value& block) {
            return block["type"].as_string() == "tool_result";
        });
    }

    // Calls without a result and results without a call are refused by the upstream; a conversation
    // that was cut in between has them.
    void find_calls() {
        for (const auto& message : request_.messages) {
            for (const auto& part : message.parts) {
                if (part.what == Part::What::tool_use) {
                    calls_.insert(part.id);
                } else if (part.what == Part::What::tool_result) {
                    results_.insert(part.id);
                }
            }
        }
    }

    Result<Value> block_list(const Message& message) {
        Value blocks = Value::array();
        for (const auto& part : message.parts) {
            Value block = TRY(block_of(part, message.role));
            if (block.is_object()) {
                blocks.push(std::move(block));
                if (part.cache && part.what != Part::What::thinking) {
                    mark(blocks.items().back());
                }
            }
        }
        return blocks;
    }

    // Null when the part is left out.
    Result<Value> block_of(const Part& part, Role role) {
        switch (part.what) {
            case Part::What::text:
            case Part::What::refusal:
                return is_blank(part.text) ? Value() : text_block(part.text);
            case Part::What::image:
                return image_block(part);
            case Part::What::document:
                return document_block(part);
            case Part::What::tool_use:
                return tool_use_block(part);
            case Part::What::tool_result:
                return tool_result_block(part);
            case Part::What::thinking:
                return thinking_block(part, role);
        }
        return Value();
    }

    Result<Value> image_block(const Part& part) {
        if (part.data.empty()) {
            return caller_error(Kind::unsupported,
                                "This model takes images as data URLs only "
                                "(data:image/png;base64,...), not as remote addresses.",
                                "messages");
        }
        Value source = typed("base64");
        source.set("media_type",
                   part.media_type.empty() ? std::string("image/png") : part.media_type);
        source.set("data", part.data);
        Value block = typed("image");
        block.set("source", std::move(source));
        return block;
    }

    Result<Value> document_block(const Part& part) {
        if (part.data.empty() || part.media_type != "application/pdf") {
            return caller_error(Kind::unsupported,
                                "This model takes documents as application/pdf data URLs only.",
                                "messages");
        }
        Value source = typed("base64");
        source.set("media_type", part.media_type);
        source.set("data", part.data);
        Value block = typed("document");
        block.set("source", std::move(source));
        if (!part.name.empty()) {
            block.set("title", part.name);
        }
        return block;
    }

    Value tool_use_block(const Part& part) {
        if (!results_.contains(part.id)) {
            warn("a tool call without a result was left out");
            return {};
        }
        Value block = typed("tool_use");
        block.set("id", part.id);
        block.set("name", part.name);
        auto input = json::parse(part.arguments.empty() ? std::string_view("{}") : part.arguments);
        bool object = input.ok() && input->is_object();
        if (!object) {
            warn("tool arguments that are no JSON object were sent as text");
        }
        Value wrapped = Value::object();
        wrapped.set("arguments", part.arguments);
        block.set("input", object ? std::move(input).value() : std::move(wrapped));
        return block;
    }

    Result<Value> tool_result_block(const Part& part) {
        if (!calls_.contains(part.id)) {
            warn("a tool result without its call was left out");
            return Value();
        }
        Value content = Value::array();
        for (const auto& inner : part.content) {
            Value block = TRY(block_of(inner, Role::tool));
            if (block.is_object()) {
                content.push(std::move(block));
            }
        }
        Value block = typed("tool_result");
        block.set("tool_use_id", part.id);
        if (content.size() > 0) {
            block.set("content", std::move(content));
        }
        if (part.is_error) {
            block.set("is_error", true);
        }
        return block;
    }

    // Only thoughts that this API signed itself; a foreign signature is refused.
    Value thinking_block(const Part& part, Role role) {
        if (part.seal != chat::Seal::messages || role != Role::assistant || part.proof.empty()) {
            return {};
        }
        Value block = typed(part.redacted ? "redacted_thinking" : "thinking");
        if (part.redacted) {
            block.set("data", part.proof);
            return block;
        }
        if (part.text.empty()) {  // refused as well
            return {};
        }
        block.set("thinking", part.text);
        block.set("signature", part.proof);
        return block;
    }

    // ---- parameters ----------------------------------------------------------------------------

    // Whether thinking is on: asked for by budget, adaptively or by effort, possible for the model,
    // and allowed by the conversation.
    void decide_thinking() {
        using How = chat::Thinking::How;
        How how = request_.thinking.how;
        bool asked = how == How::budget || how == How::adaptive ||
                     (how == How::unset && !request_.effort.empty() && request_.effort != "none");
        bool possible = traits_.adaptive_thinking || traits_.thinking_budget_max > 0;
        if (!asked) {
            return;
        }
        if (!possible) {
            warn("thinking was left out: the model has none");
        } else if (forced_tool()) {
            warn("thinking was left out: it cannot go with a forced tool");
        } else if (unthought_call()) {
            warn("thinking was left out: the last tool calls came without their thinking blocks");
        } else {
            thinking_ = true;
        }
    }

    [[nodiscard]] bool forced_tool() const {
        using How = chat::ToolChoice::How;
        return !request_.tools.empty() && (request_.tool_choice.how == How::required ||
                                           request_.tool_choice.how == How::named);
    }

    // Within one turn of tool calls the upstream wants the thinking that began it.
    [[nodiscard]] bool unthought_call() const {
        for (auto at = request_.messages.rbegin(); at != request_.messages.rend(); ++at) {
            if (at->role == Role::user && !at->parts.empty() &&
                at->parts.back().what != Part::What::tool_result) {
                return false;
            }
            if (at->role != Role::assistant) {
                continue;
            }
            bool called = false;
            bool thought = false;
            for (const auto& part : at->parts) {
                called |= part.what == Part::What::tool_use;
                thought |= part.what == Part::What::thinking && part.seal == chat::Seal::messages;
            }
            if (called && !thought) {
                return true;
            }
        }
        return false;
    }

    void set_max_tokens(Value& body) {
        int64_t most = traits_.max_output_tokens;
        max_tokens_ = request_.max_tokens.value_or(most > 0 ? most : kMaxTokensDefault);
        if (most > 0 && max_tokens_ > most) {
            max_tokens_ = most;
        }
        body.set("max_tokens", max_tokens_);
    }

    [[nodiscard]] int64_t wanted_budget() const {
        if (request_.thinking.how == chat::Thinking::How::budget) {
            return request_.thinking.budget;
        }
        if (request_.effort == "low" || request_.effort == "minimal") {
            return 1024;
        }
        return request_.effort == "medium" ? 4096 : 16384;
    }

    void set_thinking(Value& body) {
        std::string effort =
            request_.effort == "none" ? "" : nearest_effort(request_.effort, traits_.efforts);
        if (!effort.empty() && !traits_.efforts.empty()) {
            Value config = body["output_config"];
            config.set("effort", effort);
            body.set("output_config", std::move(config));
        }
        if (!thinking_) {
            return;
        }
        if (traits_.adaptive_thinking) {
            body.set("thinking", typed("adaptive"));
            return;
        }
        // The answer itself needs room as well.
        int64_t most = std::min(traits_.thinking_budget_max, max_tokens_ - max_tokens_ / 4 - 1);
        int64_t budget =
            std::clamp(wanted_budget(), std::min(traits_.thinking_budget_min, most), most);
        if (budget < traits_.thinking_budget_min) {
            thinking_ = false;
            warn("thinking was left out: max_tokens leaves no room for it");
            return;
        }
        Value thinking = typed("enabled");
        thinking.set("budget_tokens", budget);
        body.set("thinking", std::move(thinking));
    }

    void set_sampling(Value& body) {
        bool sampling = traits_.sampling && !thinking_;
        if (!sampling && (request_.temperature || request_.top_p)) {
            warn(thinking_ ? "temperature and top_p were left out: they cannot go with thinking"
                           : "temperature and top_p were left out: the model refuses them");
            return;
        }
        if (request_.temperature) {
            Value temperature(*request_.temperature);
            if (temperature.as_double().value_or(0) > 1) {
                warn("temperature was lowered to 1, the most there is");
                temperature = Value(1);
            }
            body.set("temperature", std::move(temperature));
            if (request_.top_p) {
                warn("top_p was left out: it cannot go with temperature");
            }
        } else if (request_.top_p) {
            body.set("top_p", *request_.top_p);
        }
    }

    void set_stop(Value& body) {
        Value stops = Value::array();
        for (const auto& stop : request_.stop) {
            if (is_blank(stop)) {
                warn("a stop sequence of white space was left out");
            } else {
                stops.push(stop);
            }
        }
        if (stops.size() > 0) {
            body.set("stop_sequences", std::move(stops));
        }
    }

    // A schema is a parameter where the model takes one and an instruction elsewhere.
    void add_format(Value& body, Value& system) {
        using What = chat::Format::What;
        const auto& format = request_.format;
        if (format.what == What::text) {
            return;
        }
        if (format.what == What::json_schema && traits_.structured_output) {
            Value wanted = typed("json_schema");
            wanted.set("schema", format.schema);
            Value config = Value::object();
            config.set("format", std::move(wanted));
            body.set("output_config", std::move(config));
            return;
        }
        std::string text = "Answer with one JSON object and nothing else: no prose, no code fence.";
        if (format.what == What::json_schema) {
            text += " It must be valid against this JSON schema: " + json::dump(format.schema);
        }
        system.push(text_block(text));
        warn("response_format became an instruction: the API has no such parameter here");
    }

    void set_tools(Value& body) {
        if (request_.tools.empty()) {
            return;
        }
        Value tools = Value::array();
        for (const auto& tool : request_.tools) {
            Value item = Value::object();
            item.set("name", tool.name);
            if (!tool.description.empty()) {
                item.set("description", tool.description);
            }
            Value schema = tool.parameters.is_object() ? tool.parameters : Value::object();
            schema.erase("$schema");
            schema.erase("$id");
            if (!schema.has("type")) {
                schema.set("type", "object");
            }
            if (!schema.has("properties")) {
                schema.set("properties", Value::object());
            }
            item.set("input_schema", std::move(schema));
            if (tool.cache) {
                mark(item);
            }
            tools.push(std::move(item));
        }
        body.set("tools", std::move(tools));
        set_tool_choice(body);
    }

    void set_tool_choice(Value& body) {
        using How = chat::ToolChoice::How;
        Value choice;
        switch (request_.tool_choice.how) {
            case How::unset:
                break;
            case How::automatic:
                choice = typed("auto");
                break;
            case How::none:
                choice = typed("none");
                break;
            case How::required:
                choice = typed("any");
                break;
            case How::named:
                choice = typed("tool");
                choice.set("name", request_.tool_choice.name);
        }
        bool one_by_one = request_.parallel_tool_calls == std::optional(false);
        if (one_by_one && request_.tool_choice.how != How::none) {
            if (choice.is_null()) {
                choice = typed("auto");
            }
            choice.set("disable_parallel_tool_use", true);
        }
        if (choice.is_object()) {
            body.set("tool_choice", std::move(choice));
        }
    }

    // More than four breakpoints are refused: the earliest go.
    static void limit_breakpoints(Value& body) {
        std::vector<Value*> marked;
        auto note = [&](Value* list) {
            for (auto& block : list->items()) {
                if (block.has("cache_control")) {
                    marked.push_back(&block);
                }
            }
        };
        for (std::string_view key : {"tools", "system"}) {
            if (Value* list = body.find(key)) {
                note(list);
            }
        }
        for (auto& message : body.find("messages")->items()) {
            note(message.find("content"));
        }
        for (size_t i = 0; i + kBreakpointsMax < marked.size(); i++) {
            marked[i]->erase("cache_control");
        }
    }

    const Request& request_;
    const ModelTraits& traits_;
    std::vector<std::string> warnings_;
    std::set<std::string> calls_, results_;
    int64_t max_tokens_ = 0;
    bool thinking_ = false;
};

}  // namespace

Result<UpstreamRequest> render_messages_request(const chat::Request& request,
                                                const ModelTraits& traits) {
    return Renderer(request, traits).render();
}

}  // namespace belay::protocols

// The request half of openai_responses.h.
#include "protocols/openai_responses.h"

#include <algorithm>
#include <array>

namespace belay::protocols {
namespace {

using chat::Message;
using chat::Part;
using chat::Request;
using chat::Role;
using json::Value;

constexpr int64_t kMaxTokensLeast = 16;

class Renderer {
  public:
    Renderer(const Request& request, const ModelTraits& traits)
        : request_(request), traits_(traits) {}

    UpstreamRequest render() {
        Value body = Value::object();
        body.set("model", request_.model);
        body.set("input", input());
        body.set("stream", request_.stream);
        body.set("store", false);
        body.set("include", Value::array({"reasoning.encrypted_content"}));
        if (request_.max_tokens) {
            if (*request_.max_tokens < kMaxTokensLeast) {
                warn("max_tokens was raised to " + std::to_string(kMaxTokensLeast) +
                     ", the least that the Responses API accepts");
            }
            body.set("max_output_tokens", std::max(kMaxTokensLeast, *request_.max_tokens));
        }
        set_sampling(body);
        set_reasoning(body);
        set_text(body);
        set_tools(body);
        if (!request_.prompt_cache_key.empty()) {
            body.set("prompt_cache_key", request_.prompt_cache_key);
        }
        if (!request_.stop.empty()) {
            warn("stop sequences were left out: the Responses API has none");
        }
        UpstreamRequest out;
        out.body = json::dump(body);
        out.warnings = request_.warnings;
        out.warnings.insert(out.warnings.end(), warnings_.begin(), warnings_.end());
        return out;
    }

  private:
    void warn(std::string text) { warnings_.push_back(std::move(text)); }

    Value input() {
        Value items = Value::array();
        for (const auto& message : request_.messages) {
            if (message.role != Role::tool) {
                flush_images(items);
            }
            switch (message.role) {
                case Role::system:
                    add_message(items, "system", message.parts);
                    break;
                case Role::user:
                    add_user(items, message.parts);
                    break;
                case Role::assistant:
                    add_assistant(items, message.parts);
                    break;
                case Role::tool:
                    add_results(items, message.parts);
                    break;
            }
        }
        flush_images(items);
        return items;
    }

    static Value typed(std::string_view type, std::string_view key, std::string_view text) {
        Value part = Value::object();
        part.set("type", type);
        part.set(key, text);
        return part;
    }

    static Value image(const Part& part) {
        std::string url = part.url;
        if (!part.data.empty()) {
            url = "data:" + (part.media_type.empty() ? "image/png" : part.media_type) + ";base64," +
                  part.data;
        }
        Value out = typed("input_image", "image_url", url);
        out.set("detail", part.detail.empty() ? std::string("auto") : part.detail);
        return out;
    }

    Value document(const Part& part) {
        Value out = Value::object();
        out.set("type", "input_file");
        if (!part.name.empty()) {
            out.set("filename", part.name);
        }
        if (!part.data.empty()) {
            out.set("file_data", "data:" + part.media_type + ";base64," + part.data);
        } else {
            out.set("file_url", part.url);
        }
        return out;
    }

    // The parts that a system or user message can hold.
    Value contents(const std::vector<Part>& parts) {
        Value out = Value::array();
        for (const auto& part : parts) {
            if (part.what == Part::What::text && !part.text.empty()) {
                out.push(typed("input_text", "text", part.text));
            } else if (part.what == Part::What::image) {
                out.push(image(part));
            } else if (part.what == Part::What::document) {
                out.push(document(part));
            }
        }
        return out;
    }

    void add_message(Value& items, std::string_view role, const std::vector<Part>& parts) {
        Value content = contents(parts);
        if (content.size() == 0) {
            return;
        }
        Value item = Value::object();
        item.set("role", role);
        item.set("content", std::move(content));
        items.push(std::move(item));
    }

    void add_user(Value& items, const std::vector<Part>& parts) {
        add_results(items, parts);
        flush_images(items);
        add_message(items, "user", parts);
    }

    // Text and refusal of an assistant are one message item; thoughts and calls are items of their
    // own, in the order they were said.
    void add_assistant(Value& items, const std::vector<Part>& parts) {
        Value content = Value::array();
        auto flush = [&] {
            if (content.size() == 0) {
                return;
            }
            Value item = Value::object();
            item.set("type", "message");
            item.set("role", "assistant");
            item.set("id", next_id("msg_"));
            item.set("status", "completed");
            item.set("content", std::move(content));
            items.push(std::move(item));
            content = Value::array();
        };
        for (const auto& part : parts) {
            if (part.what == Part::What::text && !part.text.empty()) {
                Value text = typed("output_text", "text", part.text);
                text.set("annotations", Value::array());
                content.push(std::move(text));
            } else if (part.what == Part::What::refusal) {
                content.push(typed("refusal", "refusal", part.text));
            } else if (part.what == Part::What::thinking && part.seal == chat::Seal::responses) {
                flush();
                items.push(reasoning(part));
            } else if (part.what == Part::What::tool_use) {
                flush();
                items.push(call(part));
            }
        }
        flush();
    }

    // Ids of the upstream are bound to a connection and never sent back; made-up ones are not
    // checked.
    std::string next_id(std::string_view prefix) {
        return std::string(prefix) + std::to_string(++ids_);
    }

    Value reasoning(const Part& part) {
        Value item = Value::object();
        item.set("type", "reasoning");
        item.set("id", next_id("rs_"));
        item.set("summary", Value::array());
        item.set("encrypted_content", part.proof);
        return item;
    }

    static Value call(const Part& part) {
        Value item = Value::object();
        item.set("type", "function_call");
        item.set("name", part.name);
        item.set("arguments", part.arguments.empty() ? std::string("{}") : part.arguments);
        item.set("call_id", part.id);
        return item;
    }

    // The output of a call is text. Images in it follow as a user message behind the last output of
    // the run, as the editors send them.
    void add_results(Value& items, const std::vector<Part>& parts) {
        for (const auto& result : parts) {
            if (result.what != Part::What::tool_result) {
                continue;
            }
            std::string text;
            for (const auto& part : result.content) {
                if (part.what == Part::What::text) {
                    text += part.text;
                } else {
                    images_.push_back(part);
                }
            }
            Value item = Value::object();
            item.set("type", "function_call_output");
            item.set("call_id", result.id);
            item.set("output", text.empty() && !images_.empty()
                                   ? std::string("(see the image below)")
                                   : text);
            items.push(std::move(item));
        }
    }

    void flush_images(Value& items) {
        if (!images_.empty()) {
            std::vector<Part> images;
            images.swap(images_);
            add_message(items, "user", images);
        }
    }

    void set_sampling(Value& body) {
        if (!request_.temperature && !request_.top_p) {
            return;
        }
        if (!traits_.sampling) {
            warn("temperature and top_p were left out: the model refuses them");
            return;
        }
        if (request_.temperature) {
            body.set("temperature", *request_.temperature);
        }
        if (request_.top_p) {
            body.set("top_p", *request_.top_p);
        }
    }

    void set_reasoning(Value& body) {
        if (request_.thinking.how != chat::Thinking::How::unset) {
            warn("thinking was left out: the Responses API knows effort alone");
        }
        std::string effort = nearest_effort(request_.effort, traits_.efforts);
        if (effort.empty()) {
            return;
        }
        if (effort != request_.effort) {
            warn("reasoning effort \"" + request_.effort + "\" became \"" + effort + "\"");
        }
        Value reasoning = Value::object();
        reasoning.set("effort", effort);
        if (effort != "none") {
            reasoning.set("summary", "auto");
        }
        body.set("reasoning", std::move(reasoning));
    }

    void set_text(Value& body) {
        Value text = Value::object();
        if (request_.format.what == chat::Format::What::json_object) {
            Value format = Value::object();
            format.set("type", "json_object");
            text.set("format", std::move(format));
        } else if (request_.format.what == chat::Format::What::json_schema) {
            const auto& wanted = request_.format;
            Value format = Value::object();
            format.set("type", "json_schema");
            format.set("name", wanted.name.empty() ? std::string("answer") : wanted.name);
            if (!wanted.description.empty()) {
                format.set("description", wanted.description);
            }
            format.set("schema", wanted.schema);
            if (wanted.strict) {
                format.set("strict", *wanted.strict);
            }
            text.set("format", std::move(format));
        }
        if (!request_.verbosity.empty()) {
            text.set("verbosity", request_.verbosity);
        }
        if (text.size() > 0) {
            body.set("text", std::move(text));
        }
    }

    void set_tools(Value& body) {
        if (request_.tools.empty()) {
            return;
        }
        Value tools = Value::array();
        for (const auto& tool : request_.tools) {
            Value item = Value::object();
            item.set("type", "function");
            item.set("name", tool.name);
            if (!tool.description.empty()) {  // an empty one is refused
                item.set("description", tool.description);
            }
            Value parameters = tool.parameters;
            if (!parameters.is_object()) {
                parameters.set("type", "object");
                parameters.set("properties", Value::object());
            }
            item.set("parameters", std::move(parameters));
            item.set("strict", tool.strict.value_or(false));  // the API's own default is true
            tools.push(std::move(item));
        }
        body.set("tools", std::move(tools));
        set_tool_choice(body);
        if (request_.parallel_tool_calls) {
            body.set("parallel_tool_calls", *request_.parallel_tool_calls);
        }
    }

    void set_tool_choice(Value& body) {
        using How = chat::ToolChoice::How;
        switch (request_.tool_choice.how) {
            case How::unset:
                break;
            case How::automatic:
                body.set("tool_choice", "auto");
                break;
            case How::none:
                body.set("tool_choice", "none");
                break;
            case How::required:
                body.set("tool_choice", "required");
                break;
            case How::named:
                body.set("tool_choice", typed("function", "name", request_.tool_choice.name));
        }
    }

    const Request& request_;
    const ModelTraits& traits_;
    std::vector<std::string> warnings_;
    std::vector<Part> images_;
    int ids_ = 0;
};

constexpr std::array<std::string_view, 7> kEfforts = {"none", "minimal", "low", "medium",
                                                      "high", "xhigh",   "max"};

int effort_rank(std::string_view effort) {
    const auto* at = std::find(kEfforts.begin(), kEfforts.end(), effort);
    return at == kEfforts.end() ? -1 : static_cast<int>(at - kEfforts.begin());
}

}  // namespace

Result<UpstreamRequest> render_responses_request(const chat::Request& request,
                                                 const ModelTraits& traits) {
    return Renderer(request, traits).render();
}

std::string nearest_effort(std::string_view wanted, const std::vector<std::string>& offered) {
    if (wanted.empty() || offered.empty() ||
        std::find(offered.begin(), offered.end(), wanted) != offered.end()) {
        return std::string(wanted);
    }
    int rank = effort_rank(wanted);
    std::string_view best;
    int best_distance = 100;
    for (const auto& effort : offered) {
        int distance = std::abs(effort_rank(effort) - rank);
        if (rank >= 0 && effort_rank(effort) >= 0 && distance < best_distance) {
            best = effort;
            best_distance = distance;
        }
    }
    return std::string(best);
}

}  // namespace belay::protocols

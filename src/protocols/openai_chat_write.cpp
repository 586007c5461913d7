// The writing half of openai_chat.h: plain replies and chunks.
#include <algorithm>

#include "protocols/openai_chat.h"
#include "protocols/usage_json.h"
#include "wire/sse.h"

namespace belay::protocols {
namespace {

using chat::Event;
using chat::Part;
using json::Value;

constexpr std::string_view kSealResponses = "responses:";

std::string quoted(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

Value thinking_block(std::string_view text, std::string_view proof, bool redacted) {
    Value block = Value::object();
    block.set("type", redacted ? "redacted_thinking" : "thinking");
    if (redacted) {
        block.set("data", proof);
    } else {
        block.set("thinking", text);
        block.set("signature", proof);
    }
    return block;
}

Value tool_call(const Part& part) {
    Value function = Value::object();
    function.set("name", part.name);
    function.set("arguments", part.arguments.empty() ? std::string("{}") : part.arguments);
    Value call = Value::object();
    call.set("id", part.id);
    call.set("type", "function");
    call.set("function", std::move(function));
    return call;
}

// The parts of an answer, gathered by the member of the message they belong to.
struct Gathered {
    std::string text, refusal, reasoning, opaque;
    Value calls = Value::array();
    Value blocks = Value::array();
    bool has_text = false;
};

Gathered gather(const chat::Reply& reply) {
    Gathered out;
    for (const auto& part : reply.parts) {
        switch (part.what) {
            case Part::What::text:
                out.text += part.text;
                out.has_text = true;
                break;
            case Part::What::refusal:
                out.refusal += part.text;
                break;
            case Part::What::thinking:
                out.reasoning += part.text;
                if (part.seal == chat::Seal::messages) {
                    out.blocks.push(thinking_block(part.text, part.proof, part.redacted));
                } else if (part.seal == chat::Seal::responses) {
                    out.opaque += std::string(kSealResponses) + part.proof;
                }
                break;
            case Part::What::tool_use:
                out.calls.push(tool_call(part));
                break;
            case Part::What::image:
            case Part::What::document:
            case Part::What::tool_result:
                break;  // no model answers with these
        }
    }
    return out;
}

Value render_message(Gathered&& all) {
    Value message = Value::object();
    message.set("role", "assistant");
    bool silent = !all.has_text || (all.text.empty() && all.calls.size() > 0);
    message.set("content", silent ? Value() : Value(std::move(all.text)));
    if (!all.refusal.empty()) {
        message.set("refusal", std::move(all.refusal));
    }
    if (!all.reasoning.empty()) {
        message.set("reasoning_content", std::move(all.reasoning));
    }
    if (all.blocks.size() > 0) {
        message.set("thinking_blocks", std::move(all.blocks));
    }
    if (!all.opaque.empty()) {
        message.set("reasoning_opaque", std::move(all.opaque));
    }
    if (all.calls.size() > 0) {
        message.set("tool_calls", std::move(all.calls));
    }
    return message;
}

}  // namespace

std::string_view finish_name(chat::Finish finish) {
    switch (finish) {
        case chat::Finish::none:
            return "";
        case chat::Finish::stop:
            return "stop";
        case chat::Finish::length:
            return "length";
        case chat::Finish::tool_calls:
            return "tool_calls";
        case chat::Finish::content_filter:
            return "content_filter";
    }
    return "stop";
}

Result<PlainReply> render_chat_reply(const chat::Reply& reply, const ReplyOptions& options) {
    if (!reply.error.empty()) {
        Error e = upstream_error(Kind::upstream_rejected, "The upstream answered with an error");
        e.detail = reply.error.substr(0, 2048);
        return e;
    }
    if (reply.finish == chat::Finish::none) {
        return upstream_error(Kind::upstream_malformed, "The upstream's answer has no end");
    }
    PlainReply out;
    out.usage = reply.usage;
    out.finish_reason = finish_name(reply.finish);
    out.upstream_model = reply.model;
    out.id = reply.id.empty() ? options.id : reply.id;
    out.warnings = reply.warnings;
    std::string& body = out.body;
    body = R"({"id":)" + quoted(out.id) + R"(,"object":"chat.completion","created":)" +
           std::to_string(options.created) + R"(,"model":)" +
           quoted(options.model.empty() ? reply.model : options.model) +
           R"(,"choices":[{"index":0,"message":)";
    json::write(body, render_message(gather(reply)));
    body += R"(,"finish_reason":)" + quoted(out.finish_reason) + R"(}],"usage":)";
    write_chat_usage(body, reply.usage.value_or(chat::Usage{}));
    body += '}';
    return out;
}

// ---- chunks ------------------------------------------------------------------------------------

bool ChatFrames::write(const Event& event, std::string& out) {
    switch (event.what) {
        case Event::What::start:
            id_ = event.id.empty() ? options_.id : event.id;
            write_delta(R"("content":"")", out);
            return false;
        case Event::What::text:
            write_delta(R"("content":)" + quoted(event.text), out);
            return true;
        case Event::What::reasoning:
            write_delta(R"("reasoning_content":)" + quoted(event.text), out);
            return true;
        case Event::What::refusal:
            write_delta(R"("refusal":)" + quoted(event.text), out);
            return true;
        case Event::What::thought:
            write_thought(event, out);
            return true;
        case Event::What::tool_start:
            write_delta(R"("tool_calls":[{"index":)" + std::to_string(event.index) + R"(,"id":)" +
                            quoted(event.id) + R"(,"type":"function","function":{"name":)" +
                            quoted(event.name) + R"(,"arguments":""}}])",
                        out);
            return true;
        case Event::What::tool_arguments:
            write_delta(R"("tool_calls":[{"index":)" + std::to_string(event.index) +
                            R"(,"function":{"arguments":)" + quoted(event.text) + "}}]",
                        out);
            return true;
        case Event::What::finish:
            open(out);
            out += R"(,"choices":[{"index":0,"delta":{},"finish_reason":)" +
                   quoted(finish_name(event.finish)) + "}]}\n\n";
            return true;
        case Event::What::tool_end:
        case Event::What::usage:
        case Event::What::error:
        case Event::What::warning:
            return false;
    }
    return false;
}

void ChatFrames::write_end(const std::optional<chat::Usage>& usage, std::string& out) {
    if (options_.include_usage && usage) {
        open(out);
        out += R"(,"choices":[],"usage":)";
        write_chat_usage(out, *usage);
        out += "}\n\n";
    }
    sse::write_data(out, "[DONE]");
}

void ChatFrames::open(std::string& out) {
    if (id_.empty()) {
        id_ = options_.id;
    }
    out += R"(data: {"id":)";
    json::write_string(out, id_);
    out += R"(,"object":"chat.completion.chunk","created":)" + std::to_string(options_.created) +
           R"(,"model":)";
    json::write_string(out, options_.model);
}

void ChatFrames::write_delta(std::string_view members, std::string& out) {
    open(out);
    out += R"(,"choices":[{"index":0,"delta":{)";
    if (!role_written_) {
        out += R"("role":"assistant",)";
        role_written_ = true;
    }
    out += members;
    out += R"(},"finish_reason":null}]})";
    out += "\n\n";
}

void ChatFrames::write_thought(const Event& event, std::string& out) {
    if (event.seal == chat::Seal::messages) {
        Value blocks = Value::array();
        blocks.push(thinking_block(event.text, event.proof, event.redacted));
        write_delta(R"("thinking_blocks":)" + json::dump(blocks), out);
    } else if (event.seal == chat::Seal::responses) {
        write_delta(R"("reasoning_opaque":)" + quoted(std::string(kSealResponses) + event.proof),
                    out);
    }
}

}  // namespace belay::protocols

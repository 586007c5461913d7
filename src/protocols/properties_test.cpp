// Properties of the reply paths over random answers: what a client puts together from a stream is
// what it would have got plain, no usage is lost, unknown members survive.
#include <doctest/doctest.h>

#include <random>

#include "protocols/convert.h"
#include "protocols/stream.h"
#include "wire/sse.h"

using namespace belay;
using namespace belay::protocols;
using json::Value;

namespace {

using Random = std::mt19937;

std::string some_text(Random& random) {
    static constexpr std::string_view kBits[] = {"a",    "Hel", "lo ", "\n",     "\"", "\\", "é",
                                                 "日本", "😀",  "{}",  "data: ", "\t", "x"};
    std::string text;
    for (size_t i = 1 + random() % 8; i > 0; --i) {
        text += kBits[random() % std::size(kBits)];
    }
    return text;
}

// Cuts at character borders, as upstreams do.
std::vector<std::string> cut(const std::string& text, Random& random) {
    std::vector<std::string> pieces(1);
    for (size_t i = 0; i < text.size(); ++i) {
        bool border = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
        if (border && !pieces.back().empty() && random() % 3 == 0) {
            pieces.emplace_back();
        }
        pieces.back() += text[i];
    }
    return pieces;
}

// An answer in no protocol.
struct Answer {
    std::string reasoning, proof, text;
    std::vector<std::string> calls;  // arguments; the id is "c<i>", the name "f"
    int64_t input, cached, output;
};

Answer random_answer(Random& random) {
    Answer answer;
    if (random() % 2 == 0) {
        answer.reasoning = some_text(random);
        answer.proof = "cHJvb2Y" + std::to_string(random() % 10);
    }
    if (random() % 4 != 0) {
        answer.text = some_text(random);
    }
    for (size_t i = random() % 3; i > 0; --i) {
        answer.calls.push_back(
            json::dump(Value::object({{"q", some_text(random)}, {"n", int(random() % 9)}})));
    }
    if (answer.text.empty() && answer.calls.empty()) {
        answer.text = "x";
    }
    answer.input = 1 + random() % 1000;
    answer.cached = random() % answer.input;
    answer.output = 1 + random() % 1000;
    return answer;
}

Value object(std::initializer_list<json::Member> members) { return Value::object(members); }

// ---- how each upstream says it -----------------------------------------------------------------

struct Said {
    std::string stream;  // SSE
    std::string plain;
};

void event(std::string& out, const Value& value) {
    sse::write_event(out, value["type"].as_string(), json::dump(value));
}

Said say_responses(const Answer& a, Random& random) {
    Said said;
    std::string& out = said.stream;
    Value output = Value::array();
    event(out, object({{"type", "response.created"}, {"response", object({{"model", "m"}})}}));
    auto add = [&](const Value& started, const Value& item, std::string_view delta_type,
                   const std::string& text, bool stream_text) {
        auto index = static_cast<int64_t>(output.size());
        event(out, object({{"type", "response.output_item.added"},
                           {"output_index", index},
                           {"item", started}}));
        for (const auto& piece : cut(text, random)) {
            if (stream_text && !piece.empty()) {
                event(out, object({{"type", delta_type},
                                   {"output_index", index},
                                   {"item_id", int64_t(random())},
                                   {"delta", piece}}));
            }
        }
        event(out, object({{"type", "response.output_item.done"},
                           {"output_index", index},
                           {"item", item}}));
        output.push(item);
    };
    if (!a.reasoning.empty()) {
        Value summary = Value::array({object({{"type", "summary_text"}, {"text", a.reasoning}})});
        add(object({{"type", "reasoning"}}),
            object({{"type", "reasoning"}, {"summary", summary}, {"encrypted_content", a.proof}}),
            "response.reasoning_summary_text.delta", a.reasoning, random() % 2 == 0);
    }
    if (!a.text.empty()) {
        Value content = Value::array({object({{"type", "output_text"}, {"text", a.text}})});
        add(object({{"type", "message"}}), object({{"type", "message"}, {"content", content}}),
            "response.output_text.delta", a.text, random() % 2 == 0);
    }
    for (size_t i = 0; i < a.calls.size(); ++i) {
        Value item = object({{"type", "function_call"},
                             {"call_id", "c" + std::to_string(i)},
                             {"name", "f"},
                             {"arguments", ""}});
        Value whole = item;
        whole.set("arguments", a.calls[i]);
        add(item, whole, "response.function_call_arguments.delta", a.calls[i], random() % 2 == 0);
    }
    Value usage = object({{"input_tokens", a.input},
                          {"input_tokens_details", object({{"cached_tokens", a.cached}})},
                          {"output_tokens", a.output}});
    Value response = object({{"object", "response"},
                             {"model", "m"},
                             {"status", "completed"},
                             {"output", output},
                             {"usage", usage}});
    event(out, object({{"type", "response.completed"}, {"response", response}}));
    said.plain = json::dump(response);
    return said;
}

Said say_messages(const Answer& a, Random& random) {
    Said said;
    std::string& out = said.stream;
    Value content = Value::array();
    Value usage = object({{"input_tokens", a.input - a.cached},
                          {"cache_read_input_tokens", a.cached},
                          {"output_tokens", 1}});
    event(out, object({{"type", "message_start"},
                       {"message", object({{"model", "m"}, {"usage", usage}})}}));
    auto add = [&](const Value& started, const Value& block, std::string_view delta_type,
                   std::string_view key, const std::string& text, const std::string& signature) {
        auto index = static_cast<int64_t>(content.size());
        event(out,
              object(
                  {{"type", "content_block_start"}, {"index", index}, {"content_block", started}}));
        for (const auto& piece : cut(text, random)) {
            event(out,
                  object({{"type", "content_block_delta"},
                          {"index", index},
                          {"delta", object({{"type", delta_type}, {std::string(key), piece}})}}));
        }
        if (!signature.empty()) {
            event(out, object({{"type", "content_block_delta"},
                               {"index", index},
                               {"delta",
                                object({{"type", "signature_delta"}, {"signature", signature}})}}));
        }
        event(out, object({{"type", "content_block_stop"}, {"index", index}}));
        event(out, object({{"type", "ping"}}));
        content.push(block);
    };
    if (!a.reasoning.empty()) {
        add(object({{"type", "thinking"}, {"thinking", ""}}),
            object({{"type", "thinking"}, {"thinking", a.reasoning}, {"signature", a.proof}}),
            "thinking_delta", "thinking", a.reasoning, a.proof);
    }
    if (!a.text.empty()) {
        add(object({{"type", "text"}, {"text", ""}}), object({{"type", "text"}, {"text", a.text}}),
            "text_delta", "text", a.text, "");
    }
    for (size_t i = 0; i < a.calls.size(); ++i) {
        Value block = object({{"type", "tool_use"},
                              {"id", "c" + std::to_string(i)},
                              {"name", "f"},
                              {"input", Value::object()}});
        Value whole = block;
        whole.set("input", json::parse(a.calls[i]).value());
        add(block, whole, "input_json_delta", "partial_json", a.calls[i], "");
    }
    std::string_view reason = a.calls.empty() ? "end_turn" : "tool_use";
    event(out, object({{"type", "message_delta"},
                       {"delta", object({{"stop_reason", reason}})},
                       {"usage", object({{"output_tokens", a.output}})}}));
    event(out, object({{"type", "message_stop"}}));
    usage.set("output_tokens", a.output);
    said.plain = json::dump(object({{"type", "message"},
                                    {"model", "m"},
                                    {"content", content},
                                    {"stop_reason", reason},
                                    {"usage", usage}}));
    return said;
}

Value chat_call(const Answer& a, size_t i) {
    return object({{"id", "c" + std::to_string(i)},
                   {"type", "function"},
                   {"function", object({{"name", "f"}, {"arguments", a.calls[i]}})}});
}

// Chat with the quirks of every family, thrown like dice.
Said say_chat(const Answer& a, Random& random) {
    Said said;
    auto dice = [&](unsigned sides) { return random() % sides == 0; };
    auto chunk = [&](Value delta, const char* finish, bool usage) {
        if (dice(2)) {
            delta.set("role", dice(2) ? Value("assistant") : Value());
        }
        if (dice(3) && !delta.has("content")) {
            delta.set("content", dice(2) ? Value() : Value(""));
        }
        Value choice = Value::object();
        if (dice(2)) {
            choice.set("index", 0);
        }
        choice.set("delta", std::move(delta));
        if (finish != nullptr) {
            choice.set("finish_reason", finish);
        }
        if (dice(3)) {
            choice.set("content_filter_results", Value::object());
        }
        Value out = Value::object();
        out.set("choices", Value::array({std::move(choice)}));
        if (dice(2)) {
            out.set("id", dice(2) ? "" : "id");
        }
        if (dice(2)) {
            out.set("model", "m");
        }
        if (usage) {
            out.set("usage",
                    object({{"prompt_tokens", a.input},
                            {"completion_tokens", a.output},
                            {"prompt_tokens_details", object({{"cached_tokens", a.cached}})}}));
        } else if (dice(2)) {
            out.set("usage",
                    dice(2) ? Value() : object({{"prompt_tokens", 0}, {"total_tokens", 0}}));
        }
        sse::write_data(said.stream, json::dump(out));
    };
    for (const auto& piece : cut(a.reasoning, random)) {
        if (!piece.empty()) {
            chunk(object({{"reasoning_text", piece}}), nullptr, false);
        }
    }
    if (!a.proof.empty()) {
        chunk(object({{"reasoning_opaque", a.proof}}), nullptr, false);
    }
    for (const auto& piece : cut(a.text, random)) {
        if (!piece.empty()) {
            chunk(object({{"content", piece}}), nullptr, false);
        }
    }
    bool reuse = dice(2);
    for (size_t i = 0; i < a.calls.size(); ++i) {
        auto index = reuse ? 0 : static_cast<int64_t>(i);
        Value first = object({{"id", "c" + std::to_string(i)},
                              {"index", index},
                              {"type", "function"},
                              {"function", object({{"name", "f"}})}});
        chunk(object({{"tool_calls", Value::array({first})}}), nullptr, false);
        for (const auto& piece : cut(a.calls[i], random)) {
            Value more = object({{"index", index}, {"function", object({{"arguments", piece}})}});
            chunk(object({{"tool_calls", Value::array({more})}}), nullptr, false);
        }
    }
    const char* finish = a.calls.empty() || dice(2) ? "stop" : "tool_calls";
    chunk(Value::object(), finish, true);
    if (dice(2)) {
        sse::write_data(said.stream, "[DONE]");
    }
    Value message = object({{"role", "assistant"}});
    message.set("content", a.text.empty() ? Value() : Value(a.text));
    if (!a.reasoning.empty()) {
        message.set("reasoning_text", a.reasoning);
        message.set("reasoning_opaque", a.proof);
    }
    Value choices = Value::array();
    Value calls = Value::array();
    bool split = dice(2);
    for (size_t i = 0; i < a.calls.size(); ++i) {
        calls.push(chat_call(a, i));
    }
    if (!a.calls.empty() && !split) {
        message.set("tool_calls", calls);
    }
    choices.push(object({{"message", message}, {"finish_reason", finish}}));
    for (size_t i = 0; split && i < a.calls.size(); ++i) {
        Value only = object({{"tool_calls", Value::array({calls[i]})}});
        choices.push(object({{"message", only}, {"finish_reason", finish}}));
    }
    Value usage = object({{"prompt_tokens", a.input},
                          {"completion_tokens", a.output},
                          {"prompt_tokens_details", object({{"cached_tokens", a.cached}})}});
    said.plain = json::dump(object({{"choices", choices}, {"usage", usage}}));
    return said;
}

// ---- what a client makes of it -----------------------------------------------------------------

void append_text(Value& message, std::string_view key, const Value& piece) {
    if (piece.is_string() && !piece.as_string().empty()) {
        message.set(key, std::string(message[key].as_string()) + std::string(piece.as_string()));
    }
}

void append_calls(std::vector<Value>& calls, const Value& fragments) {
    for (const auto& fragment : fragments.items()) {
        auto index = static_cast<size_t>(fragment["index"].as_int().value_or(-1));
        REQUIRE(index <= calls.size());
        if (index == calls.size()) {
            REQUIRE(fragment["id"].is_string());
            calls.push_back(object({{"id", fragment["id"]},
                                    {"type", fragment["type"]},
                                    {"function", object({{"name", fragment["function"]["name"]},
                                                         {"arguments", ""}})}}));
        }
        append_text(*calls[index].find("function"), "arguments", fragment["function"]["arguments"]);
    }
}

struct Heard {
    Value message;
    std::string finish;
    std::optional<chat::Usage> usage;
};

Heard play_stream(Api api, const std::string& bytes) {
    auto stream = make_chat_stream(api, {"shown", "chatcmpl-1", 1, true});
    sse::Parser parser;
    std::string out;
    sse::Event event;
    REQUIRE(parser.feed(bytes).ok());
    while (parser.next(event)) {
        FrameFacts facts = stream->on_event(event.name, event.data, out);
        REQUIRE(facts.error.empty());
    }
    StreamEnd end = stream->on_end(out);
    REQUIRE(end.how == Ended::complete);
    Heard result{Value::object(), "", end.usage};
    std::vector<Value> calls;
    Value blocks = Value::array();
    int usages = 0;
    sse::Parser client;
    REQUIRE(client.feed(out).ok());
    while (client.next(event)) {
        if (event.data == "[DONE]") {
            continue;
        }
        Value frame = json::parse(event.data).value();
        usages += frame.has("usage") ? 1 : 0;
        for (const auto& choice : frame["choices"].items()) {
            const Value& delta = choice["delta"];
            for (std::string_view key : {"content", "reasoning_content", "reasoning_opaque"}) {
                append_text(result.message, key, delta[key]);
            }
            append_calls(calls, delta["tool_calls"]);
            for (const auto& block : delta["thinking_blocks"].items()) {
                blocks.push(block);
            }
            if (choice["finish_reason"].is_string()) {
                REQUIRE(result.finish.empty());
                result.finish = choice["finish_reason"].as_string();
            }
        }
    }
    CHECK(usages == 1);
    if (!calls.empty()) {
        Value list = Value::array();
        for (auto& call : calls) {
            list.push(call);
        }
        result.message.set("tool_calls", list);
    }
    if (blocks.size() > 0) {
        result.message.set("thinking_blocks", blocks);
    }
    return result;
}

Heard play_plain(Api api, const std::string& body) {
    auto reply = convert_plain_reply(api, body, {"shown", "chatcmpl-1", 1, 1, false});
    REQUIRE(reply.ok());
    Value message = json::parse(reply->body).value()["choices"][size_t{0}]["message"];
    Heard result{Value::object(), reply->finish_reason, reply->usage};
    for (std::string_view key :
         {"content", "reasoning_content", "reasoning_opaque", "tool_calls", "thinking_blocks"}) {
        if (message.has(key) && !message[key].is_null()) {
            result.message.set(key, message[key]);
        }
    }
    return result;
}

bool same_members(const Value& a, const Value& b) {
    if (a.size() != b.size()) {
        return false;
    }
    for (const auto& [key, value] : a.members()) {
        if (!(b[key] == value)) {
            return false;
        }
    }
    return true;
}

}  // namespace

TEST_CASE("what a client puts together from a stream is the plain reply, usage included") {
    using Say = Said (*)(const Answer&, Random&);
    const std::pair<Api, Say> upstreams[] = {
        {Api::chat, say_chat}, {Api::responses, say_responses}, {Api::messages, say_messages}};
    Random random(2026);
    for (int round = 0; round < 300; ++round) {
        Answer answer = random_answer(random);
        for (const auto& [api, say] : upstreams) {
            CAPTURE(api_name(api));
            CAPTURE(round);
            Said said = say(answer, random);
            CAPTURE(said.stream);
            CAPTURE(said.plain);
            Heard streamed = play_stream(api, said.stream);
            Heard plain = play_plain(api, said.plain);
            CAPTURE(json::dump(streamed.message));
            CAPTURE(json::dump(plain.message));
            CHECK(same_members(streamed.message, plain.message));
            CHECK(streamed.message["content"].as_string() == answer.text);
            CHECK(streamed.message["tool_calls"].size() == answer.calls.size());
            CHECK(streamed.finish == plain.finish);
            CHECK(streamed.finish == (answer.calls.empty() ? "stop" : "tool_calls"));
            REQUIRE(streamed.usage.has_value());
            CHECK(streamed.usage == plain.usage);
            CHECK(streamed.usage->prompt() == answer.input);
            CHECK(streamed.usage->cache_read == answer.cached);
            CHECK(streamed.usage->output == answer.output);
        }
    }
}

TEST_CASE("members nobody knows survive on the raw path, byte for byte") {
    const std::string_view values[] = {
        "1", "1.50", "1e400", "[ 1 , 2 ]", R"({"a":{"b":null}})", R"("\u00e9\/")", "true"};
    for (std::string_view value : values) {
        CAPTURE(value);
        std::string v(value);
        std::string chunk = R"({"x_top":)" + v + R"(,"choices":[{"index":0,"x_choice":)" + v +
                            R"(,"delta":{"content":"a","x_delta":)" + v + "}}]}";
        auto stream = make_chat_stream(Api::chat, {"m", "i", 1, false});
        std::string out;
        (void)stream->on_event("", chunk, out);
        std::string reply = R"({"x_top":)" + v + R"(,"choices":[{"x_choice":)" + v +
                            R"(,"message":{"content":"a","x_message":)" + v + "}}]}";
        auto plain = convert_plain_reply(Api::chat, reply, {"m", "i", 1, 1, false});
        REQUIRE(plain.ok());
        std::string body =
            R"({"model":"m","messages":[{"role":"user","x_m":)" + v + R"(}],"x_top":)" + v + "}";
        auto facts = scan_chat_request(body);
        REQUIRE(facts.ok());
        ChatEdits edits;
        edits.model = "up";
        auto asked = edit_chat_request(body, *facts, edits);
        REQUIRE(asked.ok());
        for (std::string_view key : {"x_top", "x_choice", "x_delta"}) {
            CHECK(out.find("\"" + std::string(key) + "\":" + v) != std::string::npos);
        }
        for (std::string_view key : {"x_top", "x_choice", "x_message"}) {
            CHECK(plain->body.find("\"" + std::string(key) + "\":" + v) != std::string::npos);
        }
        for (std::string_view key : {"x_top", "x_m"}) {
            CHECK(asked->find("\"" + std::string(key) + "\":" + v) != std::string::npos);
        }
    }
}

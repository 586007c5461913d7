#include "protocols/chat_request.h"

#include <algorithm>
#include <bitset>
#include <charconv>

#include "protocols/known_keys.h"
#include "protocols/raw_text.h"
#include "protocols/tape.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Type;
using keys::find_known;
using keys::Key;
using keys::kKnown;
using keys::Known;
using raw::is;

Error bad(std::string_view param, std::string message) {
    return caller_error(Kind::invalid_request, std::move(message), std::string(param));
}

std::string text_of(std::string_view body, const Item& item) {
    std::string scratch;
    return item.type == Type::string ? std::string(json::string_at(body, item.value, scratch))
                                     : std::string();
}

std::optional<double> number_of(std::string_view body, const Item& item) {
    std::string scratch;
    std::string_view text = item.type == Type::string ? json::string_at(body, item.value, scratch)
                                                      : item.value.of(body);
    double value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool whole = code == std::errc() && end == text.data() + text.size() && !text.empty();
    return whole ? std::optional(value) : std::nullopt;
}

// The value as a document, null and parse trouble (too deep, duplicate keys) as nothing.
std::optional<json::Value> document_of(std::string_view body, const Item& item) {
    if (item.type == Type::null) {
        return std::nullopt;
    }
    auto parsed = json::parse(item.value.of(body));
    return parsed.ok() ? std::optional(std::move(parsed).value()) : std::nullopt;
}

std::vector<std::string> strings_of(const json::Value& value) {
    std::vector<std::string> out;
    if (value.is_string()) {
        out.emplace_back(value.as_string());
    }
    for (const auto& item : value.items()) {
        if (item.is_string()) {
            out.emplace_back(item.as_string());
        }
    }
    return out;
}

void add_tags(Controls& controls, const json::Value& value) {
    for (auto& tag : strings_of(value)) {
        if (std::find(controls.tags.begin(), controls.tags.end(), tag) == controls.tags.end()) {
            controls.tags.push_back(std::move(tag));
        }
    }
}

void read_metadata(Controls& controls, const json::Value& metadata) {
    add_tags(controls, metadata["tags"]);
    if (controls.session_id.empty()) {
        controls.session_id = metadata["session_id"].as_string();
    }
    if (controls.trace_id.empty()) {
        controls.trace_id = metadata["trace_id"].as_string();
    }
}

// The switches that ask for one bool or one small document each.
void read_control(Controls& controls, Key key, std::string_view body, const Item& item) {
    auto flag = [&] { return json::bool_at(body, item.value, false); };
    auto document = [&] { return document_of(body, item); };
    switch (key) {
        case Key::fallbacks:
            controls.fallbacks = document();
            break;
        case Key::context_window_fallbacks:
            controls.context_window_fallbacks = document();
            break;
        case Key::content_policy_fallbacks:
            controls.content_policy_fallbacks = document();
            break;
        case Key::disable_fallbacks:
            controls.disable_fallbacks = flag();
            break;
        case Key::num_retries:
            if (auto n = number_of(body, item); n && *n >= 0 && *n <= 1000) {
                controls.num_retries = static_cast<int64_t>(*n);
            }
            break;
        case Key::timeout:
            controls.timeout = number_of(body, item);
            break;
        case Key::stream_timeout:
            controls.stream_timeout = number_of(body, item);
            break;
        case Key::tags:
            add_tags(controls, document().value_or(nullptr));
            break;
        case Key::metadata:
            controls.metadata = document();
            break;
        case Key::litellm_metadata:
            controls.litellm_metadata = document();
            break;
        case Key::litellm_session_id:
            controls.session_id = text_of(body, item);
            break;
        case Key::litellm_trace_id:
            controls.trace_id = text_of(body, item);
            break;
        case Key::mock_response:
            controls.has_mock_response = item.type == Type::string;
            controls.mock_response = text_of(body, item);
            break;
        case Key::mock_testing_fallbacks:
            controls.mock_testing_fallbacks = flag();
            break;
        case Key::mock_testing_context_fallbacks:
            controls.mock_testing_context_fallbacks = flag();
            break;
        case Key::mock_testing_content_policy_fallbacks:
            controls.mock_testing_content_policy_fallbacks = flag();
            break;
        case Key::mock_testing_rate_limit_error:
            controls.mock_testing_rate_limit_error = flag();
            break;
        case Key::drop_params:
            if (item.type == Type::boolean) {
                controls.drop_params = flag();
            }
            break;
        case Key::additional_drop_params:
            controls.additional_drop_params = strings_of(document().value_or(nullptr));
            break;
        case Key::allowed_openai_params:
            controls.allowed_openai_params = strings_of(document().value_or(nullptr));
            break;
        case Key::extra_headers:
            controls.extra_headers = document();
            break;
        case Key::extra_body:
            controls.extra_body = document();
            break;
        case Key::no_log:
            controls.no_log = flag();
            break;
        case Key::include_fallback_errors:
            controls.include_fallback_errors = flag();
            break;
        default:
            break;  // removed from the body, not otherwise read
    }
}

struct PartFacts {
    bool tool_result = false;
};

// What one content part is; images and markers are recorded in `facts`, also inside tool results.
PartFacts read_part(const Tape& tape, const Node& part, ChatFacts& facts, int depth) {
    PartFacts out;
    const Node* content = nullptr;
    for (const Node& node : tape.children(part)) {
        std::string_view key = tape.key(node);
        if (is(key, "text")) {
            facts.text_bytes += tape.inside(node).size();
        } else if (is(key, "type")) {
            std::string_view type = tape.inside(node);
            out.tool_result = is(type, "tool_result");
            const bool image =
                is(type, "image_url") || is(type, "image") || is(type, "input_image");
            facts.has_images |= image;
            facts.image_count += image ? 1 : 0;
            facts.has_documents |= is(type, "file") || is(type, "document") ||
                                   is(type, "input_file") || is(type, "input_audio");
        } else if (is(key, "image_url")) {
            facts.has_images |= !node.is_null();
        } else if (is(key, "cache_control")) {
            facts.has_cache_control |= node.is_object();
        } else if (is(key, "content") && node.is_array()) {
            content = &node;
        }
    }
    if (out.tool_result && content != nullptr && depth < 2) {
        for (const Node& inner : tape.children(*content)) {
            (void)read_part(tape, inner, facts, depth + 1);
        }
    }
    return out;
}

struct MessageFacts {
    bool user = false;
    bool assistant = false;
    bool only_tool_results = false;
    bool empty = false;  // the content
    bool array = false;
    bool decorated = false;
};

void read_content(const Tape& tape, const Node& content, ChatFacts& facts, MessageFacts& message) {
    if (content.is_text()) {
        message.empty = !content.has_text();
        facts.text_bytes += content.end - content.begin;
        return;
    }
    if (!content.is_array()) {
        return;
    }
    message.array = true;
    message.empty = true;
    bool all_results = true;
    for (const Node& part : tape.children(content)) {
        message.empty = false;
        all_results &= read_part(tape, part, facts, 0).tool_result;
    }
    message.only_tool_results = !message.empty && all_results;
}

// Members that other gateways and agents put on assistant messages.
bool is_decoration(std::string_view key) {
    return key.starts_with("reasoning") || is(key, "refusal") || is(key, "annotations") ||
           is(key, "audio") || is(key, "function_call") || is(key, "thinking_blocks") ||
           is(key, "provider_specific_fields");
}

MessageFacts read_message(const Tape& tape, const Node& span, ChatFacts& facts) {
    MessageFacts message;
    for (const Node& node : tape.children(span)) {
        std::string_view key = tape.key(node);
        if (is(key, "role")) {
            std::string_view role = tape.inside(node);
            message.user = is(role, "user");
            message.assistant = is(role, "assistant");
        } else if (is(key, "content")) {
            read_content(tape, node, facts, message);
        } else if (is(key, "cache_control")) {
            facts.has_cache_control |= node.is_object();
        } else {
            message.decorated |= is_decoration(key);
            facts.text_bytes += node.end - node.begin;  // tool calls and the like
        }
    }
    facts.has_text_arrays |= message.assistant && message.array;
    facts.has_empty_content |= message.empty && (message.assistant || message.user);
    facts.has_decorations |= message.assistant && message.decorated;
    return message;
}

Result<void> read_messages(const Tape& tape, const Node& messages, ChatFacts& facts) {
    MessageFacts last;
    for (const Node& node : tape.children(messages)) {
        if (!node.is_object()) {
            return bad("messages", "Invalid type for 'messages[" +
                                       std::to_string(facts.message_count) +
                                       "]': expected an object.");
        }
        last = read_message(tape, node, facts);
        facts.message_count++;
    }
    if (facts.message_count == 0) {
        return bad("messages", "Invalid 'messages': empty array. At least one message is needed.");
    }
    facts.initiator = last.user && !last.only_tool_results ? Initiator::user : Initiator::agent;
    return {};
}

uint32_t count_items(const Tape& tape, const Node& array) {
    uint32_t count = 0;
    for ([[maybe_unused]] const Node& node : tape.children(array)) {
        count++;
    }
    return count;
}

Error wrong_type(const Known& known, std::string_view expected) {
    return bad(known.name, "Invalid type for '" + std::string(known.name) + "': expected " +
                               std::string(expected) + ".");
}

// Returns nullptr, or what was expected instead of a value of this type.
const char* read_member(const Tape& tape, const Known& known, const Node& node, const Item& item,
                        ChatFacts& facts) {
    std::string_view body = tape.text();
    bool null = item.type == Type::null;
    switch (known.key) {
        case Key::model:
            if (item.type != Type::string) {
                return "a string";
            }
            facts.model = text_of(body, item);
            facts.model_value = item.value;
            break;
        case Key::messages:
            if (item.type != Type::array) {
                return "an array of objects";
            }
            facts.messages = item.value;
            break;
        case Key::stream:
            if (item.type != Type::boolean && !null) {
                return "a boolean";
            }
            facts.stream = json::bool_at(body, item.value, false);
            facts.stream_value = item.value;
            break;
        case Key::stream_options: {
            if (item.type != Type::object && !null) {
                return "an object";
            }
            facts.stream_options = item.value;
            json::Span wish = json::member(body, item.value, "include_usage");
            facts.include_usage = !wish.empty() && json::bool_at(body, wish, false);
            break;
        }
        case Key::tools:
        case Key::functions:
            if (item.type != Type::array && !null) {
                return "an array";
            }
            if (known.key == Key::tools) {
                facts.tools = item.value;
            }
            facts.tool_count += count_items(tape, node);
            facts.text_bytes += node.end - node.begin;
            break;
        case Key::n:
            facts.n = std::max<int64_t>(1, tape.integer(node, 1));
            break;
        case Key::max_completion_tokens:
        case Key::max_tokens:
            if (item.type == Type::number &&
                (known.key == Key::max_completion_tokens || !facts.max_tokens)) {
                facts.max_tokens = tape.integer(node, 0);
            }
            break;
        case Key::thinking:
        case Key::reasoning:
        case Key::reasoning_effort:
            facts.wants_thinking |= !null;
            break;
        case Key::response_format:
            if (item.type == Type::object) {
                json::Span type = json::member(body, item.value, "type");
                facts.wants_json = !type.empty() && type.of(body) != R"("text")";
            }
            break;
        case Key::user:
            facts.user = text_of(body, item);
            break;
        case Key::encoding_format:
            facts.wants_base64 = tape.is(node, "base64");
            break;
        case Key::input:
            facts.input = item.value;
            facts.text_bytes += node.end - node.begin;
            facts.input_is_string = item.type == Type::string;
            facts.input_count = item.type == Type::array ? count_items(tape, node) : 1;
            break;
        default:
            read_control(facts.controls, known.key, body, item);
            break;
    }
    return nullptr;
}

const Known* recognise(const Item& item, std::string& scratch) {
    if (!item.key_escaped) {
        return find_known(item.key);
    }
    auto key = json::parse('"' + std::string(item.key) + '"');
    scratch = key.ok() ? std::string(key->as_string()) : std::string();
    return find_known(scratch);
}

// How deep requests are taken apart: to the members of parts inside tool results.
constexpr unsigned kDepthKept = 7;
constexpr size_t kMembersMax = 400'000;  // members and items over the whole body

Item item_of(const Tape& tape, const Node& node) {
    Item item;
    item.key = tape.key(node);
    item.whole = node.whole();
    item.value = node.value();
    item.type = node.type;
    item.key_escaped = node.key_escaped;
    return item;
}

// Everything both kinds of request share: the check of the text and the walk over the top level.
Result<void> scan_top(Tape& tape, std::string_view body, std::string_view path_model,
                      ChatFacts& facts) {
    if (!tape.read(body, Tape::Twins::refused, kDepthKept, kMembersMax)) {
        return bad("request_body", "Invalid JSON in the request body: at byte " +
                                       std::to_string(tape.where()) + ": " +
                                       std::string(tape.why()) + ".");
    }
    if (!tape.root().is_object()) {
        return bad("request_body", "Invalid request body: expected a JSON object.");
    }
    facts.root = tape.root().value();
    facts.members.reserve(16);
    std::bitset<std::size(kKnown)> seen;
    std::string scratch;
    for (const Node& node : tape.children(tape.root())) {
        Item item = item_of(tape, node);
        const Known* known = recognise(item, scratch);
        if (known == nullptr) {
            facts.members.push_back({item, item.key, false});
            continue;
        }
        auto index = static_cast<size_t>(known - kKnown);
        if (seen.test(index)) {  // an escaped spelling of the same name: how a filter is fooled
            return bad(known->name,
                       "Duplicate member '" + std::string(known->name) + "' in the request body.");
        }
        seen.set(index);
        facts.members.push_back({item, known->name, known->control});
        if (const char* expected = read_member(tape, *known, node, item, facts)) {
            return wrong_type(*known, expected);
        }
    }
    for (const auto* metadata : {&facts.controls.metadata, &facts.controls.litellm_metadata}) {
        if (*metadata) {
            read_metadata(facts.controls, **metadata);
        }
    }
    if (facts.model.empty()) {
        facts.model = path_model;
    }
    if (facts.model.empty()) {
        return bad("model", "Missing required parameter: 'model'.");
    }
    return {};
}

Result<void> scan_messages(const Tape& tape, ChatFacts& facts) {
    for (const Node& node : tape.children(tape.root())) {
        if (node.begin == facts.messages.begin && !facts.messages.empty()) {
            return read_messages(tape, node, facts);
        }
    }
    return bad("messages", "Missing required parameter: 'messages'.");
}

Result<void> check_input(std::string_view body, const ChatFacts& facts) {
    if (facts.input.empty()) {
        return bad("input", "Missing required parameter: 'input'.");
    }
    Type type = json::type_at(body, facts.input);
    if ((type != Type::string && type != Type::array) || facts.input_count == 0) {
        return bad("input", "Invalid 'input': expected a string or a non-empty array.");
    }
    return {};
}

}  // namespace

const ChatFacts::Member* ChatFacts::find(std::string_view name) const {
    for (const auto& member : members) {
        if (member.name == name) {
            return &member;
        }
    }
    return nullptr;
}

Result<void> scan_chat_request(std::string_view body, std::string_view path_model,
                               ChatFacts& facts) {
    Tape& tape = scratch_tape();
    TRY(scan_top(tape, body, path_model, facts));
    return scan_messages(tape, facts);
}

Result<ChatFacts> scan_chat_request(std::string_view body, std::string_view path_model) {
    Result<ChatFacts> result{ChatFacts{}};
    Result<void> read = scan_chat_request(body, path_model, *result);
    if (!read.ok()) {
        result = std::move(read).error();
    }
    return result;
}

Result<ChatFacts> scan_embeddings_request(std::string_view body, std::string_view path_model) {
    Result<ChatFacts> result{ChatFacts{}};
    Result<void> read = scan_top(scratch_tape(), body, path_model, *result);
    if (read.ok()) {
        read = check_input(body, *result);
    }
    if (!read.ok()) {
        result = std::move(read).error();
    }
    return result;
}

bool is_control_key(std::string_view name) {
    const Known* known = find_known(name);
    return known != nullptr && known->control;
}

}  // namespace belay::protocols

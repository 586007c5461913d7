#include "protocols/chat_edit.h"

#include <algorithm>
#include <span>

#include "protocols/drop_path.h"
#include "protocols/raw_text.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
using json::Splice;
using json::Type;
using json::Walker;
using raw::is;

std::string quoted(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

bool is_nested(std::string_view path) { return path.find_first_of(".[") != std::string_view::npos; }

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// ---- first pass, rare: members set from outside, before anything is read from them -------------

bool has_overrides(const ChatFacts& facts, const ChatEdits& edits) {
    return !edits.overrides.empty() ||
           (facts.controls.extra_body.has_value() && facts.controls.extra_body->is_object());
}

// `body` with overrides set, and the members of extra_body put where the SDK would have put them.
std::string set_members(std::string_view body, const ChatFacts& facts, const ChatEdits& edits) {
    std::vector<ChatEdits::Raw> wanted;
    if (facts.controls.extra_body) {
        for (const auto& [key, value] : facts.controls.extra_body->members()) {
            wanted.emplace_back(key, json::dump(value));
        }
    }
    for (const auto& raw : edits.overrides) {
        std::erase_if(wanted, [&](const auto& earlier) { return earlier.first == raw.first; });
        wanted.push_back(raw);
    }
    Splice splice(body);
    if (const auto* extra = facts.find("extra_body")) {
        splice.remove(facts.root, extra->item);
    }
    std::string added;
    for (const auto& [key, raw] : wanted) {
        if (key == "model" || key == "extra_body") {
            continue;
        }
        if (const auto* member = facts.find(key)) {
            splice.replace(member->item.value, raw);
        } else {
            added += ',' + quoted(key) + ':' + raw;
        }
    }
    if (!added.empty()) {  // behind the model, which is always there when anything is
        uint32_t at = facts.root.end - 1;
        splice.insert(at, facts.members.size() > (facts.find("extra_body") != nullptr ? 1U : 0U)
                              ? std::string_view(added)
                              : std::string_view(added).substr(1));
    }
    return splice.apply();
}

// ---- messages ----------------------------------------------------------------------------------

// The members of one message that its mending looks at.
struct Message {
    Span span;
    Item role, content, tool_calls, cache_control, copilot_cache_control, opaque, reasoning;
    bool assistant = false, user = false;
    std::vector<Item> strip;  // never sent to Copilot: other gateways' decorations
};

bool present(const Item& item) { return !item.whole.empty(); }

Message read_message(std::string_view body, Span span) {
    Message m;
    m.span = span;
    Item item;
    for (Walker walk(body, span); walk.next(item);) {
        if (is(item.key, "role")) {
            m.role = item;
            m.assistant = item.value.of(body) == R"("assistant")";
            m.user = item.value.of(body) == R"("user")";
        } else if (is(item.key, "content")) {
            m.content = item;
        } else if (is(item.key, "tool_calls")) {
            m.tool_calls = item;
        } else if (is(item.key, "cache_control")) {
            m.cache_control = item;
        } else if (is(item.key, "copilot_cache_control")) {
            m.copilot_cache_control = item;
        } else if (is(item.key, "reasoning_opaque")) {
            m.opaque = item;
        } else if (is(item.key, "reasoning_content")) {
            m.reasoning = item;
        } else if (is(item.key, "thinking_blocks") || is(item.key, "provider_specific_fields") ||
                   is(item.key, "annotations") || is(item.key, "reasoning_details") ||
                   (item.type == Type::null && (is(item.key, "refusal") || is(item.key, "audio") ||
                                                is(item.key, "function_call")))) {
            m.strip.push_back(item);
        }
    }
    return m;
}

// Joins an array of text parts to one JSON string on the raw text. Thoughts are left out. False
// when a part of another kind is there.
bool join_text(std::string_view body, Span array, std::string& out) {
    out = '"';
    Item part;
    for (Walker parts(body, array); parts.next(part);) {
        std::string_view type = json::member(body, part.value, "type").of(body);
        if (type == R"("thinking")" || type == R"("redacted_thinking")" ||
            type == R"("reasoning")") {
            continue;
        }
        Span text = json::member(body, part.value, "text");
        if (text.empty() || json::type_at(body, text) != Type::string) {
            return false;
        }
        std::string_view raw = text.of(body);
        out += raw.substr(1, raw.size() - 2);
    }
    out += '"';
    return true;
}

class MessageMender {
  public:
    MessageMender(std::string_view body, const ChatFacts& facts, const ChatEdits& edits,
                  Splice& splice)
        : body_(body), facts_(facts), edits_(edits), splice_(splice) {}

    void mend() {
        if (edits_.copilot_cache_control && facts_.has_cache_control) {
            skip_markers_ = count_markers();
            skip_markers_ = skip_markers_ > kMarkersMax ? skip_markers_ - kMarkersMax : 0;
        }
        Item item;
        for (Walker walk(body_, facts_.messages); walk.next(item);) {
            mend_message(read_message(body_, item.value));
        }
    }

    // Whether any message needs a look at all.
    [[nodiscard]] static bool needed(const ChatFacts& facts, const ChatEdits& edits) {
        return (edits.flatten_assistant_text && facts.has_text_arrays) ||
               (edits.drop_empty_content && facts.has_empty_content) ||
               (edits.copilot_cache_control && facts.has_cache_control) ||
               (edits.copilot_reasoning && facts.has_decorations);
    }

  private:
    static constexpr size_t kMarkersMax = 4;  // cache breakpoints an upstream accepts

    void mend_message(const Message& m) {
        if (edits_.copilot_reasoning) {
            mend_reasoning(m);
        }
        bool rewritten = m.assistant && mend_assistant_content(m);
        if (!rewritten && m.user && edits_.drop_empty_content && is_empty(m.content)) {
            splice_.replace(m.content.value, R"(" ")");
        }
        if (edits_.copilot_cache_control && facts_.has_cache_control) {
            mend_cache_control(m, rewritten);
        }
    }

    [[nodiscard]] bool is_empty(const Item& content) const {
        if (!present(content)) {
            return false;
        }
        if (content.type == Type::string) {
            return content.value.end - content.value.begin == 2;
        }
        Item item;
        return content.type == Type::array && !Walker(body_, content.value).next(item);
    }

    // True when the content was replaced as a whole.
    bool mend_assistant_content(const Message& m) {
        std::string text;
        if (edits_.flatten_assistant_text && m.content.type == Type::array &&
            join_text(body_, m.content.value, text)) {
            bool bare = text.size() == 2;
            splice_.replace(m.content.value, bare ? empty_assistant(m) : std::string_view(text));
            return true;
        }
        if (edits_.drop_empty_content && is_empty(m.content)) {
            splice_.replace(m.content.value, empty_assistant(m));
            return true;
        }
        return false;
    }

    // What stands for no text: nothing beside tool calls, else the least text there is.
    static std::string_view empty_assistant(const Message& m) {
        return m.tool_calls.type == Type::array ? "null" : R"(" ")";
    }

    // reasoning_text without the opaque part that signs it is refused ("Invalid signature in
    // thinking block"), and an opaque part made by another API means nothing here.
    void mend_reasoning(const Message& m) {
        for (const auto& item : m.strip) {
            splice_.remove(m.span, item);
        }
        bool foreign = present(m.opaque) && m.opaque.value.of(body_).starts_with("\"responses:");
        if (foreign) {
            splice_.remove(m.span, m.opaque);
        }
        if (!present(m.reasoning)) {
            return;
        }
        if (present(m.opaque) && !foreign && m.reasoning.type == Type::string) {
            splice_.replace({m.reasoning.whole.begin, m.reasoning.value.begin},
                            "\"reasoning_text\":");
        } else {
            splice_.remove(m.span, m.reasoning);
        }
    }

    // Whether a part of the content carries a marker.
    [[nodiscard]] bool part_marker(const Message& m) const {
        Item part;
        bool found = false;
        for (Walker parts(body_, m.content.value); parts.next(part);) {
            found |= !json::member(body_, part.value, "cache_control").empty();
        }
        return found;
    }

    [[nodiscard]] size_t count_markers() const {
        size_t count = 0;
        Item item;
        for (Walker walk(body_, facts_.messages); walk.next(item);) {
            Message m = read_message(body_, item.value);
            count += m.cache_control.type == Type::object || present(m.copilot_cache_control) ||
                             (m.content.type == Type::array && part_marker(m))
                         ? 1
                         : 0;
        }
        return count;
    }

    // Markers of the message and of its parts become one copilot_cache_control; the earliest ones
    // above the upstream's limit are left out.
    void mend_cache_control(const Message& m, bool rewritten) {
        bool marked = m.cache_control.type == Type::object || present(m.copilot_cache_control);
        if (m.content.type == Type::array) {
            marked |= part_marker(m);
            if (!rewritten) {
                remove_part_markers(m);
            }
        }
        if (!marked) {
            if (present(m.cache_control)) {
                splice_.remove(m.span, m.cache_control);
            }
            return;
        }
        bool keep = skip_markers_ == 0;
        skip_markers_ -= keep ? 0 : 1;
        if (present(m.cache_control)) {
            splice_.remove(m.span, m.cache_control);
        }
        if (present(m.copilot_cache_control) && !keep) {
            splice_.remove(m.span, m.copilot_cache_control);
        } else if (!present(m.copilot_cache_control) && keep && present(m.role)) {
            splice_.insert(m.role.value.end, R"(,"copilot_cache_control":{"type":"ephemeral"})");
        }
    }

    void remove_part_markers(const Message& m) {
        Item part;
        Item member;
        for (Walker parts(body_, m.content.value); parts.next(part);) {
            for (Walker walk(body_, part.value); walk.next(member);) {
                if (member.key == "cache_control") {
                    splice_.remove(part.value, member);
                }
            }
        }
    }

    std::string_view body_;
    const ChatFacts& facts_;
    const ChatEdits& edits_;
    Splice& splice_;
    size_t skip_markers_ = 0;
};

// ---- top level ---------------------------------------------------------------------------------

std::string_view renamed(const ChatEdits& edits, std::string_view name) {
    for (const auto& [from, to] : edits.rename) {
        if (from == name) {
            return to;
        }
    }
    return name;
}

// The two spellings of the output limit are one parameter to a default.
bool is_set(const ChatFacts& facts, std::string_view name) {
    if (name == "max_tokens" || name == "max_completion_tokens") {
        return facts.find("max_tokens") != nullptr ||
               facts.find("max_completion_tokens") != nullptr;
    }
    return facts.find(name) != nullptr;
}

// `options` (the text of stream_options, or "") with include_usage set.
std::string with_usage(std::string_view options) {
    Span all = json::root(options);
    if (json::type_at(options, all) != Type::object) {
        return R"({"include_usage":true})";
    }
    Splice splice(options);
    if (Span wish = json::member(options, all, "include_usage"); !wish.empty()) {
        splice.replace(wish, "true");
    } else {
        splice.add_member(all, "include_usage", "true");
    }
    return splice.apply();
}

// Writes the top level anew: runs of members that stay are copied as they are.
class TopEditor {
  public:
    TopEditor(std::string_view body, const ChatFacts& facts, const ChatEdits& edits)
        : body_(body), facts_(facts), edits_(edits) {
        out_.reserve(body.size() + 256);
        out_ += '{';
    }

    std::string edit_chat() {
        bool no_tools = facts_.tool_count == 0;
        for (const auto& member : facts_.members) {
            bool idle = no_tools &&
                        (is(member.name, "tools") || is(member.name, "functions") ||
                         is(member.name, "tool_choice") || is(member.name, "parallel_tool_calls"));
            edit_member(member, idle || (is(member.name, "stream_options") && !facts_.stream));
        }
        close_run();
        if (edits_.force_stream_usage && facts_.stream && facts_.stream_options.empty() &&
            !dropped("stream_options")) {
            add("stream_options", R"({"include_usage":true})");
        }
        return finish();
    }

    std::string edit_embeddings() {
        for (const auto& member : facts_.members) {
            edit_member(member, is(member.name, "encoding_format") || is(member.name, "stream"));
        }
        close_run();
        return finish();
    }

  private:
    [[nodiscard]] bool dropped(std::string_view name) const { return contains(edits_.drop, name); }

    void edit_member(const ChatFacts::Member& member, bool gone) {
        std::string_view to = renamed(edits_, member.name);
        bool moved = to.data() != member.name.data() && to != member.name;
        if (gone || member.control || dropped(member.name) ||
            (moved && facts_.find(to) != nullptr)) {
            close_run();
            return;
        }
        const Span& whole = member.item.whole;
        const Span& value = member.item.value;
        if (!in_run_) {
            out_ += any_ ? "," : "";
            copied_ = whole.begin;
            in_run_ = any_ = true;
        }
        run_end_ = whole.end;
        if (moved) {
            json::write_string(replaced({whole.begin, value.begin}), to);
            out_ += ':';
        } else if (is(member.name, "model") && !edits_.model.empty()) {
            json::write_string(replaced(value), edits_.model);
        } else if (is(member.name, "stream_options") && edits_.force_stream_usage &&
                   !facts_.include_usage) {
            replaced(value) += with_usage(value.of(body_));
        } else if (is(member.name, "input") && facts_.input_is_string) {
            replaced(value).append(1, '[').append(value.of(body_)).append(1, ']');
        }
    }

    // Copies up to `span`, which is left out, and returns where its substitute goes.
    std::string& replaced(Span span) {
        out_ += body_.substr(copied_, span.begin - copied_);
        copied_ = span.end;
        return out_;
    }

    void close_run() {
        if (in_run_) {
            out_ += body_.substr(copied_, run_end_ - copied_);
            in_run_ = false;
        }
    }

    void add(std::string_view key, std::string_view raw) {
        out_ += any_ ? "," : "";
        any_ = true;
        json::write_string(out_, key);
        out_ += ':';
        out_ += raw;
    }

    std::string finish() {
        if (facts_.model_value.empty() && !edits_.model.empty()) {
            add("model", quoted(edits_.model));
        }
        for (const auto& [key, raw] : edits_.defaults) {
            std::string_view to = renamed(edits_, key);
            if (!is_set(facts_, key) && !is_set(facts_, to) && !dropped(key) && !dropped(to) &&
                !is_control_key(key)) {
                add(to, raw);
            }
        }
        out_ += '}';
        std::vector<std::string> nested;
        std::copy_if(edits_.drop.begin(), edits_.drop.end(), std::back_inserter(nested), is_nested);
        return nested.empty() ? std::move(out_) : drop_paths(std::move(out_), nested);
    }

    std::string_view body_;
    const ChatFacts& facts_;
    const ChatEdits& edits_;
    std::string out_;
    uint32_t copied_ = 0;   // in a run: the text before is in `out_` already
    uint32_t run_end_ = 0;  // in a run: behind its last member
    bool in_run_ = false;
    bool any_ = false;
};

void remove_tool_markers(std::string_view body, const ChatFacts& facts, Splice& splice) {
    Item tool;
    Item member;
    for (Walker tools(body, facts.tools); tools.next(tool);) {
        for (Walker walk(body, tool.value); walk.next(member);) {
            if (member.key == "cache_control") {
                splice.remove(tool.value, member);
            }
        }
    }
}

// What is inside messages and tools, mended before the top level is written. Empty: nothing to
// mend.
std::string mend_inside(std::string_view body, const ChatFacts& facts, const ChatEdits& edits) {
    Splice splice(body);
    if (MessageMender::needed(facts, edits) && !contains(edits.drop, "messages")) {
        MessageMender(body, facts, edits, splice).mend();
    }
    if (edits.copilot_cache_control && facts.tool_count > 0) {
        remove_tool_markers(body, facts, splice);
    }
    return splice.empty() ? std::string() : splice.apply();
}

Error bad_override(const Error& cause) {
    Error e = gateway_error(Kind::invalid_request,
                            "The request does not make sense any more after the overrides of a "
                            "fallback or of extra_body: " +
                                cause.message);
    e.param = cause.param;
    return e;
}

}  // namespace

Result<std::string> edit_chat_request(std::string_view body, const ChatFacts& facts,
                                      const ChatEdits& edits) {
    if (has_overrides(facts, edits)) {
        std::string set = set_members(body, facts, edits);
        auto again = scan_chat_request(set, facts.model);
        if (!again.ok()) {
            return bad_override(again.error());
        }
        ChatEdits rest = edits;
        rest.overrides.clear();
        return edit_chat_request(set, *again, rest);
    }
    if (std::string mended = mend_inside(body, facts, edits); !mended.empty()) {
        auto again = scan_chat_request(mended, facts.model);
        return again.ok() ? TopEditor(mended, *again, edits).edit_chat()
                          : Result<std::string>(again.error());
    }
    return TopEditor(body, facts, edits).edit_chat();
}

Result<std::string> edit_embeddings_request(std::string_view body, const ChatFacts& facts,
                                            const ChatEdits& edits) {
    if (has_overrides(facts, edits)) {
        std::string set = set_members(body, facts, edits);
        auto again = scan_embeddings_request(set, facts.model);
        if (!again.ok()) {
            return bad_override(again.error());
        }
        return TopEditor(set, *again, edits).edit_embeddings();
    }
    return TopEditor(body, facts, edits).edit_embeddings();
}

}  // namespace belay::protocols

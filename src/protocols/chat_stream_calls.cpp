// The tool calls of chat_stream.h: fragments find their call by id, or by index when they bring
// none.
#include <algorithm>

#include "protocols/chat_stream.h"
#include "protocols/raw_text.h"
#include "wire/json.h"

namespace belay::protocols {
namespace {

using raw::append;
using raw::append_whole;
using raw::write_int;

constexpr size_t kCallsMax = 1024;      // tool calls in one reply
constexpr size_t kWhiteSpaceMax = 500;  // seen: arguments that never end, all white space

struct Fragment {
    const Node* function = nullptr;
    std::string_view id, type;  // raw insides
    int64_t index = 0;
    bool custom = false;
};

Fragment read_fragment(const Tape& tape, const Node& node) {
    Fragment fragment;
    for (const Node& member : tape.children(node)) {
        std::string_view key = tape.key(member);
        if (key == "index") {
            fragment.index = tape.integer(member, 0);
        } else if (key == "id") {
            fragment.id = tape.inside(member);
        } else if (key == "type") {
            fragment.type = tape.inside(member);
        } else if (key == "function" && member.is_object()) {
            fragment.function = &member;
        } else if (key == "custom") {
            fragment.custom = member.is_object();
        }
    }
    return fragment;
}

}  // namespace

void ChatStreamMender::write_calls(const Tape& tape, const Node& calls, int64_t choice,
                                   std::string& out) {
    size_t before = out.size();
    append_whole(out, R"("tool_calls":[)");
    bool any = false;
    for (const Node& fragment : tape.children(calls)) {
        if (!fragment.is_object() || failed_) {
            continue;
        }
        size_t at = out.size();
        out += any ? "," : "";
        if (write_call(tape, fragment, choice, out)) {
            any = true;
        } else {
            out.resize(at);
        }
    }
    out += ']';
    if (!any) {
        out.resize(before);
    }
}

bool ChatStreamMender::write_call(const Tape& tape, const Node& node, int64_t choice,
                                  std::string& out) {
    Fragment fragment = read_fragment(tape, node);
    bool fresh = false;
    Call& call = find_call(choice, fragment.index, fragment.id, fresh);
    if (failed_) {
        return false;
    }
    out += R"({"index":)";
    write_int(out, call.index);
    if (fresh) {
        out += R"(,"id":")";
        out += call.id;  // raw, as it came
        out += R"(","type":")";
        out += fragment.type.empty() ? std::string_view("function") : fragment.type;
        out += '"';
    }
    bool says = fresh || fragment.custom;
    if (!fragment.custom) {
        out += R"(,"function":{)";
        says |= write_function(tape, fragment.function, call, out);
        out += '}';
    }
    for (const Node& member : tape.children(node)) {
        std::string_view key = tape.key(member);
        if (key != "index" && key != "id" && key != "type" && key != "function" &&
            !member.is_null()) {
            says = true;
            out += ',';
            out += tape.whole(member);
        }
    }
    out += '}';
    return says;
}

// True when the function said something: a name, arguments, an unknown member.
bool ChatStreamMender::write_function(const Tape& tape, const Node* function, Call& call,
                                      std::string& out) {
    bool says = false;
    bool arguments = false;
    for (const Node& member : function == nullptr ? tape.none() : tape.children(*function)) {
        std::string_view key = tape.key(member);
        bool empty = member.is_text() && !member.has_text();
        if (member.is_null() || (key == "name" && (call.named || empty))) {
            continue;
        }
        says |= !empty;
        call.named |= key == "name";
        if (key != "arguments") {
            append_whole(out, tape.whole(member));
            continue;
        }
        arguments = true;
        if (member.is_object()) {  // seen from local servers
            std::string text;
            json::write_string(text, tape.raw(member));
            append(out, "arguments", text);
        } else {
            watch_white_space(tape.inside(member));
            append_whole(out, tape.whole(member));
        }
    }
    if (!arguments) {
        append(out, "arguments", R"("")");
    }
    return says;
}

// A fragment with an id belongs to the call of that id, or starts one; without an id it belongs to
// the call that last used its index.
ChatStreamMender::Call& ChatStreamMender::find_call(int64_t choice, int64_t upstream_index,
                                                    std::string_view id, bool& fresh) {
    for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
        if (call->choice == choice &&
            (id.empty() ? call->upstream_index == upstream_index : call->id == id)) {
            return *call;
        }
    }
    if (calls_.size() == kCallsMax) {
        fail("The upstream makes more tool calls than can be kept", "upstream_malformed");
        return calls_.back();
    }
    fresh = true;
    Call call{choice, upstream_index, 0, std::string(id), false};
    call.index = std::count_if(calls_.begin(), calls_.end(),
                               [&](const Call& other) { return other.choice == choice; });
    if (call.id.empty()) {
        std::string text;
        json::write_string(text, "call_" + options_.id + "_" + std::to_string(calls_.size()));
        call.id = text.substr(1, text.size() - 2);
    }
    return calls_.emplace_back(std::move(call));
}

void ChatStreamMender::watch_white_space(std::string_view arguments) {
    size_t at = arguments.size();
    while (at > 0) {
        if (arguments[at - 1] == ' ') {
            at -= 1;
        } else if (at > 1 && arguments[at - 2] == '\\' &&
                   (arguments[at - 1] == 'n' || arguments[at - 1] == 't' ||
                    arguments[at - 1] == 'r')) {
            at -= 2;
        } else {
            break;
        }
    }
    white_space_ = at == 0 ? white_space_ + arguments.size() : arguments.size() - at;
    if (white_space_ > kWhiteSpaceMax) {
        fail("The upstream is sending endless white space inside tool arguments",
             "upstream_malformed");
    }
}

}  // namespace belay::protocols

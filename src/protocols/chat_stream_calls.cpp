// The tool calls of chat_stream.h: fragments find their call by id, or by index when they bring
// none.
#include <algorithm>

#include "protocols/chat_stream.h"
#include "protocols/raw_text.h"
#include "wire/json.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
using json::Type;
using json::Walker;
using raw::append;
using raw::append_whole;
using raw::inside;

constexpr size_t kCallsMax = 1024;      // tool calls in one reply
constexpr size_t kWhiteSpaceMax = 500;  // seen: arguments that never end, all white space

struct Fragment {
    Span function;
    std::string_view id, type;  // raw insides
    int64_t index = 0;
    bool custom = false;
};

Fragment read_fragment(std::string_view data, Span span) {
    Fragment fragment;
    Item item;
    for (Walker walk(data, span); walk.next(item);) {
        if (item.key == "index") {
            fragment.index = json::int_at(data, item.value, 0);
        } else if (item.key == "id") {
            fragment.id = inside(data, item.value);
        } else if (item.key == "type") {
            fragment.type = inside(data, item.value);
        } else if (item.key == "function" && item.type == Type::object) {
            fragment.function = item.value;
        } else if (item.key == "custom") {
            fragment.custom = item.type == Type::object;
        }
    }
    return fragment;
}

}  // namespace

void ChatStreamMender::write_calls(std::string_view data, Span calls, int64_t choice,
                                   std::string& out) {
    size_t before = out.size();
    if (!out.empty()) {
        out += ',';
    }
    out += R"("tool_calls":[)";
    bool any = false;
    Item fragment;
    for (Walker walk(data, calls); walk.next(fragment) && !failed_;) {
        if (fragment.type != Type::object) {
            continue;
        }
        size_t at = out.size();
        out += any ? "," : "";
        if (write_call(data, fragment.value, choice, out)) {
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

bool ChatStreamMender::write_call(std::string_view data, Span span, int64_t choice,
                                  std::string& out) {
    Fragment fragment = read_fragment(data, span);
    bool fresh = false;
    Call& call = find_call(choice, fragment.index, fragment.id, fresh);
    if (failed_) {
        return false;
    }
    out += R"({"index":)";
    out += std::to_string(call.index);
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
        says |= write_function(data, fragment.function, call, out);
        out += '}';
    }
    Item item;
    for (Walker walk(data, span); walk.next(item);) {
        if (item.key != "index" && item.key != "id" && item.key != "type" &&
            item.key != "function" && item.type != Type::null) {
            says = true;
            out += ',';
            out += item.whole.of(data);
        }
    }
    out += '}';
    return says;
}

// True when the function said something: a name, arguments, an unknown member.
bool ChatStreamMender::write_function(std::string_view data, Span function, Call& call,
                                      std::string& out) {
    bool says = false;
    bool arguments = false;
    Item item;
    for (Walker walk(data, function); walk.next(item);) {
        bool empty = item.type == Type::string && item.value.end - item.value.begin == 2;
        if (item.type == Type::null || (item.key == "name" && (call.named || empty))) {
            continue;
        }
        says |= !empty;
        call.named |= item.key == "name";
        arguments |= item.key == "arguments";
        if (item.key == "arguments" && item.type == Type::object) {  // seen from local servers
            std::string text;
            json::write_string(text, item.value.of(data));
            append(out, "arguments", text);
            continue;
        }
        if (item.key == "arguments") {
            watch_white_space(inside(data, item.value));
        }
        append_whole(out, item.whole.of(data));
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

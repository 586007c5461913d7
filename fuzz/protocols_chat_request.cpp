// Reads and edits any body as a chat request. Holds: the tape and json::validate() agree on what is
// JSON; an edited body is JSON, has no control key left and names the upstream's model; a
// translation is JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocols/convert.h"
#include "protocols/tape.h"

using namespace belay;
using namespace belay::protocols;

namespace {

void must(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_chat(const std::string& body) {
    auto value = json::parse(body);
    if (!value.ok()) {  // the reader of names below compares them unescaped
        must(json::validate(body).ok() ||
             value.error().message.find("duplicate") != std::string::npos);
        return;
    }
    must((*value)["model"].as_string() == "up");
    for (const auto& member : value->members()) {
        must(!is_control_key(member.key));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view body(reinterpret_cast<const char*>(data), size);
    auto facts = scan_chat_request(body);
    (void)scan_embeddings_request(body);
    if (!facts.ok()) {
        return 0;
    }
    ChatEdits edits;
    edits.model = "up";
    edits.drop = {"top_p", "tools[*].function.strict", "messages[0].x"};
    edits.rename = {{"max_tokens", "max_completion_tokens"}};
    edits.defaults = {{"temperature", "1"}};
    edits.force_stream_usage = edits.flatten_assistant_text = edits.drop_empty_content = true;
    edits.copilot_cache_control = edits.copilot_reasoning = true;
    if (auto chat = edit_chat_request(body, *facts, edits); chat.ok()) {
        check_chat(*chat);
    }
    edits.traits.thinking_budget_max = 32000;
    for (Api api : {Api::responses, Api::messages}) {
        if (auto request = build_upstream_request(api, body, *facts, edits); request.ok()) {
            must(json::parse(request->body).ok());
        }
    }
    return 0;
}

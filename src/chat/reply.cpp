#include "chat/reply.h"

#include <algorithm>

namespace belay::chat {
namespace {

void add_text(Reply& reply, Part::What what, const std::string& text) {
    if (reply.parts.empty() || reply.parts.back().what != what ||
        (what == Part::What::thinking && reply.parts.back().seal != Seal::none)) {
        reply.parts.emplace_back().what = what;
    }
    reply.parts.back().text += text;
}

// The pieces of this thought, if there were any, become the thought; else it stands by itself.
void close_thought(Reply& reply, const Event& event) {
    bool open = !reply.parts.empty() && reply.parts.back().what == Part::What::thinking &&
                reply.parts.back().seal == Seal::none;
    if (!open || event.redacted) {
        reply.parts.emplace_back().what = Part::What::thinking;
    }
    Part& part = reply.parts.back();
    if (part.text.empty()) {
        part.text = event.text;
    }
    part.seal = event.seal;
    part.proof = event.proof;
    part.redacted = event.redacted;
}

Part* find_call(Reply& reply, size_t index) {
    size_t seen = 0;
    for (auto& part : reply.parts) {
        if (part.what == Part::What::tool_use && seen++ == index) {
            return &part;
        }
    }
    return nullptr;
}

}  // namespace

void fold(Reply& reply, const Event& event) {
    switch (event.what) {
        case Event::What::start:
            reply.id = event.id;
            reply.model = event.model;
            break;
        case Event::What::text:
            add_text(reply, Part::What::text, event.text);
            break;
        case Event::What::reasoning:
            add_text(reply, Part::What::thinking, event.text);
            break;
        case Event::What::refusal:
            add_text(reply, Part::What::refusal, event.text);
            break;
        case Event::What::thought:
            close_thought(reply, event);
            break;
        case Event::What::tool_start: {
            Part& part = reply.parts.emplace_back();
            part.what = Part::What::tool_use;
            part.id = event.id;
            part.name = event.name;
            break;
        }
        case Event::What::tool_arguments:
            if (Part* call = find_call(reply, event.index)) {
                call->arguments += event.text;
            }
            break;
        case Event::What::tool_end:
            break;
        case Event::What::usage:
            reply.usage = event.usage;
            break;
        case Event::What::finish:
            reply.finish = event.finish;
            reply.raw_finish = event.raw_finish;
            break;
        case Event::What::error:
            reply.error = event.text;
            break;
        case Event::What::warning:
            reply.warnings.push_back(event.text);
            break;
    }
}

}  // namespace belay::chat

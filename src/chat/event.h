#pragma once
// The neutral stream: what an answer is made of, in the order it arrives. Every upstream protocol
// is read into these, every client protocol is written from them. A plain answer is their fold
// (chat/reply.h).
//
//   start  ( text | reasoning | thought | refusal | tool_start tool_arguments* tool_end )*
//          usage*  finish   |   error
#include <cstdint>
#include <string>

#include "chat/model.h"
#include "chat/usage.h"

namespace belay::chat {

enum class Finish : uint8_t { none, stop, length, tool_calls, content_filter };

struct Event {
    enum class What : uint8_t {
        start,           // id, model: of the upstream's reply
        text,            // text: a piece
        reasoning,       // text: a piece of visible reasoning
        thought,         // a whole thought is over: text (all of it), seal, proof, redacted
        refusal,         // text: a piece
        tool_start,      // index, id, name
        tool_arguments,  // index, text: a piece of JSON
        tool_end,        // index
        usage,           // usage: of the whole call so far
        finish,          // finish, raw_finish
        error,           // text: JSON {"error":{...}}
        warning,         // text: something was left out
    };
    What what = What::start;
    std::string text;
    std::string id, name, model;
    size_t index = 0;  // of the tool call within the reply
    Seal seal = Seal::none;
    std::string proof;
    bool redacted = false;
    Usage usage;
    Finish finish = Finish::none;
    std::string raw_finish;

    bool operator==(const Event&) const = default;
};

}  // namespace belay::chat

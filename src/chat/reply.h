#pragma once
// The neutral plain answer: the fold of a stream of events. The same parts in the same order
// whether the upstream streamed or not.
#include <optional>
#include <string>
#include <vector>

#include "chat/event.h"

namespace belay::chat {

struct Reply {
    std::string id;
    std::string model;
    std::vector<Part> parts;  // text, refusal, thinking, tool_use
    Finish finish = Finish::none;
    std::string raw_finish;
    std::optional<Usage> usage;
    std::string error;  // JSON {"error":{...}}; empty when there was none
    std::vector<std::string> warnings;

    bool operator==(const Reply&) const = default;
};

// Adds one event. Neighbouring pieces of one kind become one part.
void fold(Reply& reply, const Event& event);

}  // namespace belay::chat

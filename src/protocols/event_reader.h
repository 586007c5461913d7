#pragma once
// The reading half of an upstream protocol that is not the client's: its stream events and plain
// replies become neutral events. Implemented by openai_responses and anthropic_messages; driven by
// translated_stream. A reader keeps what it needs between events and is used for one reply.
#include <string_view>
#include <vector>

#include "chat/event.h"
#include "wire/json.h"

namespace belay::protocols {

class EventReader {
  public:
    virtual ~EventReader() = default;
    // One stream event; appends what it says. After a finish or error event nothing more comes.
    virtual void read(std::string_view name, const json::Value& data,
                      std::vector<chat::Event>& out) = 0;
    // A whole plain reply. False when it is none (and no error object either).
    [[nodiscard]] virtual bool read_plain(const json::Value& body,
                                          std::vector<chat::Event>& out) = 0;
    // The upstream's own end mark was seen.
    [[nodiscard]] virtual bool done() const = 0;
};

// `value` as the text of an error event: {"error":{...}}, whatever shape it came in.
[[nodiscard]] chat::Event error_event(const json::Value& value);

}  // namespace belay::protocols

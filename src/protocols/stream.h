#pragma once
// One interface for every reply stream, whatever the upstream speaks: SSE events of the upstream go
// in, complete frames of the client's protocol come out, and the facts the relay decides on beside
// them. The relay has one loop:
//
//   while (parser.next(event)) {
//       FrameFacts facts = stream->on_event(event.name, event.data, out);
//       if (!facts.error.empty()) { ... classify_event(facts.error) ... }   // nothing was appended
//       if (facts.content) { committed = true; }       // before that, `out` is held back
//   }
//   StreamEnd end = stream->on_end(out);               // once, when the upstream body is over
//
// Pure: no clock, no randomness (StreamOptions brings both). A stream is used once, by one loop.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/usage.h"

namespace belay::protocols {

// What an upstream is asked with.
enum class Api : uint8_t { chat, responses, messages, embeddings };
[[nodiscard]] std::string_view api_name(Api api);  // "chat", "responses", ...
[[nodiscard]] std::string_view api_path(
    Api api);  // "/chat/completions", "/responses", "/v1/messages", ...

// What one upstream event was. Views are valid until the next call.
struct FrameFacts {
    // The frame carries answer: text, reasoning, refusal, tool call or a finish. The commit point.
    // Frames without it (role, response.created, message_start, ping) are handshake: hold them.
    bool content = false;
    // A finish reason was in this frame; `finish_reason` is it in chat words ("stop", "length",
    // "tool_calls", "content_filter").
    bool finished = false;
    // The upstream said it is over ([DONE], response.completed, message_stop). The client's own end
    // mark is in `out` already, if the answer was whole. Later events are ignored.
    bool done = false;
    std::string_view finish_reason;
    // The usage so far, when this event told some. The last one told is the whole call's.
    std::optional<chat::Usage> usage;
    // Not empty: the event is an error; it is this JSON, always as {"error":{...}}. Nothing was
    // appended and the stream is over.
    std::string_view error;
    // The event is no JSON, or not of the protocol: broken upstream. `error` says what.
    bool malformed = false;
};

enum class Ended : uint8_t {
    complete,  // a finish reason was seen (or mended); the end mark was written
    cut,       // the body ended in the middle of the answer: no end mark; tell the client
    empty,     // the body ended, or said it was done, without any answer at all
    failed,    // an error event had ended it before
};

// Views are valid as long as the stream.
struct StreamEnd {
    Ended how = Ended::cut;
    std::optional<chat::Usage> usage;  // of the whole call, when the upstream told one
    std::string_view finish_reason;    // in chat words; empty when none was seen
    std::string_view upstream_model;   // as the upstream calls it in its reply; may be empty
    std::string_view id;               // the reply id that the client saw
};

struct StreamOptions {
    std::string model;    // the name to show in every frame
    std::string id;       // "chatcmpl-…": used when the upstream gives none (unique per request)
    int64_t created = 0;  // unix seconds, used when the upstream gives none
    bool include_usage = false;  // the client asked for the usage chunk
};

class ReplyStream {
  public:
    virtual ~ReplyStream() = default;
    // `name` is the SSE event name ("" when there was none). Appends zero or more whole frames.
    [[nodiscard]] virtual FrameFacts on_event(std::string_view name, std::string_view data,
                                              std::string& out) = 0;
    // The upstream body is over. Appends the end mark when the answer was whole and it is still
    // owed.
    [[nodiscard]] virtual StreamEnd on_end(std::string& out) = 0;
    // What could not be translated, for the trace. Grows while the stream runs.
    [[nodiscard]] virtual const std::vector<std::string>& warnings() const = 0;
};

// The stream of an upstream of any kind to a chat completions client. Not for Api::embeddings
// (returns nullptr).
[[nodiscard]] std::unique_ptr<ReplyStream> make_chat_stream(Api upstream, StreamOptions options);

}  // namespace belay::protocols

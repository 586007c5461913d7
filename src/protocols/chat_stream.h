#pragma once
// A chat completions stream on its way to a chat client, mended on the raw text. Copilot (and other
// upstreams that speak chat) leave the OpenAI shape in many small ways, seen on the wire:
//
//   - chunks without object, id, model, index; ids and models that are "" or change; role on every
//     chunk, or null; null members
//   - prompt_filter_results, content_filter_*, copilot_* members and chunks that hold nothing else
//   - tool calls: index 0 reused for a parallel call with a new id; a name without arguments;
//     id, type and name repeated; finish_reason "stop" although calls were made
//   - reasoning_text for reasoning_content; reasoning_opaque, which the client must send back
//   - usage of zeros on every chunk, usage on the finishing chunk, no finish_reason, no [DONE]
//   - errors inside the stream
//
// Each chunk is written anew from spans of the old one: known members in their place, unknown ones
// as they were. No document is built. What the client sees always is: one id, one created, one
// model, the role once, one finish per choice, usage only when asked for and then alone, [DONE]
// only after a finish.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/stream.h"
#include "wire/scan.h"

namespace belay::protocols {

class ChatStreamMender final : public ReplyStream {
  public:
    explicit ChatStreamMender(StreamOptions options) : options_(std::move(options)) {}

    [[nodiscard]] FrameFacts on_event(std::string_view name, std::string_view data,
                                      std::string& out) override;
    [[nodiscard]] StreamEnd on_end(std::string& out) override;
    [[nodiscard]] const std::vector<std::string>& warnings() const override { return warnings_; }

  private:
    // The parts of one chunk. `extra` holds top-level members that go through as they are.
    struct Chunk {
        json::Span id, created, model, choices, usage, copilot_usage, error, message, type, object;
    };
    struct Choice {
        json::Span delta, finish_reason;
        int64_t index = 0;
    };
    struct Call {
        int64_t choice = 0;
        int64_t upstream_index = 0;
        int64_t index = 0;  // the one shown
        std::string id;
        bool named = false;
    };
    // What the chunk being written turned out to hold.
    struct Written {
        bool anything = false;  // worth a frame
        bool content = false;
    };

    Chunk read_chunk(std::string_view data);
    FrameFacts on_chunk(std::string_view data, std::string& out);
    FrameFacts on_done(std::string& out);
    FrameFacts fail(std::string_view message, std::string_view code);
    FrameFacts fail_with(std::string_view data, json::Span error);
    [[nodiscard]] bool is_error(std::string_view data, const Chunk& chunk) const;

    void start(std::string_view data, const Chunk& chunk);
    Choice read_choice(std::string_view data, json::Span span);
    bool shares_index(std::string_view data, json::Span choices);
    void write_choice(std::string_view data, json::Span span, bool defer_finish, std::string& out,
                      FrameFacts& facts);
    Written write_delta(std::string_view data, const Choice& choice, std::string& out);
    void write_calls(std::string_view data, json::Span calls, int64_t choice, std::string& out);
    bool write_call(std::string_view data, json::Span span, int64_t choice, std::string& out);
    bool write_function(std::string_view data, json::Span function, Call& call, std::string& out);
    Call& find_call(int64_t choice, int64_t upstream_index, std::string_view id, bool& fresh);
    void watch_white_space(std::string_view arguments);
    std::string_view map_finish(std::string_view reason, int64_t choice);
    void write_finish(int64_t choice, std::string_view reason, std::string& out);
    void write_end(std::string& out);
    [[nodiscard]] bool whole() const;

    StreamOptions options_;
    std::string head_;  // `data: {"id":…,"object":…,"created":…,"model":…`
    std::string id_;
    std::string upstream_model_;
    std::string error_;
    std::string finish_;
    std::string frame_;      // the members of the choice being written
    std::string usage_raw_;  // the upstream's last usage object
    std::optional<chat::Usage> usage_;
    std::vector<json::Item> extra_;
    std::vector<Call> calls_;
    std::vector<std::string> warnings_;
    std::vector<std::pair<int64_t, std::string>> deferred_;
    uint64_t roles_ = 0;      // choices whose role was written, by index
    uint64_t open_ = 0;       // choices seen
    uint64_t finished_ = 0;   // choices with a finish
    size_t white_space_ = 0;  // trailing white space in the tool arguments
    bool content_ = false;
    bool done_ = false;
    bool failed_ = false;
};

}  // namespace belay::protocols

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

#include "protocols/chunk_pattern.h"
#include "protocols/stream.h"
#include "protocols/tape.h"

namespace belay::protocols {

class ChatStreamMender final : public ReplyStream {
  public:
    explicit ChatStreamMender(StreamOptions options) : options_(std::move(options)) {}

    [[nodiscard]] FrameFacts on_event(std::string_view name, std::string_view data,
                                      std::string& out) override;
    [[nodiscard]] StreamEnd on_end(std::string& out) override;
    [[nodiscard]] const std::vector<std::string>& warnings() const override { return warnings_; }

  private:
    // The parts of one chunk; nullptr when absent or null. `extra_` holds what goes through as it
    // is.
    struct Chunk {
        const Node* id = nullptr;
        const Node* created = nullptr;
        const Node* model = nullptr;
        const Node* choices = nullptr;
        const Node* usage = nullptr;
        const Node* copilot_usage = nullptr;
        const Node* error = nullptr;
        const Node* message = nullptr;
        const Node* type = nullptr;
        const Node* object = nullptr;
    };
    struct Choice {
        const Node* delta = nullptr;
        std::string_view finish_reason;  // raw
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

    // A stream repeats itself: most chunks differ from the one before in nothing but their text.
    // What stands around the text is kept, as it came in and as it was written; a chunk with the
    // same surroundings is written by copying three pieces. The four parts stand in `kept` one
    // behind the other: before and after the text in the chunk (quotes included), and in the frame.
    struct Last {
        std::string kept;
        uint32_t before = 0;  // sizes; 0 when the last chunk was no plain text
        uint32_t after = 0;
        uint32_t frame_before = 0;
    };
    [[nodiscard]] bool write_like_last(std::string_view data, std::string& out) const;
    [[nodiscard]] bool repeats(const FrameFacts& facts) const;
    void keep_last(std::string_view data, json::Span text, std::string_view frame,
                   size_t frame_text);
    // Chunks that come once in a stream are written as in the streams before (chunk_pattern.h).
    [[nodiscard]] bool write_known(std::string_view data, std::string& out, FrameFacts& facts);
    void keep_known(const Tape& tape, const Chunk& chunk, const ChoiceSets& before,
                    std::string_view out, size_t begin, const FrameFacts& facts) const;

    FrameFacts on_other_event(std::string_view name, std::string_view data, std::string& out);
    Chunk read_chunk(const Tape& tape);
    FrameFacts on_chunk(const Tape& tape, std::string& out);
    FrameFacts on_done(std::string& out);
    FrameFacts fail(std::string_view message, std::string_view code);
    FrameFacts fail_with(std::string_view error);  // its raw JSON
    [[nodiscard]] static bool is_error(const Tape& tape, const Chunk& chunk);

    void start(const Tape& tape, const Chunk& chunk);
    void start(std::string id, bool plain, std::string_view created);
    void take_usage(const chat::Usage& usage, std::string_view raw, FrameFacts& facts);
    [[nodiscard]] static Choice read_choice(const Tape& tape, const Node& node);
    [[nodiscard]] static bool shares_index(const Tape& tape, const Node& choices);
    void write_choice(const Tape& tape, const Node& node, bool defer_finish, std::string& out,
                      FrameFacts& facts);
    std::string_view take_finish(const Choice& choice, bool defer);
    Written write_delta(const Tape& tape, const Choice& choice, std::string& out);
    void write_member(const Tape& tape, const Node& node, const Choice& choice, bool first,
                      std::string& out, Written& written);
    void note_text(const Node& node, size_t end);
    void write_calls(const Tape& tape, const Node& calls, int64_t choice, std::string& out);
    bool write_call(const Tape& tape, const Node& fragment, int64_t choice, std::string& out);
    bool write_function(const Tape& tape, const Node* function, Call& call, std::string& out);
    Call& find_call(int64_t choice, int64_t upstream_index, std::string_view id, bool& fresh);
    void watch_white_space(std::string_view arguments);
    std::string_view map_finish(std::string_view reason, int64_t choice);
    void write_finish(int64_t choice, std::string_view reason, std::string& out);
    void write_end(std::string& out);
    [[nodiscard]] bool whole() const;

    StreamOptions options_;
    Last last_;         // the last chunk
    std::string head_;  // `data: {"id":…,"object":…,"created":…,"model":…`
    std::string id_;
    std::string upstream_model_;
    std::string error_;
    std::string finish_;
    std::string usage_raw_;  // the upstream's last usage object, when it will be shown
    std::optional<chat::Usage> usage_;
    // Of the chunk being written: how many texts it has, where the last one stands in it and in
    // what is written, whether everything else in it may come again as it is, and whether it holds
    // what hardly comes a second time.
    size_t texts_ = 0;
    json::Span text_;
    size_t frame_text_ = 0;
    bool plain_ = false;
    bool rare_ = false;
    std::vector<const Node*> extra_;
    std::vector<Call> calls_;
    std::vector<std::string> warnings_;
    std::vector<std::pair<int64_t, std::string>> deferred_;
    ChoiceSets choices_;
    size_t white_space_ = 0;  // trailing white space in the tool arguments
    bool content_ = false;
    bool done_ = false;
    bool failed_ = false;
};

}  // namespace belay::protocols

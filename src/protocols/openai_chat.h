#pragma once
// Chat completions ↔ the neutral model, the client's side: requests are read, replies and streams
// are written. Used when the upstream speaks something else; a chat upstream never comes here.
//
// What a chat client must send back so that an upstream can go on thinking travels in members that
// clients keep on assistant messages:
//   thinking_blocks   Anthropic's thinking with its signature, LiteLLM's name and shape
//   reasoning_opaque  "responses:" + encrypted_content, once per reasoning item
// reasoning_content is for people only and never goes upstream by itself.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/model.h"
#include "chat/reply.h"
#include "protocols/convert.h"
#include "protocols/stream.h"

namespace belay::protocols {

// `body` is a chat completions request whose control keys are gone already (edit_chat_request).
[[nodiscard]] Result<chat::Request> parse_chat_request(std::string_view body);

// The whole answer as a chat completion. Fails when it holds an error or is no answer at all.
[[nodiscard]] Result<PlainReply> render_chat_reply(const chat::Reply& reply,
                                                   const ReplyOptions& options);

// Writes the events of one answer as chat completion chunks.
class ChatFrames {
  public:
    explicit ChatFrames(StreamOptions options) : options_(std::move(options)) {}

    // Appends the frame that says this event, if it needs one. True when it carried answer.
    bool write(const chat::Event& event, std::string& out);
    // The usage chunk (when asked for) and [DONE].
    void write_end(const std::optional<chat::Usage>& usage, std::string& out);
    [[nodiscard]] const std::string& id() const { return id_; }

  private:
    void open(std::string& out);
    void write_delta(std::string_view members, std::string& out);
    void write_thought(const chat::Event& event, std::string& out);

    StreamOptions options_;
    std::string id_;
    bool role_written_ = false;
};

[[nodiscard]] std::string_view finish_name(chat::Finish finish);  // "stop", "tool_calls", ...

}  // namespace belay::protocols

#pragma once
// A plain chat completions reply on its way to a chat client, mended on the raw text like the
// stream (protocols/chat_stream.h): what the client gets is OpenAI's shape whichever way the
// upstream left it.
//
//   - no object, no index, a display name as model, copilot_* and content_filter_* members
//   - Claude: text and every tool call in a choice of its own; they are one message
//   - usage in LiteLLM's shape; an error object under status 200
#include <string_view>

#include "base/result.h"
#include "protocols/convert.h"

namespace belay::protocols {

[[nodiscard]] Result<PlainReply> mend_chat_reply(std::string_view body,
                                                 const ReplyOptions& options);

// What both plain mends share: the error of a 2xx body that is none of the protocol's replies.
[[nodiscard]] Error no_reply(std::string_view body, std::string_view expected);

}  // namespace belay::protocols

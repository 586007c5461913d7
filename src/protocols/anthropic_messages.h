#pragma once
// Anthropic Messages ↔ the neutral model, the upstream's side: requests are rendered, replies and
// streams are read. The grammar of the stream:
//
//   message_start  ( content_block_start content_block_delta* content_block_stop )*
//   message_delta* message_stop          ping and error may come anywhere
//
// Copilot's /v1/messages is stricter than Anthropic's own: no remote images, no empty text, no
// answer begun by the assistant, at most four cache breakpoints, thinking by budget or adaptive as
// the model has it, no $schema in tool schemas. Errors inside the stream may lack their type.
#include <memory>

#include "base/result.h"
#include "chat/model.h"
#include "protocols/chat_edit.h"
#include "protocols/convert.h"
#include "protocols/event_reader.h"

namespace belay::protocols {

// Fails with Kind::unsupported when the request holds something that cannot be said (remote
// images).
[[nodiscard]] Result<UpstreamRequest> render_messages_request(const chat::Request& request,
                                                              const ModelTraits& traits);

[[nodiscard]] std::unique_ptr<EventReader> make_messages_reader();

}  // namespace belay::protocols

#pragma once
// OpenAI Responses ↔ the neutral model, the upstream's side: requests are rendered, replies and
// streams are read. The grammar of the stream (event name = the `type` member):
//
//   response.created response.in_progress
//   ( response.output_item.added  <deltas and dones of the item>  response.output_item.done )*
//   response.completed | response.incomplete | response.failed | error
//
// Seen on Copilot's wire: every event names its item by another id (ids are encrypted anew each
// time), so items are known by `output_index` alone; reasoning summaries that come only inside the
// item's done; streams that just stop. Copilot is stateless over HTTP: store is false, the whole
// history goes, reasoning goes back as encrypted_content.
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "chat/model.h"
#include "protocols/chat_edit.h"
#include "protocols/convert.h"
#include "protocols/event_reader.h"

namespace belay::protocols {

[[nodiscard]] Result<UpstreamRequest> render_responses_request(const chat::Request& request,
                                                               const ModelTraits& traits);

[[nodiscard]] std::unique_ptr<EventReader> make_responses_reader();

// `wanted`, or the nearest of `offered` when the model does not have it. Empty when nothing is
// wanted.
[[nodiscard]] std::string nearest_effort(std::string_view wanted,
                                         const std::vector<std::string>& offered);

}  // namespace belay::protocols

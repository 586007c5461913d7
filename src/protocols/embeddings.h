#pragma once
// Embeddings replies on their way to the client. Copilot leaves out `object` and `model` and
// answers with floats even when base64 was asked for, which the official SDKs do by default; the
// numbers are encoded here as little-endian float32.
#include <string_view>

#include "base/result.h"
#include "protocols/convert.h"

namespace belay::protocols {

[[nodiscard]] Result<PlainReply> mend_embeddings_reply(std::string_view body,
                                                       const ReplyOptions& options);

}  // namespace belay::protocols

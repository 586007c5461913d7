#pragma once
// The front door of the protocol layer for a chat (or embeddings) client: whatever the upstream
// speaks, one call builds its request and one turns its whole reply back. Streams:
// protocols/stream.h.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/usage.h"
#include "protocols/chat_edit.h"
#include "protocols/chat_request.h"
#include "protocols/stream.h"

namespace belay::protocols {

struct UpstreamRequest {
    std::string body;
    std::vector<std::string> warnings;  // what could not cross, for the trace
};

// Chat → chat and embeddings → embeddings are edits of the raw text; the others are translations.
// Fails with Kind::unsupported or invalid_request when the request cannot be said in that API.
[[nodiscard]] Result<UpstreamRequest> build_upstream_request(Api upstream, std::string_view body,
                                                             const ChatFacts& facts,
                                                             const ChatEdits& edits);

struct ReplyOptions {
    std::string model;    // the name to show
    std::string id;       // used when the upstream gives none
    int64_t created = 0;  // used when the upstream gives none
    int64_t n = 1;        // choices the client asked for
    bool base64 = false;  // embeddings: the client asked for base64
    bool names = true;    // PlainReply::id and upstream_model are wanted
};

struct PlainReply {
    std::string body;  // in the client's protocol
    std::optional<chat::Usage> usage;
    std::string finish_reason;   // in chat words
    std::string upstream_model;  // as the upstream calls it
    std::string id;              // the reply id the client sees
    std::vector<std::string> warnings;
};

// An upstream's 2xx body. Fails with Kind::upstream_rejected when it is an error object in disguise
// (then classify the body itself), and Kind::upstream_malformed when it is no reply at all.
[[nodiscard]] Result<PlainReply> convert_plain_reply(Api upstream, std::string_view body,
                                                     const ReplyOptions& options);

}  // namespace belay::protocols

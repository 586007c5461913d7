#include "protocols/convert.h"

#include "protocols/anthropic_messages.h"
#include "protocols/chat_reply.h"
#include "protocols/embeddings.h"
#include "protocols/openai_chat.h"
#include "protocols/openai_responses.h"

namespace belay::protocols {
namespace {

// The client's body with every edit applied that does not belong to a chat upstream alone.
Result<chat::Request> read_request(std::string_view body, const ChatFacts& facts,
                                   const ChatEdits& edits) {
    ChatEdits neutral = edits;
    neutral.rename.clear();
    neutral.force_stream_usage = false;
    neutral.flatten_assistant_text = false;
    neutral.drop_empty_content = false;
    neutral.copilot_cache_control = false;
    neutral.copilot_reasoning = false;
    return parse_chat_request(TRY(edit_chat_request(body, facts, neutral)));
}

Result<PlainReply> translate_reply(EventReader& reader, std::string_view body,
                                   const ReplyOptions& options) {
    auto value = json::parse(body);
    std::vector<chat::Event> events;
    if (!value.ok() || !value->is_object() || !reader.read_plain(*value, events)) {
        return no_reply(body, "reply of the API it was asked with");
    }
    chat::Reply reply;
    for (const auto& event : events) {
        chat::fold(reply, event);
    }
    return render_chat_reply(reply, options);
}

}  // namespace

Result<UpstreamRequest> build_upstream_request(Api upstream, std::string_view body,
                                               const ChatFacts& facts, const ChatEdits& edits) {
    switch (upstream) {
        case Api::chat:
            return UpstreamRequest{TRY(edit_chat_request(body, facts, edits)), {}};
        case Api::embeddings:
            return UpstreamRequest{TRY(edit_embeddings_request(body, facts, edits)), {}};
        case Api::responses:
            return render_responses_request(TRY(read_request(body, facts, edits)), edits.traits);
        case Api::messages:
            return render_messages_request(TRY(read_request(body, facts, edits)), edits.traits);
    }
    return gateway_error(Kind::internal, "unknown upstream API");
}

Result<PlainReply> convert_plain_reply(Api upstream, std::string_view body,
                                       const ReplyOptions& options) {
    switch (upstream) {
        case Api::chat:
            return mend_chat_reply(body, options);
        case Api::embeddings:
            return mend_embeddings_reply(body, options);
        case Api::responses:
            return translate_reply(*make_responses_reader(), body, options);
        case Api::messages:
            return translate_reply(*make_messages_reader(), body, options);
    }
    return gateway_error(Kind::internal, "unknown upstream API");
}

}  // namespace belay::protocols

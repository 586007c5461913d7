#include "protocols/stream.h"

#include "protocols/anthropic_messages.h"
#include "protocols/chat_stream.h"
#include "protocols/openai_responses.h"
#include "protocols/translated_stream.h"

namespace belay::protocols {

std::string_view api_name(Api api) {
    switch (api) {
        case Api::chat:
            return "chat";
        case Api::responses:
            return "responses";
        case Api::messages:
            return "messages";
        case Api::embeddings:
            return "embeddings";
    }
    return "chat";
}

std::string_view api_path(Api api) {
    switch (api) {
        case Api::chat:
            return "/chat/completions";
        case Api::responses:
            return "/responses";
        case Api::messages:
            return "/v1/messages";
        case Api::embeddings:
            return "/embeddings";
    }
    return "/chat/completions";
}

std::unique_ptr<ReplyStream> make_chat_stream(Api upstream, StreamOptions options) {
    switch (upstream) {
        case Api::chat:
            return std::make_unique<ChatStreamMender>(std::move(options));
        case Api::responses:
            return std::make_unique<TranslatedStream>(make_responses_reader(), std::move(options));
        case Api::messages:
            return std::make_unique<TranslatedStream>(make_messages_reader(), std::move(options));
        case Api::embeddings:
            return nullptr;
    }
    return nullptr;
}

}  // namespace belay::protocols

#include "protocols/embeddings.h"

#include <bit>
#include <charconv>
#include <cstring>

#include "protocols/chat_reply.h"
#include "protocols/usage_json.h"
#include "wire/encoding.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
using json::Type;
using json::Walker;

std::string encode_floats(std::string_view body, Span array) {
    std::string bytes;
    bytes.reserve((array.end - array.begin) / 2);
    Item item;
    for (Walker walk(body, array); walk.next(item);) {
        std::string_view text = item.value.of(body);
        float value = 0;
        (void)std::from_chars(text.data(), text.data() + text.size(), value);
        auto bits = std::bit_cast<uint32_t>(value);
        for (int shift = 0; shift < 32; shift += 8) {
            bytes += static_cast<char>(bits >> shift & 0xff);
        }
    }
    return base64_encode(bytes);
}

void write_row(std::string& out, std::string_view body, Span row, int64_t position, bool base64) {
    out += R"({"object":"embedding","index":)";
    Span index = json::member(body, row, "index");
    out += std::to_string(index.empty() ? position : json::int_at(body, index, position));
    Item item;
    for (Walker walk(body, row); walk.next(item);) {
        if (item.key == "object" || item.key == "index" || item.type == Type::null) {
            continue;
        }
        out += ',';
        if (item.key == "embedding" && base64 && item.type == Type::array) {
            out += R"("embedding":")";
            out += encode_floats(body, item.value);
            out += '"';
        } else {
            out += item.whole.of(body);
        }
    }
    out += '}';
}

}  // namespace

Result<PlainReply> mend_embeddings_reply(std::string_view body, const ReplyOptions& options) {
    if (!json::validate(body, {.depth = 64, .members = 4'000'000}).ok() ||
        json::type_at(body, json::root(body)) != Type::object) {
        return no_reply(body, "list of embeddings");
    }
    Item data, usage, copilot_usage, model, error;
    std::string extra;
    Item item;
    for (Walker walk(body, json::root(body)); walk.next(item);) {
        if (item.key == "data") {
            data = item;
        } else if (item.key == "usage") {
            usage = item;
        } else if (item.key == "copilot_usage") {
            copilot_usage = item;
        } else if (item.key == "model") {
            model = item;
        } else if (item.key == "error" && item.type != Type::null) {
            error = item;
        } else if (item.key != "object" && item.type != Type::null) {
            extra += ',';
            extra += item.whole.of(body);
        }
    }
    if (data.type != Type::array) {
        return error.whole.empty()
                   ? no_reply(body, "list of embeddings")
                   : upstream_error(Kind::upstream_rejected, "The upstream answered with an error");
    }
    PlainReply reply;
    std::string scratch;
    if (model.type == Type::string) {
        reply.upstream_model = json::string_at(body, model.value, scratch);
    }
    reply.usage = read_chat_usage(body, usage.value, copilot_usage.value);
    std::string& out = reply.body;
    out.reserve(body.size() + 128);
    out += R"({"object":"list","data":[)";
    int64_t position = 0;
    for (Walker rows(body, data.value); rows.next(item); position++) {
        out += position == 0 ? "" : ",";
        write_row(out, body, item.value, position, options.base64);
    }
    out += R"(],"model":)";
    json::write_string(out, options.model.empty() ? reply.upstream_model : options.model);
    out += R"(,"usage":{"prompt_tokens":)";
    chat::Usage told = reply.usage.value_or(chat::Usage{});
    out += std::to_string(told.prompt());
    out += R"(,"total_tokens":)";
    out += std::to_string(told.total());
    out += '}' + extra + '}';
    return reply;
}

}  // namespace belay::protocols

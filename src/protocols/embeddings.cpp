#include "protocols/embeddings.h"

#include <bit>
#include <charconv>
#include <cstring>

#include "protocols/chat_reply.h"
#include "protocols/raw_text.h"
#include "protocols/usage_json.h"
#include "wire/encoding.h"

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
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

void write_row(std::string& out, const Tape& tape, const Node& row, int64_t position, bool base64) {
    const Node* index = tape.find(row, "index");
    out += R"({"object":"embedding","index":)";
    raw::write_int(out, index == nullptr ? position : tape.integer(*index, position));
    for (const Node& node : tape.children(row)) {
        std::string_view key = tape.key(node);
        if (key == "object" || key == "index" || node.is_null()) {
            continue;
        }
        out += ',';
        if (key == "embedding" && base64 && node.is_array()) {
            out += R"("embedding":")";
            out += encode_floats(tape.text(), node.value());
            out += '"';
        } else {
            out += tape.whole(node);
        }
    }
    out += '}';
}

constexpr unsigned kDepthKept = 3;          // the members of a row, not its numbers
constexpr size_t kNumbersMax = 16'000'000;  // 4096 dimensions times many inputs

}  // namespace

Result<PlainReply> mend_embeddings_reply(std::string_view body, const ReplyOptions& options) {
    Tape& tape = scratch_tape();
    if (!tape.read(body, Tape::Twins::ignored, kDepthKept, kNumbersMax) ||
        !tape.root().is_object()) {
        return no_reply(body, "list of embeddings");
    }
    const Node* data = tape.find(tape.root(), "data");
    if (data == nullptr || !data->is_array()) {
        const Node* error = tape.find(tape.root(), "error");
        return error == nullptr || error->is_null()
                   ? no_reply(body, "list of embeddings")
                   : upstream_error(Kind::upstream_rejected, "The upstream answered with an error");
    }
    PlainReply reply;
    std::string scratch;
    if (const Node* model = tape.find(tape.root(), "model")) {
        reply.upstream_model = json::string_at(body, model->value(), scratch);
    }
    reply.usage = read_chat_usage(tape, tape.find(tape.root(), "usage"),
                                  tape.find(tape.root(), "copilot_usage"));
    std::string& out = reply.body;
    out.reserve(body.size() + 128);
    out += R"({"object":"list","data":[)";
    int64_t position = 0;
    for (const Node& row : tape.children(*data)) {
        out += position == 0 ? "" : ",";
        write_row(out, tape, row, position++, options.base64);
    }
    out += R"(],"model":)";
    json::write_string(out, options.model.empty() ? reply.upstream_model : options.model);
    out += R"(,"usage":{"prompt_tokens":)";
    chat::Usage told = reply.usage.value_or(chat::Usage{});
    raw::write_int(out, told.prompt());
    out += R"(,"total_tokens":)";
    raw::write_int(out, told.total());
    out += '}';
    for (const Node& node : tape.children(tape.root())) {
        std::string_view key = tape.key(node);
        if (!node.is_null() && key != "object" && key != "data" && key != "model" &&
            key != "usage" && !raw::is_noise(key)) {
            out += ',';
            out += tape.whole(node);
        }
    }
    out += '}';
    return reply;
}

}  // namespace belay::protocols

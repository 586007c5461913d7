// Chunked bodies: any split of the bytes gives the same body, end and refusal; nothing behind the
// end is consumed; a body that is written is read back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "wire/http.h"

using namespace belay::http;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

struct Read {
    ChunkedReader::State state = ChunkedReader::State::more;
    std::string body;
    size_t consumed = 0;
    bool operator==(const Read&) const = default;
};

Read read(std::string_view text, std::string_view sizes) {
    ChunkedReader reader;
    Read out;
    for (size_t turn = 0; !text.empty() && out.state == ChunkedReader::State::more; ++turn) {
        const size_t want = sizes.empty()
                                ? text.size()
                                : static_cast<unsigned char>(sizes[turn % sizes.size()]) % 32 + 1;
        const size_t size = std::min(want, text.size());
        const std::unique_ptr<char[]> exact(new char[size]);
        text.copy(exact.get(), size);
        text.remove_prefix(size);
        std::string_view piece(exact.get(), size);
        while (!piece.empty() && out.state == ChunkedReader::State::more) {
            const ChunkedReader::Step step = reader.feed(piece);
            require(step.consumed <= piece.size());
            require(step.consumed != 0 || step.state != ChunkedReader::State::more);
            require(step.data.empty() ||
                    (step.data.data() >= piece.data() &&
                     step.data.data() + step.data.size() <= piece.data() + step.consumed));
            out.state = step.state;
            out.body += step.data;
            out.consumed += step.consumed;
            piece.remove_prefix(step.consumed);
        }
    }
    return out;
}

// The same through pack(), all of the text in one buffer.
Read read_packed(std::string_view text) {
    ChunkedReader reader;
    const std::unique_ptr<char[]> exact(new char[text.size()]);
    text.copy(exact.get(), text.size());
    const ChunkedReader::Packed packed = reader.pack(exact.get(), text.size());
    require(packed.body <= packed.consumed && packed.consumed <= text.size());
    return {packed.state, std::string(exact.get(), packed.body), packed.consumed};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string_view sizes = input.substr(0, std::min<size_t>(4, size));
    const std::string_view text = input.substr(sizes.size());
    const Read whole = read(text, {});
    require(read(text, sizes) == whole);
    require(read(text, std::string_view("\0", 1)) == whole);
    const Read packed = read_packed(text);
    require(packed.state == whole.state && packed.body == whole.body);
    require(packed.consumed == whole.consumed);
    if (whole.state == ChunkedReader::State::done) {
        const Read exact = read(text.substr(0, whole.consumed), sizes);
        require(exact == whole);
    }
    std::string written;
    for (size_t at = 0; at < text.size(); at += 37) {
        write_chunk(written, text.substr(at, 37));
    }
    written += kLastChunk;
    const Read back = read(written + "GET /", sizes);
    require(back.state == ChunkedReader::State::done && back.body == text &&
            back.consumed == written.size());
    return 0;
}

// Event streams: any split of the bytes gives the same events and the same failure.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "wire/sse.h"

using namespace belay;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

constexpr size_t kMaxEvent = 200;

// All events in one text, and whether the stream failed. Piece lengths come from `sizes`, in turn.
std::string read(std::string_view text, std::string_view sizes) {
    sse::Parser parser(kMaxEvent);
    sse::Event event;
    std::string out;
    const auto drain = [&] {
        while (parser.next(event)) {
            require(event.data.size() <= kMaxEvent);
            out.append(event.name).append("\x1f").append(event.data).append("\x1e");
        }
    };
    for (size_t turn = 0; !text.empty(); ++turn) {
        const size_t want = sizes.empty()
                                ? text.size()
                                : static_cast<unsigned char>(sizes[turn % sizes.size()]) % 64 + 1;
        const size_t size = std::min(want, text.size());
        // An exact copy that is gone before the next piece: overreads and stale views are seen.
        const std::unique_ptr<char[]> piece(new char[size]);
        text.copy(piece.get(), size);
        text.remove_prefix(size);
        if (!parser.feed({piece.get(), size}).ok()) {
            break;
        }
        drain();
    }
    parser.finish();
    drain();
    return out + (parser.failed() ? "failed" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string_view sizes = input.substr(0, std::min<size_t>(8, size));
    const std::string_view text = input.substr(sizes.size());
    const std::string whole = read(text, {});
    require(read(text, sizes) == whole);
    require(read(text, std::string_view("\0", 1)) == whole);
    return 0;
}

// Any bytes as the SSE body of a chat upstream, heard by a chat client (see protocols_stream.h).
// Chunks that are written by copying, from the last one or from earlier streams, are heard as if
// they had been taken apart: those with an event name, here one of no meaning, always are.
#include "protocols/chunk_pattern.h"
#include "protocols_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace belay::protocols;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const fuzz::Heard apart = fuzz::play(Api::chat, bytes, size + 1, "message");
    // With what earlier inputs left, then with what this one leaves.
    fuzz::must(fuzz::play(Api::chat, bytes, size + 1) == apart);
    chunk_patterns() = {};
    fuzz::must(fuzz::play(Api::chat, bytes, size + 1) == apart);
    return fuzz::run(Api::chat, data, size);
}

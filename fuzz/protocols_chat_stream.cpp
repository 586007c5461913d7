// Any bytes as the SSE body of a chat upstream, heard by a chat client (see protocols_stream.h).
#include "protocols_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return belay::protocols::fuzz::run(belay::protocols::Api::chat, data, size);
}

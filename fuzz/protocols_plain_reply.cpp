// Any bytes as an upstream's plain reply. Holds: what comes out is JSON that fits no less than one
// choice (or row); whatever fails says so as the upstream's fault.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocols/convert.h"
#include "protocols/tape.h"

using namespace belay;
using namespace belay::protocols;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view body(reinterpret_cast<const char*>(data), size);
    for (Api api : {Api::chat, Api::responses, Api::messages, Api::embeddings}) {
        auto reply = convert_plain_reply(api, body, {"shown", "chatcmpl-1", 1, 1, true});
        if (!reply.ok()) {
            if (reply.error().origin != Origin::upstream) {
                std::abort();
            }
            continue;
        }
        Tape tape;
        if (!tape.read(reply->body, Tape::Twins::ignored) || !tape.root().is_object()) {
            std::abort();
        }
    }
    return 0;
}

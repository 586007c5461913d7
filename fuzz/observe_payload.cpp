// Bodies and streams of any bytes become JSON texts that are bounded, and never end the program.
#include <cstdlib>
#include <string_view>

#include "observe/otlp.h"
#include "observe/payload_text.h"
#include "wire/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace belay;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const observe::Redaction redaction({"[0-9]{3,}", "secret|key"});
    for (const auto& kept : {observe::shape_body(text, size, redaction, 64),
                             observe::shape_stream(text, size, redaction, 64)}) {
        if (!json::parse(kept).ok()) {
            std::abort();
        }
    }
    (void)observe::parse_traceparent(text);
    return 0;
}

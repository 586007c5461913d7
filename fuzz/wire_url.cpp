// URLs, paths and escapes: what is accepted is accepted again when printed, and means the same; a
// safe path stays safe and in one piece when it is decoded.
#include <cstdint>
#include <cstdlib>

#include "wire/encoding.h"
#include "wire/url.h"

using namespace belay;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto url = parse_url(text); url.ok()) {
        const auto again = parse_url(url.value().origin() + url.value().target());
        require(again.ok());
        require(again.value().origin() == url.value().origin());
        require(again.value().target() == url.value().target());
        require(url.value().port != 0);
        const Url joined = join(url.value(), "/v1/models");
        require(joined.path.ends_with("/v1/models") && joined.host == url.value().host);
    }
    if (const auto path = safe_path(text); path.ok()) {
        const std::string plain = percent_decode(path.value());
        require(plain.find("/../") == plain.npos && plain.find("//") == plain.npos);
        require(plain.find('\0') == plain.npos && plain.find(';') == plain.npos);
    }
    require(percent_decode(percent_encode(text)) == text);
    require(query_value("k=" + percent_encode(text), "k") == text);
    (void)parse_form(text);
    (void)is_loopback_host(text);
    require(base64_decode(base64_encode(text)).value() == text);
    if (const auto bytes = base64_decode(text); bytes.ok()) {
        std::string_view unpadded = text;
        while (unpadded.ends_with('=')) {
            unpadded.remove_suffix(1);
        }
        require(base64_encode(bytes.value()).substr(0, unpadded.size()) == unpadded);
    }
    std::string out;
    (void)Inflater(1 << 20).feed(text, out);
    return 0;
}

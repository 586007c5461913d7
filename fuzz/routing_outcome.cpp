// classify() and classify_event() on any bytes: no crash, and only text that may be sent to a
// client. The first two bytes choose status and path; a NUL separates a retry-after value from the
// body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "routing/outcome.h"
#include "wire/json.h"

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check(const belay::routing::Outcome& out) {
    using belay::routing::Cause;
    require(out.message.size() <= 2048);
    require(belay::json::parse(belay::json::dump(belay::json::Value(out.message))).ok());
    require(belay::json::parse(belay::json::dump(belay::json::Value(out.code))).ok());
    require(out.cause != Cause::bad_parameter || !out.param.empty());
    require(!out.retry_after || out.retry_after->count() >= 0);
    (void)belay::routing::to_error(out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) {
        return 0;
    }
    static constexpr int kStatuses[] = {200, 200, 400, 401, 402, 403, 404, 408, 413, 421,
                                        422, 424, 429, 466, 500, 502, 503, 529, 204, 302};
    static constexpr std::string_view kPaths[] = {"/chat/completions", "/responses",
                                                  "/v1/messages"};
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    const size_t cut = text.find('\0');
    const std::string_view stated = cut == std::string_view::npos ? "" : text.substr(0, cut);
    const belay::Wall now = belay::from_unix_seconds(1'790'000'000);
    belay::routing::ReplyFacts reply;
    reply.status = kStatuses[data[0] % std::size(kStatuses)];
    reply.path = kPaths[data[1] % std::size(kPaths)];
    reply.body = cut == std::string_view::npos ? text : text.substr(cut + 1);
    reply.headers = {{"retry-after", std::string(stated)},
                     {"x-quota-snapshot-premium_models", std::string(stated)},
                     {"x-usage-ratelimit-weekly", std::string(stated)}};
    check(belay::routing::classify(reply, now));
    check(belay::routing::classify_event(reply.body, now));
    return 0;
}

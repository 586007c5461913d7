#include "base/error.h"

namespace belay {

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::invalid_request:
            return "invalid_request";
        case Kind::unauthenticated:
            return "unauthenticated";
        case Kind::forbidden:
            return "forbidden";
        case Kind::not_found:
            return "not_found";
        case Kind::too_large:
            return "too_large";
        case Kind::unsupported:
            return "unsupported";
        case Kind::rate_limited:
            return "rate_limited";
        case Kind::budget_exhausted:
            return "budget_exhausted";
        case Kind::context_overflow:
            return "context_overflow";
        case Kind::content_refused:
            return "content_refused";
        case Kind::upstream_rejected:
            return "upstream_rejected";
        case Kind::upstream_malformed:
            return "upstream_malformed";
        case Kind::upstream_unavailable:
            return "upstream_unavailable";
        case Kind::timeout:
            return "timeout";
        case Kind::cancelled:
            return "cancelled";
        case Kind::internal:
            return "internal";
    }
    return "internal";
}

std::string_view origin_name(Origin origin) {
    switch (origin) {
        case Origin::caller:
            return "caller";
        case Origin::gateway:
            return "gateway";
        case Origin::upstream:
            return "upstream";
    }
    return "gateway";
}

}  // namespace belay

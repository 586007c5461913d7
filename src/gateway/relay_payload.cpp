// The part of a call that tells others than the ledger: the record, and bodies where they are kept.
#include "gateway/relay.h"

namespace belay::gateway {

void Call::begin_payload() {
    scratch_->payload = std::make_unique<ledger::Payload>();
    scratch_->payload->put_request(request_.body);
}

void Call::tell_observer() {
    if (services_.observer == nullptr ||
        (!services_.observer->wants_records() && scratch_->payload == nullptr)) {
        return;
    }
    if (scratch_->payload != nullptr) {
        scratch_->payload->stream = stream_;
    }
    services_.observer->take(record_, trace_, scratch_->traceparent, std::move(scratch_->payload));
}

}  // namespace belay::gateway

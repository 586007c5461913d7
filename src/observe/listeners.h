#pragma once
// The listeners that send what they hear to somebody: spans and metrics to an OpenTelemetry
// collector, log payloads to LiteLLM's generic_api receiver.
#include <memory>

#include "observe/batch_sink.h"
#include "observe/hub.h"

namespace belay::observe {

[[nodiscard]] std::unique_ptr<Listener> make_otlp(const OtlpSettings& settings,
                                                  BatchSink::Post post, Hub::Ports::Gather gather);
[[nodiscard]] std::unique_ptr<Listener> make_generic(const GenericSettings& settings, Names names,
                                                     BatchSink::Post post);

// A sink's counters, under LiteLLM's name for failures and ours.
void collect_sink(std::vector<Family>& into, const BatchSink& sink);

}  // namespace belay::observe

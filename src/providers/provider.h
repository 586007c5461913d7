#pragma once
// What an upstream needs to be asked: which of its APIs, at which address, with which header lines
// and which edits of the body. One file per upstream implements Provider; registry.h lists them.
// Pure but for what Learned remembers: no clock, no socket, no randomness; ids and times are
// arguments.
//
//   auto prepared = provider.prepare(job);              // for every attempt
//   ... build_upstream_request(prepared.api, body, facts, prepared.edits), exchange ...
//   provider.learn(job, prepared.api, outcome);         // after an attempt that failed
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "accounts/catalogue.h"
#include "accounts/credential.h"
#include "base/result.h"
#include "protocols/chat_edit.h"
#include "protocols/chat_request.h"
#include "protocols/stream.h"
#include "routing/outcome.h"
#include "routing/table.h"
#include "wire/url.h"

namespace belay::providers {

// How this attempt must differ from the plain one, because of what the last one was told.
struct Adjustments {
    std::optional<protocols::Api> avoid;  // the API that was refused (wrong_endpoint)
    std::vector<std::string> strip;       // members refused: dropped whatever the rules say
    std::vector<std::pair<std::string, std::string>> rename;  // members to send by another name
    bool force_vision = false;    // the upstream missed the vision header
    bool no_api_version = false;  // X-GitHub-Api-Version was refused (466)
};

// Everything prepare() looks at. References live as long as the call.
struct Job {
    const routing::Deployment& deployment;
    std::string_view upstream_model;  // wildcard already replaced, no provider prefix
    const protocols::ChatFacts& facts;
    std::string_view body;                             // the client's, validated
    protocols::Api client = protocols::Api::chat;      // chat or embeddings
    const json::Value* overrides = nullptr;            // of a fallback entry
    const accounts::Credential* credential = nullptr;  // null: deployment.api_key
    const accounts::Model* model =
        nullptr;                         // catalogue entry of upstream_model; null: none at hand
    std::string_view request_id;         // for X-Request-Id
    std::string_view interaction_id;     // groups the calls of one user turn; may be empty
    std::string_view inbound_initiator;  // the client's own X-Initiator header; may be empty
    std::string_view inbound_beta;       // the client's anthropic-beta header; may be empty
    bool repeat = false;       // any attempt but a request's first: never poses as the user
    bool drop_params = false;  // litellm_settings.drop_params
    int64_t output_cap = 0;    // tokens that the caller's budget still pays for; 0 = no such bound
    Adjustments adjust;
    Mono now{};
};

struct Prepared {
    protocols::Api api = protocols::Api::chat;
    std::shared_ptr<const Url> base;  // scheme, host and port to connect to
    std::string target;               // path and query
    // "Name: value\r\n"... without Host, Content-Length, Connection and Accept-Encoding. Holds the
    // bearer token: it goes to the socket and nowhere else. Own::lines come behind these.
    std::string header_lines;
    protocols::ChatEdits edits;
    // False when a lesson that was learned took part: it is forgotten after a while.
    bool lasting = true;
    std::vector<std::string> warnings;  // parameters dropped or changed, for the trace
};

// What is one request's own, however much it is like others.
struct Own {
    protocols::Initiator initiator = protocols::Initiator::user;  // as told upstream
};

class Provider {
  public:
    virtual ~Provider() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    // True when attempts need accounts::Credential instead of an API key.
    [[nodiscard]] virtual bool needs_account() const = 0;
    // The environment variable that holds the key when `api_key` is not configured; "" = none. Read
    // by whoever builds the configuration, never here.
    [[nodiscard]] virtual std::string_view key_env() const { return {}; }
    // The upstream's own spelling of a model's name: what its catalogue lists and its body takes
    // ("claude-opus-4-6" -> "claude-opus-4.6" for Copilot). Others are returned as they are.
    [[nodiscard]] virtual std::string canonical_model(std::string_view model) const {
        return std::string(model);
    }
    // Fails with Kind::invalid_request (too many tools, UnsupportedParamsError) or with
    // Kind::unauthenticated of Origin::gateway when no credential is configured.
    // Ids and the initiator are not looked at: see add_own().
    [[nodiscard]] virtual Result<Prepared> prepare(const Job& job) = 0;
    // Appends the header lines that are this request's alone.
    [[nodiscard]] virtual Own add_own(const Job& job, std::string& lines) const {
        (void)lines;
        return {job.facts.initiator};
    }
    // A number that changes when learn() has learned.
    [[nodiscard]] virtual uint64_t lessons() const = 0;
    // Remembers for a while what a failed attempt taught: a parameter the model refuses, a
    // parameter under another name, an API it does not serve. Thread-safe; cheap when there is
    // nothing to learn.
    virtual void learn(const Job& job, protocols::Api api, const routing::Outcome& outcome) = 0;
};

}  // namespace belay::providers

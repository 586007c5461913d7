#include "gateway/relay.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/ids.h"
#include "gateway/auth.h"
#include "gateway/lines.h"
#include "ledger/price.h"
#include "protocols/error_body.h"
#include "wire/scan.h"

namespace belay::gateway {
namespace {

using routing::Cause;
using routing::Outcome;

// Bounds when nothing was configured (reasoning models think for minutes before their first byte).
constexpr double kPlainTotal = 600;
constexpr double kStreamFirstByte = 300;
constexpr seconds kStreamIdle{300};
constexpr seconds kErrorBody{10};
constexpr size_t kMaxErrorBody = 64 << 10;
constexpr size_t kMaxPlainReply = 64 << 20;
constexpr size_t kMaxFixedLines = 64;
constexpr size_t kMaxSpare = 64;  // records kept for reuse, per loop
const Outcome kSuccess;
constexpr size_t kMaxFrames = 64 << 10;  // memory kept for the next stream's frames
constexpr size_t kMaxHeld = 1 << 20;     // handshake frames kept back before the first content

std::optional<double> parse_seconds(std::string_view text) {
    if (text.empty() || text.size() > 31) {
        return std::nullopt;
    }
    char buffer[32];
    text.copy(buffer, text.size());
    buffer[text.size()] = '\0';
    char* end = nullptr;
    const double value = std::strtod(buffer, &end);
    if (end == buffer || *end != '\0' || !std::isfinite(value) || value <= 0) {
        return std::nullopt;
    }
    return value;
}

// As Python prints a float: "1.0", "0.25".
std::string render_seconds(double s) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, s).ptr;
    std::string out(text, end);
    return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

milliseconds to_ms(double s) {
    return milliseconds(static_cast<int64_t>(std::min(s, 86'400.0) * 1000.0) + 1);
}

// A failure below the upstream's words: no answer, a broken one, or ours.
Outcome outcome_of(const Error& error) {
    Outcome outcome;
    outcome.message = error.message;
    outcome.code = error.code;
    outcome.status = error.upstream_status;
    outcome.retry_after = error.retry_after;
    switch (error.kind) {
        case Kind::timeout:
            outcome.cause = Cause::timeout;
            break;
        case Kind::cancelled:
            outcome.cause = Cause::cancelled;
            break;
        case Kind::upstream_malformed:
            outcome.cause = Cause::malformed;
            break;
        case Kind::too_large:
            outcome.cause = Cause::malformed;
            break;
        case Kind::unauthenticated:
        case Kind::upstream_rejected:
            outcome.cause = Cause::auth;
            break;
        case Kind::forbidden:
            outcome.cause = Cause::forbidden;
            break;
        case Kind::invalid_request:
        case Kind::unsupported:
            outcome.cause = Cause::bad_request;
            break;
        case Kind::context_overflow:
            outcome.cause = Cause::context_too_long;
            break;
        case Kind::content_refused:
            outcome.cause = Cause::content_refused;
            break;
        case Kind::rate_limited:
            outcome.cause = Cause::rate_limited;
            break;
        case Kind::budget_exhausted:
            outcome.cause = Cause::quota_month;
            break;
        case Kind::not_found:
            outcome.cause = Cause::not_found;
            break;
        case Kind::upstream_unavailable:
        case Kind::internal:
            outcome.cause = Cause::connection;
            break;
    }
    if (error.code == net::kStaleConnection) {
        outcome.cause = Cause::stale_connection;
    } else if (error.code == "copilot_sign_in_required") {
        outcome.cause = Cause::auth;
    }
    return outcome;
}

ledger::Api ledger_api(protocols::Api api) {
    switch (api) {
        case protocols::Api::chat:
            return ledger::Api::chat;
        case protocols::Api::responses:
            return ledger::Api::responses;
        case protocols::Api::messages:
            return ledger::Api::messages;
        case protocols::Api::embeddings:
            return ledger::Api::embeddings;
    }
    return ledger::Api::other;
}

std::optional<std::vector<routing::FallbackTarget>> to_targets(
    const std::optional<json::Value>& list) {
    if (!list || !list->is_array()) {
        return std::nullopt;
    }
    std::vector<routing::FallbackTarget> targets;
    for (const auto& item : list->items()) {
        if (targets.size() == 32) {
            break;
        }
        if (item.is_string()) {
            targets.push_back({std::string(item.as_string()), {}});
        } else if (item.is_object() && item["model"].is_string()) {
            routing::FallbackTarget target{std::string(item["model"].as_string()), item};
            target.overrides.erase("model");
            targets.push_back(std::move(target));
        }
    }
    return targets;
}

chat::PriceCard to_card(const accounts::ModelPrice& price) {
    chat::PriceCard card;
    card.input = price.base.input;
    card.output = price.base.output;
    card.cache_read = price.base.cache_read;
    card.cache_write = price.base.cache_write;
    card.long_context_above = price.long_context_from;
    card.long_input = price.long_context.input;
    card.long_output = price.long_context.output;
    card.long_cache_read = price.long_context.cache_read;
    card.long_cache_write = price.long_context.cache_write;
    return card;
}

// What the relay reads of every reply's head, in one pass.
struct ReplyNames {
    std::string_view request_id;  // GitHub's before any other
    std::string_view content_type;
};

ReplyNames read_names(const http::Head& head) {
    ReplyNames names;
    std::string_view github;
    for (const auto& h : head.headers) {
        // Lengths and first letters first: most headers are none of these.
        const size_t size = h.name.size();
        if (size != 12 && size != 19) {
            continue;
        }
        const bool x = (h.name[0] | 0x20) == 'x';
        if (size == 19) {
            if (x && http::iequals(h.name, "x-github-request-id")) {
                github = h.value;
            }
        } else if (x && http::iequals(h.name, "x-request-id")) {
            names.request_id = h.value;
        } else if (!x && http::iequals(h.name, "content-type")) {
            names.content_type = h.value;
        }
    }
    if (!github.empty()) {
        names.request_id = github;
    }
    return names;
}

void add_header(std::string& out, std::string_view name, std::string_view value) {
    if (!value.empty()) {
        http::write_header(out, name, value);
    }
}

}  // namespace

Call::Call(Services& services, Worker& worker, SnapshotPtr snapshot, governance::CallerPtr caller,
           protocols::Api client, net::HttpRequest& request, net::HttpResponder& reply)
    : services_(services),
      worker_(worker),
      snapshot_(std::move(snapshot)),
      caller_(std::move(caller)),
      account_(services.account),
      client_(client),
      request_(request),
      reply_(reply),
      scratch_(take_scratch(worker)),
      record_(scratch_->record),
      trace_(scratch_->trace) {}

Call::~Call() {
    reply_.on_client_gone(nullptr, nullptr);
    settle_together();
    if (worker_.spare.size() < kMaxSpare) {
        worker_.spare.push_back(std::move(scratch_));
    }
}

std::unique_ptr<Worker::Scratch> Call::take_scratch(Worker& worker) {
    if (worker.spare.empty()) {
        return std::make_unique<Worker::Scratch>();
    }
    auto scratch = std::move(worker.spare.back());
    worker.spare.pop_back();
    scratch->record.clear();
    scratch->trace.clear();
    scratch->traceparent.clear();
    scratch->payload.reset();
    return scratch;
}

void Call::on_gone(void* self) {
    auto& call = *static_cast<Call*>(self);
    call.gone_ = true;
    if (call.running_ != nullptr) {
        call.running_->cancel();
    }
    call.worker_.loop.wake(call.sleeping_, net::Wake::cancelled);
}

net::Task<void> Call::run(std::string path_model) {
    read_request();
    if (keeps_payload()) {
        begin_payload();
    }
    std::unique_ptr<Error> refusal = take_request(path_model);
    if (refusal == nullptr && is_limited()) {
        bool later = false;
        refusal = reserve(later);
        if (later) {
            refusal = co_await wait_for_room();
        }
        if (refusal == nullptr && asking_ != nullptr) {
            refusal = co_await reserve_together();
            asking_.reset();
        }
    }
    if (refusal != nullptr) {
        co_await fail(*refusal);
    } else {
        reply_.on_client_gone(&Call::on_gone, this);
        co_await attempts();
    }
    finish_record();
}

// Facts and plan, or why there are none. Not in run(): what it needs on the way would stay in that
// coroutine's frame for as long as the stream is open.
std::unique_ptr<Error> Call::take_request(const std::string& path_model) {
    if (client_ == protocols::Api::embeddings) {
        auto facts = protocols::scan_embeddings_request(request_.body, path_model);
        if (!facts) {
            return std::make_unique<Error>(std::move(facts).error());
        }
        asked_->facts = std::move(*facts);
    } else if (auto read = protocols::scan_chat_request(request_.body, path_model, asked_->facts);
               !read) {
        return std::make_unique<Error>(std::move(read).error());
    }
    record_.asked = trace_.asked = asked_->facts.model;
    record_.stream = stream_ = asked_->facts.stream;
    include_usage_ = asked_->facts.include_usage || snapshot_->always_include_stream_usage;
    auto plan = routing::plan(snapshot_->table, make_query());
    if (!plan) {
        return std::make_unique<Error>(std::move(plan).error());
    }
    asked_->plan = std::move(*plan);
    if (!caller_->is_master) {
        if (auto forbidden = check_access(); forbidden != nullptr) {
            return forbidden;
        }
    }
    max_retries_ = routing::max_retries(*asked_->plan);
    return nullptr;
}

// What is read from the head: it dies when the request is released.
void Call::read_request() {
    asked_ = std::make_unique<Asked>();
    record_.received_ms =
        unix_millis(services_.clock.wall()) -
        std::chrono::duration_cast<milliseconds>(now() - request_.received).count();
    record_.client_api = ledger_api(client_);
    record_.call_type = client_ == protocols::Api::embeddings ? ledger::CallType::aembedding
                                                              : ledger::CallType::acompletion;
    name_caller();
    for (const auto& h : request_.head->headers) {
        const std::string_view name = h.name;
        // Lengths first: most headers are none of these.
        switch (name.size()) {
            case 10:
                if (http::iequals(name, "user-agent")) {
                    record_.user_agent = h.value.substr(0, std::min<size_t>(h.value.find(' '), 64));
                }
                break;
            case 11:
                if (http::iequals(name, "x-initiator")) {
                    asked_->inbound_initiator = h.value;
                } else if (services_.observer != nullptr && services_.observer->wants_records() &&
                           http::iequals(name, "traceparent")) {
                    scratch_->traceparent = h.value.substr(0, ledger::kMaxText);
                }
                break;
            case 14:
                if (http::iequals(name, "anthropic-beta")) {
                    asked_->inbound_beta = h.value;
                } else if (http::iequals(name, "x-litellm-tags")) {
                    std::string_view rest = h.value;
                    while (!rest.empty() && record_.tags.size() < ledger::kMaxTags) {
                        auto tag = rest.substr(0, rest.find(','));
                        rest.remove_prefix(std::min(rest.size(), tag.size() + 1));
                        while (!tag.empty() && tag.front() == ' ') {
                            tag.remove_prefix(1);
                        }
                        if (!tag.empty()) {
                            record_.tags.emplace_back(tag);
                        }
                    }
                }
                break;
            case 17:
                if (http::iequals(name, "x-litellm-call-id") && h.value.size() <= 128) {
                    record_.request_id = h.value;
                } else if (http::iequals(name, "x-litellm-timeout")) {
                    header_timeout_ = parse_seconds(h.value);
                }
                break;
            case 20:
                if (http::iequals(name, "x-litellm-session-id")) {
                    record_.session_id = h.value.substr(0, ledger::kMaxText);
                }
                break;
            case 21:
                if (http::iequals(name, "x-litellm-customer-id")) {
                    record_.end_user = h.value.substr(0, ledger::kMaxText);
                } else if (http::iequals(name, "x-litellm-end-user-id")) {
                    record_.end_user = h.value.substr(0, ledger::kMaxText);
                }
                break;
            case 24:
                if (http::iequals(name, "x-litellm-stream-timeout")) {
                    header_stream_timeout_ = parse_seconds(h.value);
                }
                break;
            default:
                break;
        }
    }
    if (record_.request_id.empty()) {
        record_.request_id = random_uuid();
    }
}

routing::Query Call::make_query() {
    const auto& facts = asked_->facts;
    const auto& controls = facts.controls;
    routing::Query query;
    query.model = facts.model;
    for (const auto& [name, group] : caller_->aliases) {
        if (name == facts.model) {
            query.model = group;
            break;
        }
    }
    query.mode =
        client_ == protocols::Api::embeddings ? routing::Mode::embedding : routing::Mode::chat;
    query.needs_tools = facts.tool_count > 0;
    query.needs_vision = facts.has_images;
    // Four bytes a token is the usual rule; base64 images say nothing about tokens.
    query.prompt_tokens_estimate = facts.has_images || facts.has_documents
                                       ? 0
                                       : static_cast<int64_t>(request_.body.size() / 4);
    query.tags = controls.tags;
    query.tags.insert(query.tags.end(), record_.tags.begin(), record_.tags.end());
    query.fallbacks = to_targets(controls.fallbacks);
    query.context_window_fallbacks = to_targets(controls.context_window_fallbacks);
    query.content_policy_fallbacks = to_targets(controls.content_policy_fallbacks);
    query.disable_fallbacks = controls.disable_fallbacks;
    if (controls.num_retries) {
        query.num_retries = static_cast<int>(std::clamp<int64_t>(*controls.num_retries, 0, 100));
    } else if (const auto n = parse_seconds(request_.header("x-litellm-num-retries")); n) {
        query.num_retries = static_cast<int>(std::min(*n, 100.0));
    }
    if (controls.mock_testing_context_fallbacks) {
        query.mock_first_failure = Cause::context_too_long;
    } else if (controls.mock_testing_content_policy_fallbacks) {
        query.mock_first_failure = Cause::content_refused;
    } else if (controls.mock_testing_rate_limit_error) {
        query.mock_first_failure = Cause::rate_limited;
    } else if (controls.mock_testing_fallbacks) {
        query.mock_first_failure = Cause::server_error;
    }
    if (!may_use_any_seat()) {
        choose_seat(query);
    }
    return query;
}

// --- the chain

net::Task<void> Call::attempts() {
    while (!answered_) {
        const std::unique_ptr<Try> holder(new Try{next_step()});
        Try& t = *holder;
        if (t.step.action == routing::Action::stop) {
            co_await fail(t.step.error);
            co_return;
        }
        if (t.step.delay.count() > 0) {
            co_await worker_.loop.sleep_until(now() + t.step.delay, &sleeping_);
        }
        if (gone()) {
            give_up();
            co_return;
        }
        begin_trace(t);
        outcome_.reset();
        co_await attempt(t);
        take_outcome(t);
    }
}

routing::Step Call::next_step() {
    auto step = routing::next(*asked_->plan, services_.health, now(), services_.clock.wall(),
                              quick_random_unit());
    if (step.action == routing::Action::stop) {
        note_counts();
    }
    return step;
}

void Call::note_counts() {
    record_.attempted_fallbacks = routing::attempted_fallbacks(*asked_->plan);
    record_.attempted_retries = routing::attempted_retries(*asked_->plan);
}

// The client has gone before it was answered.
void Call::give_up() {
    answered_ = true;
    record_.status = ledger::Status::client_aborted;
    record_.http_status = 499;
    reply_.abort();
}

// What the attempt's end means for the plan, the trace and the provider.
void Call::take_outcome(const Try& t) {
    if (booked_) {
        return;
    }
    const Outcome& outcome = outcome_ != nullptr ? *outcome_ : kSuccess;
    end_trace(t, outcome);
    if (asked_ != nullptr) {  // else the answer was committed, and reported then
        if (t.prepared != nullptr && outcome.cause != Cause::success) {
            t.provider->learn(job(t), t.prepared->api, outcome);
        }
        routing::report(*asked_->plan, services_.health, outcome, now(), services_.clock.wall());
        note_counts();
    }
    if (outcome.cause == Cause::cancelled && !answered_) {
        give_up();
    }
}

net::Task<void> Call::attempt(Try& t) {
    const routing::Deployment& deployment = *t.step.deployment;
    if (!deployment.mock_response.empty()) {
        co_return co_await answer_mock(t);
    }
    t.provider = services_.providers.find(deployment.provider);
    if (t.provider == nullptr) {
        co_return end_with(outcome_of(caller_error(
            Kind::invalid_request,
            "The provider '" + deployment.provider + "' of model " + deployment.group +
                " is not one that this gateway speaks. Known: openai, anthropic, github_copilot, "
                "and any OpenAI-compatible one by api_base")));
    }
    if (t.provider->needs_account()) {
        if (account_ != nullptr && !t.step.refresh_token) {
            t.credential = account_->current(now());
        }
        if (t.credential == nullptr) {
            auto got = co_await credential(t);
            if (!got) {
                co_return end_with(outcome_of(got.error()));
            }
            t.credential = std::move(*got);
        }
        if (!t.credential->account.empty()) {
            record_.account = t.credential->account;
        }
        t.catalogue = account_->catalogue();
        if (t.catalogue != nullptr) {
            t.model = t.catalogue->find(t.step.upstream_model);
            if (t.model == nullptr) {
                t.model = t.catalogue->find(t.provider->canonical_model(t.step.upstream_model));
            }
        }
    }
    if (const auto error = prepare(t); error != nullptr) {
        co_return end_with(outcome_of(*error));
    }
    co_return co_await exchange(t);
}

// The upstream's request, or why there is none.
std::unique_ptr<Error> Call::prepare(Try& t) {
    const providers::Job asked = job(t);
    auto prepared = worker_.prepared.prepare(*t.provider, asked,
                                             {t.step.deployment, t.credential, t.catalogue});
    if (!prepared) {
        return std::make_unique<Error>(std::move(prepared).error());
    }
    t.prepared = std::move(*prepared);
    auto built = protocols::build_upstream_request(t.prepared->api, request_.body, asked_->facts,
                                                   t.prepared->edits);
    if (!built) {
        return std::make_unique<Error>(std::move(built).error());
    }
    t.body = std::move(built->body);
    for (const auto* list : {&t.prepared->warnings, &std::as_const(built->warnings)}) {
        trace_.warnings.insert(trace_.warnings.end(), list->begin(), list->end());
    }
    t.header_lines.reserve(t.prepared->header_lines.size() + 128);
    t.header_lines = t.prepared->header_lines;
    const providers::Own own = t.provider->add_own(asked, t.header_lines);
    record_.api = ledger_api(t.prepared->api);
    record_.initiator = own.initiator == protocols::Initiator::agent ? ledger::Initiator::agent
                                                                     : ledger::Initiator::user;
    return nullptr;
}

net::Task<Result<accounts::CredentialPtr>> Call::credential(const Try& t) {
    if (account_ == nullptr) {
        co_return gateway_error(Kind::unauthenticated,
                                "GitHub Copilot is not set up in this process");
    }
    accounts::AccountService& account = *account_;
    const Mono deadline = now() + seconds(25);
    if (t.step.refresh_token) {
        const uint64_t generation = refused_generation_;
        const auto& outcomes = routing::outcomes(*asked_->plan);
        if (!outcomes.empty() && outcomes.back().cause == Cause::wrong_host) {
            co_return co_await account.refresh_after_421(generation, deadline);
        }
        co_return co_await account.refresh_after_401(generation, deadline);
    }
    if (auto now_valid = account.current(now())) {
        co_return now_valid;
    }
    co_return co_await account.acquire(deadline);
}

providers::Job Call::job(const Try& t) const {
    providers::Adjustments adjust;
    adjust.strip = t.step.strip;
    adjust.rename = t.step.rename;
    adjust.force_vision = t.step.vision_header;
    adjust.no_api_version = t.step.other_api_version;
    if (t.step.switch_endpoint) {
        adjust.avoid = refused_api_;
    }
    return providers::Job{
        .deployment = *t.step.deployment,
        .upstream_model = t.step.upstream_model,
        .facts = asked_->facts,
        .body = request_.body,
        .client = client_,
        .overrides = t.step.overrides,
        .credential = t.credential.get(),
        .model = t.model,
        .request_id = record_.request_id,
        .interaction_id = asked_->interaction_id,
        .inbound_initiator = asked_->inbound_initiator,
        .inbound_beta = asked_->inbound_beta,
        .repeat = attempts_made_ > 1,
        .drop_params = snapshot_->table->settings.drop_params,
        .output_cap = output_cap_,
        .adjust = std::move(adjust),
        .now = now(),
    };
}

// --- one exchange

std::optional<double> Call::limit_seconds(const Try& t) const {
    const auto& settings = snapshot_->table->settings;
    const auto& deployment = *t.step.deployment;
    const auto& controls = asked_->facts.controls;
    if (stream_) {
        if (header_stream_timeout_) {
            return header_stream_timeout_;
        }
        if (controls.stream_timeout) {
            return controls.stream_timeout;
        }
        if (deployment.stream_timeout) {
            return deployment.stream_timeout->count();
        }
    }
    if (header_timeout_) {
        return header_timeout_;
    }
    if (controls.timeout) {
        return controls.timeout;
    }
    if (deployment.timeout) {
        return deployment.timeout->count();
    }
    if (stream_ && settings.stream_timeout) {
        return settings.stream_timeout->count();
    }
    if (settings.timeout.count() < 6000) {  // LiteLLM's default means "none was chosen"
        return settings.timeout.count();
    }
    return std::nullopt;
}

Mono Call::first_byte_deadline(const Try& t) {
    limit_used_ = limit_seconds(t);
    return now() + to_ms(limit_used_.value_or(stream_ ? kStreamFirstByte : kPlainTotal));
}

net::Task<void> Call::exchange(Try& t) {
    if (worker_.intents != nullptr) {
        intent_ = worker_.intents->begin(record_, reservation_.held(), attempts_made_, intent_);
    }
    net::Exchange exchange(worker_.client);
    running_ = &exchange;
    struct Clear {
        net::Exchange*& slot;
        ~Clear() { slot = nullptr; }
    } clear{running_};
    auto sent = co_await exchange.send(
        *t.prepared->base,
        {"POST", t.prepared->target, t.header_lines, t.body, t.step.fresh_connection},
        first_byte_deadline(t));
    if (!sent) {
        co_return end_with(outcome_of(sent.error()));
    }
    auto& tried = trace_.attempts.back();
    tried.first_byte_us = elapsed_us();
    const http::Head& head = exchange.head();
    tried.status = head.status;
    const ReplyNames names = read_names(head);
    tried.upstream_request_id = names.request_id.substr(0, 128);
    note_quota(head, head.status == 402 || head.status == 429);
    if (head.status != 200) {
        co_return co_await refused(t, exchange);
    }
    if (stream_ && client_ != protocols::Api::embeddings) {
        const std::string_view type = names.content_type;
        if (!type.empty() && type.find("event-stream") == std::string_view::npos) {
            co_return co_await refused(t, exchange);
        }
        co_return co_await answer_stream(t, exchange);
    }
    co_return co_await answer_plain(t, exchange);
}

void Call::note_quota(const http::Head& head, bool always) {
    if (account_ == nullptr || (!always && !account_->wants_quota(now()))) {
        return;
    }
    for (const auto& h : head.headers) {
        if (h.name.size() > 16 && (h.name[0] == 'x' || h.name[0] == 'X') &&
            (http::iequals(h.name.substr(0, 16), "x-quota-snapshot") ||
             http::iequals(h.name.substr(0, 17), "x-usage-ratelimit"))) {
            account_->note_quota(h.name, h.value);
        }
    }
}

// An error status, or a 200 that is no answer: the upstream's words, typed.
net::Task<void> Call::refused(Try& t, net::Exchange& exchange) {
    routing::ReplyFacts facts;
    facts.status = exchange.head().status;
    facts.path = protocols::api_path(t.prepared->api);
    for (const auto& h : exchange.head().headers) {
        std::string name(h.name);
        for (char& c : name) {
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        }
        facts.headers.emplace_back(std::move(name), std::string(h.value));
    }
    std::string body;
    auto read = co_await exchange.read_all(body, kMaxErrorBody, now() + kErrorBody);
    if (!read && read.error().kind == Kind::cancelled) {
        co_return end_with(outcome_of(read.error()));
    }
    facts.body = body;
    Outcome outcome = routing::classify(facts, services_.clock.wall());
    if (outcome.cause == Cause::success) {  // a 2xx of the wrong kind
        outcome.cause = Cause::malformed;
        outcome.message = "the upstream answered with something else than was asked for";
    }
    co_return end_with(std::move(outcome));
}

net::Task<void> Call::answer_plain(Try& t, net::Exchange& exchange) {
    std::string gathered;
    std::string_view body;
    if (const auto whole = exchange.take_whole()) {
        body = *whole;
    } else {
        auto read = co_await exchange.read_all(gathered, kMaxPlainReply, first_byte_deadline(t));
        if (!read) {
            co_return end_with(outcome_of(read.error()));
        }
        body = gathered;
    }
    protocols::ReplyOptions& options = worker_.reply_options;
    options.model = shown_model(t);
    options.id.assign("chatcmpl-").append(record_.request_id);
    options.created = record_.received_ms / 1000;
    options.n = asked_->facts.n;
    options.base64 = asked_->facts.wants_base64;
    options.names = false;
    auto converted = protocols::convert_plain_reply(t.prepared->api, body, options);
    if (!converted) {
        if (converted.error().kind == Kind::upstream_malformed) {
            routing::ReplyFacts empty;
            empty.status = 200;
            empty.body = body.substr(0, kMaxErrorBody);
            Outcome outcome = routing::classify(empty, services_.clock.wall());
            co_return end_with(outcome.cause == Cause::success ? outcome_of(converted.error())
                                                               : outcome);
        }
        routing::ReplyFacts facts;
        facts.status = 200;
        facts.path = protocols::api_path(t.prepared->api);
        facts.body = body.substr(0, kMaxErrorBody);
        Outcome outcome = routing::classify(facts, services_.clock.wall());
        co_return end_with(outcome.cause == Cause::success ? outcome_of(converted.error())
                                                           : outcome);
    }
    for (auto& warning : converted->warnings) {
        trace_.warnings.push_back(std::move(warning));
    }
    if (converted->usage) {
        record_.usage = *converted->usage;
    } else {
        record_.usage_estimated = true;
        record_.usage.input = static_cast<int64_t>(t.body.size() / 4);
        record_.usage.output = static_cast<int64_t>(converted->body.size() / 4);
    }
    settle(t);
    record_.status = ledger::Status::success;
    record_.http_status = 200;
    record_.first_token_us = elapsed_us();
    answered_ = true;
    const std::string lines = reply_lines(t, "application/json");
    keep_reply(converted->body);
    book(t);
    (void)co_await reply_.send_raw(200, lines, converted->body);
}

net::Task<void> Call::answer_stream(Try& t, net::Exchange& exchange) {
    protocols::StreamOptions options;
    options.model = shown_model(t);
    options.id = "chatcmpl-" + record_.request_id;
    options.created = record_.received_ms / 1000;
    options.include_usage = include_usage_;
    const auto stream = protocols::make_chat_stream(t.prepared->api, std::move(options));
    sse::Parser parser;
    std::string out;
    bool done = false;
    bool ended = false;
    while (!done && !ended) {
        auto piece = co_await exchange.read(now() + kStreamIdle);
        if (!piece) {
            Outcome outcome = outcome_of(piece.error());
            if (outcome.cause == Cause::cancelled) {
                break;
            }
            if (stream->on_end(out).how == protocols::Ended::complete && committed_) {
                // The whole answer had come; only the goodbye was lost.
                done = true;
                break;
            }
            co_return co_await break_stream(out, std::move(outcome));
        }
        ended = piece->empty();
        if (ended) {
            parser.finish();
        } else if (auto fed = parser.feed(*piece); !fed) {
            co_return co_await break_stream(out, outcome_of(fed.error()));
        }
        if (out.capacity() < worker_.frames.capacity() && out.empty()) {
            out.swap(worker_.frames);
        }
        bool content = false;
        sse::Event event;
        while (!done && parser.next(event)) {
            const auto facts = stream->on_event(event.name, event.data, out);
            if (facts.usage) {
                record_.usage = *facts.usage;
            }
            if (!facts.error.empty() || facts.malformed) {
                Outcome outcome;
                if (facts.malformed) {
                    outcome.cause = Cause::malformed;
                    outcome.message = "the upstream's stream is not valid";
                } else {
                    outcome = routing::classify_event(facts.error, services_.clock.wall());
                }
                outcome.in_stream = true;
                co_return co_await break_stream(out, std::move(outcome));
            }
            content = content || facts.content;
            done = facts.done;
        }
        if (parser.failed()) {
            Outcome outcome;
            outcome.cause = Cause::malformed;
            outcome.message = "the upstream sent an event beyond every bound";
            outcome.in_stream = true;
            co_return co_await break_stream(out, std::move(outcome));
        }
        if (!committed_ && (content || out.size() > kMaxHeld)) {
            commit(t);
            exchange.release_head();
        }
        if (committed_ && !out.empty() && !done && !ended) {
            output_bytes_ += static_cast<int64_t>(out.size());
            keep_reply(out);
            if (!reply_.write_now(out) && !co_await reply_.write_rest()) {
                exchange.cancel();
                break;
            }
            give_frames_back(out);
        }
    }
    if (exchange.cancelled()) {
        answered_ = committed_;
        record_.status = ledger::Status::client_aborted;
        record_.http_status = 499;
        if (record_.usage.empty()) {
            record_.usage_estimated = true;
            record_.usage.output = output_bytes_ / 256;
        }
        settle(t);
        Outcome outcome;
        outcome.cause = Cause::cancelled;
        outcome.message = "the client went away";
        co_return end_with(std::move(outcome));
    }
    co_await end_stream(t, *stream, exchange, out, done);
    if (committed_ && !booked_) {
        settle(t);
    }
}

// Written: the memory serves the next stream that has something to write.
void Call::give_frames_back(std::string& out) {
    out.clear();
    if (out.capacity() <= kMaxFrames && out.capacity() > worker_.frames.capacity()) {
        out.swap(worker_.frames);
    }
    std::string().swap(out);
}

// The upstream is through: the client's end mark, or the truth about a cut.
net::Task<void> Call::end_stream(Try& t, protocols::ReplyStream& stream, net::Exchange& exchange,
                                 std::string& out, bool said_done) {
    const auto end = stream.on_end(out);
    if (end.usage) {
        record_.usage = *end.usage;
    }
    for (const auto& warning : stream.warnings()) {
        trace_.warnings.push_back(warning);
    }
    if (end.how != protocols::Ended::complete || !committed_) {
        Outcome outcome;
        outcome.in_stream = true;
        outcome.cause = end.how == protocols::Ended::empty ? Cause::malformed : Cause::connection;
        outcome.message = end.how == protocols::Ended::empty
                              ? "the upstream ended its stream without an answer"
                              : "the upstream ended its stream in the middle of the answer";
        co_return co_await break_stream(out, std::move(outcome));
    }
    answered_ = true;
    record_.status = ledger::Status::success;
    record_.http_status = 200;
    settle(t);
    keep_reply(out);
    book(t);
    (void)co_await reply_.end(out);
    give_frames_back(out);
    // The rest of the upstream's body (usually its last chunk) frees the connection for reuse.
    const Mono until = now() + seconds(1);
    while (said_done) {
        auto rest = co_await exchange.read(until);
        said_done = rest.ok() && !rest->empty();
    }
    co_return;
}

// Before the commit point nothing was sent, and the chain goes on. After it the client is told in
// its own protocol, without an end mark.
net::Task<void> Call::break_stream(std::string& out, Outcome outcome) {
    if (!committed_) {
        record_.usage = {};
        co_return end_with(std::move(outcome));
    }
    const Error error = routing::to_error(outcome);
    protocols::write_stream_error(out, error, protocols::ClientApi::openai);
    record_.status = ledger::Status::failure;
    record_.http_status = 200;
    record_.error_kind = error.kind;
    record_.error_code = error.code;
    record_.error_message = error.message.substr(0, ledger::kMaxErrorMessage);
    answered_ = true;
    keep_reply(out);
    (void)co_await reply_.end(out);
    co_return end_with(std::move(outcome));
}

// The answer is chosen: from here on the client hears this upstream alone. The request's bytes are
// not needed again.
void Call::commit(Try& t) {
    committed_ = true;
    record_.first_token_us = elapsed_us();
    routing::report(*asked_->plan, services_.health, Outcome{}, now(), services_.clock.wall());
    record_.attempted_fallbacks = routing::attempted_fallbacks(*asked_->plan);
    record_.attempted_retries = routing::attempted_retries(*asked_->plan);
    reply_.begin(200, reply_lines(t, "text/event-stream; charset=utf-8"));
    keep_facts();
    asked_.reset();
    reply_.release_request();
    std::string().swap(t.body);
    std::string().swap(t.header_lines);
}

net::Task<void> Call::answer_mock(Try& t) {
    const std::string& text = t.step.deployment->mock_response;
    std::string quoted;
    json::write_string(quoted, text);
    std::string model;
    json::write_string(model, shown_model(t));
    const std::string head = R"({"id":"chatcmpl-)" + record_.request_id + R"(","created":)" +
                             std::to_string(record_.received_ms / 1000) + R"(,"model":)" + model;
    record_.usage.input = static_cast<int64_t>(request_.body.size() / 4);
    record_.usage.output = static_cast<int64_t>(text.size() / 4 + 1);
    record_.usage_estimated = true;
    record_.status = ledger::Status::success;
    record_.http_status = 200;
    answered_ = true;
    if (stream_) {
        std::string out;
        sse::write_data(out, head +
                                 R"(,"object":"chat.completion.chunk","choices":[{"index":0,)"
                                 R"("delta":{"role":"assistant","content":)" +
                                 quoted + "}}]}");
        sse::write_data(out, head + R"(,"object":"chat.completion.chunk","choices":[{"index":0,)"
                                    R"("delta":{},"finish_reason":"stop"}]})");
        sse::write_data(out, "[DONE]");
        keep_reply(out);
        reply_.begin(200, reply_lines(t, "text/event-stream; charset=utf-8"));
        (void)co_await reply_.end(out);
        co_return;
    }
    const std::string body =
        head +
        R"(,"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",)"
        R"("message":{"role":"assistant","content":)" +
        quoted + R"(}}],"usage":{"prompt_tokens":)" + std::to_string(record_.usage.input) +
        R"(,"completion_tokens":)" + std::to_string(record_.usage.output) + R"(,"total_tokens":)" +
        std::to_string(record_.usage.total()) + "}}";
    keep_reply(body);
    (void)co_await reply_.send_raw(200, reply_lines(t, "application/json"), body);
    co_return;
}

// --- what the client is told

const std::string& Call::shown_model(const Try& t) const {
    // LiteLLM's rule: the name that was asked for; after a fallback the model that answered.
    return t.step.fallback_depth == 0 ? record_.asked : t.step.upstream_model;
}

// What every answer of a deployment says alike.
const std::string& Call::fixed_lines(const Try& t) const {
    auto& known = worker_.fixed_lines;
    for (const auto& lines : known) {
        if (lines.deployment == t.step.deployment && lines.group == t.step.group &&
            lines.api_base == record_.api_base) {
            return lines.text;
        }
    }
    if (known.size() >= kMaxFixedLines) {
        known.clear();
    }
    Worker::FixedLines lines{t.step.deployment, t.step.group, record_.api_base, {}};
    add_header(lines.text, "x-litellm-model-id", t.step.deployment->id);
    add_header(lines.text, "x-litellm-model-api-base", record_.api_base);
    add_header(lines.text, "x-litellm-version", snapshot_->version);
    add_header(lines.text, "x-litellm-model-group", t.step.group);
    known.push_back(std::move(lines));
    return known.back().text;
}

std::string Call::reply_lines(const Try& t, std::string_view content_type) const {
    const std::string& fixed = fixed_lines(t);
    const ledger::Attempt* tried = trace_.attempts.empty() ? nullptr : &trace_.attempts.back();
    constexpr size_t kOwn = 512;  // names and numbers of the lines below
    const bool limited = !caller_->is_master;
    Lines lines(fixed.size() + record_.request_id.size() + content_type.size() + kOwn +
                (limited ? kLimitRoom : 0) +
                (tried != nullptr ? tried->upstream_request_id.size() : 0));
    lines.line("Content-Type: ", content_type);
    if (content_type.starts_with("text/event-stream")) {
        lines.text("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n");
    }
    lines.text(fixed);
    // Both came in headers, which hold no control bytes.
    lines.line("x-litellm-call-id: ", record_.request_id);
    if (tried != nullptr && !tried->upstream_request_id.empty()) {
        lines.line("llm_provider-x-request-id: ", tried->upstream_request_id);
    }
    lines.number("x-litellm-attempted-retries: ", record_.attempted_retries);
    lines.number("x-litellm-attempted-fallbacks: ", t.step.fallback_depth);
    lines.number("x-litellm-max-retries: ", max_retries_);
    if (!stream_ && record_.cost_source != chat::CostSource::unknown) {
        lines.usd("x-litellm-response-cost: ", record_.cost);
    }
    lines.number("x-litellm-response-duration-ms: ", elapsed_us() / 1000);
    if (tried != nullptr) {
        lines.number("x-litellm-overhead-duration-ms: ", tried->start_us / 1000);
    }
    if (limited) {
        add_limit_lines(lines);
    }
    return lines.take();
}

net::Task<void> Call::fail(const Error& error) {
    protocols::ErrorContext context;
    std::string provider = record_.provider;
    if (!provider.empty() && provider[0] >= 'a' && provider[0] <= 'z') {
        provider[0] = static_cast<char>(provider[0] - 32);
    }
    context.provider = provider;
    context.request_id = record_.request_id;
    context.budget_status = snapshot_->budget_status;
    const auto rendered = protocols::render_error(error, protocols::ClientApi::openai, context);
    record_.status = ledger::Status::failure;
    record_.http_status = rendered.status;
    record_.error_kind = error.kind;
    record_.error_code = error.code;
    record_.error_message = error.message.substr(0, ledger::kMaxErrorMessage);
    std::string lines;
    add_header(lines, "Content-Type", "application/json");
    add_header(lines, "x-litellm-call-id", record_.request_id);
    add_header(lines, "x-litellm-version", snapshot_->version);
    add_header(lines, "x-litellm-response-cost", "0");
    if (limit_used_) {
        add_header(lines, "x-litellm-timeout", render_seconds(*limit_used_));
    }
    if (rendered.retry_after) {
        add_header(lines, "Retry-After", std::to_string(rendered.retry_after->count()));
    }
    if (!caller_->is_master) {
        Lines limits(kLimitRoom);
        add_limit_lines(limits);
        lines += limits.take();
        add_refusal_lines(lines);
    }
    answered_ = true;
    (void)co_await reply_.send_raw(rendered.status, lines, rendered.body);
}

// --- what is written down

int64_t Call::elapsed_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(services_.clock.mono() -
                                                                 request_.received)
        .count();
}

void Call::begin_trace(const Try& t) {
    ++attempts_made_;
    const auto& deployment = *t.step.deployment;
    const int64_t start_us = elapsed_us();
    if (attempts_made_ == 1) {
        record_.queue_us = start_us;
    } else {
        trace_.attempts.back().decision =
            t.step.group != trace_.attempts.back().group ? "next in chain: " + t.step.group
            : t.step.refresh_token                       ? "refresh the token and replay"
            : t.step.switch_endpoint                     ? "use the model's other API"
            : !t.step.strip.empty() ? "drop " + t.step.strip.back() + " and replay"
                                    : "try again";
    }
    if (trace_.attempts.size() < ledger::kMaxAttempts) {
        trace_.attempts.emplace_back().start_us = start_us;
    }
    record_.model_group = t.step.group;
    record_.deployment_id = deployment.id;
    record_.provider = deployment.provider;
    record_.upstream_model = t.step.upstream_model;
}

void Call::end_trace(const Try& t, const Outcome& outcome) {
    auto& tried = trace_.attempts.back();
    tried.api = record_.api;
    tried.end_us = elapsed_us();
    record_.first_byte_us = tried.first_byte_us;
    record_.upstream_request_id = tried.upstream_request_id;
    if (t.prepared != nullptr) {
        note_base(t);
        if (outcome.cause == Cause::wrong_endpoint) {
            refused_api_ = t.prepared->api;
        }
    }
    if (t.credential != nullptr && outcome.cause != Cause::success) {
        refused_generation_ = t.credential->generation;
    }
    // What the record says of its only attempt is not written twice.
    if (outcome.cause == Cause::success && attempts_made_ == 1) {
        return;
    }
    tried.group = t.step.group;
    tried.deployment_id = t.step.deployment->id;
    tried.model = t.step.upstream_model;
    tried.cause = routing::cause_name(outcome.cause);
    if (outcome.status != 0) {
        tried.status = outcome.status;
    }
    tried.message = outcome.message.substr(0, ledger::kMaxErrorMessage);
    if (outcome.cause != Cause::success && record_.fallback_reason.empty()) {
        record_.fallback_reason = tried.cause;
    }
}

void Call::note_base(const Try& t) {
    if (worker_.last_base != t.prepared->base) {
        worker_.last_base = t.prepared->base;
        worker_.last_origin = t.prepared->base->origin();
    }
    if (record_.api_base != worker_.last_origin) {
        record_.api_base = worker_.last_origin;
    }
}

void Call::settle(const Try& t) {
    if (t.prepared != nullptr) {
        note_base(t);
    }
    std::optional<chat::PriceCard> live;
    std::optional<chat::PriceCard> shipped;
    if (!record_.usage.upstream_cost) {
        if (t.model != nullptr && t.model->price) {
            live = to_card(*t.model->price);
        }
        if (!t.step.deployment->price && !live) {
            shipped = ledger::find_price(t.step.deployment->provider, t.step.upstream_model,
                                         t.step.deployment->base_model);
            shipped = shipped ? shipped : snapshot_->assumed_price;
        }
    }
    const auto cost = ledger::cost_of(
        record_.usage, t.step.deployment->price ? &*t.step.deployment->price : nullptr,
        live ? &*live : nullptr, shipped ? &*shipped : nullptr);
    record_.cost = cost.amount;
    record_.cost_source = cost.source;
    if (t.credential == nullptr) {
        return;
    }
    if (record_.initiator == ledger::Initiator::user) {
        if (t.model != nullptr && t.model->multiplier_milli) {
            record_.premium_milli = *t.model->multiplier_milli;
        } else {
            record_.premium_milli = ledger::find_premium_milli(t.step.upstream_model).value_or(0);
        }
    }
    account_->meter().spent(record_.cost.value, record_.premium_milli);
}

// What the record and the trace need of the request, before it is freed.
void Call::keep_facts() {
    const auto& facts = asked_->facts;
    if (record_.end_user.empty()) {
        record_.end_user = facts.user.substr(0, ledger::kMaxText);
    }
    if (record_.session_id.empty()) {
        record_.session_id = facts.controls.session_id.substr(0, ledger::kMaxText);
    }
    for (const auto& tag : facts.controls.tags) {
        if (record_.tags.size() < ledger::kMaxTags) {
            record_.tags.push_back(tag);
        }
    }
    if (asked_->plan == nullptr) {
        return;
    }
    if (!routing::only_first_taken(*asked_->plan) || trace_.attempts.empty()) {
        for (const auto& c : routing::considered(*asked_->plan)) {
            trace_.candidates.push_back({c.group, c.deployment_id, c.model, c.verdict});
        }
    }
}

// The record is kept before the client has the last byte: what a client was told it got is charged,
// whatever happens to this process then.
void Call::book(const Try& t) {
    take_outcome(t);
    finish_record();
}

void Call::finish_record() {
    if (std::exchange(booked_, true)) {
        return;
    }
    record_.total_us = elapsed_us();
    if (record_.attempted_fallbacks == 0 && record_.status == ledger::Status::success) {
        record_.fallback_reason.clear();
    }
    if (asked_ != nullptr) {
        keep_facts();
    }
    if (trace_.attempts.size() == 1 && trace_.attempts[0].group.empty() &&
        !(trace_.candidates.empty() && trace_.warnings.empty())) {
        trace_.attempts[0].group = record_.model_group;
        trace_.attempts[0].deployment_id = record_.deployment_id;
        trace_.attempts[0].model = record_.upstream_model;
    }
    settle_reservation();
    services_.ledger.append(record_, trace_);
    if (intent_ != ledger::Intents::kNone) {
        worker_.intents->end(std::exchange(intent_, ledger::Intents::kNone));
    }
    tell_observer();
    if (services_.on_record) {
        services_.on_record(record_);
    }
}

}  // namespace belay::gateway

#pragma once
// One call from a client through the fallback chain: scan, plan, attempts one after another, the
// reply, the record. Until the first content byte is on its way to the client any failure may move
// on to the next deployment; after it a failure becomes the protocol's own in-stream error, never a
// clean end. Lives on the stack of the connection's coroutine.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/gateway.h"
#include "gateway/relay_shared.h"
#include "gateway/snapshot.h"
#include "ledger/ledger.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "protocols/chat_request.h"
#include "protocols/convert.h"
#include "protocols/stream.h"
#include "providers/provider.h"
#include "routing/plan.h"
#include "wire/sse.h"

namespace belay::gateway {

class Lines;

class Call {
  public:
    Call(Services& services, Worker& worker, SnapshotPtr snapshot, governance::CallerPtr caller,
         protocols::Api client, net::HttpRequest& request, net::HttpResponder& reply);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    net::Task<void> run(std::string path_model);

  private:
    // What the request asked for. Freed when the answer is committed: a stream may stay open long.
    struct Asked {
        protocols::ChatFacts facts;
        routing::PlanPtr plan;
        std::string inbound_initiator;
        std::string inbound_beta;
        std::string interaction_id;
    };
    // One attempt, while it runs.
    struct Try {
        routing::Step step;
        providers::Provider* provider = nullptr;
        accounts::CredentialPtr credential;
        accounts::CataloguePtr catalogue;
        const accounts::Model* model = nullptr;
        std::shared_ptr<const providers::Prepared> prepared;  // null until prepare() has been asked
        std::string header_lines;
        std::string body;
    };

    void read_request();
    [[nodiscard]] routing::Query make_query();
    // Which Copilot account serves (relay_seat.cpp).
    [[nodiscard]] bool may_use_any_seat() const {
        return caller_->account.empty() && !caller_->has_floor() &&
               (snapshot_->default_seat != DefaultSeat::never || caller_->is_master);
    }
    [[gnu::noinline]] void choose_seat(routing::Query& query);
    [[nodiscard]] std::shared_ptr<const Error> take_own_seat(routing::Restrictions& restrictions);
    [[nodiscard]] std::shared_ptr<const Error> hold_above_floor();
    [[nodiscard]] std::unique_ptr<Error> take_request(const std::string& path_model);
    // Access and limits (relay_limits.cpp).
    [[nodiscard]] std::unique_ptr<Error> check_access();
    [[nodiscard]] std::unique_ptr<Error> reserve(bool& later);
    [[gnu::noinline]] void leave_out_unpriced(bool asked_fits);
    [[gnu::noinline]] net::Task<std::unique_ptr<Error>> wait_for_room();
    void name_caller();
    // Together with other instances (relay_shared.cpp).
    [[gnu::noinline]] net::Task<std::unique_ptr<Error>> reserve_together();
    [[gnu::noinline]] net::Task<std::unique_ptr<Error>> go_alone();
    [[nodiscard]] std::unique_ptr<Error> refuse_together(const governance::SharedHold& hold,
                                                         const governance::SharedAnswer& answer);
    void settle_together();
    // The master key is bound by nothing but the budget of the whole gateway.
    [[nodiscard]] bool is_limited() const {
        return !caller_->is_master ||
               (!caller_->scopes.empty() && !caller_->scopes.front().limits.empty());
    }
    void settle_reservation();
    static constexpr size_t kLimitRoom = 768;  // of the lines about limits
    void add_limit_lines(Lines& lines) const;
    void add_refusal_lines(std::string& lines) const;
    net::Task<void> attempts();
    [[nodiscard]] routing::Step next_step();
    [[nodiscard]] std::unique_ptr<Error> prepare(Try& t);
    void note_counts();
    void give_up();
    void take_outcome(const Try& t);
    // How the attempt ended; one that says nothing has succeeded.
    void end_with(routing::Outcome outcome) {
        outcome_ = std::make_unique<routing::Outcome>(std::move(outcome));
    }
    // Paths that a streamed answer does not take are kept out of line: a coroutine that is inlined
    // lays its frame into its caller's, and that one stays as long as the stream is open.
    net::Task<void> attempt(Try& t);
    [[gnu::noinline]] net::Task<Result<accounts::CredentialPtr>> credential(const Try& t);
    net::Task<void> exchange(Try& t);
    [[gnu::noinline]] net::Task<void> refused(Try& t, net::Exchange& exchange);
    [[gnu::noinline]] net::Task<void> answer_plain(Try& t, net::Exchange& exchange);
    net::Task<void> answer_stream(Try& t, net::Exchange& exchange);
    net::Task<void> end_stream(Try& t, protocols::ReplyStream& stream, net::Exchange& exchange,
                               std::string& out, bool said_done);
    [[gnu::noinline]] net::Task<void> break_stream(std::string& out, routing::Outcome outcome);
    [[gnu::noinline]] net::Task<void> answer_mock(Try& t);
    [[gnu::noinline]] net::Task<void> fail(const Error& error);

    void commit(Try& t);
    void give_frames_back(std::string& out);
    void keep_facts();
    [[nodiscard]] const std::string& fixed_lines(const Try& t) const;
    [[nodiscard]] std::string reply_lines(const Try& t, std::string_view content_type) const;
    [[nodiscard]] const std::string& shown_model(const Try& t) const;
    [[nodiscard]] providers::Job job(const Try& t) const;
    [[nodiscard]] Mono first_byte_deadline(const Try& t);
    [[nodiscard]] std::optional<double> limit_seconds(const Try& t) const;
    void note_quota(const http::Head& head, bool always);
    [[nodiscard]] static std::unique_ptr<Worker::Scratch> take_scratch(Worker& worker);
    void note_base(const Try& t);
    void begin_trace(const Try& t);
    void end_trace(const Try& t, const routing::Outcome& outcome);
    void settle(const Try& t);
    void book(const Try& t);
    void finish_record();
    // Bodies are kept only where operator, team or key want that (relay_payload.cpp).
    [[nodiscard]] bool keeps_payload() const {
        return services_.observer != nullptr && services_.observer->keeps_payloads() &&
               caller_->store_prompts.value_or(snapshot_->store_prompts);
    }
    [[gnu::noinline]] void begin_payload();
    void keep_reply(std::string_view bytes) {
        if (scratch_->payload != nullptr) {
            scratch_->payload->add_reply(bytes);
        }
    }
    void tell_observer();
    [[nodiscard]] int64_t elapsed_us() const;
    [[nodiscard]] Mono now() const { return worker_.loop.now(); }
    [[nodiscard]] bool gone() const { return gone_ || reply_.client_gone(); }
    static void on_gone(void* self);

    Services& services_;
    Worker& worker_;
    SnapshotPtr snapshot_;
    governance::CallerPtr caller_;
    governance::Reservation reservation_;
    std::unique_ptr<governance::Refusal> limit_hit_;
    // The Copilot account that serves; null = there is none in this process.
    accounts::AccountService* account_;
    // What a caller with rules about accounts holds until the call ends.
    struct Seat {
        accounts::AccountSet::ServicePtr own;
        accounts::SeatMeter::Hold hold;
    };
    std::unique_ptr<Seat> seat_;
    std::unique_ptr<Asking> asking_;  // when limits are shared, until the first attempt
    std::unique_ptr<governance::SharedHold> shared_hold_;
    protocols::Api client_;
    net::HttpRequest& request_;
    net::HttpResponder& reply_;
    std::unique_ptr<Asked> asked_;
    std::unique_ptr<routing::Outcome> outcome_;  // of the attempt that has ended; null: success
    std::unique_ptr<Worker::Scratch> scratch_;
    ledger::SpendRecord& record_;
    ledger::Trace& trace_;
    std::optional<double> header_timeout_;
    std::optional<double> header_stream_timeout_;
    std::optional<double> limit_used_;  // seconds the last attempt was given, when chosen by anyone
    net::Exchange* running_ = nullptr;  // cancelled when the client goes away
    net::Waiter sleeping_;
    int64_t output_bytes_ = 0;
    int max_retries_ = 0;
    int64_t prompt_guess_ = 0;
    int64_t output_cap_ = 0;  // tokens that the budget still pays for; 0 = no such bound
    bool stream_ = false;
    bool include_usage_ = false;
    bool committed_ = false;
    bool booked_ = false;    // the record is kept
    bool answered_ = false;  // the client has its last byte, good or bad
    bool gone_ = false;
    std::optional<protocols::Api> refused_api_;  // the last one that does not serve its model
    uint64_t refused_generation_ = 0;            // of the credential of the last failed attempt
    int attempts_made_ = 0;
    uint32_t intent_ = ledger::Intents::kNone;  // the note of this request, while it runs
    Mono attempt_started_{};
};

}  // namespace belay::gateway

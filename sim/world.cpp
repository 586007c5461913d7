#include "sim/world.h"

#include <algorithm>

#include "sim/bench.h"
#include "sim/state.h"
#include "wire/http.h"

namespace belay::sim {
namespace {

constexpr int64_t kLogEntriesMax = 1'000'000;
constexpr size_t kSums = 10'000;
constexpr size_t kLogBody = 64 << 10;
constexpr std::string_view kHosts[] = {"individual", "business", "enterprise"};

constexpr std::string_view kWelcome =
    "Belay's simulator: a GitHub and a Copilot that are neither.\n\n"
    "  /login/device      authorise a device code\n"
    "  /models            what the account may use (Authorization: Bearer gho_sim_pro_plus)\n"
    "  /_sim/state        what has happened so far\n"
    "  /_sim/requests     what clients sent\n"
    "  /_sim/faults       the fault rules, and every fault there is\n\n"
    "docs/simulator.md describes scenarios, faults and control.\n";

bool is_model_call(std::string_view method, std::string_view path) {
    return method == "POST" && (path == "/chat/completions" || path == "/responses" ||
                                path == "/v1/messages" || path == "/embeddings");
}

bool is_capi(std::string_view path) {
    return path.starts_with("/models") || path == "/chat/completions" || path == "/responses" ||
           path.starts_with("/v1/messages") || path == "/embeddings" || path == "/auto" ||
           path == "/_ping";
}

void split_target(std::string_view target, std::string_view& host, std::string_view& path,
                  std::string_view& query) {
    const size_t mark = target.find('?');
    path = target.substr(0, mark);
    query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
    for (const auto name : kHosts) {
        if (path.size() > name.size() + 2 && path.substr(1, name.size()) == name &&
            path[name.size() + 1] == '/') {
            host = name;
            path.remove_prefix(name.size() + 1);
            return;
        }
    }
}

Reply route(Call& call) {
    if (is_capi(call.path)) {
        return serve_capi(call);
    }
    if (const Fault* f = fault_before(call)) {
        return render_fault(*f, false);
    }
    if (call.path == "/login/device/code") {
        return serve_device_code(call);
    }
    if (call.path == "/login/oauth/access_token") {
        return serve_access_token(call);
    }
    if (call.path == "/login/device") {
        return serve_device_page(call);
    }
    if (call.path == "/copilot_internal/v2/token") {
        return serve_exchange(call);
    }
    if (call.path == "/copilot_internal/user") {
        return serve_copilot_user(call);
    }
    if (call.path == "/user") {
        return serve_github_user(call);
    }
    if (call.path == "/") {
        return text_reply(200, kWelcome);
    }
    return text_reply(404, "404 page not found\n");
}

std::string_view credential_name(Credential credential) {
    switch (credential) {
        case Credential::none:
            return "none";
        case Credential::github:
            return "github";
        case Credential::copilot:
            return "copilot";
        case Credential::invalid:
            return "invalid";
    }
    return "none";
}

void fill_entry(LogEntry& entry, const Call& call, const Reply& reply) {
    const Request& request = call.request;
    entry.method = request.method;
    entry.target = request.target;
    entry.headers = request.headers;
    for (auto& header : entry.headers) {
        if (http::iequals(header.name, "authorization")) {
            const size_t space = header.value.find(' ');
            header.value = header.value.substr(0, space) + " [not kept]";
        }
    }
    entry.body = request.body.substr(0, kLogBody);
    entry.credential = credential_name(call.credential);
    entry.account = call.account != nullptr ? call.account->spec.name : "";
    entry.model = call.model_id;
    for (const Fault& f : call.faults) {
        entry.faults.push_back(f.name);
    }
    entry.status = reply.before_head == Cut::none ? reply.status : 0;
}

void count(State& state, const Call& call, const LogEntry& entry) {
    ++state.counters["requests"];
    ++state.counters[entry.method + " " + std::string(call.path)];
    ++state.statuses[std::to_string(entry.status)];
    if (!entry.model.empty()) {
        ++state.model_calls[entry.model + " " + std::string(call.path)];
    }
    for (const auto& fault : entry.faults) {
        ++state.counters["fault " + fault];
    }
}

}  // namespace

World::World(Scenario scenario, std::string base_url) : state_(std::make_unique<State>()) {
    state_->base_url = std::move(base_url);
    load_scenario(*state_, std::move(scenario));
    rebuild_bench();
}

World::~World() = default;

Reply World::handle(const Request& request, Wall now, Mono mono) {
    (void)mono;  // waits are part of the reply; nothing in the world runs on its own
    const std::lock_guard lock(mutex_);
    return dispatch(request, now + state_->clock_offset);
}

Reply World::dispatch(const Request& request, Wall now) {
    State& state = *state_;
    std::string_view host, path, query;
    split_target(request.target, host, path, query);
    const uint64_t ordinal = ++state.ordinal;
    LogEntry entry;
    entry.number = static_cast<int64_t>(ordinal);
    entry.at = now;
    Call call{state,
              request,
              now,
              path,
              query,
              host,
              Random(keyed_hash(state.scenario.seed, "call") + ordinal),
              entry};
    if (path.starts_with("/_sim")) {
        --state.ordinal;  // looking at the world does not change it
        state.counters["bench_calls"] = static_cast<int64_t>(bench_calls_.load());
        Reply reply = serve_control(call);
        rebuild_bench();
        return reply;
    }
    if (request.body.starts_with("{")) {
        if (auto parsed = json::parse(request.body)) {
            call.body = std::move(*parsed);
            call.body_is_json = true;
        }
    }
    const bool known = is_capi(path) ? read_capi_credential(call) : read_github_credential(call);
    if (known || !is_capi(path)) {
        const FaultSite site{path, call.body["model"].as_string(),
                             call.account != nullptr ? call.account->spec.name : std::string_view{},
                             call.body["stream"].as_bool(), is_model_call(request.method, path)};
        call.faults = draw_faults(state.scenario.faults, site, call.random);
    }
    // Counted here, so that a faulted attempt counts as one.
    if (path == "/copilot_internal/v2/token") {
        ++state.counters["token_exchanges"];
    } else if (path == "/login/oauth/access_token") {
        ++state.counters["device_polls"];
    }
    Reply reply = route(call);
    for (const Fault& f : call.faults) {
        if (f.kind == FaultKind::wire) {
            apply_wire(reply, f);
        }
    }
    fill_entry(entry, call, reply);
    count(state, call, entry);
    calls_.fetch_add(1);
    state.log.push_back(std::move(entry));
    const auto most = std::clamp<int64_t>(state.scenario.log_entries, 1, kLogEntriesMax);
    while (state.log.size() > static_cast<size_t>(most)) {
        state.log.pop_front();
    }
    return reply;
}

void count_usage(Call& call, const Usage& usage, int64_t price) {
    const auto add = [](Usage& to, const Usage& more) {
        to.input += more.input;
        to.cached += more.cached;
        to.cache_write += more.cache_write;
        to.output += more.output;
        to.reasoning += more.reasoning;
    };
    call.entry.usage = usage;
    call.entry.charged = price;
    call.state.charged += price;
    add(call.state.usage, usage);
    SumKey key{call.account->spec.name, call.model->id,
               std::string(call.body["user"].as_string().substr(0, 128))};
    auto& sums = call.state.sums;
    if (sums.size() >= kSums && !sums.contains(key)) {
        std::get<2>(key) = "(others)";
    }
    Sum& sum = sums[std::move(key)];
    ++sum.calls;
    sum.charged += price;
    add(sum.usage, usage);
}

const BenchReply* World::fast(std::string_view method, std::string_view path,
                              std::string_view authorization, Wall now) const {
    const BenchReply* reply = bench_.load(std::memory_order_acquire);
    if (reply == nullptr || method != "POST" || !path.ends_with("/chat/completions")) {
        return nullptr;
    }
    if (!remember_token(authorization, now)) {
        return nullptr;
    }
    bench_calls_.fetch_add(1, std::memory_order_relaxed);
    return reply;
}

bool World::remember_token(std::string_view authorization, Wall now) const {
    struct Seen {
        const World* world = nullptr;
        uint64_t generation = 0;
        std::string authorization;
        Wall until{};
    };
    static thread_local Seen seen;
    const uint64_t generation = generation_.load(std::memory_order_acquire);
    if (seen.world == this && seen.generation == generation && now < seen.until &&
        seen.authorization == authorization) {
        return true;
    }
    const std::lock_guard lock(mutex_);
    Request request;
    request.headers.push_back({"authorization", std::string(authorization)});
    LogEntry entry;
    Call call{*state_, request, now + state_->clock_offset, {}, {}, {}, Random(0), entry};
    if (!read_capi_credential(call)) {
        return false;
    }
    // A second at most: expiry and revocation are noticed soon enough for a benchmark.
    seen = {this, generation, std::string(authorization), now + seconds(1)};
    return true;
}

void World::rebuild_bench() {
    generation_.fetch_add(1, std::memory_order_release);
    if (!state_->scenario.bench.enabled) {
        bench_.store(nullptr, std::memory_order_release);
        return;
    }
    auto reply = std::make_unique<const BenchReply>(build_bench(state_->scenario));
    const BenchReply* now = bench_.load();
    if (now != nullptr && now->events == reply->events && now->body == reply->body &&
        now->pause == reply->pause && now->hold == reply->hold) {
        return;
    }
    bench_replies_.push_back(std::move(reply));
    bench_.store(bench_replies_.back().get(), std::memory_order_release);
}

void World::set_base_url(std::string base_url) {
    const std::lock_guard lock(mutex_);
    state_->base_url = std::move(base_url);
}

std::string World::issue_token(std::string_view account, Wall now) {
    const std::lock_guard lock(mutex_);
    return make_copilot_token(*state_, account, now + state_->clock_offset);
}

bool asks_for_stream(std::string_view body) {
    size_t at = body.find("\"stream\"");
    if (at == std::string_view::npos) {
        return false;
    }
    at = body.find_first_not_of(" \t\r\n:", at + 8);
    return at != std::string_view::npos && body.substr(at).starts_with("true");
}

}  // namespace belay::sim

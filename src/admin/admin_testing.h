#pragma once
// For the tests of this folder: a management API over entities in memory, a clock that stands still
// and a ledger that answers what it is told. The store keeps the port's promises (one transaction,
// versions); the drivers' own contract suite is in store/.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/call.h"
#include "admin/management.h"
#include "base/seal.h"
#include "governance/keys.h"

namespace belay::admin::testing {

class StillClock final : public Clock {
  public:
    Mono mono() const override { return Mono(seconds(1000)); }
    Wall wall() const override { return now; }
    Wall now = parse_utc("2026-10-03T09:00:00Z");
};

class MemoryStore final : public governance::EntityStore {
  public:
    Result<std::vector<governance::Entity>> changes_since(int64_t version, size_t limit) override {
        if (away) {
            return gateway_error(Kind::upstream_unavailable, "away");
        }
        std::map<int64_t, governance::Entity> later;
        for (const auto& [id, entity] : entities) {
            if (entity.version > version && (version > 0 || !entity.is_deleted())) {
                later[entity.version] = entity;
            }
        }
        std::vector<governance::Entity> out;
        for (auto& [v, entity] : later) {
            if (out.size() < limit) {
                out.push_back(entity);
            }
        }
        return out;
    }
    Result<std::vector<governance::Entity>> apply(
        const std::vector<governance::Change>& changes) override {
        if (away) {
            return gateway_error(Kind::upstream_unavailable, "away");
        }
        if (before_apply) {
            std::exchange(before_apply, {})();
        }
        for (const auto& change : changes) {
            const auto at = entities.find({change.kind, change.id});
            const int64_t have =
                at == entities.end() || at->second.is_deleted() ? 0 : at->second.version;
            if (change.expected && *change.expected != have) {
                Error error = caller_error(Kind::invalid_request, "conflict");
                error.code = "conflict";
                return error;
            }
        }
        std::vector<governance::Entity> written;
        for (const auto& change : changes) {
            governance::Entity entity{change.kind, change.id, change.doc, ++last};
            entities[{change.kind, change.id}] = entity;
            written.push_back(entity);
        }
        return written;
    }
    bool reachable() const override { return !away; }

    std::map<std::pair<EntityKind, std::string>, governance::Entity> entities;
    int64_t last = 0;
    bool away = false;
    std::function<void()> before_apply;  // another instance, just before
};

class ToldQueries final : public ledger::Queries {
  public:
    Result<ledger::LogPage> find_page(const ledger::LogFilter& filter) override {
        asked_pages.push_back(filter);
        return page;
    }
    Result<std::vector<ledger::DaySum>> day_sums(const ledger::DayFilter& filter) override {
        asked_days.push_back(filter);
        return days;
    }
    Result<std::vector<ledger::ScopeSum>> scope_sums() override {
        return std::vector<ledger::ScopeSum>();
    }
    Result<std::vector<TagSum>> tag_sums(const std::string&, const std::string&) override {
        return tags;
    }
    Result<uint64_t> drop_before(int64_t) override { return uint64_t{0}; }
    Result<void> for_each(const ledger::LogFilter&,
                          const std::function<bool(const ledger::Entry&)>&) override {
        return {};
    }
    std::vector<ledger::LogFilter> asked_pages;
    std::vector<ledger::DayFilter> asked_days;
    ledger::LogPage page;
    std::vector<ledger::DaySum> days;
    std::vector<TagSum> tags;
};

struct Reply {
    int status = 0;
    Value body;
    std::string text;
    std::vector<std::pair<std::string, std::string>> headers;
    [[nodiscard]] std::string_view message() const { return body["error"]["message"].as_string(); }
};

// One gateway's management API.
class World {
  public:
    World() {
        settings.master_key = Secret("sk-master-0123456789abcdef");
        settings.store_model_in_db = true;
        table = std::make_shared<const routing::Table>();
        seal = std::move(*make_seal({Secret("salt")}));
        Services services{.clock = clock,
                          .store = store,
                          .directory = directory,
                          .governor = governor,
                          .queries = queries,
                          .seal = seal.get(),
                          .settings = [this] { return std::make_shared<const Settings>(settings); },
                          .table = [this] { return table; },
                          .on_models_changed = [this] { ++models_changed; },
                          .requests_in_flight = [] { return size_t{0}; },
                          .is_cooling = [](const std::string&) { return false; }};
        management = std::make_unique<Management>(std::move(services), Management::Bounds{0, 0});
    }

    // As whoever has the key; "" = the master key.
    Reply ask(std::string_view method, std::string_view target, std::string_view body = {},
              std::string_view key = {}) {
        auto caller = std::make_shared<governance::Caller>();
        caller->is_master = true;
        caller->role = governance::Role::proxy_admin;
        if (!key.empty()) {
            const auto known = directory.caller(directory.key_id(key));
            REQUIRE(known != nullptr);
            return ask_as(method, target, body, known);
        }
        return ask_as(method, target, body, caller);
    }
    Reply ask_as(std::string_view method, std::string_view target, std::string_view body,
                 governance::CallerPtr caller) {
        Ask ask;
        ask.method = std::string(method);
        const size_t mark = target.find('?');
        ask.path = std::string(target.substr(0, mark));
        ask.query = mark == std::string_view::npos ? "" : std::string(target.substr(mark + 1));
        ask.body = std::string(body);
        ask.caller = std::move(caller);
        const Answer answer = management->answer(ask);
        Reply reply{answer.status, {}, answer.body, answer.headers};
        if (auto parsed = json::parse(answer.body); parsed.ok()) {
            reply.body = *parsed;
        }
        return reply;
    }
    Reply post(std::string_view target, std::string_view body, std::string_view key = {}) {
        return ask("POST", target, body, key);
    }
    Reply get(std::string_view target, std::string_view key = {}) {
        return ask("GET", target, {}, key);
    }
    // A user with a key of its own; the key.
    std::string user_key(std::string_view user, std::string_view role = "internal_user") {
        const Reply made =
            post("/user/new", R"({"user_id":")" + std::string(user) + R"(","user_role":")" +
                                  std::string(role) + R"("})");
        REQUIRE(made.status == 200);
        return std::string(made.body["key"].as_string());
    }
    std::string key_of(std::string_view body) {
        const Reply made = post("/key/generate", body);
        REQUIRE_MESSAGE(made.status == 200, made.text);
        return std::string(made.body["key"].as_string());
    }

    StillClock clock;
    MemoryStore store;
    governance::Directory directory;
    governance::Governor governor;
    ToldQueries queries;
    Settings settings;
    std::shared_ptr<const routing::Table> table;
    std::unique_ptr<Seal> seal;
    std::unique_ptr<Management> management;
    int models_changed = 0;
};

}  // namespace belay::admin::testing

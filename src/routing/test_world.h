#pragma once
// A small table, a clock that stands still and one plan: what the tests of routing are told with.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routing/plan.h"

namespace belay::routing::test {

inline const Mono kMono{std::chrono::hours(1000)};
inline const Wall kWall = parse_utc("2026-09-10T12:00:00Z");

inline Outcome failed(Cause cause, int status = 0, std::string message = "upstream says no") {
    Outcome out;
    out.cause = cause;
    out.status = status;
    out.message = std::move(message);
    return out;
}

inline FallbackTarget to(std::string group) {
    FallbackTarget target;
    target.group = std::move(group);
    return target;
}

inline std::vector<FallbackTarget> list(std::initializer_list<const char*> groups) {
    std::vector<FallbackTarget> out;
    for (const char* group : groups) {
        out.push_back(to(group));
    }
    return out;
}

struct TableMaker {
    std::shared_ptr<Table> table = std::make_shared<Table>();

    // A deployment of Copilot; the returned one may be edited until the first plan.
    Deployment& add(std::string group, std::string model = {}, std::string id = {}) {
        auto row = std::make_shared<Deployment>();
        row->id = id.empty() ? "id-" + std::to_string(table->deployments.size()) : std::move(id);
        row->model = model.empty() ? group : std::move(model);
        row->group = std::move(group);
        row->provider = "github_copilot";
        table->deployments.push_back(row);
        return *row;
    }
    // group -> groups, all single Copilot deployments.
    static TableMaker chained(std::initializer_list<const char*> groups) {
        TableMaker maker;
        std::vector<FallbackTarget> rest;
        for (const char* group : groups) {
            maker.add(group);
            rest.push_back(to(group));
        }
        rest.erase(rest.begin());
        if (!rest.empty()) {
            maker.table->fallbacks[*groups.begin()] = rest;
        }
        return maker;
    }
};

// One request against a table.
struct Walk {
    Health own;
    Health& health;
    PlanPtr p;
    Mono mono = kMono;
    Wall wall = kWall;
    double random = 0.5;

    Walk(const TableMaker& maker, Query query, Health* shared = nullptr)
        : health(shared ? *shared : own) {
        auto made = plan(maker.table, std::move(query));
        if (made.ok()) {
            p = std::move(*made);
        }
    }
    Walk(const TableMaker& maker, const char* model, Health* shared = nullptr)
        : Walk(maker, query_for(model), shared) {}

    static Query query_for(std::string model) {
        Query query;
        query.model = std::move(model);
        return query;
    }
    void pass(std::chrono::milliseconds time) {
        mono += time;
        wall += time;
    }
    Step step() { return next(*p, health, mono, wall, random); }
    void tell(const Outcome& outcome) { report(*p, health, outcome, mono, wall); }
    // Reports the outcome and returns the next step.
    Step after(const Outcome& outcome) {
        tell(outcome);
        return step();
    }
    Step after(Cause cause, int status = 0) { return after(failed(cause, status)); }
};

}  // namespace belay::routing::test

#pragma once
// The shared meters in Redis: one script per decision, one per settlement. Settlements that Redis
// has not confirmed are kept and told later; holds are renewed as long as their requests run, so
// that those of an instance that dies end by themselves.
#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "governance/governor.h"
#include "governance/shared.h"
#include "redis/client.h"
#include "redis/keys.h"
#include "redis/store_mark.h"

namespace belay::redis {

struct MetersOptions {
    ClientOptions client;
    std::string name_space = "belay";
    milliseconds lease{60'000};  // of a hold that nobody renews
    milliseconds calm{2'500};    // from Redis' return until it decides again
    size_t owed_most = 20'000;   // settlements that wait for Redis, per loop; the oldest give way
};

class Meters final : public governance::SharedMeters {
  public:
    // One client for each of `loops`; the governor outlives this.
    Meters(MetersOptions options, governance::Governor& governor,
           const std::vector<net::Loop*>& loops, std::shared_ptr<net::ClientContext> context);
    ~Meters() override;

    // On a loop of them: its client begins, and ends.
    void start_here();
    void stop_here();

    [[nodiscard]] governance::SharedTerm term() override { return mark_.term(); }
    void take(governance::SharedHold& hold, Done done) override;
    void settle(std::unique_ptr<governance::SharedHold> hold, governance::SharedUse use) override;
    [[nodiscard]] int64_t parts() const override;

    // How many instances are alive (Instances tells it). While Redis has only just come back, some
    // may not yet have: the number does not fall.
    void set_alive(int64_t count);
    // On a loop of them: Redis is there, and all have had the time to tell what it missed.
    [[nodiscard]] bool is_calm() const;

    // For what else is done with this store on this loop: `then` runs when it is known which store
    // it is (or with false).
    void with_store(std::function<void(bool)> then);
    void forget_store_here();  // it is not the one that was known
    [[nodiscard]] Client& client_here();
    [[nodiscard]] StoreMark& mark() { return mark_; }
    [[nodiscard]] const Keys& keys() const { return keys_; }
    [[nodiscard]] const std::string& instance() const { return instance_; }
    // A new id for a hold.
    [[nodiscard]] std::string next_id();
    // Of this loop: settlements that Redis does not have yet.
    [[nodiscard]] size_t owed_here();

  private:
    struct Owed {
        std::unique_ptr<governance::SharedHold> hold;
        governance::SharedUse use;
        bool sent = false;
        int tries = 0;
    };
    struct Taking;
    struct Part {
        Part(net::Loop& on, std::shared_ptr<net::ClientContext> context, ClientOptions options)
            : loop(on), client(on, std::move(context), std::move(options)) {}
        net::Loop& loop;
        Client client;
        bool knows_store = false;
        std::list<Owed> owed;
        std::unordered_set<governance::SharedHold*> open;
        net::Timer timer;  // tells what is owed, renews holds
        Mono renewed{};
        Mono calm_at{};  // until then the instance goes on alone
        bool was_away = false;
        bool running = false;
    };

    // Null on a thread that is none of its loops.
    [[nodiscard]] Part* find_here() const;
    [[nodiscard]] Part& here() const;
    void try_take(const std::shared_ptr<Taking>& taking);
    void on_taken(const std::shared_ptr<Taking>& taking, Result<Reply> reply);
    void give_up(const std::shared_ptr<Taking>& taking);
    void tell(Part& part, std::list<Owed>::iterator owed);
    void on_told(Part& part, std::list<Owed>::iterator owed, const Result<Reply>& reply);
    void tell_all(Part& part);
    void tick(Part& part);
    void renew(Part& part);

    MetersOptions options_;
    governance::Governor& governor_;
    Keys keys_;
    std::string instance_;
    StoreMark mark_;
    std::atomic<uint64_t> last_id_{0};
    std::atomic<int64_t> alive_{1};
    std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace belay::redis

// The set of accounts: which there are, and whose sign-in may be whose. GitHub is a table of
// logins.
#include "accounts/account_set.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/ids.h"
#include "net/loops.h"

using namespace belay;
using namespace belay::accounts;

namespace {

// GitHub: a token "gho_ann" is the account ann's.
class FakeGithub final : public net::Fetcher {
  public:
    net::Task<Result<net::FetchReply>> fetch(net::FetchRequest request) override {
        std::string token;
        for (const auto& [name, value] : request.headers) {
            if (name == "Authorization") {
                token = value.substr(value.find(' ') + 1);
            }
        }
        net::FetchReply reply;
        reply.status = 200;
        if (request.url.ends_with("/token")) {
            reply.body = R"({"token":"tid=)" + token +
                         R"(","refresh_in":1500,"expires_at":4102444800,"sku":"x"})";
        } else if (request.url.ends_with("/user")) {
            reply.body = R"({"login":")" + token.substr(token.find('_') + 1) +
                         R"(","copilot_plan":"individual_pro"})";
        } else {
            reply.body = R"({"data":[{"id":"gpt-5-mini"}]})";
        }
        co_return reply;
    }
};

struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/belay-accounts-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    void sign_in(const std::string& id, const std::string& login) const {
        std::filesystem::create_directories(path + "/" + id);
        std::filesystem::permissions(path + "/" + id, std::filesystem::perms::owner_all);
        std::ofstream(path + "/" + id + "/access-token") << "gho_" + login;
        std::filesystem::permissions(
            path + "/" + id + "/access-token",
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
};

struct World {
    Folder folder;
    net::Loops loops{1};
    FakeGithub github;
    std::unique_ptr<AccountSet> set;

    World() {
        AccountOptions main =
            *plan_account(json::Value(), [&](std::string_view name) -> std::optional<std::string> {
                return name == "HOME" ? std::optional(folder.path) : std::nullopt;
            });
        set = std::make_unique<AccountSet>(loops[0], github, system_clock(), std::move(main),
                                           folder.path, "sign in");
        loops.start();
        loops.run_on(0, [this] { set->start(); });
    }
    ~World() {
        loops.run_on(0, [this] { set->stop(); });
        loops.run_on(0, [this] { set.reset(); });
        loops.stop();
        loops.join();
    }
    // What comes of the account once GitHub has answered.
    AccountViewPtr settled(const std::string& id) const {
        const auto service = set->find(id);
        REQUIRE(service != nullptr);
        const Mono until = system_clock().mono() + seconds(10);
        while (system_clock().mono() < until) {
            const auto view = service->view();
            if (!view->login.empty() || view->phase == Phase::refused) {
                return view;
            }
            std::this_thread::yield();
        }
        FAIL("GitHub's answer changes nothing");
        return nullptr;
    }
};

const std::string kOne = "acct-000000000001";
const std::string kTwo = "acct-000000000002";

}  // namespace

TEST_CASE("ids are made as they are recognised, and no path is one") {
    CHECK(is_account_id(make_account_id()));
    for (const char* bad : {"", "default", "acct-", "acct-00000000000", "acct-0000000000001",
                            "acct-00000000000G", "../0123456789abc", "acct-0000000000/1"}) {
        CHECK_FALSE(is_account_id(bad));
    }
}

TEST_CASE("each account speaks with its own token") {
    World w;
    w.folder.sign_in(kOne, "ann");
    w.folder.sign_in(kTwo, "bob");
    w.set->keep({kOne, kTwo, "no id"});
    CHECK(w.set->all().size() == 2);
    CHECK(w.settled(kOne)->login == "ann");
    CHECK(w.settled(kTwo)->login == "bob");
    const auto ann = w.set->find(kOne)->current();
    REQUIRE(ann != nullptr);
    CHECK(ann->account == kOne);
    CHECK(ann->token.reveal() == "tid=gho_ann");
    CHECK(w.set->main().current() == nullptr);
}

TEST_CASE("a login that another person holds is not used a second time") {
    World w;
    w.folder.sign_in(kOne, "ann");
    w.set->keep({kOne});
    CHECK(w.settled(kOne)->login == "ann");
    w.folder.sign_in(kTwo, "Ann");
    w.set->keep({kOne, kTwo});
    const auto second = w.settled(kTwo);
    CHECK(second->phase == Phase::refused);
    CHECK(second->problem.id == "seat_taken");
    CHECK(w.set->find(kTwo)->current() == nullptr);
    CHECK(w.set->find(kOne)->current() != nullptr);
}

TEST_CASE("an account that goes takes its sign-in along") {
    World w;
    w.folder.sign_in(kOne, "ann");
    w.set->keep({kOne});
    (void)w.settled(kOne);
    w.set->keep({});
    CHECK(w.set->find(kOne) == nullptr);
    w.loops.run_on(0, [] {});  // what was posted before has run
    CHECK_FALSE(std::filesystem::exists(w.folder.path + "/" + kOne));
}

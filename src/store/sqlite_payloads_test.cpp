#include "store/sqlite_payloads.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace belay::store {
namespace {

struct Folder {
    Folder() {
        char name[] = "/tmp/belay-payloads-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() {
        for (const char* suffix : {"", "-wal", "-shm"}) {
            ::unlink((file() + suffix).c_str());
        }
        ::rmdir(path.c_str());
    }
    [[nodiscard]] std::string file() const { return path + "/payloads.db"; }
    std::string path;
};

ledger::KeptPayload kept(const std::string& id, int64_t ms) {
    return {id, ms, "key", "user", "team", R"({"a":1})", R"({"b":")" + id + R"("})"};
}

// Reading makes no file; what is saved is read back by a later process, private to its owner.
TEST_CASE("payloads are found again") {
    const Folder folder;
    {
        SqlitePayloads payloads(folder.file());
        CHECK_FALSE(payloads.find("r1")->has_value());
        CHECK(::access(folder.file().c_str(), F_OK) != 0);
        REQUIRE(payloads.save({kept("r1", 1), kept("r2", 2)}).ok());
        REQUIRE(payloads.save({kept("r2", 3)}).ok());
    }
    SqlitePayloads payloads(folder.file());
    CHECK(**payloads.find("r1") == kept("r1", 1));
    CHECK(**payloads.find("r2") == kept("r2", 3));
    CHECK_FALSE(payloads.find("r3")->has_value());
    struct stat s {};
    REQUIRE(::stat(folder.file().c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);
}

// Old ones go, however many, and their text is in no page of the files any more.
TEST_CASE("old payloads are deleted") {
    const Folder folder;
    SqlitePayloads payloads(folder.file());
    std::vector<ledger::KeptPayload> many;
    for (int i = 0; i < 1'000; ++i) {
        many.push_back(kept("canary-id-" + std::to_string(i), i));
    }
    REQUIRE(payloads.save(many).ok());
    const auto dropped = payloads.drop_before(999);
    REQUIRE(dropped.ok());
    CHECK(*dropped == 999);
    CHECK(payloads.find("canary-id-999")->has_value());
    CHECK_FALSE(payloads.find("canary-id-998")->has_value());
    std::string text;
    for (const char* suffix : {"", "-wal"}) {
        std::ifstream file(folder.file() + suffix, std::ios::binary);
        std::ostringstream whole;
        whole << file.rdbuf();
        text += whole.str();
    }
    CHECK(text.find("canary-id-99") != text.npos);
    CHECK(text.find("canary-id-500") == text.npos);
}

}  // namespace
}  // namespace belay::store

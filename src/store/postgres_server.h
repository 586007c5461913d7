#pragma once
// For tests: a PostgreSQL server of our own, from the system's package, in a temporary folder and
// on a socket in it, so that nothing else is met. Started once per test program, gone with it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/postgres_ledger.h"
#include "store/test_support.h"
#include "wire/url.h"

namespace belay::store {

class PostgresServer {
  public:
    // The one that tests share; each works in a schema of its own.
    static PostgresServer& shared() {
        static PostgresServer server;
        return server;
    }

    PostgresServer() {
        make_readable();
        const int status = finish(start({program("initdb"), "-D", data(), "-U", "belay", "-A",
                                         "trust", "-E", "UTF8", "--no-locale", "--no-sync"}));
        REQUIRE_MESSAGE(status == 0, "initdb failed");
        launch();
    }
    ~PostgresServer() { stop(SIGINT); }

    // Comes back when the server answers.
    void launch() {
        postgres_ = start({program("postgres"), "-D", data(), "-k", folder_.path(), "-c",
                           "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
                           "-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c",
                           "lc_messages=C", "-c", "deadlock_timeout=50ms"});
        REQUIRE(read_log_until("ready to accept connections"));
        log_reader_ = std::thread([this] { read_log_until({}); });
    }
    // SIGINT: orderly; SIGQUIT: as in a crash.
    void stop(int signal) {
        if (postgres_.pid > 0) {
            ::kill(postgres_.pid, signal);
            (void)finish(postgres_);
            log_reader_.join();
            ::close(postgres_.log);
            postgres_ = {};
        }
    }

    // A URL with an empty schema; `folder`: where the socket is, if it is not the server's.
    [[nodiscard]] std::string fresh_url(const std::string& folder = {}) {
        static std::atomic<int> count{0};
        return url("t" + std::to_string(++count), folder);
    }
    [[nodiscard]] std::string url(const std::string& schema, const std::string& folder = {}) const {
        return "postgresql://belay@/postgres?host=" +
               percent_encode(folder.empty() ? folder_.path() : folder) + "&schema=" + schema;
    }
    [[nodiscard]] std::string socket() const { return folder_.file(".s.PGSQL.5432"); }

  private:
    struct Child {
        pid_t pid = 0;
        int log = -1;
    };

    [[nodiscard]] std::string data() const { return folder_.file("data"); }

    // PostgreSQL refuses to run as root.
    static const passwd* other_user() {
        if (::geteuid() != 0) {
            return nullptr;
        }
        const passwd* user = ::getpwnam("postgres");
        return user != nullptr ? user : ::getpwnam("nobody");
    }

    void make_readable() {
        if (const passwd* user = other_user()) {
            REQUIRE(::chown(folder_.path().c_str(), user->pw_uid, user->pw_gid) == 0);
        }
    }

    // The newest version that is installed.
    static std::string program(const std::string& name) {
        std::vector<std::filesystem::path> found;
        std::error_code none;
        for (const auto& version :
             std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
            found.push_back(version.path() / "bin" / name);
        }
        for (const char* folder : {"/usr/bin", "/usr/local/bin"}) {
            found.push_back(std::filesystem::path(folder) / name);
        }
        std::erase_if(found, [](const auto& path) { return !std::filesystem::exists(path); });
        REQUIRE_MESSAGE(!found.empty(), "PostgreSQL's server is missing; `tools/setup test`");
        return std::max_element(found.begin(), found.end(),
                                [](const auto& a, const auto& b) {
                                    return a.native().size() != b.native().size()
                                               ? a.native().size() < b.native().size()
                                               : a < b;
                                })
            ->string();
    }

    // Its messages go to `log`. It ends with this program.
    Child start(const std::vector<std::string>& command) {
        int pipe[2];
        REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
        std::vector<char*> arguments;
        for (const std::string& word : command) {
            arguments.push_back(const_cast<char*>(word.c_str()));
        }
        arguments.push_back(nullptr);
        const passwd* user = other_user();
        const std::string& home = folder_.path();
        const pid_t pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            ::dup2(pipe[1], STDOUT_FILENO);
            ::dup2(pipe[1], STDERR_FILENO);
            const bool changed =
                user == nullptr || (::setgid(user->pw_gid) == 0 && ::setuid(user->pw_uid) == 0);
            if (changed && ::chdir(home.c_str()) == 0 && ::prctl(PR_SET_PDEATHSIG, SIGINT) == 0) {
                ::execv(arguments[0], arguments.data());
            }
            ::_exit(127);
        }
        ::close(pipe[1]);
        return {pid, pipe[0]};
    }

    static int finish(const Child& child) {
        int status = -1;
        while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
        }
        return status;
    }

    // False when the server ended first. Asserts nothing: the last one runs after the tests.
    bool read_log_until(std::string_view word) {
        std::string seen;
        char buffer[4096];
        for (;;) {
            const ssize_t size = ::read(postgres_.log, buffer, sizeof buffer);
            if (size <= 0) {
                return false;
            }
            seen.append(buffer, static_cast<size_t>(size));
            if (!word.empty() && seen.find(word) != std::string::npos) {
                return true;
            }
            seen.erase(0, seen.size() > 65536 ? seen.size() - 65536 : 0);
        }
    }

    TempDir folder_;
    Child postgres_;
    std::thread log_reader_;
};

inline std::unique_ptr<JournaledLedger> open_postgres_ledger(const TempDir& dir,
                                                             const std::string& url,
                                                             PostgresLedgerOptions options = {}) {
    Result<DataDir> data = DataDir::open(dir.path());
    REQUIRE(data.ok());
    options.retry_delay_max = milliseconds(100);
    auto ledger = PostgresLedger::open(std::move(*data), url, std::move(options));
    if (!ledger.ok()) {
        FAIL(ledger.error().message << " " << ledger.error().detail);
    }
    return std::move(*ledger);
}

}  // namespace belay::store

#pragma once
// For tests: a Redis server of our own, from the system's package, in a temporary folder and on a
// socket in it, so that nothing else is met. Gone with its object, and with the test program.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "redis/address.h"

namespace belay::redis {

class RedisServer {
  public:
    // `more`: further arguments of redis-server ("--requirepass", "secret").
    explicit RedisServer(std::vector<std::string> more = {}) : more_(std::move(more)) {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "belay-redis-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        folder_ = pattern;
        launch();
    }
    ~RedisServer() {
        stop(SIGKILL);
        std::filesystem::remove_all(folder_);
    }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    // Comes back when the server takes connections.
    void launch() {
        std::vector<std::string> command = {
            program(),      "--port",       "0",  "--save",     "",       "--dir",
            folder_,        "--appendonly", "no", "--loglevel", "notice", "--unixsocket",
            address().host, "--daemonize",  "no"};
        command.insert(command.end(), more_.begin(), more_.end());
        int pipe[2];
        REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
        std::vector<char*> arguments;
        for (const std::string& word : command) {
            arguments.push_back(const_cast<char*>(word.c_str()));
        }
        arguments.push_back(nullptr);
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::dup2(pipe[1], STDOUT_FILENO);
            ::dup2(pipe[1], STDERR_FILENO);
            if (::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0) {
                ::execv(arguments[0], arguments.data());
            }
            ::_exit(127);
        }
        ::close(pipe[1]);
        std::string said;
        char buffer[4096];
        while (said.find("ready to accept connections") == std::string::npos) {
            const ssize_t size = ::read(pipe[0], buffer, sizeof buffer);
            if (size <= 0) {
                FAIL("redis-server did not start:\n" << said);
            }
            said.append(buffer, static_cast<size_t>(size));
        }
        log_ = pipe[0];  // what it says later fits into the pipe
    }
    void stop(int signal) {
        if (pid_ > 0) {
            ::kill(pid_, signal);
            if (signal == SIGKILL || signal == SIGTERM) {
                while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
                }
                ::close(log_);
                pid_ = 0;
            }
        }
    }
    // It stays as it is, but answers nothing, until resume().
    void freeze() { ::kill(pid_, SIGSTOP); }
    void resume() { ::kill(pid_, SIGCONT); }

    [[nodiscard]] Address address() const {
        Address out;
        out.host = folder_ + "/redis.sock";
        return out;
    }

  private:
    static std::string program() {
        for (const char* folder : {"/usr/bin", "/usr/local/bin"}) {
            for (const char* name : {"redis-server", "valkey-server"}) {
                const std::string path = std::string(folder) + "/" + name;
                if (std::filesystem::exists(path)) {
                    return path;
                }
            }
        }
        FAIL("Redis' server is missing; `tools/setup test`");
        return {};
    }

    std::vector<std::string> more_;
    std::string folder_;
    pid_t pid_ = 0;
    int log_ = -1;
};

}  // namespace belay::redis

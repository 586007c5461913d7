#include "base/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <thread>
#include <vector>

using namespace belay;

namespace {

// A pipe as the log's output for one test.
class Capture {
  public:
    explicit Capture(log::Options options) {
        REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0);
        options.fd = ends_[1];
        log::configure(options);
    }
    ~Capture() {
        log::configure({});
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    std::string read() {
        ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        std::string all;
        char buffer[4096];
        for (ssize_t n = 0; (n = ::read(ends_[0], buffer, sizeof buffer)) > 0;) {
            all.append(buffer, static_cast<size_t>(n));
        }
        return all;
    }

  private:
    int ends_[2] = {-1, -1};
};

}  // namespace

// Every known token shape and every remembered value is taken out; look-alikes stay.
TEST_CASE("scrub") {
    log::remember_secret("planted-canary-value");
    log::remember_secret("planted-canary-value-and-more");
    log::remember_secret("short");
    struct Case {
        std::string_view in, out;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"token gho_16C7e42F292c6912E7710c838347Ae178B4a!", "token [redacted]!"},
             {"ghu_abcdefgh,ghs_abcdefgh ghp_12345678", "[redacted],[redacted] [redacted]"},
             {"github_pat_11ABCDEFG0_xyz", "[redacted]"},
             {"key=sk-proj-abcdefghij1234567890", "key=[redacted]"},
             {"key sk-1234.", "key [redacted]."},
             {"sk-12345 stays", "sk-12345 stays"},
             {"risk-assessment-of-everything-we-do", "risk-assessment-of-everything-we-do"},
             {"tid=abc123;exp=1700000000;sku=x:mac rest", "[redacted] rest"},
             {"Authorization: Bearer abc", "Authorization: Bearer [redacted]"},
             {"bearer abc", "bearer [redacted]"},
             {"xplanted-canary-valuex", "x[redacted]x"},
             {"planted-canary-value-and-more", "[redacted]"},
             {"short stays", "short stays"},
             {"a\nb\x1b[31mc\x7f", "a\\nb\\x1b[31mc\\x7f"},
             {"plain … text", "plain … text"},
             {"", ""},
         }) {
        CHECK(log::scrub(c.in) == c.out);
    }
}

// A human line is time, level, message, fields; foreign line breaks cannot forge a second line.
TEST_CASE("human lines") {
    Capture capture({log::Level::info, log::Format::human, false});
    log::write(log::Level::warn, "token.refreshed", "refreshed\nagain",
               {{"account", "ada"}, {"left_s", 1500}, {"why", "two words"}});
    log::write(log::Level::debug, "hidden", "hidden");
    const std::string line = capture.read();
    REQUIRE(line.size() > 9);
    CHECK(line.substr(8) ==
          " warn  refreshed\\nagain  account=ada left_s=1500 why=\"two words\"\n");
}

// A JSON line carries event, message and typed fields, escaped, with secrets taken out.
TEST_CASE("JSON lines") {
    Capture capture({log::Level::debug, log::Format::json, false});
    log::write(log::Level::debug, "a.b", "say \"hi\"\t",
               {{"n", int64_t{-3}}, {"key", "gho_0123456789abcdef"}});
    log::write_line(log::Level::info, "c.d", "for people", {{"model", "m"}});
    const std::string text = capture.read();
    CHECK(text.find(R"("level":"debug","event":"a.b","message":"say \"hi\"\u0009","n":-3,)"
                    R"("key":"[redacted]"})") != std::string::npos);
    CHECK(text.find(R"("event":"c.d","model":"m"})") != std::string::npos);
}

// Laid-out lines keep their colours only when colours are on.
TEST_CASE("write_line") {
    {
        Capture capture({log::Level::info, log::Format::human, true});
        log::write_line(log::Level::info, "x", "\x1b[1;32mok\x1b[0m\n\x1b]0;title\a");
        CHECK(capture.read() == "\x1b[1;32mok\x1b[0m\n\\x1b]0;title\\x07\n");
    }
    Capture capture({log::Level::info, log::Format::human, false});
    log::write_line(log::Level::info, "x", "\x1b[32mok");
    CHECK(capture.read() == "\\x1b[32mok\n");
}

// A reader that has stopped never blocks the writer: lines are dropped, counted, and told later.
TEST_CASE("a full pipe drops lines") {
    Capture capture({log::Level::info, log::Format::human, false});
    const std::string big(2000, 'x');
    for (int i = 0; i < 100; ++i) {
        log::write(log::Level::info, "x", big);
    }
    CHECK(capture.read().find(big) != std::string::npos);
    log::write(log::Level::info, "x", "after");
    const std::string text = capture.read();
    CHECK(text.find("log lines dropped") != std::string::npos);
    CHECK(text.find("after\n") != std::string::npos);
}

// Lines of several threads never mix.
TEST_CASE("threads") {
    Capture capture({log::Level::info, log::Format::json, false});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([t] {
            for (int i = 0; i < 50; ++i) {
                log::remember_secret("thread-secret-" + std::to_string(t * 50 + i));
                log::write(log::Level::info, "t", "thread-secret-0", {{"i", i}});
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const std::string text = capture.read();
    size_t lines = 0;
    for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
        CHECK(text[at] == '{');
        CHECK(text[end - 1] == '}');
        ++lines;
    }
    CHECK(lines == 200);
}

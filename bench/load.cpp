// belay_load: an HTTP/1.1 load client for what wrk cannot do. One thread, epoll, keep-alive.
//
//   belay_load rate    HOST:PORT ...  open loop: request i is due at start + i/rate, whether or not
//                                     earlier ones are back; latency counts from when it was due,
//                                     so a stall is charged to every request it holds up
//   belay_load count   HOST:PORT ...  closed loop: exactly --count requests over --connections
//   belay_load hold    HOST:PORT ...  opens --count streams, prints "held" when each has had its
//                                     first event, keeps them open until its standard input ends
//
// Options: --path P  --body FILE  --header "Name: value" (repeatable)  --connections N
//          --rate R  --seconds S  --count N  --warm N (requests not counted)
// Prints one JSON object. Bounded: every run has a deadline. Knows 127.0.0.1 only by the address
// given.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Nanos = int64_t;

Nanos now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return Nanos{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

struct Options {
    std::string mode;
    sockaddr_in address{};
    std::string host;
    std::string path = "/v1/chat/completions";
    std::string body;
    std::string headers;
    int connections = 64;
    double rate = 1000;
    double seconds = 5;
    int64_t count = 1000;
    int64_t warm = 0;
};

[[noreturn]] void die(const std::string& why) {
    std::fprintf(stderr, "belay_load: %s\n", why.c_str());
    std::exit(2);
}

// Reads one reply as it comes and says when its first event and its end have been seen. Trusts the
// server's framing as far as its length or chunks go; anything else is an error.
class Reply {
  public:
    bool first_event = false;
    bool complete = false;
    bool bad = false;
    int status = 0;

    // Takes bytes; what is left over belongs to nobody (one request at a time on a connection).
    void take(std::string_view bytes) {
        while (!bytes.empty() && !complete && !bad) {
            bytes.remove_prefix(state_ == State::head ? take_head(bytes) : take_body(bytes));
        }
    }

  private:
    enum class State : uint8_t { head, length, chunk_size, chunk_data, chunk_end, trailer };

    size_t take_head(std::string_view bytes) {
        const size_t before = head_.size();
        head_.append(bytes);
        const size_t end = head_.find("\r\n\r\n");
        if (end == std::string::npos) {
            bad = head_.size() > 64 * 1024;
            return bytes.size();
        }
        const size_t used = end + 4 - before;
        head_.resize(end + 2);
        read_head();
        return used;
    }

    void read_head() {
        if (head_.size() < 12 || head_.compare(0, 7, "HTTP/1.") != 0) {
            bad = true;
            return;
        }
        status = std::atoi(head_.c_str() + 9);
        for (char& c : head_) {
            c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        if (head_.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
            state_ = State::chunk_size;
        } else if (const size_t at = head_.find("\r\ncontent-length:"); at != std::string::npos) {
            left_ = std::strtoull(head_.c_str() + at + 17, nullptr, 10);
            state_ = State::length;
            complete = left_ == 0;
        } else {
            bad = true;
        }
    }

    size_t take_body(std::string_view bytes) {
        switch (state_) {
            case State::length:
            case State::chunk_data: {
                const size_t n = std::min<size_t>(bytes.size(), left_);
                see(bytes.substr(0, n));
                left_ -= n;
                if (left_ == 0) {
                    complete = state_ == State::length;
                    state_ = State::chunk_end;
                    line_.clear();
                }
                return n;
            }
            case State::chunk_size:
            case State::chunk_end:
            case State::trailer:
                return take_line(bytes);
            case State::head:
                break;
        }
        return bytes.size();
    }

    size_t take_line(std::string_view bytes) {
        const size_t end = bytes.find('\n');
        if (end == std::string_view::npos) {
            line_.append(bytes);
            bad = line_.size() > 1024;
            return bytes.size();
        }
        line_.append(bytes.substr(0, end));
        if (!line_.empty() && line_.back() == '\r') {
            line_.pop_back();
        }
        if (state_ == State::chunk_end) {
            bad = !line_.empty();
            state_ = State::chunk_size;
        } else if (state_ == State::trailer) {
            complete = line_.empty();
        } else {
            left_ = std::strtoull(line_.c_str(), nullptr, 16);
            state_ = left_ == 0 ? State::trailer : State::chunk_data;
        }
        line_.clear();
        return end + 1;
    }

    void see(std::string_view body) {
        if (!first_event) {
            seen_.append(body);
            first_event = seen_.find("\n\n") != std::string::npos;
            if (seen_.size() > 16 * 1024) {
                seen_.erase(0, seen_.size() - 1);
            }
        }
    }

    State state_ = State::head;
    std::string head_;
    std::string line_;
    std::string seen_;
    uint64_t left_ = 0;
};

struct Connection {
    int fd = -1;
    size_t sent = 0;
    bool busy = false;
    Nanos due = 0;
    int64_t number = 0;
    Reply reply;
};

class Load {
  public:
    explicit Load(Options options) : options_(std::move(options)) {
        request_ = "POST " + options_.path + " HTTP/1.1\r\nHost: " + options_.host +
                   "\r\nContent-Type: application/json\r\nContent-Length: " +
                   std::to_string(options_.body.size()) + "\r\n" + options_.headers + "\r\n" +
                   options_.body;
        epoll_ = epoll_create1(0);
    }

    int run() {
        if (options_.mode == "rate") {
            run_rate();
        } else if (options_.mode == "count") {
            run_count();
        } else {
            return hold();
        }
        report();
        return errors_ == 0 ? 0 : 1;
    }

  private:
    // Connections are opened as they are needed, up to a bound far above what a healthy run uses.
    static constexpr int kConnectionsMax = 4096;

    void run_rate() {
        const auto total = static_cast<int64_t>(options_.rate * options_.seconds) + options_.warm;
        const double gap = 1e9 / options_.rate;
        open_up_to(options_.connections);
        const Nanos start = now() + 1'000'000;
        const Nanos deadline =
            start + static_cast<Nanos>(gap * static_cast<double>(total)) + 10'000'000'000;
        int64_t next = 0;
        while (done_ < total && now() < deadline) {
            Nanos due = start + static_cast<Nanos>(gap * static_cast<double>(next));
            while (next < total && due <= now()) {
                if (Connection* c = free_connection()) {
                    begin(*c, due, next++);
                    due = start + static_cast<Nanos>(gap * static_cast<double>(next));
                } else {
                    break;
                }
            }
            wait(next < total && !free_.empty() ? std::max<Nanos>(due - now(), 0) : 50'000'000);
        }
        errors_ += total - done_;
        elapsed_ = now() - start;
    }

    void run_count() {
        const int64_t total = options_.count + options_.warm;
        open_up_to(options_.connections);
        const Nanos start = now();
        const Nanos deadline = start + 300'000'000'000;
        int64_t next = 0;
        while (done_ < total && now() < deadline) {
            while (next < total && !free_.empty()) {
                Connection* c = free_connection();
                begin(*c, now(), next++);
            }
            wait(50'000'000);
        }
        errors_ += total - done_;
        elapsed_ = now() - start;
    }

    int hold() {
        const Nanos deadline = now() + 120'000'000'000;
        int64_t begun = 0;
        while (first_events_ + errors_ < options_.count && now() < deadline) {
            // A few hundred at a time, so that no listen queue overflows.
            while (begun < options_.count && begun - first_events_ < 256) {
                open_one();
                begin(*free_connection(), now(), begun++);
            }
            wait(50'000'000);
        }
        std::printf("{\"held\": %lld, \"errors\": %lld}\n", static_cast<long long>(first_events_),
                    static_cast<long long>(errors_));
        std::fflush(stdout);
        char byte = 0;
        while (read(STDIN_FILENO, &byte, 1) > 0) {
        }
        return first_events_ == options_.count ? 0 : 1;
    }

    void open_up_to(int n) {
        while (static_cast<int>(connections_.size()) < n) {
            open_one();
        }
    }

    void open_one() {
        auto c = std::make_unique<Connection>();
        connect(*c);
        free_.push_back(c.get());
        connections_.push_back(std::move(c));
    }

    void connect(Connection& c) {
        c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c.fd < 0 || ::connect(c.fd, reinterpret_cast<const sockaddr*>(&options_.address),
                                  sizeof(options_.address)) != 0) {
            die("cannot connect to " + options_.host + ": " + std::strerror(errno));
        }
        const int on = 1;
        setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &c;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
    }

    Connection* free_connection() {
        if (free_.empty()) {
            if (connections_.size() >= kConnectionsMax) {
                return nullptr;
            }
            open_one();
        }
        Connection* c = free_.back();  // the warmest one
        free_.pop_back();
        return c;
    }

    void begin(Connection& c, Nanos due, int64_t number) {
        c.busy = true;
        c.due = due;
        c.number = number;
        c.reply = Reply{};
        // The request is far smaller than a socket buffer: one write takes it, or the peer is gone.
        if (send(c.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request_.size())) {
            fail(c);
        }
    }

    void wait(Nanos at_most) {
        epoll_event events[256];
        const timespec timeout{at_most / 1'000'000'000, at_most % 1'000'000'000};
        const int n = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
        for (int i = 0; i < n; ++i) {
            receive(*static_cast<Connection*>(events[i].data.ptr));
        }
    }

    void receive(Connection& c) {
        char buffer[64 * 1024];
        const ssize_t n = recv(c.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            c.busy ? fail(c) : reopen(c);
            return;
        }
        const bool had_event = c.reply.first_event;
        c.reply.take({buffer, static_cast<size_t>(n)});
        const Nanos at = now();
        if (c.reply.first_event && !had_event) {
            ++first_events_;
            if (c.number >= options_.warm) {
                first_.push_back(at - c.due);
            }
        }
        if (c.reply.bad || (c.reply.complete && c.reply.status != 200)) {
            fail(c);
        } else if (c.reply.complete) {
            finish(c, at);
        }
    }

    void finish(Connection& c, Nanos at) {
        ++done_;
        c.busy = false;
        if (c.number >= options_.warm) {
            whole_.push_back(at - c.due);
        }
        free_.push_back(&c);
    }

    void fail(Connection& c) {
        if (errors_++ == 0) {
            std::fprintf(stderr, "belay_load: first failure: status %d, %s\n", c.reply.status,
                         c.reply.bad        ? "malformed"
                         : c.reply.complete ? "refused"
                                            : "cut");
        }
        if (errors_ > 1000) {
            die("more than 1,000 failures");
        }
        ++done_;
        c.busy = false;
        reopen(c);
        free_.push_back(&c);
    }

    void reopen(Connection& c) {
        close(c.fd);
        connect(c);
    }

    static double micros(std::vector<Nanos>& sorted, double part) {
        if (sorted.empty()) {
            return 0;
        }
        const auto at = static_cast<size_t>(part * static_cast<double>(sorted.size() - 1) + 0.5);
        return static_cast<double>(sorted[at]) / 1000;
    }

    void print_series(const char* name, std::vector<Nanos>& values) {
        std::sort(values.begin(), values.end());
        std::printf(
            ", \"%s\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": "
            "%.1f}",
            name, micros(values, .5), micros(values, .9), micros(values, .99), micros(values, .999),
            micros(values, 1));
    }

    void report() {
        std::printf(
            "{\"requests\": %lld, \"errors\": %lld, \"connections\": %zu, \"seconds\": %.3f",
            static_cast<long long>(done_), static_cast<long long>(errors_), connections_.size(),
            static_cast<double>(elapsed_) / 1e9);
        print_series("whole_us", whole_);
        if (!first_.empty()) {
            print_series("first_event_us", first_);
        }
        std::printf("}\n");
    }

    Options options_;
    std::string request_;
    int epoll_ = -1;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<Connection*> free_;
    std::vector<Nanos> whole_;
    std::vector<Nanos> first_;
    int64_t done_ = 0;
    int64_t errors_ = 0;
    int64_t first_events_ = 0;
    Nanos elapsed_ = 0;
};

Options read_options(int argc, char** argv) {
    if (argc < 3) {
        die("rate|count|hold HOST:PORT [options]; see the top of bench/load.cpp");
    }
    Options o;
    o.mode = argv[1];
    o.host = argv[2];
    if (o.mode != "rate" && o.mode != "count" && o.mode != "hold") {
        die("no mode " + o.mode);
    }
    const size_t colon = o.host.rfind(':');
    o.address.sin_family = AF_INET;
    if (colon == std::string::npos ||
        inet_pton(AF_INET, o.host.substr(0, colon).c_str(), &o.address.sin_addr) != 1) {
        die("HOST:PORT needs a numeric IPv4 address");
    }
    o.address.sin_port = htons(static_cast<uint16_t>(std::atoi(o.host.c_str() + colon + 1)));
    for (int i = 3; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        const char* value = argv[i + 1];
        if (name == "--path") {
            o.path = value;
        } else if (name == "--body") {
            std::ifstream file(value, std::ios::binary);
            o.body.assign(std::istreambuf_iterator<char>(file), {});
        } else if (name == "--header") {
            o.headers += std::string(value) + "\r\n";
        } else if (name == "--connections") {
            o.connections = std::atoi(value);
        } else if (name == "--rate") {
            o.rate = std::atof(value);
        } else if (name == "--seconds") {
            o.seconds = std::atof(value);
        } else if (name == "--count") {
            o.count = std::atoll(value);
        } else if (name == "--warm") {
            o.warm = std::atoll(value);
        } else {
            die("no option " + name);
        }
    }
    if (o.rate <= 0 || o.rate > 1e6 || o.connections < 1 || o.connections > 4096 || o.count < 1 ||
        o.count > 10'000'000 || o.seconds <= 0 || o.seconds > 600) {
        die("an option is out of bounds");
    }
    return o;
}

}  // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return Load(read_options(argc, argv)).run();
}

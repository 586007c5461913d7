#pragma once
// What goes in and out of the simulated world: whole requests, and replies as lists of timed parts.
// A Reply is a script that any server can play (and a test can read): bytes, the wait before them,
// and what happens to the connection after them. It knows nothing of sockets.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace belay::sim {

using std::chrono::milliseconds;

struct Header {
    std::string name;
    std::string value;
    bool operator==(const Header&) const = default;
};
using Headers = std::vector<Header>;

// The first value of a header, names compared without case; "" when absent.
[[nodiscard]] std::string_view find_header(const Headers& headers, std::string_view name);
[[nodiscard]] bool has_header(const Headers& headers, std::string_view name);
// Replaces every header of that name by one.
void set_header(Headers& headers, std::string_view name, std::string_view value);

struct Request {
    std::string method;
    std::string target;  // path and query, as sent
    Headers headers;
    std::string body;
    [[nodiscard]] std::string_view header(std::string_view name) const {
        return find_header(headers, name);
    }
};

// What becomes of the connection once a part is out.
enum class Cut : uint8_t {
    none,
    close,  // FIN, with the message unfinished
    reset,  // RST
    stall,  // nothing more, ever; the connection stays open until the client leaves
};

// Where a part stands in a streamed answer; faults are placed by it.
enum class Stage : uint8_t { whole, handshake, content, finish, done };

struct Part {
    std::string bytes;
    milliseconds delay{0};  // wait before the bytes
    Cut cut = Cut::none;    // what happens after them
    Stage stage = Stage::whole;
};

struct Reply {
    int status = 200;
    Headers headers;  // without Content-Length and Transfer-Encoding: the server adds them
    std::vector<Part> parts;
    bool streamed = false;            // chunked, one write per part
    milliseconds head_delay{0};       // wait before the head
    Cut before_head = Cut::none;      // close, reset or stall instead of a head
    size_t write_size = 0;            // at most so many bytes per write; 0 = no limit
    std::optional<size_t> announced;  // a Content-Length that lies

    [[nodiscard]] std::string body() const;  // all bytes, as if nothing were cut
    [[nodiscard]] std::string_view header(std::string_view name) const {
        return find_header(headers, name);
    }
};

}  // namespace belay::sim

#pragma once
// Server-sent events (WHATWG HTML §9.2), reading side incremental, any byte split gives the same
// events. LF, CRLF and CR line ends, several data lines per event, comments, BOM. One event may be at
// most `max_event` bytes.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::sse {

// Views are valid until the next call of feed() or finish().
struct Event {
    std::string_view name;  // "" when no event: line was seen
    std::string_view data;  // data lines joined by '\n'
};

class Parser {
  public:
    explicit Parser(size_t max_event = 4 << 20) : max_event_(max_event) {}

    // Gives bytes; then call next() until it says false. Whole events inside `bytes` are delivered
    // without a copy; only an unfinished tail is kept. `bytes` must stay valid until then.
    [[nodiscard]] Result<void> feed(std::string_view bytes);
    [[nodiscard]] bool next(Event& event);
    // At the end of the body: an unfinished event with data counts as an event (several upstreams
    // leave out the last blank line). Then call next() once more.
    void finish();
    // True when some bytes of an unfinished event are held.
    [[nodiscard]] bool partial() const { return !tail_.empty(); }

  private:
    // Implementation state; see sse.cpp.
    size_t max_event_;
    std::string tail_;       // unfinished event carried between feeds
    std::string_view chunk_; // what is being read now
    std::string joined_;     // data of an event with several data lines
    size_t pos_ = 0;
    bool use_tail_ = false;
    bool at_start_ = true;
    bool finished_ = false;
};

// Appends "data: <data>\n\n" (data must not hold a line break).
void write_data(std::string& out, std::string_view data);
// Appends "event: <name>\ndata: <data>\n\n".
void write_event(std::string& out, std::string_view name, std::string_view data);

}  // namespace belay::sse

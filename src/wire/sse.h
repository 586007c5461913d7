#pragma once
// Server-sent events (WHATWG HTML §9.2), reading side incremental, any byte split gives the same
// events. LF, CRLF and CR line ends, several data lines per event, comments, BOM. One event may be
// at most `max_event` bytes.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::sse {

// Views are valid until the next call of next(), feed() or finish().
struct Event {
    std::string_view name;  // "" when no event: line was seen
    std::string_view data;  // data lines joined by '\n'
};

class Parser {
  public:
    explicit Parser(size_t max_event = 4 << 20) : max_event_(max_event) {}

    // Gives bytes; then call next() until it says false. Whole events inside `bytes` are delivered
    // without a copy; only an unfinished tail is kept. `bytes` must stay valid until then. An error
    // (an earlier event was too large) is final.
    [[nodiscard]] Result<void> feed(std::string_view bytes);
    [[nodiscard]] bool next(Event& event);
    // At the end of the body: an unfinished event with data counts as an event (several upstreams
    // leave out the last blank line). Then call next() once more.
    void finish();
    // True when some bytes of an unfinished event are held.
    [[nodiscard]] bool partial() const {
        return !delivered_ && (lines_ != 0 || name_held_ || (!tail_.empty() && !line_used_));
    }
    // An event was larger than allowed: nothing more is delivered, and feed() says why.
    [[nodiscard]] bool failed() const { return failed_; }

  private:
    [[nodiscard]] bool between_events() const {
        return lines_ == 0 && !skip_lf_ && tail_.empty() && name_.empty();
    }
    bool next_plain(Event& event);
    [[gnu::noinline]] bool next_any(Event& event);
    void find_cr();
    bool next_line(std::string_view& line);
    void take(std::string_view line);
    void take_data(std::string_view data);
    void hold_data();
    void hold_name();
    void keep();
    void forget();
    bool deliver(Event& event);

    size_t max_event_;
    std::string_view chunk_;  // what feed() was given last
    size_t pos_ = 0;          // how far it has been read
    size_t cr_ = 0;           // the first CR at or behind pos_, or the end; unknown before pos_
    std::string tail_;        // the beginning of a line whose end has not come yet
    std::string_view name_;   // of the event being gathered, in chunk_ unless held
    std::string_view data_;   // its data so far, in chunk_ unless held
    std::string name_kept_;
    std::string joined_;
    bool name_held_ = false;  // name_kept_ has it
    bool data_held_ = false;  // joined_ has it
    size_t lines_ = 0;        // data lines so far
    bool line_used_ = false;  // tail_ was handed out as a line
    bool skip_lf_ = false;    // the last line ended with CR: a LF that follows belongs to it
    bool at_start_ = true;    // a byte order mark may still come
    bool delivered_ = false;
    bool finished_ = false;
    bool failed_ = false;
};

// Appends "data: <data>\n\n" (data must not hold a line break).
void write_data(std::string& out, std::string_view data);
// Appends "event: <name>\ndata: <data>\n\n".
void write_event(std::string& out, std::string_view name, std::string_view data);

}  // namespace belay::sse

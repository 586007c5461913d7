// stream = [BOM] *event
// event  = *( comment / field ) end-of-line          field = name [":" [SP] value] end-of-line
//
// The usual event, whole in the bytes of one feed(), is cut out of them as it stands. Of any other,
// lines are taken one by one; the event that is being gathered points into the bytes of the last
// feed(), and only when they run out is what is unfinished copied.
#include "wire/sse.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"

namespace belay::sse {
namespace {

const char* find(const char* p, const char* end, char c) {
    return static_cast<const char*>(std::memchr(p, c, static_cast<size_t>(end - p)));
}

}  // namespace

Result<void> Parser::feed(std::string_view bytes) {
    if (failed_) {
        return upstream_error(
            Kind::upstream_malformed,
            "an event of the stream is larger than " + std::to_string(max_event_ >> 10) + " KiB");
    }
    chunk_ = bytes;
    pos_ = cr_ = 0;
    return {};
}

// Bytes without a CR are searched for one once and not for each event.
inline void Parser::find_cr() {
    if (cr_ <= pos_) {
        cr_ = std::min(chunk_.find('\r', pos_), chunk_.size());
    }
}

// [ "event: " name LF ] "data: " data LF LF, all of it at hand and without a CR. Anything else is
// left as it is.
[[gnu::always_inline]] inline bool Parser::next_plain(Event& event) {
    constexpr ptrdiff_t kLeast = 8;  // "data: " LF LF
    if (!between_events() || failed_ || pos_ == chunk_.size()) {
        return false;
    }
    find_cr();
    const char* const first = chunk_.data() + pos_;
    const char* const end = chunk_.data() + cr_;
    const char* p = first;
    std::string_view name;
    if (end - p >= kLeast && std::memcmp(p, "event: ", 7) == 0) {
        const char* const stop = find(p, end, '\n');
        if (stop == nullptr) {
            return false;
        }
        name = {p + 7, static_cast<size_t>(stop - p - 7)};
        p = stop + 1;
    }
    if (end - p < kLeast || std::memcmp(p, "data: ", 6) != 0) {
        return false;
    }
    const char* const text = p + 6;
    const char* const stop = find(text, end, '\n');
    if (stop == nullptr || end - stop < 2 || stop[1] != '\n' ||
        static_cast<size_t>(stop - first) > max_event_) {
        return false;
    }
    event.name = name;
    event.data = {text, static_cast<size_t>(stop - text)};
    pos_ += static_cast<size_t>(stop - first) + 2;
    at_start_ = false;
    return true;
}

bool Parser::next(Event& event) {
    if (delivered_) {
        forget();
    }
    return next_plain(event) || next_any(event);
}

bool Parser::next_any(Event& event) {
    std::string_view line;
    while (!failed_ && next_line(line)) {
        if (line.empty()) {
            if (lines_ != 0) {
                return deliver(event);
            }
            forget();  // a name without data is no event
        } else {
            take(line);
        }
    }
    if (finished_ && !failed_ && lines_ != 0) {
        return deliver(event);
    }
    keep();
    return false;
}

void Parser::finish() {
    if (delivered_) {
        forget();
    }
    keep();
    chunk_ = {};
    pos_ = cr_ = 0;
    finished_ = true;
}

// The next whole line, without its end. At the end of the body what is left counts as one.
bool Parser::next_line(std::string_view& line) {
    if (line_used_) {
        tail_.clear();
        line_used_ = false;
    }
    if (skip_lf_ && pos_ < chunk_.size()) {
        pos_ += chunk_[pos_] == '\n' ? 1 : 0;
        skip_lf_ = false;
    }
    const char* const first = chunk_.data() + pos_;
    const char* const end = chunk_.data() + chunk_.size();
    const char* const stop = bytes::find_either(first, end, '\n', '\r');
    const std::string_view part(first, static_cast<size_t>(stop - first));
    if (tail_.size() + part.size() > max_event_) {
        failed_ = true;
        return false;
    }
    if (stop == end) {
        tail_.append(part);
        pos_ = chunk_.size();
        if (!finished_ || tail_.empty()) {
            return false;
        }
    } else {
        pos_ = static_cast<size_t>(stop + 1 - chunk_.data());
        skip_lf_ = *stop == '\r';
    }
    if (tail_.empty()) {
        line = part;
    } else {
        if (stop != end) {
            tail_.append(part);
        }
        line = tail_;
        line_used_ = true;
    }
    if (at_start_) {
        at_start_ = false;
        if (line.starts_with("\xEF\xBB\xBF")) {
            line.remove_prefix(3);
        }
    }
    return true;
}

void Parser::take(std::string_view line) {
    if (line.starts_with("data:")) {
        take_data(line.substr(5));
    } else if (line.starts_with("event:")) {
        std::string_view name = line.substr(6);
        name.remove_prefix(name.starts_with(' ') ? 1 : 0);
        name_ = name;
        name_held_ = false;
        if (line_used_) {
            hold_name();
        }
    } else if (line == "data") {
        take_data({});
    } else if (line == "event") {
        name_ = {};
        name_held_ = false;
    }
    // Comments, id, retry and fields of the future mean nothing here.
}

void Parser::take_data(std::string_view data) {
    data.remove_prefix(data.starts_with(' ') ? 1 : 0);
    const size_t before = data_held_ ? joined_.size() : data_.size();
    if (before + data.size() + 1 > max_event_) {
        failed_ = true;
    } else if (lines_++ == 0) {
        data_ = data;
        if (line_used_) {
            hold_data();
        }
    } else {
        hold_data();
        joined_.append(1, '\n').append(data);
    }
}

// Copies what still points into bytes that are about to go. Whether it was copied is a flag and not
// a view of the copy, so that a Parser may be moved.
void Parser::hold_data() {
    if (!data_held_) {
        joined_.assign(data_);
        data_held_ = true;
    }
}

void Parser::hold_name() {
    if (!name_held_ && !name_.empty()) {
        name_kept_.assign(name_);
        name_held_ = true;
    }
}

void Parser::keep() {
    if (lines_ != 0) {
        hold_data();
    }
    hold_name();
}

void Parser::forget() {
    delivered_ = false;
    lines_ = 0;
    data_ = {};
    name_ = {};
    data_held_ = name_held_ = false;
    // One large event must not hold its memory for the rest of a long, quiet stream.
    constexpr size_t kKeepMax = 1 << 10;
    if (joined_.capacity() > kKeepMax) {
        joined_ = {};
    }
    if (tail_.capacity() > kKeepMax && (tail_.empty() || line_used_)) {
        tail_ = {};
        line_used_ = false;
    }
}

bool Parser::deliver(Event& event) {
    event.name = name_held_ ? std::string_view(name_kept_) : name_;
    event.data = data_held_ ? std::string_view(joined_) : data_;
    delivered_ = true;
    return true;
}

void write_data(std::string& out, std::string_view data) {
    out.append("data: ").append(data).append("\n\n");
}

void write_event(std::string& out, std::string_view name, std::string_view data) {
    out.append("event: ").append(name).append("\ndata: ").append(data).append("\n\n");
}

}  // namespace belay::sse

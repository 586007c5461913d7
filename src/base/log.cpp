#include "base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "base/scrub.h"

namespace belay::log {
namespace {

constexpr size_t kWriteMax = 4096;  // a pipe that polls writable takes this much without blocking
constexpr int kWaitMs = 20;         // how long the rest of a line that has begun may wait
constexpr size_t kLineMax = 64 << 10;  // longer lines are cut

std::atomic<Level> g_level{Level::info};

// One for the process; never destroyed, since threads may log until the very end.
struct Sink {
    std::mutex mutex;
    Options options;
    uint64_t dropped = 0;
};

Sink& sink() {
    static Sink* const instance = new Sink;
    return *instance;
}

constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 4> kColours = {"\x1b[2m", "\x1b[36m", "\x1b[33m",
                                                      "\x1b[31m"};
constexpr std::string_view kPlain = "\x1b[0m";

bool ready(int fd, int wait_ms) {
    pollfd p{fd, POLLOUT, 0};
    return ::poll(&p, 1, wait_ms) == 1 && (p.revents & POLLOUT) != 0;
}

// Writes what the reader of the log takes at once. A reader that has stopped costs lines, never
// time: the descriptor is shared with other programs, so it is polled and not made non-blocking.
bool write_all(int fd, std::string_view text) {
    for (int wait_ms = 0; !text.empty(); wait_ms = kWaitMs) {
        if (!ready(fd, wait_ms)) {
            return false;
        }
        const ssize_t n = ::write(fd, text.data(), std::min(text.size(), kWriteMax));
        if (n <= 0) {
            return false;
        }
        text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

std::string clock_of_day() {
    const std::time_t now = static_cast<std::time_t>(unix_seconds(system_clock().wall()));
    std::tm tm{};
    localtime_r(&now, &tm);
    char text[16];
    return {text, std::strftime(text, sizeof text, "%H:%M:%S", &tm)};
}

void append_json_string(std::string& out, std::string_view text) {
    constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (const char c : redact(text)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7F) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

std::string render_json(Level level, std::string_view event, std::string_view message,
                        std::initializer_list<Field> fields) {
    std::string out = "{\"ts\":\"" + render_utc(system_clock().wall()) + "\",\"level\":\"";
    out += kNames[static_cast<size_t>(level)];
    out += "\",\"event\":";
    append_json_string(out, event);
    if (!message.empty()) {
        out += ",\"message\":";
        append_json_string(out, message);
    }
    for (const Field& field : fields) {
        out += ',';
        append_json_string(out, field.name);
        out += ':';
        if (field.type == Field::Type::number) {
            out += field.value;
        } else {
            append_json_string(out, field.value);
        }
    }
    return out + "}";
}

// Values with spaces are quoted so that a line can be taken apart again.
void append_field(std::string& out, const Field& field) {
    const std::string value = scrub(field.value);
    out.append(field.name) += '=';
    if (value.empty() || value.find_first_of(" \"=") != std::string::npos) {
        out += '"';
        for (const char c : value) {
            if (c == '"') {
                out += '\\';
            }
            out += c;
        }
        out += '"';
    } else {
        out += value;
    }
}

std::string render_head(Level level, const Options& how) {
    const auto at = static_cast<size_t>(level);
    std::string out = clock_of_day() + ' ';
    if (how.colour) {
        out += kColours[at];
    }
    out.append(kNames[at]).append(5 - kNames[at].size(), ' ');
    if (how.colour) {
        out += kPlain;
    }
    return out + ' ';
}

std::string render_human(Level level, const Options& how, std::string_view message,
                         std::initializer_list<Field> fields) {
    std::string out = render_head(level, how) + scrub(message);
    for (const Field& field : fields) {
        out += field.name.data() == fields.begin()->name.data() ? "  " : " ";
        append_field(out, field);
    }
    return out;
}

void emit(Sink& s, std::string line) {
    if (line.size() > kLineMax) {
        line.resize(kLineMax);
        line += "…";
    }
    line += '\n';
    if (s.dropped != 0) {
        const std::string note = std::to_string(s.dropped) + " log lines dropped: nobody read them";
        const std::string told = s.options.format == Format::json
                                     ? render_json(Level::warn, "log.dropped", note, {})
                                     : render_human(Level::warn, s.options, note, {});
        if (!write_all(s.options.fd, told + '\n')) {
            ++s.dropped;
            return;
        }
        s.dropped = 0;
    }
    if (!write_all(s.options.fd, line)) {
        ++s.dropped;
    }
}

}  // namespace

void configure(const Options& options) {
    Sink& s = sink();
    const std::lock_guard lock(s.mutex);
    s.options = options;
    g_level.store(options.level, std::memory_order_relaxed);
}

const Options& options() { return sink().options; }

bool enabled(Level level) { return level >= g_level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view event, std::string_view message,
           std::initializer_list<Field> fields) {
    if (!enabled(level)) {
        return;
    }
    Sink& s = sink();
    const std::lock_guard lock(s.mutex);
    emit(s, s.options.format == Format::json ? render_json(level, event, message, fields)
                                             : render_human(level, s.options, message, fields));
}

void write_line(Level level, std::string_view event, std::string_view line,
                std::initializer_list<Field> fields) {
    if (!enabled(level)) {
        return;
    }
    Sink& s = sink();
    const std::lock_guard lock(s.mutex);
    emit(s, s.options.format == Format::json
                ? render_json(level, event, {}, fields)
                : scrub_line(line, s.options.colour ? Colours::kept : Colours::escaped));
}

}  // namespace belay::log

#include "governance/time_zone.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

namespace belay::governance {
namespace {

constexpr size_t kFileMax = size_t{256} << 10;
constexpr uint32_t kCountMax = 10'000;
constexpr size_t kNameMax = 64;
constexpr size_t kZonesKept = 64;
constexpr int64_t kDay = 86'400;
constexpr int64_t kOffsetMax = 26 * 3600;
constexpr const char* kFolder = "/usr/share/zoneinfo/";

Error malformed(const char* what) {
    return gateway_error(Kind::internal, "the time zone file is malformed", what);
}

// Big-endian numbers out of bounded bytes.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    [[nodiscard]] bool has(size_t n) const { return bytes_.size() - at_ >= n; }
    [[nodiscard]] std::string_view rest() const { return bytes_.substr(at_); }
    void skip(size_t n) { at_ += n; }
    // The caller has asked has().
    int64_t number(size_t width) {
        uint64_t value = static_cast<signed char>(bytes_[at_]) < 0 ? ~uint64_t{0} : 0;
        for (size_t i = 0; i < width; ++i) {
            value = value << 8 | static_cast<unsigned char>(bytes_[at_ + i]);
        }
        at_ += width;
        return static_cast<int64_t>(value);
    }
    uint8_t byte() { return static_cast<uint8_t>(bytes_[at_++]); }

  private:
    std::string_view bytes_;
    size_t at_ = 0;
};

struct Header {
    uint32_t ut = 0, standard = 0, leaps = 0, times = 0, types = 0, characters = 0;

    [[nodiscard]] size_t size(size_t width) const {
        return times * width + times + types * size_t{6} + characters + leaps * (width + 4) +
               standard + ut;
    }
};

// header = "TZif" version 15*reserved six*counts
Result<Header> read_header(Reader& reader, char& version) {
    constexpr size_t kSize = 44;
    if (!reader.has(kSize) || !reader.rest().starts_with("TZif")) {
        return malformed("header");
    }
    version = reader.rest()[4];
    reader.skip(20);
    Header header;
    for (uint32_t* count : {&header.ut, &header.standard, &header.leaps, &header.times,
                            &header.types, &header.characters}) {
        const int64_t value = reader.number(4);
        if (value < 0 || value > kCountMax) {
            return malformed("count");
        }
        *count = static_cast<uint32_t>(value);
    }
    return header;
}

// --- The rule ---

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class RuleReader {
  public:
    explicit RuleReader(std::string_view text) : text_(text) {}
    [[nodiscard]] bool at_end() const { return text_.empty(); }
    bool take(char c) {
        if (text_.empty() || text_.front() != c) {
            return false;
        }
        text_.remove_prefix(1);
        return true;
    }
    // name = 3*letter / "<" ... ">"
    bool take_name() {
        size_t n = 0;
        if (!text_.empty() && text_.front() == '<') {
            n = text_.find('>');
            if (n == std::string_view::npos) {
                return false;
            }
            ++n;
        } else {
            while (n < text_.size() &&
                   ((text_[n] >= 'A' && text_[n] <= 'Z') || (text_[n] >= 'a' && text_[n] <= 'z'))) {
                ++n;
            }
        }
        text_.remove_prefix(n);
        return n >= 3;
    }
    std::optional<int> take_number(int least, int most) {
        int value = 0;
        size_t n = 0;
        while (n < text_.size() && n < 4 && is_digit(text_[n])) {
            value = value * 10 + (text_[n++] - '0');
        }
        text_.remove_prefix(n);
        return n == 0 || value < least || value > most ? std::nullopt : std::optional<int>(value);
    }
    // time = ["+" / "-"] hours [":" minutes [":" seconds]]
    std::optional<int64_t> take_time() {
        const bool negative = take('-');
        if (!negative) {
            take('+');
        }
        const auto hours = take_number(0, 167);
        if (!hours) {
            return std::nullopt;
        }
        int64_t value = int64_t{*hours} * 3600;
        for (const int64_t unit : {60, 1}) {
            if (!take(':')) {
                break;
            }
            const auto part = take_number(0, 59);
            if (!part) {
                return std::nullopt;
            }
            value += *part * unit;
        }
        return negative ? -value : value;
    }
    // change = ("M" m "." w "." d / "J" n / n) ["/" time]
    std::optional<ZoneRule::Change> take_change() {
        ZoneRule::Change change;
        std::optional<int> month = 0, week = 0, day;
        if (take('M')) {
            month = take_number(1, 12);
            week = take('.') ? take_number(1, 5) : std::nullopt;
            day = take('.') ? take_number(0, 6) : std::nullopt;
        } else if (take('J')) {
            change.form = ZoneRule::Change::Form::julian;
            day = take_number(1, 365);
        } else {
            change.form = ZoneRule::Change::Form::day_of_year;
            day = take_number(0, 365);
        }
        if (!month || !week || !day) {
            return std::nullopt;
        }
        change.month = *month;
        change.week = *week;
        change.day = *day;
        if (take('/')) {
            const auto time = take_time();
            if (!time) {
                return std::nullopt;
            }
            change.time = *time;
        }
        return change;
    }

  private:
    std::string_view text_;
};

int64_t days_of(std::chrono::year year, unsigned month, unsigned day) {
    return std::chrono::sys_days(year / std::chrono::month(month) / std::chrono::day(day))
        .time_since_epoch()
        .count();
}

// Local seconds of the change in that year.
int64_t local_of(const ZoneRule::Change& change, std::chrono::year year) {
    using Form = ZoneRule::Change::Form;
    int64_t day = 0;
    if (change.form == Form::month_week_day) {
        const std::chrono::weekday weekday(static_cast<unsigned>(change.day));
        const std::chrono::month month(static_cast<unsigned>(change.month));
        const auto date =
            change.week == 5
                ? std::chrono::sys_days(year / month / weekday[std::chrono::last])
                : std::chrono::sys_days(year / month / weekday[static_cast<unsigned>(change.week)]);
        day = date.time_since_epoch().count();
    } else {
        day = days_of(year, 1, 1) + change.day;
        if (change.form == Form::julian) {
            // 29 February is never counted: day 60 is always 1 March.
            day += change.day > 59 && year.is_leap() ? 0 : -1;
        }
    }
    return day * kDay + change.time;
}

int64_t offset_by_rule(const ZoneRule& rule, int64_t unix_s) {
    if (!rule.has_summer) {
        return rule.standard;
    }
    const std::chrono::sys_seconds local{std::chrono::seconds(unix_s + rule.standard)};
    const auto year =
        std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(local)).year();
    const int64_t begins = local_of(rule.begins, year) - rule.standard;
    const int64_t ends = local_of(rule.ends, year) - rule.summer;
    const bool summer =
        begins < ends ? unix_s >= begins && unix_s < ends : unix_s >= begins || unix_s < ends;
    return summer ? rule.summer : rule.standard;
}

bool is_name(std::string_view name) {
    const auto allowed = [](char c) {
        return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '/' ||
               c == '_' || c == '-' || c == '+';
    };
    return !name.empty() && name.size() <= kNameMax && name.front() != '/' &&
           std::all_of(name.begin(), name.end(), allowed);
}

std::optional<TimeZone> load(const std::string& name) {
    std::ifstream file(kFolder + name, std::ios::binary);
    std::string bytes(kFileMax, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    auto zone = TimeZone::parse(bytes);
    return zone ? std::optional<TimeZone>(std::move(*zone)) : std::nullopt;
}

}  // namespace

std::optional<ZoneRule> parse_zone_rule(std::string_view text) {
    RuleReader reader(text);
    ZoneRule rule;
    if (!reader.take_name()) {
        return std::nullopt;
    }
    const auto standard = reader.take_time();
    if (!standard || *standard > kOffsetMax || *standard < -kOffsetMax) {
        return std::nullopt;
    }
    rule.standard = -*standard;  // POSIX counts westwards
    if (reader.at_end()) {
        return rule;
    }
    rule.has_summer = true;
    rule.summer = rule.standard + 3600;
    if (!reader.take_name()) {
        return std::nullopt;
    }
    if (!reader.take(',')) {
        const auto summer = reader.take_time();
        if (!summer || *summer > kOffsetMax || *summer < -kOffsetMax || !reader.take(',')) {
            return std::nullopt;
        }
        rule.summer = -*summer;
    }
    const auto begins = reader.take_change();
    const auto ends = reader.take(',') ? reader.take_change() : std::nullopt;
    if (!begins || !ends || !reader.at_end()) {
        return std::nullopt;
    }
    rule.begins = *begins;
    rule.ends = *ends;
    return rule;
}

Result<TimeZone> TimeZone::parse(std::string_view bytes) {
    Reader reader(bytes);
    char version = 0;
    Header header = TRY(read_header(reader, version));
    size_t width = 4;
    if (version >= '2') {
        if (!reader.has(header.size(width))) {
            return malformed("first block");
        }
        reader.skip(header.size(width));
        header = TRY(read_header(reader, version));
        width = 8;
    }
    if (header.types == 0 || !reader.has(header.size(width))) {
        return malformed("block");
    }
    TimeZone zone;
    zone.transitions_.resize(header.times);
    for (auto& transition : zone.transitions_) {
        transition.at = reader.number(width);
    }
    std::vector<uint8_t> types(header.times);
    for (auto& type : types) {
        type = reader.byte();
        if (type >= header.types) {
            return malformed("type");
        }
    }
    std::vector<int64_t> offsets(header.types);
    for (auto& offset : offsets) {
        offset = reader.number(4);
        if (offset > kOffsetMax || offset < -kOffsetMax) {
            return malformed("offset");
        }
        reader.skip(2);
    }
    for (size_t i = 0; i < types.size(); ++i) {
        zone.transitions_[i].offset = offsets[types[i]];
        if (i > 0 && zone.transitions_[i].at <= zone.transitions_[i - 1].at) {
            return malformed("order");
        }
    }
    zone.before_ = offsets.front();
    reader.skip(header.size(width) - header.times * (width + 1) - header.types * size_t{6});
    const std::string_view footer = reader.rest();
    if (width == 8 && footer.size() >= 2 && footer.front() == '\n') {
        zone.rule_ = parse_zone_rule(footer.substr(1, footer.find('\n', 1) - 1));
    }
    return zone;
}

int64_t TimeZone::offset_at(int64_t unix_s) const {
    if (rule_ && (transitions_.empty() || unix_s >= transitions_.back().at)) {
        return offset_by_rule(*rule_, unix_s);
    }
    const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), unix_s,
                                        [](int64_t at, const Transition& t) { return at < t.at; });
    return after == transitions_.begin() ? before_ : std::prev(after)->offset;
}

int64_t TimeZone::first_moment(int64_t local) const {
    const int64_t a = offset_at(local - kDay);
    const int64_t b = offset_at(local + kDay);
    const int64_t early = local - std::max(a, b);
    const int64_t late = local - std::min(a, b);
    if (early + offset_at(early) == local) {
        return early;
    }
    if (late + offset_at(late) == local) {
        return late;
    }
    // The clocks jump over it: the moment of the jump.
    int64_t before = early - 1;
    int64_t after = late;
    while (after - before > 1) {
        const int64_t middle = before + (after - before) / 2;
        (middle + offset_at(middle) >= local ? after : before) = middle;
    }
    return after;
}

std::shared_ptr<const TimeZone> find_time_zone(std::string_view name) {
    static std::mutex mutex;
    static std::map<std::string, std::shared_ptr<const TimeZone>, std::less<>> kept;
    const std::lock_guard lock(mutex);
    if (const auto at = kept.find(name); at != kept.end()) {
        return at->second;
    }
    std::optional<TimeZone> zone;
    if (is_name(name) && name != "UTC") {
        zone = load(std::string(name));
    }
    auto found = std::make_shared<const TimeZone>(zone ? std::move(*zone) : TimeZone());
    if (name.size() <= kNameMax) {
        if (kept.size() >= kZonesKept) {
            kept.clear();
        }
        kept.emplace(std::string(name), found);
    }
    return found;
}

}  // namespace belay::governance

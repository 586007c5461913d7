#include "app/verb_tools.h"

#include "base/log.h"
#include "governance/duration.h"
#include "ledger/query.h"

namespace belay::app {
namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kPagesMax = 100'000;
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

int fail_verb(const Error& error) {
    complain("belay: " + log::scrub(error.message) + "\n");
    return kExitFailed;
}

int wrong_usage(const Error& error) {
    complain("belay: " + error.message + "\nTry: belay help\n");
    return kExitUsage;
}

void quiet_verb_log() {
    log::Options options;
    options.level = log::Level::error;
    log::configure(options);
}

Colour verb_colour(const Env& env) {
    return stdout_is_terminal() && !env("NO_COLOR") ? Colour::on : Colour::off;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const size_t end = std::min(text.find(','), text.size());
        std::string_view item = text.substr(0, end);
        while (!item.empty() && item.front() == ' ') {
            item.remove_prefix(1);
        }
        while (!item.empty() && item.back() == ' ') {
            item.remove_suffix(1);
        }
        if (!item.empty()) {
            out.emplace_back(item);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::string show_date(std::string_view time) {
    if (time.size() < 10 || time[4] != '-' || time[7] != '-') {
        return std::string(time);
    }
    const size_t month =
        static_cast<size_t>(time[5] - '0') * 10 + static_cast<size_t>(time[6] - '0');
    if (month < 1 || month > 12) {
        return std::string(time.substr(0, 10));
    }
    const std::string day(time[8] == '0' ? time.substr(9, 1) : time.substr(8, 2));
    return day + " " + std::string(kMonths[month - 1]) + " " + std::string(time.substr(0, 4));
}

std::string Period::words() const {
    if (from == until) {
        return show_date(from);
    }
    return from == "1970-01-01" ? "until " + show_date(until)
                                : show_date(from) + " to " + show_date(until);
}

Result<Period> take_period(Flags& flags, int64_t now_ms, int64_t days) {
    const auto from = TRY(flags.take_value("--from"));
    const auto until = TRY(flags.take_value("--until"));
    const auto last = TRY(flags.take_value("--last"));
    if (from && last) {
        return caller_error(Kind::invalid_request, "give --from or --last, not both");
    }
    int64_t last_day = ledger::day_of(now_ms);
    if (until) {
        last_day = TRY(ledger::parse_date(*until));
    }
    int64_t first_day = days == 0 ? 0 : last_day - (days - 1);
    if (from) {
        first_day = TRY(ledger::parse_date(*from));
    }
    if (last) {
        const auto length = TRY(governance::parse_duration(*last));
        const int64_t whole = length ? (*length + kDayMs - 1) / kDayMs : last_day + 1;
        first_day = last_day - (whole - 1);
    }
    if (first_day > last_day) {
        return caller_error(Kind::invalid_request,
                            "the period ends before it begins: " + ledger::render_date(first_day) +
                                " to " + ledger::render_date(last_day));
    }
    first_day = std::max<int64_t>(first_day, 0);
    return Period{ledger::render_date(first_day), ledger::render_date(last_day), first_day * kDayMs,
                  (last_day + 1) * kDayMs};
}

std::vector<std::string_view> join_flags(
    std::initializer_list<std::vector<std::string_view>> lists) {
    std::vector<std::string_view> all;
    for (const auto& list : lists) {
        all.insert(all.end(), list.begin(), list.end());
    }
    return all;
}

Result<json::Array> list_all(Desk& desk, const std::string& target, std::string_view member) {
    json::Array all;
    for (int64_t page = 1; page <= kPagesMax; ++page) {
        json::Value reply = TRY(desk.ask("GET", target + "&page=" + std::to_string(page)));
        json::Value* rows = reply.find(member);
        if (rows == nullptr || rows->size() == 0) {
            break;
        }
        for (json::Value& row : rows->items()) {
            all.push_back(std::move(row));
        }
        if (page >= reply["total_pages"].as_int().value_or(0)) {
            break;
        }
    }
    return all;
}

}  // namespace belay::app

#include "app/text_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "app/config_text.h"

namespace belay::app {
namespace {

constexpr size_t kGap = 2;
constexpr int64_t kNanoPerCent = 1'000'000'000;  // a credit is a cent

std::string spaces(size_t count) { return std::string(count, ' '); }

std::string group_thousands(std::string digits) {
    for (size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

}  // namespace

void TextTable::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
void TextTable::add_rule() { rows_.emplace_back(); }

std::string TextTable::render(size_t width, Colour colour) const {
    const size_t count = columns_.size();
    std::vector<size_t> widths(count);
    std::vector<bool> shown(count, true);
    for (size_t i = 0; i < count; ++i) {
        size_t widest = 0;
        for (const auto& row : rows_) {
            widest = std::max(widest, row.empty() ? 0 : display_width(row[i]));
        }
        shown[i] = widest != 0 || !columns_[i].optional;
        widths[i] = shown[i] ? std::max(widest, display_width(columns_[i].head)) : 0;
    }
    const auto total = [&] {
        size_t sum = 0;
        for (size_t i = 0; i < count; ++i) {
            sum += shown[i] ? widths[i] + (sum == 0 ? 0 : kGap) : 0;
        }
        return sum;
    };
    while (total() > width) {
        size_t* give = nullptr;
        for (size_t i = 0; i < count; ++i) {
            const size_t least = columns_[i].least;
            if (least != 0 && widths[i] > least && (give == nullptr || widths[i] > *give)) {
                give = &widths[i];
            }
        }
        if (give == nullptr) {
            break;
        }
        --*give;
    }
    const auto write = [&](const auto& cell_of) {
        std::string line;
        for (size_t i = 0; i < count; ++i) {
            if (!shown[i]) {
                continue;
            }
            const std::string cell = cut_middle(cell_of(i), widths[i]);
            const std::string pad = spaces(widths[i] - std::min(widths[i], display_width(cell)));
            line += line.empty() ? "" : spaces(kGap);
            line += columns_[i].align == Align::right ? pad + cell : cell + pad;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        return line;
    };
    std::string out = paint(write([&](size_t i) { return columns_[i].head; }), Ink::dim, colour);
    out += "\n";
    for (const auto& row : rows_) {
        if (row.empty()) {
            std::string rule;
            for (size_t i = 0; i < std::min(total(), width); ++i) {
                rule += "─";
            }
            out += paint(rule, Ink::dim, colour) + "\n";
        } else {
            out += write([&](size_t i) { return row[i]; }) + "\n";
        }
    }
    return out;
}

std::string show_usd(NanoCredits amount) {
    const bool negative = amount.value < 0;
    const uint64_t nano =
        negative ? 0 - static_cast<uint64_t>(amount.value) : static_cast<uint64_t>(amount.value);
    std::string out = negative ? "-$" : "$";
    if (nano == 0) {
        return "$0";
    }
    if (nano >= 10 * static_cast<uint64_t>(kNanoPerCent)) {
        const uint64_t cents = nano / kNanoPerCent + (nano % kNanoPerCent >= kNanoPerCent / 2);
        const std::string rest = std::to_string(cents % 100);
        return out + group_thousands(std::to_string(cents / 100)) + "." +
               (rest.size() < 2 ? "0" : "") + rest;
    }
    // Below ten cents: to two digits that matter.
    std::string exact = render_usd(NanoCredits{static_cast<int64_t>(nano)});
    const size_t first = exact.find_first_not_of("0.");
    return out + exact.substr(0, std::min(exact.size(), first + 2));
}

std::string show_number(int64_t number) {
    return number < 0 ? "-" + group_thousands(std::to_string(number).substr(1))
                      : group_thousands(std::to_string(number));
}

std::string show_share(double share, size_t width) {
    constexpr std::string_view kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto eighths =
        static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * 8 * double(width)));
    std::string out;
    for (size_t i = 0; i < eighths / 8; ++i) {
        out += "█";
    }
    out += kParts[eighths % 8];
    return out.empty() && share > 0 ? "▏" : out;
}

}  // namespace belay::app

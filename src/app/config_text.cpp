#include "app/config_text.h"

#include <algorithm>

namespace belay::app {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

size_t byte_of_column(std::string_view text, size_t column) {
    size_t at = 0;
    while (at < text.size()) {
        if (!continues(text[at])) {
            if (column == 0) {
                return at;
            }
            --column;
        }
        ++at;
    }
    return at;
}

std::string_view code_of(Ink ink) {
    switch (ink) {
        case Ink::none:
            return "";
        case Ink::bold:
            return "\x1b[1m";
        case Ink::dim:
            return "\x1b[2m";
        case Ink::red:
            return "\x1b[31m";
        case Ink::yellow:
            return "\x1b[33m";
        case Ink::green:
            return "\x1b[32m";
        case Ink::blue:
            return "\x1b[34m";
    }
    return "";
}

}  // namespace

std::string paint(std::string_view text, Ink ink, Colour colour) {
    if (colour == Colour::off || ink == Ink::none || text.empty()) {
        return std::string(text);
    }
    return std::string(code_of(ink)) + std::string(text) + "\x1b[0m";
}

std::string paint_lines(std::string_view text, Ink ink, Colour colour) {
    std::string out;
    while (!text.empty()) {
        size_t end = std::min(text.find('\n'), text.size());
        out += paint(text.substr(0, end), ink, colour);
        out += end < text.size() ? "\n" : "";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

size_t display_width(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string cut_columns(std::string_view text, size_t columns) {
    if (display_width(text) <= columns || columns == 0) {
        return std::string(text);
    }
    return std::string(text.substr(0, byte_of_column(text, columns - 1))) + "…";
}

std::string cut_middle(std::string_view text, size_t columns) {
    size_t width = display_width(text);
    if (width <= columns || columns < 3) {
        return std::string(text);
    }
    size_t tail = (columns - 1) / 2, head = columns - 1 - tail;
    return std::string(text.substr(0, byte_of_column(text, head))) + "…" +
           std::string(text.substr(byte_of_column(text, width - tail)));
}

std::string drop_columns(std::string_view text, size_t columns) {
    return std::string(text.substr(byte_of_column(text, columns)));
}

std::string wrap(std::string_view text, std::string_view first, std::string_view next,
                 size_t columns) {
    std::string out, line(first);
    bool empty = true;
    auto flush = [&] {
        out += line + "\n";
        line = std::string(next);
        empty = true;
    };
    while (!text.empty()) {
        size_t end = std::min(text.find_first_of(" \n"), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        size_t room = columns - std::min(columns - 1, display_width(line) + (empty ? 0 : 1));
        if (!empty && display_width(word) > room) {
            flush();
        }
        room = columns - std::min(columns - 1, display_width(line));
        while (empty && display_width(word) > room) {
            size_t cut = byte_of_column(word, room);
            line += word.substr(0, cut);
            word.remove_prefix(cut);
            flush();
            room = columns - std::min(columns - 1, display_width(line));
        }
        line += (empty ? "" : " ") + std::string(word);
        empty = empty && word.empty();
    }
    if (!empty) {
        flush();
    }
    return out;
}

}  // namespace belay::app

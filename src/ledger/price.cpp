#include "ledger/price.h"

#include <array>
#include <charconv>
#include <string>

namespace belay::ledger {

namespace {

constexpr std::string_view kTable =
#include "ledger/prices.inc"
    ;

constexpr std::string_view kCopilot = "github_copilot";

// The fields of a row in the order prices.inc states.
enum Column : size_t {
    kName,
    kProvider,
    kMode,
    kInput,
    kOutput,
    kCacheRead,
    kCacheWrite,
    kTierAbove,
    kTierInput,
    kTierOutput,
    kTierCacheRead,
    kTierCacheWrite,
    kMaxInput,
    kMaxOutput,
    kFlags,
    kColumns,
};
using Row = std::array<std::string_view, kColumns>;

Row split(std::string_view line) {
    Row row;
    for (std::string_view& field : row) {
        const size_t space = line.find(' ');
        field = line.substr(0, space);
        line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    }
    return row;
}

// US$ per million tokens to nano-credits per million: the same number times 10^11, which is how an
// amount of US$ converts.
std::optional<PricePerMillion> read_price(std::string_view text) {
    if (text == "-") {
        return std::nullopt;
    }
    const Result<NanoCredits> amount = parse_usd(text);
    if (!amount) {
        return std::nullopt;
    }
    return PricePerMillion{amount->value};
}

std::optional<int64_t> read_count(std::string_view text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::optional<chat::PriceCard> read_card(const Row& row) {
    const auto input = read_price(row[kInput]);
    const auto output = read_price(row[kOutput]);
    if (!input || !output) {
        return std::nullopt;
    }
    chat::PriceCard card;
    card.input = *input;
    card.output = *output;
    card.cache_read = read_price(row[kCacheRead]);
    card.cache_write = read_price(row[kCacheWrite]);
    if (const auto above = read_count(row[kTierAbove])) {
        card.long_context_above = *above;
        card.long_input = read_price(row[kTierInput]).value_or(card.input);
        card.long_output = read_price(row[kTierOutput]).value_or(card.output);
        card.long_cache_read = read_price(row[kTierCacheRead]);
        card.long_cache_write = read_price(row[kTierCacheWrite]);
    }
    return card;
}

ModelFacts read_facts(const Row& row) {
    ModelFacts facts;
    facts.name = row[kName];
    facts.provider = row[kProvider];
    facts.mode = row[kMode];
    facts.price = read_card(row);
    facts.max_input_tokens = read_count(row[kMaxInput]);
    facts.max_output_tokens = read_count(row[kMaxOutput]);
    const auto has = [&row](char flag) { return row[kFlags].find(flag) != std::string_view::npos; };
    facts.supports_known = row[kFlags] != "-";
    facts.supports_tools = has('t');
    facts.supports_vision = has('v');
    facts.supports_reasoning = has('r');
    facts.supports_parallel_tools = has('p');
    facts.supports_response_schema = has('s');
    facts.supports_prompt_caching = has('c');
    facts.supports_pdf = has('d');
    facts.supports_web_search = has('w');
    facts.retired = has('x');
    return facts;
}

// Binary search over the sorted lines, by byte position.
std::optional<Row> find_row(std::string_view name) {
    size_t low = 1;  // the literal begins with a line end
    size_t high = kTable.size();
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const size_t before = kTable.rfind('\n', middle);
        const size_t begin = std::max(before == std::string_view::npos ? 0 : before + 1, low);
        const size_t end = kTable.find('\n', begin);
        const std::string_view line = kTable.substr(begin, end - begin);
        const int order = line.substr(0, line.find(' ')).compare(name);
        if (order == 0) {
            return split(line);
        }
        if (order < 0) {
            low = end + 1;
        } else {
            high = begin;
        }
    }
    return std::nullopt;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "-20250929" or "-2025-04-14" at the end; "@20250929" as Vertex writes it.
std::string_view without_date(std::string_view name) {
    const auto digits = [name](size_t from, size_t count) {
        for (size_t i = from; i < from + count; ++i) {
            if (!is_digit(name[i])) {
                return false;
            }
        }
        return true;
    };
    const size_t size = name.size();
    if (size > 9 && (name[size - 9] == '-' || name[size - 9] == '@') && digits(size - 8, 8)) {
        return name.substr(0, size - 9);
    }
    if (size > 11 && name[size - 11] == '-' && digits(size - 10, 4) && name[size - 6] == '-' &&
        digits(size - 5, 2) && name[size - 3] == '-' && digits(size - 2, 2)) {
        return name.substr(0, size - 11);
    }
    return name;
}

// "us.anthropic.claude-x" and "eu/gpt-x": the part before is a region.
std::string_view without_region(std::string_view name) {
    for (const std::string_view region : {"us", "eu", "apac", "global", "jp", "au"}) {
        if (name.size() > region.size() + 1 && name.substr(0, region.size()) == region &&
            (name[region.size()] == '.' || name[region.size()] == '/')) {
            return name.substr(region.size() + 1);
        }
    }
    return name;
}

// A Claude version with its separator turned: "claude-opus-4-6" and "claude-opus-4.6". Copilot
// writes the dot, Anthropic the dash.
std::string with_separator(std::string_view name, char from, char to) {
    std::string out(name);
    if (name.substr(0, 7) != "claude-") {
        return out;
    }
    for (size_t i = 1; i + 1 < out.size(); ++i) {
        if (out[i] == from && is_digit(out[i - 1]) && is_digit(out[i + 1])) {
            out[i] = to;
            break;
        }
    }
    return out;
}

// The vendor whose list price stands in for a Copilot model without a row of its own.
std::string_view vendor_prefix(std::string_view model) {
    if (model.substr(0, 7) == "gemini-") {
        return "gemini/";
    }
    if (model.substr(0, 5) == "grok-") {
        return "xai/";
    }
    return "";
}

// Visits the names a model may stand under, best first, until `visit` says it is satisfied.
template <class Visit>
void each_name(std::string_view provider, std::string_view model, std::string_view base_model,
               const Visit& visit) {
    const auto qualified = [provider](std::string_view name) {
        std::string out(provider);
        out += '/';
        out += name;
        return out;
    };
    if (!base_model.empty() && (visit(base_model) || visit(qualified(base_model)))) {
        return;
    }
    const bool copilot = provider == kCopilot;
    const std::string_view plain = without_date(without_region(model));
    for (const std::string_view name : {model, plain}) {
        if (visit(qualified(name)) ||
            (copilot && visit(qualified(with_separator(name, '-', '.'))))) {
            return;
        }
    }
    for (const std::string_view name : {model, plain}) {
        if (visit(name) ||
            (copilot && (visit(with_separator(name, '.', '-')) ||
                         visit(std::string(vendor_prefix(name)) + std::string(name))))) {
            return;
        }
    }
}

// An answer of find_price, with what was asked.
struct Remembered {
    bool filled = false;
    std::string provider;
    std::string model;
    std::string base_model;
    std::optional<chat::PriceCard> price;
};

struct Multiplier {
    std::string_view model;
    int64_t milli;
};

// Annual plans from 2026-06-01 on (docs.github.com, premium request multipliers).
constexpr Multiplier kMultipliers[] = {
    {"claude-haiku-4.5", 330},
    {"claude-opus-4.5", 15'000},
    {"claude-opus-4.6", 27'000},
    {"claude-opus-4.7", 27'000},
    {"claude-sonnet-4.5", 6'000},
    {"claude-sonnet-4.6", 9'000},
    {"gemini-3-pro-preview", 6'000},
    {"gemini-3.1-pro-preview", 6'000},
    {"gpt-4.1", 1'000},
    {"gpt-4o", 330},
    {"gpt-5-mini", 330},
    {"gpt-5.1", 3'000},
    {"gpt-5.2", 3'000},
    {"gpt-5.3-codex", 6'000},
    {"gpt-5.4", 6'000},
    {"gpt-5.4-mini", 6'000},
    {"grok-code-fast-1", 330},
};

}  // namespace

Cost cost_of(const chat::Usage& usage, const chat::PriceCard* configured,
             const chat::PriceCard* catalogue, const chat::PriceCard* shipped) {
    if (usage.upstream_cost) {
        return {*usage.upstream_cost, chat::CostSource::upstream};
    }
    if (configured != nullptr) {
        return {chat::price(usage, *configured), chat::CostSource::configured};
    }
    if (catalogue != nullptr) {
        return {chat::price(usage, *catalogue), chat::CostSource::catalogue};
    }
    if (shipped != nullptr) {
        return {chat::price(usage, *shipped), chat::CostSource::price_table};
    }
    return {};
}

std::optional<ModelFacts> find_facts(std::string_view provider, std::string_view model,
                                     std::string_view base_model) {
    std::optional<ModelFacts> found;
    each_name(provider, model, base_model, [&found](std::string_view name) {
        if (const auto row = find_row(name)) {
            found = read_facts(*row);
        }
        return found.has_value();
    });
    return found;
}

std::optional<chat::PriceCard> find_price(std::string_view provider, std::string_view model,
                                          std::string_view base_model) {
    // The same few models come again and again: each thread remembers the last it was asked for.
    thread_local std::array<Remembered, 16> memo;
    Remembered& slot =
        memo[(model.size() * 7 + provider.size() + (model.empty() ? 0U : model.back())) %
             memo.size()];
    if (slot.filled && slot.model == model && slot.provider == provider &&
        slot.base_model == base_model) {
        return slot.price;
    }
    std::optional<chat::PriceCard> found;
    each_name(provider, model, base_model, [&found](std::string_view name) {
        if (const auto row = find_row(name)) {
            found = read_card(*row);
        }
        return found.has_value();
    });
    slot = {true, std::string(provider), std::string(model), std::string(base_model), found};
    return found;
}

std::optional<int64_t> find_premium_milli(std::string_view model) {
    const std::string dotted = with_separator(without_date(model), '-', '.');
    for (const Multiplier& entry : kMultipliers) {
        if (entry.model == dotted) {
            return entry.milli;
        }
    }
    return std::nullopt;
}

}  // namespace belay::ledger

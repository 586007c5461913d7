#include "protocols/usage_json.h"

#include <algorithm>

namespace belay::protocols {
namespace {

using json::Item;
using json::Span;
using json::Type;
using json::Walker;

int64_t count_at(std::string_view text, const Item& item) {
    return item.type == Type::number ? std::max<int64_t>(0, json::int_at(text, item.value, 0)) : 0;
}

bool names_cache_write(std::string_view key) {
    return key == "cache_creation_tokens" || key == "cache_creation_input_tokens" ||
           key == "cache_write_tokens";
}

struct RawCounts {
    int64_t prompt = 0, output = 0, total = 0, cache_read = 0, cache_write = 0, reasoning = 0;
};

void read_details(std::string_view text, Span details, RawCounts& counts) {
    Item item;
    for (Walker walk(text, details); walk.next(item);) {
        if (item.key == "cached_tokens") {
            counts.cache_read = std::max(counts.cache_read, count_at(text, item));
        } else if (names_cache_write(item.key)) {
            counts.cache_write = std::max(counts.cache_write, count_at(text, item));
        } else if (item.key == "reasoning_tokens") {
            counts.reasoning = std::max(counts.reasoning, count_at(text, item));
        }
    }
}

RawCounts read_counts(std::string_view text, Span usage) {
    RawCounts counts;
    Item item;
    for (Walker walk(text, usage); walk.next(item);) {
        if (item.key == "prompt_tokens") {
            counts.prompt = count_at(text, item);
        } else if (item.key == "completion_tokens") {
            counts.output = count_at(text, item);
        } else if (item.key == "total_tokens") {
            counts.total = count_at(text, item);
        } else if (item.key == "reasoning_tokens") {
            counts.reasoning = std::max(counts.reasoning, count_at(text, item));
        } else if (item.key == "cache_read_input_tokens") {
            counts.cache_read = std::max(counts.cache_read, count_at(text, item));
        } else if (names_cache_write(item.key)) {
            counts.cache_write = std::max(counts.cache_write, count_at(text, item));
        } else if (item.key == "prompt_tokens_details" || item.key == "completion_tokens_details") {
            read_details(text, item.value, counts);
        }
    }
    return counts;
}

// What the upstream billed, by class (seen on accounts that pay by AI credits).
struct Billed {
    std::optional<NanoCredits> cost;
    std::optional<int64_t> input, cache_read, cache_write, output;
};

std::optional<int64_t>* billed_class(Billed& billed, std::string_view type) {
    if (type == "input") {
        return &billed.input;
    }
    if (type == "cache_read") {
        return &billed.cache_read;
    }
    if (type == "cache_write") {
        return &billed.cache_write;
    }
    return type == "output" ? &billed.output : nullptr;
}

Billed read_billed(std::string_view text, Span copilot_usage) {
    Billed billed;
    if (copilot_usage.empty()) {
        return billed;
    }
    Item item;
    for (Walker walk(text, copilot_usage); walk.next(item);) {
        if (item.key == "total_nano_aiu" && item.type == Type::number) {
            billed.cost = NanoCredits{count_at(text, item)};
        } else if (item.key == "token_details") {
            std::string scratch;
            Item row;
            for (Walker rows(text, item.value); rows.next(row);) {
                Span type = json::member(text, row.value, "token_type");
                Span count = json::member(text, row.value, "token_count");
                if (type.empty() || count.empty() || json::type_at(text, type) != Type::string) {
                    continue;
                }
                if (auto* at = billed_class(billed, json::string_at(text, type, scratch))) {
                    *at = at->value_or(0) + std::max<int64_t>(0, json::int_at(text, count, 0));
                }
            }
        }
    }
    return billed;
}

Billed read_billed(const json::Value& copilot_usage) {
    if (!copilot_usage.is_object()) {
        return {};
    }
    std::string text = json::dump(copilot_usage);
    return read_billed(text, json::root(text));
}

// The two reports together. The bill alone knows cache writes on several upstreams, and stands in
// for counts that are missing.
std::optional<chat::Usage> combine(chat::Usage usage, const Billed& billed) {
    usage.upstream_cost = billed.cost;
    if (usage.empty()) {
        usage.input = billed.input.value_or(0);
        usage.cache_read = billed.cache_read.value_or(0);
        usage.cache_write = billed.cache_write.value_or(0);
        usage.output = billed.output.value_or(0);
    } else if (usage.cache_write == 0 && billed.cache_write.value_or(0) > 0) {
        usage.cache_write = std::min(*billed.cache_write, usage.input);
        usage.input -= usage.cache_write;
    }
    if (usage.empty() && !(usage.upstream_cost && usage.upstream_cost->value > 0)) {
        return std::nullopt;
    }
    return usage;
}

// prompt tokens that include cached ones, split into classes that do not overlap.
chat::Usage split_prompt(int64_t prompt, int64_t cache_read, int64_t cache_write, int64_t output,
                         int64_t reasoning) {
    chat::Usage usage;
    usage.cache_read = std::min(cache_read, prompt);
    usage.cache_write = std::min(cache_write, prompt - usage.cache_read);
    usage.input = prompt - usage.cache_read - usage.cache_write;
    usage.output = output;
    usage.reasoning = std::min(reasoning, output);
    return usage;
}

void write_count(std::string& out, std::string_view key, int64_t value) {
    out += '"';
    out += key;
    out += "\":";
    out += std::to_string(value);
}

bool is_written(std::string_view key) {
    return key == "prompt_tokens" || key == "completion_tokens" || key == "total_tokens" ||
           key == "prompt_tokens_details" || key == "completion_tokens_details" ||
           key == "cache_read_input_tokens" || key == "cache_creation_input_tokens";
}

void write_unknown(std::string& out, std::string_view text, Span object, auto is_known) {
    Item item;
    if (object.empty()) {
        return;
    }
    for (Walker walk(text, object); walk.next(item);) {
        if (!is_known(item.key) && item.type != Type::null) {
            out += ',';
            out += item.whole.of(text);
        }
    }
}

Span member_or_none(std::string_view text, Span raw, std::string_view key) {
    return raw.empty() ? Span{} : json::member(text, raw, key);
}

int64_t count(const json::Value& value) { return std::max<int64_t>(0, value.as_int().value_or(0)); }

}  // namespace

std::optional<chat::Usage> read_chat_usage(std::string_view text, Span usage, Span copilot_usage) {
    RawCounts raw = usage.empty() ? RawCounts{} : read_counts(text, usage);
    chat::Usage out =
        split_prompt(raw.prompt, raw.cache_read, raw.cache_write, raw.output, raw.reasoning);
    // Gemini's reasoning comes on top of completion_tokens; total_tokens then shows the difference.
    if (raw.total == raw.prompt + raw.output + raw.reasoning && raw.reasoning > 0) {
        out.output = raw.output + raw.reasoning;
        out.reasoning = raw.reasoning;
    }
    return combine(out, read_billed(text, copilot_usage));
}

void write_chat_usage(std::string& out, const chat::Usage& usage, std::string_view text, Span raw) {
    out += '{';
    write_count(out, "prompt_tokens", usage.prompt());
    out += ',';
    write_count(out, "completion_tokens", usage.output);
    out += ',';
    write_count(out, "total_tokens", usage.total());
    out += R"(,"prompt_tokens_details":{)";
    write_count(out, "cached_tokens", usage.cache_read);
    if (usage.cache_write > 0) {
        out += ',';
        write_count(out, "cache_creation_tokens", usage.cache_write);
    }
    write_unknown(out, text, member_or_none(text, raw, "prompt_tokens_details"),
                  [](std::string_view key) {
                      return key == "cached_tokens" || key == "cache_creation_tokens";
                  });
    out += R"(},"completion_tokens_details":{)";
    write_count(out, "reasoning_tokens", usage.reasoning);
    write_unknown(out, text, member_or_none(text, raw, "completion_tokens_details"),
                  [](std::string_view key) { return key == "reasoning_tokens"; });
    out += '}';
    if (usage.cache_read > 0 || usage.cache_write > 0) {
        out += ',';
        write_count(out, "cache_read_input_tokens", usage.cache_read);
        out += ',';
        write_count(out, "cache_creation_input_tokens", usage.cache_write);
    }
    write_unknown(out, text, raw, is_written);
    out += '}';
}

std::optional<chat::Usage> read_responses_usage(const json::Value& usage,
                                                const json::Value& copilot_usage) {
    const auto& details = usage["input_tokens_details"];
    chat::Usage out = split_prompt(
        count(usage["input_tokens"]), count(details["cached_tokens"]),
        std::max(count(details["cache_creation_tokens"]), count(details["cache_write_tokens"])),
        count(usage["output_tokens"]), count(usage["output_tokens_details"]["reasoning_tokens"]));
    return combine(out, read_billed(copilot_usage));
}

std::optional<chat::Usage> read_messages_usage(const json::Value& usage,
                                               const json::Value& copilot_usage) {
    chat::Usage out;
    out.input = count(usage["input_tokens"]);
    out.cache_read = count(usage["cache_read_input_tokens"]);
    out.cache_write = count(usage["cache_creation_input_tokens"]);
    out.output = count(usage["output_tokens"]);
    out.reasoning = std::min(out.output, count(usage["output_tokens_details"]["thinking_tokens"]));
    // Anthropic's input_tokens leaves cached tokens out already: the bill adds nothing to the
    // split.
    Billed billed = read_billed(copilot_usage);
    if (!out.empty()) {
        billed.cache_write.reset();
    }
    return combine(out, billed);
}

}  // namespace belay::protocols

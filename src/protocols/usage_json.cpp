#include "protocols/usage_json.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace belay::protocols {
namespace {

// No call has more tokens; what claims to is cut here, so that sums cannot overflow.
constexpr int64_t kCountMax = 1'000'000'000'000;

int64_t count_at(const Tape& tape, const Node& node) {
    return node.type == json::Type::number
               ? std::clamp<int64_t>(tape.integer(node, 0), 0, kCountMax)
               : 0;
}

bool names_cache_write(std::string_view key) {
    return key == "cache_creation_tokens" || key == "cache_creation_input_tokens" ||
           key == "cache_write_tokens";
}

struct RawCounts {
    int64_t prompt = 0, output = 0, total = 0, cache_read = 0, cache_write = 0, reasoning = 0;
};

void read_details(const Tape& tape, const Node& details, RawCounts& counts) {
    for (const Node& node : tape.children(details)) {
        std::string_view key = tape.key(node);
        if (key == "cached_tokens") {
            counts.cache_read = std::max(counts.cache_read, count_at(tape, node));
        } else if (key == "reasoning_tokens") {
            counts.reasoning = std::max(counts.reasoning, count_at(tape, node));
        } else if (names_cache_write(key)) {
            counts.cache_write = std::max(counts.cache_write, count_at(tape, node));
        }
    }
}

RawCounts read_counts(const Tape& tape, const Node& usage) {
    RawCounts counts;
    for (const Node& node : tape.children(usage)) {
        std::string_view key = tape.key(node);
        if (key == "prompt_tokens") {
            counts.prompt = count_at(tape, node);
        } else if (key == "completion_tokens") {
            counts.output = count_at(tape, node);
        } else if (key == "total_tokens") {
            counts.total = count_at(tape, node);
        } else if (key == "reasoning_tokens") {
            counts.reasoning = std::max(counts.reasoning, count_at(tape, node));
        } else if (key == "cache_read_input_tokens") {
            counts.cache_read = std::max(counts.cache_read, count_at(tape, node));
        } else if (key == "prompt_tokens_details" || key == "completion_tokens_details") {
            read_details(tape, node, counts);
        } else if (names_cache_write(key)) {
            counts.cache_write = std::max(counts.cache_write, count_at(tape, node));
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

void read_row(const Tape& tape, const Node& row, Billed& billed) {
    const Node* type = tape.find(row, "token_type");
    const Node* count = tape.find(row, "token_count");
    if (type == nullptr || count == nullptr) {
        return;
    }
    if (auto* at = billed_class(billed, tape.inside(*type))) {
        *at = std::min(kCountMax, at->value_or(0) + count_at(tape, *count));
    }
}

Billed read_billed(const Tape& tape, const Node* copilot_usage) {
    Billed billed;
    if (copilot_usage == nullptr) {
        return billed;
    }
    for (const Node& node : tape.children(*copilot_usage)) {
        std::string_view key = tape.key(node);
        if (key == "total_nano_aiu" && node.type == json::Type::number) {
            billed.cost = NanoCredits{std::max<int64_t>(0, tape.integer(node, 0))};
        } else if (key == "token_details") {
            for (const Node& row : tape.children(node)) {
                read_row(tape, row, billed);
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
    Tape tape;
    return tape.read(text, Tape::Twins::ignored) ? read_billed(tape, &tape.root()) : Billed{};
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

bool is_written(std::string_view key) {
    return key == "prompt_tokens" || key == "completion_tokens" || key == "total_tokens" ||
           key == "prompt_tokens_details" || key == "completion_tokens_details" ||
           key == "cache_read_input_tokens" || key == "cache_creation_input_tokens";
}

bool is_written_detail(std::string_view key) {
    return key == "cached_tokens" || key == "cache_creation_tokens" || key == "reasoning_tokens";
}

void write_unknown(std::string& out, const Tape& tape, const Node* object,
                   bool (*is_known)(std::string_view)) {
    if (object == nullptr) {
        return;
    }
    for (const Node& node : tape.children(*object)) {
        if (!node.is_null() && !is_known(tape.key(node))) {
            out += ',';
            out += tape.whole(node);
        }
    }
}

// A few fixed words and numbers, put together on the stack: every reply passes here.
class Line {
  public:
    template <size_t N>
    Line& add(const char (&text)[N]) {
        std::memcpy(at_, text, N - 1);
        at_ += N - 1;
        return *this;
    }
    Line& add(int64_t number) {
        at_ = std::to_chars(at_, text_ + sizeof text_, number).ptr;
        return *this;
    }
    void flush(std::string& out) {
        out.append(text_, static_cast<size_t>(at_ - text_));
        at_ = text_;
    }

  private:
    char text_[384];  // the longest line between two flushes has under 250 bytes
    char* at_ = text_;
};

const Node* find_or_null(const Tape& tape, const Node* object, std::string_view key) {
    return object == nullptr ? nullptr : tape.find(*object, key);
}

int64_t count(const json::Value& value) {
    return std::clamp<int64_t>(value.as_int().value_or(0), 0, kCountMax);
}

}  // namespace

std::optional<chat::Usage> read_chat_usage(const Tape& tape, const Node* usage,
                                           const Node* copilot_usage) {
    RawCounts raw = usage == nullptr ? RawCounts{} : read_counts(tape, *usage);
    chat::Usage out =
        split_prompt(raw.prompt, raw.cache_read, raw.cache_write, raw.output, raw.reasoning);
    // Gemini's reasoning comes on top of completion_tokens; total_tokens then shows the difference.
    if (raw.total == raw.prompt + raw.output + raw.reasoning && raw.reasoning > 0) {
        out.output = raw.output + raw.reasoning;
        out.reasoning = raw.reasoning;
    }
    return combine(out, read_billed(tape, copilot_usage));
}

void write_chat_usage(std::string& out, const chat::Usage& usage, const Tape& tape,
                      const Node* raw) {
    Line line;
    line.add(R"({"prompt_tokens":)").add(usage.prompt());
    line.add(R"(,"completion_tokens":)").add(usage.output);
    line.add(R"(,"total_tokens":)").add(usage.total());
    line.add(R"(,"prompt_tokens_details":{"cached_tokens":)").add(usage.cache_read);
    if (usage.cache_write > 0) {
        line.add(R"(,"cache_creation_tokens":)").add(usage.cache_write);
    }
    line.flush(out);
    write_unknown(out, tape, find_or_null(tape, raw, "prompt_tokens_details"), is_written_detail);
    line.add(R"(},"completion_tokens_details":{"reasoning_tokens":)").add(usage.reasoning);
    line.flush(out);
    write_unknown(out, tape, find_or_null(tape, raw, "completion_tokens_details"),
                  is_written_detail);
    line.add("}");
    if (usage.cache_read > 0 || usage.cache_write > 0) {
        line.add(R"(,"cache_read_input_tokens":)").add(usage.cache_read);
        line.add(R"(,"cache_creation_input_tokens":)").add(usage.cache_write);
    }
    line.flush(out);
    write_unknown(out, tape, raw, is_written);
    out += '}';
}

void write_chat_usage(std::string& out, const chat::Usage& usage, std::string_view raw) {
    Tape tape;
    bool there = !raw.empty() && tape.read(raw, Tape::Twins::ignored);
    write_chat_usage(out, usage, tape, there ? &tape.root() : nullptr);
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

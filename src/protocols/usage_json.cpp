#include "protocols/usage_json.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "protocols/raw_text.h"

namespace belay::protocols {
namespace {

using raw::is;

// No call has more tokens; what claims to is cut here, so that sums cannot overflow.
constexpr int64_t kCountMax = 1'000'000'000'000;

int64_t count_at(const Tape& tape, const Node& node) {
    return node.type == json::Type::number
               ? std::clamp<int64_t>(tape.integer(node, 0), 0, kCountMax)
               : 0;
}

enum class Field : uint8_t {
    prompt,
    output,
    total,
    cached,
    reasoning,
    cache_creation,
    cache_write,
    cache_read_input,
    cache_creation_input,
    prompt_details,
    output_details,
    other,
};

// The length alone tells most names apart.
Field field_of(std::string_view key) {
    auto either = [&](const auto& name, Field field) {
        return is(key, name) ? field : Field::other;
    };
    switch (key.size()) {
        case 12:
            return either("total_tokens", Field::total);
        case 13:
            return is(key, "prompt_tokens") ? Field::prompt
                                            : either("cached_tokens", Field::cached);
        case 16:
            return either("reasoning_tokens", Field::reasoning);
        case 17:
            return either("completion_tokens", Field::output);
        case 18:
            return either("cache_write_tokens", Field::cache_write);
        case 21:
            return is(key, "prompt_tokens_details")
                       ? Field::prompt_details
                       : either("cache_creation_tokens", Field::cache_creation);
        case 23:
            return either("cache_read_input_tokens", Field::cache_read_input);
        case 25:
            return either("completion_tokens_details", Field::output_details);
        case 27:
            return either("cache_creation_input_tokens", Field::cache_creation_input);
        default:
            return Field::other;
    }
}

enum Said : unsigned { kPrompt = 1, kOutput = 2, kTotal = 4, kCached = 8, kReasoning = 16 };
constexpr unsigned kSaidAll =
    127;  // with the two objects that cached and reasoning tokens stand in

struct RawCounts {
    int64_t prompt = 0, output = 0, total = 0, cache_read = 0, cache_write = 0, reasoning = 0;
    // For whether the object may go along as it is: the members that all clients get and were
    // there, and whether there were no others that are known here, twins or nulls.
    unsigned said = 0;
    bool plain = true;
};

class CountReader {
  public:
    explicit CountReader(const Tape& tape) : tape_(tape) {}

    void read_usage(const Node& usage) {
        for (const Node& node : tape_.children(usage)) {
            Field field = field_of(tape_.key(node));
            switch (field) {
                case Field::prompt:
                    counts_.prompt = count(node, kPrompt);
                    break;
                case Field::output:
                    counts_.output = count(node, kOutput);
                    break;
                case Field::total:
                    counts_.total = count(node, kTotal);
                    break;
                case Field::reasoning:
                    raise(counts_.reasoning, count(node, 0));
                    break;
                case Field::cache_read_input:
                    raise(counts_.cache_read, count(node, 0));
                    break;
                case Field::prompt_details:
                    read_details(node, kCached);
                    break;
                case Field::output_details:
                    read_details(node, kReasoning);
                    break;
                case Field::cache_creation:
                case Field::cache_creation_input:
                case Field::cache_write:
                    raise(counts_.cache_write, count(node, 0));
                    break;
                default:
                    counts_.plain &= !node.is_null();
                    break;
            }
        }
    }

    [[nodiscard]] const RawCounts& counts() const { return counts_; }

  private:
    // `usual`: what clients find in this object.
    void read_details(const Node& details, Said usual) {
        const unsigned object = usual * 4U;
        counts_.plain &= (counts_.said & object) == 0;
        counts_.said |= object;
        for (const Node& node : tape_.children(details)) {
            switch (field_of(tape_.key(node))) {
                case Field::cached:
                    raise(counts_.cache_read, count(node, usual & kCached));
                    break;
                case Field::reasoning:
                    raise(counts_.reasoning, count(node, usual & kReasoning));
                    break;
                case Field::cache_creation:
                case Field::cache_creation_input:
                case Field::cache_write:
                    raise(counts_.cache_write, count(node, 0));
                    break;
                default:
                    counts_.plain &= !node.is_null();
                    break;
            }
        }
    }

    int64_t count(const Node& node, unsigned says) {
        counts_.plain &= says != 0 && (counts_.said & says) == 0;
        counts_.said |= says;
        const int64_t plain = tape_.plain_count(node);
        if (plain >= 0 && plain <= kCountMax) {
            return plain;
        }
        counts_.plain = false;
        return count_at(tape_, node);
    }

    static void raise(int64_t& count, int64_t to) { count = std::max(count, to); }

    const Tape& tape_;
    RawCounts counts_;
};

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

void write_member(std::string& out, const Tape& tape, const Node& node) {
    if (!node.is_null()) {
        out += ',';
        out += tape.whole(node);
    }
}

// The members of a details object that are not written already.
void write_unknown_details(std::string& out, const Tape& tape, const Node* details) {
    if (details == nullptr) {
        return;
    }
    for (const Node& node : tape.children(*details)) {
        Field field = field_of(tape.key(node));
        if (field != Field::cached && field != Field::cache_creation && field != Field::reasoning) {
            write_member(out, tape, node);
        }
    }
}

bool is_written(Field field) {
    return field == Field::prompt || field == Field::output || field == Field::total ||
           field == Field::prompt_details || field == Field::output_details ||
           field == Field::cache_read_input || field == Field::cache_creation_input;
}

// The members of the upstream's own usage object that its rewriting looks at.
struct RawUsage {
    const Node* prompt_details = nullptr;
    const Node* output_details = nullptr;
    bool unknown = false;
};

RawUsage read_raw_usage(const Tape& tape, const Node* usage) {
    RawUsage raw;
    if (usage == nullptr) {
        return raw;
    }
    for (const Node& node : tape.children(*usage)) {
        Field field = field_of(tape.key(node));
        if (field == Field::prompt_details && raw.prompt_details == nullptr) {
            raw.prompt_details = &node;
        } else if (field == Field::output_details && raw.output_details == nullptr) {
            raw.output_details = &node;
        } else if (!is_written(field)) {
            raw.unknown = true;
        }
    }
    return raw;
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
    char text_[640];  // all words and nine numbers of twenty digits have under 500 bytes
    char* at_ = text_;
};

int64_t count(const json::Value& value) {
    return std::clamp<int64_t>(value.as_int().value_or(0), 0, kCountMax);
}

}  // namespace

std::optional<chat::Usage> read_chat_usage(const Tape& tape, const Node* usage,
                                           const Node* copilot_usage) {
    return read_chat_usage_shape(tape, usage, copilot_usage).usage;
}

namespace {

ChatUsage make_usage(const RawCounts& raw, const Billed& billed) {
    chat::Usage out =
        split_prompt(raw.prompt, raw.cache_read, raw.cache_write, raw.output, raw.reasoning);
    // Gemini's reasoning comes on top of completion_tokens; total_tokens then shows the difference.
    if (raw.total == raw.prompt + raw.output + raw.reasoning && raw.reasoning > 0) {
        out.output = raw.output + raw.reasoning;
        out.reasoning = raw.reasoning;
    }
    ChatUsage read;
    read.usage = combine(out, billed);
    const chat::Usage told = read.usage.value_or(chat::Usage{});
    read.verbatim = raw.plain && raw.said == kSaidAll && raw.cache_read == 0 &&
                    told.cache_read == 0 && told.cache_write == 0 && told.input == raw.prompt &&
                    told.output == raw.output && told.reasoning == raw.reasoning &&
                    raw.total == raw.prompt + raw.output;
    return read;
}

// Notes each number once; a second one of its name, or one that is not plain, is too much.
class CountFinder {
  public:
    CountFinder(const Tape& tape, Counts& counts, std::vector<CountAt>& places)
        : tape_(tape), counts_(counts), places_(places) {}

    void find_usage(const Node& usage) {
        for (const Node& node : tape_.children(usage)) {
            switch (field_of(tape_.key(node))) {
                case Field::prompt:
                    note(Count::prompt, node);
                    break;
                case Field::output:
                    note(Count::output, node);
                    break;
                case Field::total:
                    note(Count::total, node);
                    break;
                case Field::prompt_details:
                    find_detail(node, Field::cached, Count::cached);
                    break;
                case Field::output_details:
                    find_detail(node, Field::reasoning, Count::reasoning);
                    break;
                case Field::reasoning:  // beside its own object; the sums are elsewhere
                    counts_.usual_only = false;
                    clear_ &= tape_.plain_count(node) == 0;
                    break;
                case Field::other:
                    clear_ &= !node.is_null();
                    break;
                default:
                    clear_ = false;
                    break;
            }
        }
    }

    void find_billed(const Node& copilot_usage) {
        for (const Node& node : tape_.children(copilot_usage)) {
            const std::string_view key = tape_.key(node);
            if (is(key, "total_nano_aiu")) {
                note(Count::cost, node);
            } else if (is(key, "token_details")) {
                for (const Node& row : tape_.children(node)) {
                    find_row(row);
                }
            }
        }
    }

    [[nodiscard]] bool clear() const { return clear_; }

  private:
    void find_detail(const Node& details, Field wanted, Count count) {
        clear_ &= details.is_object();
        for (const Node& node : tape_.children(details)) {
            const Field field = field_of(tape_.key(node));
            if (field == wanted) {
                note(count, node);
            } else {
                clear_ &= field == Field::other && !node.is_null();
            }
        }
    }

    void find_row(const Node& row) {
        const Node* type = tape_.find(row, "token_type");
        const Node* number = tape_.find(row, "token_count");
        if (type == nullptr || number == nullptr) {
            return;
        }
        const std::string_view name = tape_.inside(*type);
        if (is(name, "input")) {
            note(Count::billed_input, *number);
        } else if (is(name, "cache_read")) {
            note(Count::billed_cache_read, *number);
        } else if (is(name, "cache_write")) {
            note(Count::billed_cache_write, *number);
        } else if (is(name, "output")) {
            note(Count::billed_output, *number);
        }
    }

    void note(Count count, const Node& node) {
        const int64_t value = node.type == json::Type::number ? tape_.plain_count(node) : -1;
        clear_ &= value >= 0 && !counts_.has(count);
        counts_.set(count, value);
        places_.push_back({count, node.value()});
    }

    const Tape& tape_;
    Counts& counts_;
    std::vector<CountAt>& places_;
    bool clear_ = true;
};

}  // namespace

ChatUsage read_chat_usage_shape(const Tape& tape, const Node* usage, const Node* copilot_usage) {
    CountReader reader(tape);
    if (usage != nullptr) {
        reader.read_usage(*usage);
    }
    return make_usage(reader.counts(), read_billed(tape, copilot_usage));
}

bool find_counts(const Tape& tape, const Node* usage, const Node* copilot_usage, Counts& counts,
                 std::vector<CountAt>& places) {
    CountFinder finder(tape, counts, places);
    if (usage != nullptr) {
        finder.find_usage(*usage);
    }
    if (copilot_usage != nullptr) {
        finder.find_billed(*copilot_usage);
    }
    return finder.clear();
}

ChatUsage usage_of(const Counts& counts) {
    const auto of = [&](Count count) { return counts.of[static_cast<size_t>(count)]; };
    const auto tokens = [&](Count count) { return std::min(of(count), kCountMax); };
    const auto billed = [&](Count count) {
        return counts.has(count) ? std::optional(tokens(count)) : std::nullopt;
    };
    RawCounts raw;
    raw.prompt = tokens(Count::prompt);
    raw.output = tokens(Count::output);
    raw.total = tokens(Count::total);
    raw.cache_read = tokens(Count::cached);
    raw.reasoning = tokens(Count::reasoning);
    constexpr unsigned kUsual = 31;  // the first five
    raw.plain = counts.usual_only;
    raw.said = (counts.said & kUsual) == kUsual ? kSaidAll : 0;
    for (const Count count :
         {Count::prompt, Count::output, Count::total, Count::cached, Count::reasoning}) {
        raw.plain &= of(count) <= kCountMax;
    }
    Billed bill;
    if (counts.has(Count::cost)) {
        bill.cost = NanoCredits{of(Count::cost)};
    }
    bill.input = billed(Count::billed_input);
    bill.cache_read = billed(Count::billed_cache_read);
    bill.cache_write = billed(Count::billed_cache_write);
    bill.output = billed(Count::billed_output);
    return make_usage(raw, bill);
}

UnknownUsage unknown_usage(const Tape& tape, const Node* usage) {
    UnknownUsage unknown;
    const RawUsage own = read_raw_usage(tape, usage);
    write_unknown_details(unknown.prompt_details, tape, own.prompt_details);
    write_unknown_details(unknown.output_details, tape, own.output_details);
    if (own.unknown) {
        for (const Node& node : tape.children(*usage)) {
            if (!is_written(field_of(tape.key(node)))) {
                write_member(unknown.members, tape, node);
            }
        }
    }
    return unknown;
}

void write_chat_usage(std::string& out, const chat::Usage& usage, const UnknownUsage& unknown) {
    Line line;
    line.add(R"({"prompt_tokens":)").add(usage.prompt());
    line.add(R"(,"completion_tokens":)").add(usage.output);
    line.add(R"(,"total_tokens":)").add(usage.total());
    line.add(R"(,"prompt_tokens_details":{"cached_tokens":)").add(usage.cache_read);
    if (usage.cache_write > 0) {
        line.add(R"(,"cache_creation_tokens":)").add(usage.cache_write);
    }
    if (!unknown.prompt_details.empty()) {
        line.flush(out);
        out += unknown.prompt_details;
    }
    line.add(R"(},"completion_tokens_details":{"reasoning_tokens":)").add(usage.reasoning);
    if (!unknown.output_details.empty()) {
        line.flush(out);
        out += unknown.output_details;
    }
    line.add("}");
    if (usage.cache_read > 0 || usage.cache_write > 0) {
        line.add(R"(,"cache_read_input_tokens":)").add(usage.cache_read);
        line.add(R"(,"cache_creation_input_tokens":)").add(usage.cache_write);
    }
    if (!unknown.members.empty()) {
        line.flush(out);
        out += unknown.members;
    }
    line.add("}");
    line.flush(out);
}

void write_chat_usage(std::string& out, const chat::Usage& usage, const Tape& tape,
                      const Node* raw) {
    write_chat_usage(out, usage, unknown_usage(tape, raw));
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

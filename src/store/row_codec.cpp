#include "store/row_codec.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ledger/text.h"
#include "wire/bytes.h"
#include "wire/json.h"

namespace belay::store {

namespace {

static_assert(std::endian::native == std::endian::little, "the row format is little-endian");

using ledger::kMaxErrorMessage;
using ledger::kMaxTags;
using ledger::kMaxText;

constexpr size_t kParts = 5;
using Lengths = std::array<uint32_t, kParts>;
constexpr size_t kTexts = 12;  // of a route
constexpr size_t kApis = 3;
constexpr size_t kSeldomKept = 16 << 10;  // a buffer for more goes back
constexpr size_t kHeadSize = sizeof(uint32_t) + sizeof(RowFixed) + sizeof(Lengths);

RowFixed fixed_part(const ledger::SpendRecord& record) {
    RowFixed fixed;
    fixed.received_ms = record.received_ms;
    fixed.queue_us = record.queue_us;
    fixed.first_byte_us = record.first_byte_us;
    fixed.first_token_us = record.first_token_us;
    fixed.total_us = record.total_us;
    fixed.input = record.usage.input;
    fixed.cache_read = record.usage.cache_read;
    fixed.cache_write = record.usage.cache_write;
    fixed.output = record.usage.output;
    fixed.reasoning = record.usage.reasoning;
    fixed.cost = record.cost.value;
    fixed.premium_milli = record.premium_milli;
    fixed.http_status = record.http_status;
    fixed.status = static_cast<uint8_t>(record.status);
    fixed.cost_source = static_cast<uint8_t>(record.cost_source);
    fixed.initiator = static_cast<uint8_t>(record.initiator);
    fixed.flags =
        static_cast<uint8_t>((record.stream ? kStream : 0) | (record.cache_hit ? kCacheHit : 0) |
                             (record.usage_estimated ? kEstimated : 0) |
                             (record.attempted_fallbacks != 0 ? kFellBack : 0) | kFormat2);
    return fixed;
}

// The texts of a route, in the format's order; of a const or a mutable record.
template <class Record>
auto route_texts(Record& record) {
    return std::array{&record.asked,           &record.model_group,    &record.deployment_id,
                      &record.provider,        &record.upstream_model, &record.api_base,
                      &record.key_fingerprint, &record.key_alias,      &record.user,
                      &record.user_agent,      &record.team,           &record.organization};
}

// Mending a byte takes three.
constexpr size_t kCleanedMax = 3 * kMaxText;

bool is_clean(std::string_view text) {
    const char* const end = text.data() + text.size();
    return bytes::find_string_special(text.data(), end) == end;
}

char as_digit(auto value) { return static_cast<char>('0' + static_cast<int>(value)); }

std::string_view kept_text(std::string_view text) {
    return text.size() <= kMaxText ? text : ledger::cut(text, kMaxText);
}

// Spreads the routes of one gateway over the slots well enough; a collision costs one more copy.
size_t route_slot(const ledger::SpendRecord& record, size_t slots) {
    size_t hash = static_cast<size_t>(record.api) * 7 + static_cast<size_t>(record.client_api);
    for (const std::string* text :
         {&record.asked, &record.deployment_id, &record.key_fingerprint, &record.user_agent}) {
        uint64_t word = 0;
        const size_t size = text->size();
        std::memcpy(&word, text->data() + (size > sizeof word ? size - sizeof word : 0),
                    size > sizeof word ? sizeof word : size);
        hash = (hash ^ word ^ size) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 29U;
    }
    return hash % slots;
}

// Writes the members of one object; nothing at all when there is none.
class ExtraWriter {
  public:
    explicit ExtraWriter(std::string& out) : out_(out), begin_(out.size()) {}
    ~ExtraWriter() {
        if (out_.size() != begin_) {
            out_ += '}';
        }
    }
    ExtraWriter(const ExtraWriter&) = delete;
    ExtraWriter& operator=(const ExtraWriter&) = delete;

    void text(std::string_view key, std::string_view value, size_t max = kMaxText) {
        if (!value.empty()) {
            open(key);
            ledger::write_json_text(out_, ledger::cut(value, max));
        }
    }
    void number(std::string_view key, int64_t value) {
        if (value != 0) {
            always(key, value);
        }
    }
    void always(std::string_view key, int64_t value) {
        open(key);
        ledger::write_number(out_, value);
    }

  private:
    void open(std::string_view key) {
        if (out_.size() == begin_) {
            out_ += '{';
        }
        ledger::write_key(out_, key);
    }
    std::string& out_;
    const size_t begin_;
};

// The upstream's own figure is the cost whenever there is one; it is written only where it is not.
bool upstream_cost_is_cost(const ledger::SpendRecord& record) {
    return record.cost_source == chat::CostSource::upstream &&
           record.usage.upstream_cost == record.cost;
}

void write_extra(std::string& out, const ledger::SpendRecord& record) {
    ExtraWriter extra(out);
    extra.text("account", record.account);
    extra.number("attempted_retries", record.attempted_retries);
    extra.number("attempted_fallbacks", record.attempted_fallbacks);
    extra.text("fallback_reason", record.fallback_reason);
    if (record.error_kind) {
        extra.always("error_kind", static_cast<int64_t>(*record.error_kind));
    }
    extra.text("error_message", record.error_message, kMaxErrorMessage);
    if (record.usage.upstream_cost && !upstream_cost_is_cost(record)) {
        extra.always("upstream_cost", record.usage.upstream_cost->value);
    }
}

std::string clean(std::string_view text) {
    std::string out;
    ledger::write_clean(out, text, kMaxText);
    return out;
}

void write_size(std::string& out, size_t at, size_t size) {
    const auto value = static_cast<uint16_t>(size);
    std::memcpy(out.data() + at, &value, sizeof value);
}

// Mending makes a text longer; it is cut again, so that it comes back as it was kept.
void write_label(std::string& out, std::string_view text) {
    if (text.size() <= kMaxText && is_clean(text)) {
        char size[sizeof(uint16_t)];
        const auto value = static_cast<uint16_t>(text.size());
        std::memcpy(size, &value, sizeof value);
        out.append(size, sizeof size);
        out += text;
        return;
    }
    const size_t at = out.size();
    out.append(sizeof(uint16_t), '\0');
    const size_t begin = out.size();
    ledger::write_clean(out, text, kMaxText);
    const size_t size = ledger::cut(std::string_view(out).substr(begin), kMaxText).size();
    out.resize(begin + size);
    write_size(out, at, size);
}

void write_labels(std::string& out, const ledger::SpendRecord& record) {
    if (record.end_user.empty() && record.session_id.empty() && record.error_code.empty() &&
        record.tags.empty()) {
        return;
    }
    write_label(out, record.end_user);
    write_label(out, record.session_id);
    write_label(out, record.error_code);
    for (size_t i = 0; i < record.tags.size() && i < kMaxTags; ++i) {
        write_label(out, record.tags[i]);
    }
}

void write_rest(std::string& out, const ledger::SpendRecord& record) {
    const size_t at = out.size();
    out.append(sizeof(uint16_t), '\0');
    const size_t begin = out.size();
    write_labels(out, record);
    const size_t labels_size = out.size() - begin;
    write_extra(out, record);
    if (out.size() == begin) {
        out.resize(at);
    } else {
        write_size(out, at, labels_size);
    }
}

void restore_fixed(ledger::SpendRecord& record, const RowFixed& fixed) {
    record.received_ms = fixed.received_ms;
    record.queue_us = fixed.queue_us;
    record.first_byte_us = fixed.first_byte_us;
    record.first_token_us = fixed.first_token_us;
    record.total_us = fixed.total_us;
    record.usage.input = fixed.input;
    record.usage.cache_read = fixed.cache_read;
    record.usage.cache_write = fixed.cache_write;
    record.usage.output = fixed.output;
    record.usage.reasoning = fixed.reasoning;
    record.cost.value = fixed.cost;
    record.premium_milli = fixed.premium_milli;
    record.http_status = fixed.http_status;
    record.status = static_cast<ledger::Status>(fixed.status);
    record.cost_source = static_cast<chat::CostSource>(fixed.cost_source);
    record.initiator = static_cast<ledger::Initiator>(fixed.initiator);
    record.stream = (fixed.flags & kStream) != 0;
    record.cache_hit = (fixed.flags & kCacheHit) != 0;
    record.usage_estimated = (fixed.flags & kEstimated) != 0;
    if (record.cost_source == chat::CostSource::upstream) {
        record.usage.upstream_cost = record.cost;
    }
}

void restore_route(ledger::SpendRecord& record, std::string_view route) {
    if (route.size() < kApis) {
        return;
    }
    record.call_type = static_cast<ledger::CallType>(route[0] - '0');
    record.client_api = static_cast<ledger::Api>(route[1] - '0');
    record.api = static_cast<ledger::Api>(route[2] - '0');
    route.remove_prefix(kApis);
    for (std::string* text : route_texts(record)) {
        *text = clean(next_label(route));
    }
}

void restore_labels(ledger::SpendRecord& record, std::string_view labels) {
    LabelView view = read_labels(labels);
    record.end_user = view.end_user;
    record.session_id = view.session_id;
    record.error_code = view.error_code;
    while (!view.tags.empty()) {
        record.tags.emplace_back(next_label(view.tags));
    }
}

enum class Age : uint8_t { today, old };

void restore_extra(ledger::SpendRecord& record, std::string_view extra, Age age) {
    const Result<json::Value> parsed = json::parse(extra);
    if (!parsed.ok()) {
        return;
    }
    const json::Value& value = *parsed;
    const auto text = [&value](std::string_view key) {
        return std::string(value[key].as_string());
    };
    const auto number = [&value](std::string_view key) {
        return static_cast<int>(value[key].as_int().value_or(0));
    };
    if (age == Age::old) {
        record.session_id = text("session_id");
        record.end_user = text("end_user");
        record.error_code = text("error_code");
        for (const json::Value& tag : value["tags"].items()) {
            record.tags.emplace_back(tag.as_string());
        }
    }
    record.attempted_retries = number("attempted_retries");
    record.attempted_fallbacks = number("attempted_fallbacks");
    record.account = text("account");
    record.fallback_reason = text("fallback_reason");
    if (const auto kind = value["error_kind"].as_int();
        kind && *kind >= 0 && *kind <= static_cast<int64_t>(Kind::internal)) {
        record.error_kind = static_cast<Kind>(*kind);
    }
    record.error_message = text("error_message");
    if (const auto cost = value["upstream_cost"].as_int()) {
        record.usage.upstream_cost = NanoCredits{*cost};
    }
}

}  // namespace

// What a row will hold, before a byte of it is written.
struct RowWriter::Plan {
    size_t begin = 0;
    std::string_view id;
    std::string_view upstream_id;
    char apis[kApis] = {};
    std::array<std::string_view, kTexts> texts;
    size_t route_size = 0;
    size_t slot = 0;
    size_t known_route = 0;  // position + 1 of the same route
    std::string_view extra;
    std::string_view trace;
    int64_t attempt_end_us = 0;

    [[nodiscard]] size_t route_written() const { return known_route != 0 ? 0 : route_size; }
    [[nodiscard]] size_t size() const {
        return kHeadSize + id.size() + upstream_id.size() + route_written() + extra.size() +
               trace.size();
    }
    // Whether this route stands at `at`, where one was written whole.
    [[nodiscard]] bool stands_at(const char* at) const {
        if (std::memcmp(at, apis, sizeof apis) != 0) {
            return false;
        }
        at += sizeof apis;
        for (const std::string_view text : texts) {
            uint16_t size = 0;
            std::memcpy(&size, at, sizeof size);
            at += sizeof size;
            if (size != text.size() || std::memcmp(at, text.data(), text.size()) != 0) {
                return false;
            }
            at += text.size();
        }
        return true;
    }
};

RowWriter::Plan RowWriter::plan(std::string_view rows, const ledger::SpendRecord& record,
                                const ledger::Trace& trace) {
    Plan plan;
    plan.begin = rows.size();
    plan.id = kept_text(record.request_id);
    plan.upstream_id = kept_text(record.upstream_request_id);
    plan.apis[0] = as_digit(record.call_type);
    plan.apis[1] = as_digit(record.client_api);
    plan.apis[2] = as_digit(record.api);
    plan.route_size = kApis + kTexts * sizeof(uint16_t);
    size_t index = 0;
    for (const std::string* text : route_texts(record)) {
        plan.texts[index] = kept_text(*text);
        plan.route_size += plan.texts[index++].size();
    }
    plan.slot = route_slot(record, recent_.size());
    if (!find_route(rows, plan)) {
        clean_texts(plan);
        (void)find_route(rows, plan);
    }
    seldom_.clear();
    write_rest(seldom_, record);
    const size_t extra_size = seldom_.size();
    if (ledger::follows_from(trace, record)) {
        plan.attempt_end_us = trace.attempts.front().end_us;
    } else {
        ledger::write_json(seldom_, trace);
    }
    plan.extra = std::string_view(seldom_).substr(0, extra_size);
    plan.trace = std::string_view(seldom_).substr(extra_size);
    return plan;
}

// In the slot of its hash or the one beside it, so that two routes of one hash do not drive each
// other out.
bool RowWriter::find_route(std::string_view rows, Plan& plan) const {
    for (const size_t slot : {plan.slot, plan.slot ^ 1U}) {
        if (const size_t known = recent_[slot];
            known != 0 && plan.stands_at(rows.data() + known - 1)) {
            plan.known_route = known;
            return true;
        }
    }
    if (recent_[plan.slot] != 0 && recent_[plan.slot ^ 1U] < recent_[plan.slot]) {
        plan.slot ^= 1U;  // where it will be written
    }
    return false;
}

// Only what is kept whole is looked at: a route that stands there already is clean.
void RowWriter::clean_texts(Plan& plan) {
    cleaned_.clear();
    cleaned_.reserve(kTexts * kCleanedMax);
    for (std::string_view& text : plan.texts) {
        if (is_clean(text)) {
            continue;
        }
        const size_t begin = cleaned_.size();
        ledger::write_clean(cleaned_, text, kMaxText);
        const std::string_view clean =
            ledger::cut(std::string_view(cleaned_).substr(begin), kMaxText);
        plan.route_size += clean.size();
        plan.route_size -= text.size();
        text = clean;
    }
}

void RowWriter::put(char* rows, const Plan& plan, const ledger::SpendRecord& record) {
    RowFixed fixed = fixed_part(record);
    fixed.attempt_end_us = plan.attempt_end_us;
    const auto size = static_cast<uint32_t>(plan.size() - sizeof(uint32_t));
    const auto length = [](size_t value) { return static_cast<uint32_t>(value); };
    const Lengths lengths = {length(plan.id.size()), length(plan.upstream_id.size()),
                             length(plan.route_written()), length(plan.extra.size()),
                             length(plan.trace.size())};
    if (plan.known_route != 0) {
        fixed.route_back = length(plan.begin - (plan.known_route - 1));
        fixed.route_size = length(plan.route_size);
    }
    char* at = rows + plan.begin;
    const auto copy = [&at](const void* from, size_t count) {
        std::memcpy(at, from, count);
        at += count;
    };
    copy(&size, sizeof size);
    copy(&fixed, sizeof fixed);
    copy(lengths.data(), sizeof lengths);
    copy(plan.id.data(), plan.id.size());
    copy(plan.upstream_id.data(), plan.upstream_id.size());
    if (plan.known_route == 0) {
        recent_[plan.slot] = length(static_cast<size_t>(at - rows) + 1);
        copy(plan.apis, sizeof plan.apis);
        for (const std::string_view text : plan.texts) {
            const auto text_size = static_cast<uint16_t>(text.size());
            copy(&text_size, sizeof text_size);
            copy(text.data(), text.size());
        }
    }
    copy(plan.extra.data(), plan.extra.size());
    copy(plan.trace.data(), plan.trace.size());
    if (seldom_.capacity() > kSeldomKept) {
        std::string().swap(seldom_);
    }
}

void RowWriter::write(std::string& rows, const ledger::SpendRecord& record,
                      const ledger::Trace& trace) {
    const Plan next = plan(rows, record, trace);
    rows.resize(next.begin + next.size());
    put(rows.data(), next, record);
}

size_t RowWriter::write(char* rows, size_t used, size_t capacity, const ledger::SpendRecord& record,
                        const ledger::Trace& trace) {
    const Plan next = plan({rows, used}, record, trace);
    const size_t size = next.size();
    if (size > capacity - used) {
        return 0;
    }
    put(rows, next, record);
    return size;
}

// Cut short, it is what is left.
std::string_view next_label(std::string_view& rest) {
    uint16_t size = 0;
    if (rest.size() < sizeof size) {
        rest = {};
        return {};
    }
    std::memcpy(&size, rest.data(), sizeof size);
    const std::string_view text = rest.substr(sizeof size, size);
    rest.remove_prefix(sizeof size + text.size());
    return text;
}

LabelView read_labels(std::string_view labels) {
    LabelView view;
    view.end_user = next_label(labels);
    view.session_id = next_label(labels);
    view.error_code = next_label(labels);
    view.tags = labels;
    return view;
}

RouteView read_route(std::string_view route) {
    RouteView view;
    if (route.size() < kApis) {
        return view;
    }
    view.client_api = static_cast<ledger::Api>(route[1] - '0');
    route.remove_prefix(kApis);
    for (std::string_view* text :
         {&view.asked, &view.model_group, &view.deployment_id, &view.provider, &view.upstream_model,
          &view.api_base, &view.key, &view.key_alias, &view.user, &view.user_agent, &view.team,
          &view.organization}) {
        *text = next_label(route);
    }
    return view;
}

std::optional<RowView> RowReader::next() {
    const std::string_view rest = rows_.substr(at_);
    uint32_t size = 0;
    if (rest.size() < kHeadSize) {
        return std::nullopt;
    }
    std::memcpy(&size, rest.data(), sizeof size);
    if (size < kHeadSize - sizeof size || size > rest.size() - sizeof size) {
        return std::nullopt;
    }
    RowView row;
    Lengths lengths{};
    std::memcpy(&row.fixed, rest.data() + sizeof size, sizeof row.fixed);
    std::memcpy(lengths.data(), rest.data() + sizeof size + sizeof row.fixed, sizeof lengths);
    std::string_view parts = rest.substr(kHeadSize, size + sizeof size - kHeadSize);
    size_t index = 0;
    for (std::string_view* part : {&row.id, &row.upstream_id, &row.route, &row.extra, &row.trace}) {
        const size_t length = lengths[index++];
        if (length > parts.size()) {
            return std::nullopt;
        }
        *part = parts.substr(0, length);
        parts.remove_prefix(length);
    }
    if ((row.fixed.flags & kFormat2) != 0 && !row.extra.empty()) {
        row.labels = next_label(row.extra);
    }
    if (row.fixed.route_back != 0) {
        if (row.fixed.route_back > at_ || row.fixed.route_size > row.fixed.route_back) {
            return std::nullopt;
        }
        row.route = rows_.substr(at_ - row.fixed.route_back, row.fixed.route_size);
    }
    at_ += sizeof size + size;
    return row;
}

namespace {

bool is_today(const RowView& row) { return (row.fixed.flags & kFormat2) != 0; }

}  // namespace

ledger::Entry restore_entry(const RowView& row) {
    ledger::Entry entry;
    ledger::SpendRecord& record = entry.record;
    record.request_id = clean(row.id);
    record.upstream_request_id = clean(row.upstream_id);
    restore_fixed(record, row.fixed);
    restore_route(record, row.route);
    restore_labels(record, row.labels);
    if (!row.extra.empty()) {
        restore_extra(record, row.extra, is_today(row) ? Age::today : Age::old);
    }
    if (row.trace.empty()) {
        entry.trace = ledger::trace_from(record, row.fixed.attempt_end_us);
    } else if (Result<ledger::Trace> trace = ledger::parse_trace(row.trace); trace.ok()) {
        entry.trace = std::move(*trace);
    }
    return entry;
}

std::string restore_error_message(const RowView& row) {
    ledger::SpendRecord record;
    if (!row.extra.empty()) {
        restore_extra(record, row.extra, Age::today);
    }
    return std::move(record.error_message);
}

std::optional<std::string> renew_rows(std::string_view rows) {
    bool is_old = false;
    for (RowReader reader(rows); const auto row = reader.next();) {
        is_old = is_old || !is_today(*row);
    }
    if (!is_old) {
        return std::nullopt;
    }
    std::string renewed;
    RowWriter writer;
    for (RowReader reader(rows); const auto row = reader.next();) {
        const ledger::Entry entry = restore_entry(*row);
        writer.write(renewed, entry.record, entry.trace);
    }
    return renewed;
}

}  // namespace belay::store

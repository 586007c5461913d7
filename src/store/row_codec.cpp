#include "store/row_codec.h"

#include <cstring>

#include "ledger/text.h"
#include "wire/json.h"

namespace belay::store {

namespace {

using ledger::kMaxErrorMessage;
using ledger::kMaxTags;
using ledger::kMaxText;

constexpr char kEndOfText = '\x1F';
constexpr size_t kParts = 4;
using Lengths = std::array<uint32_t, kParts>;

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
    fixed.flags =
        static_cast<uint8_t>((record.stream ? kStream : 0) | (record.cache_hit ? kCacheHit : 0) |
                             (record.usage_estimated ? kEstimated : 0) |
                             (static_cast<unsigned>(record.initiator) << kInitiatorShift));
    return fixed;
}

char as_digit(auto value) { return static_cast<char>('0' + static_cast<int>(value)); }

void write_route(std::string& out, const ledger::SpendRecord& record) {
    out += as_digit(record.call_type);
    out += as_digit(record.client_api);
    out += as_digit(record.api);
    for (const std::string* text :
         {&record.asked, &record.model_group, &record.deployment_id, &record.provider,
          &record.upstream_model, &record.api_base, &record.key_fingerprint, &record.key_alias,
          &record.user, &record.user_agent}) {
        ledger::write_clean(out, *text, kMaxText);
        out += kEndOfText;
    }
}

class ExtraWriter {
  public:
    explicit ExtraWriter(std::string& out) : out_(out), begin_(out.size()) {}

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
    void list(std::string_view key, const std::vector<std::string>& values) {
        if (values.empty()) {
            return;
        }
        open(key);
        char lead = '[';
        for (size_t i = 0; i < values.size() && i < kMaxTags; ++i) {
            out_ += lead;
            ledger::write_json_text(out_, ledger::cut(values[i], kMaxText));
            lead = ',';
        }
        out_ += ']';
    }
    void close() {
        if (out_.size() != begin_) {
            out_ += '}';
        }
    }

  private:
    void open(std::string_view key) {
        if (out_.size() == begin_) {
            out_ += '{';
        }
        ledger::write_key(out_, key);
    }
    std::string& out_;
    size_t begin_;
};

// The upstream's own figure is the cost whenever there is one; it is written only where it is not.
bool upstream_cost_is_cost(const ledger::SpendRecord& record) {
    return record.cost_source == chat::CostSource::upstream &&
           record.usage.upstream_cost == record.cost;
}

void write_extra(std::string& out, const ledger::SpendRecord& record) {
    ExtraWriter extra(out);
    extra.text("upstream_request_id", record.upstream_request_id);
    extra.text("session_id", record.session_id);
    extra.text("end_user", record.end_user);
    extra.list("tags", record.tags);
    extra.number("attempted_retries", record.attempted_retries);
    extra.number("attempted_fallbacks", record.attempted_fallbacks);
    extra.text("fallback_reason", record.fallback_reason);
    if (record.error_kind) {
        extra.always("error_kind", static_cast<int64_t>(*record.error_kind));
    }
    extra.text("error_code", record.error_code);
    extra.text("error_message", record.error_message, kMaxErrorMessage);
    if (record.usage.upstream_cost && !upstream_cost_is_cost(record)) {
        extra.always("upstream_cost", record.usage.upstream_cost->value);
    }
    extra.close();
}

void restore_extra(ledger::SpendRecord& record, std::string_view extra) {
    const Result<json::Value> parsed = json::parse(extra.empty() ? "{}" : extra);
    if (!parsed) {
        return;
    }
    const json::Value& value = *parsed;
    const auto text = [&value](std::string_view key) {
        return std::string(value[key].as_string());
    };
    const auto number = [&value](std::string_view key) { return value[key].as_int().value_or(0); };
    record.upstream_request_id = text("upstream_request_id");
    record.session_id = text("session_id");
    record.end_user = text("end_user");
    for (const json::Value& tag : value["tags"].items()) {
        record.tags.emplace_back(tag.as_string());
    }
    record.attempted_retries = static_cast<int>(number("attempted_retries"));
    record.attempted_fallbacks = static_cast<int>(number("attempted_fallbacks"));
    record.fallback_reason = text("fallback_reason");
    if (const auto kind = value["error_kind"].as_int();
        kind && *kind >= 0 && *kind <= static_cast<int64_t>(Kind::internal)) {
        record.error_kind = static_cast<Kind>(*kind);
    }
    record.error_code = text("error_code");
    record.error_message = text("error_message");
    if (const auto cost = value["upstream_cost"].as_int()) {
        record.usage.upstream_cost = NanoCredits{*cost};
    } else if (record.cost_source == chat::CostSource::upstream) {
        record.usage.upstream_cost = record.cost;
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
    record.stream = (fixed.flags & kStream) != 0;
    record.cache_hit = (fixed.flags & kCacheHit) != 0;
    record.usage_estimated = (fixed.flags & kEstimated) != 0;
    record.initiator = static_cast<ledger::Initiator>(fixed.flags >> kInitiatorShift & 3U);
}

void restore_route(ledger::SpendRecord& record, const RouteView& route) {
    record.call_type = static_cast<ledger::CallType>(route.call_type - '0');
    record.client_api = static_cast<ledger::Api>(route.client_api - '0');
    record.api = static_cast<ledger::Api>(route.api - '0');
    size_t i = 0;
    for (std::string* text :
         {&record.asked, &record.model_group, &record.deployment_id, &record.provider,
          &record.upstream_model, &record.api_base, &record.key_fingerprint, &record.key_alias,
          &record.user, &record.user_agent}) {
        *text = route.texts[i++];
    }
}

}  // namespace

void encode_row(std::string& out, const ledger::SpendRecord& record, const ledger::Trace& trace) {
    const size_t begin = out.size();
    const size_t head = sizeof(uint32_t) + sizeof(RowFixed) + sizeof(Lengths);
    out.resize(begin + head);
    Lengths lengths{};
    size_t part = out.size();
    size_t index = 0;
    const auto end_part = [&] {
        lengths[index++] = static_cast<uint32_t>(out.size() - part);
        part = out.size();
    };
    ledger::write_clean(out, record.request_id, kMaxText);
    end_part();
    write_route(out, record);
    end_part();
    write_extra(out, record);
    end_part();
    if (!ledger::follows_from(trace, record)) {
        ledger::write_json(out, trace);
    }
    end_part();

    const RowFixed fixed = fixed_part(record);
    const auto size = static_cast<uint32_t>(out.size() - begin - sizeof(uint32_t));
    char* at = out.data() + begin;
    std::memcpy(at, &size, sizeof size);
    std::memcpy(at + sizeof size, &fixed, sizeof fixed);
    std::memcpy(at + sizeof size + sizeof fixed, lengths.data(), sizeof lengths);
}

std::optional<RowView> decode_row(std::string_view& rows) {
    uint32_t size = 0;
    if (rows.size() < sizeof size) {
        return std::nullopt;
    }
    std::memcpy(&size, rows.data(), sizeof size);
    std::string_view rest = rows.substr(sizeof size);
    Lengths lengths{};
    if (rest.size() < size || size < sizeof(RowFixed) + sizeof lengths) {
        return std::nullopt;
    }
    rows = rest.substr(size);
    rest = rest.substr(0, size);
    RowView row;
    std::memcpy(&row.fixed, rest.data(), sizeof row.fixed);
    std::memcpy(lengths.data(), rest.data() + sizeof row.fixed, sizeof lengths);
    rest.remove_prefix(sizeof row.fixed + sizeof lengths);
    size_t index = 0;
    for (std::string_view* part : {&row.id, &row.route, &row.extra, &row.trace}) {
        const size_t length = lengths[index++];
        if (length > rest.size()) {
            return std::nullopt;
        }
        *part = rest.substr(0, length);
        rest.remove_prefix(length);
    }
    return row;
}

RouteView split_route(std::string_view route) {
    RouteView view;
    if (route.size() < 3) {
        return view;
    }
    view.call_type = route[0];
    view.client_api = route[1];
    view.api = route[2];
    route.remove_prefix(3);
    for (std::string_view& text : view.texts) {
        const size_t end = route.find(kEndOfText);
        text = route.substr(0, end);
        route = end == std::string_view::npos ? std::string_view{} : route.substr(end + 1);
    }
    return view;
}

ledger::Entry restore_entry(const RowView& row) {
    ledger::Entry entry;
    entry.record.request_id = row.id;
    restore_fixed(entry.record, row.fixed);
    restore_route(entry.record, split_route(row.route));
    restore_extra(entry.record, row.extra);
    if (row.trace.empty()) {
        entry.trace = ledger::trace_from(entry.record);
    } else if (Result<ledger::Trace> trace = ledger::parse_trace(row.trace)) {
        entry.trace = std::move(*trace);
    }
    return entry;
}

}  // namespace belay::store

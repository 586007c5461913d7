#include "observe/payload_text.h"

#include <algorithm>

#include "wire/json.h"
#include "wire/sse.h"

namespace belay::observe {
namespace {

using json::Value;

constexpr size_t kEventsMost = 100'000;
constexpr size_t kChoicesMost = 128;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; }

// Beginning and end stay, since both tell more than the middle.
std::string cut(std::string text, size_t most) {
    if (text.size() <= most) {
        return text;
    }
    size_t head = most / 2;
    while (head > 0 && is_continuation(text[head])) {
        --head;
    }
    size_t tail = text.size() - (most - most / 2);
    while (tail < text.size() && is_continuation(text[tail])) {
        ++tail;
    }
    return text.substr(0, head) + " ... (" + std::to_string(tail - head) +
           " bytes are not kept) ... " + text.substr(tail);
}

bool is_base64(std::string_view text) {
    constexpr size_t kLeast = 1'024;
    return text.size() >= kLeast && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '+' || c == '/' || c == '=' || c == '-' || c == '_';
           });
}

std::string shape_text(std::string_view text, const Redaction& redaction, size_t most) {
    if (text.starts_with("data:") && text.substr(0, 128).find(";base64,") != text.npos) {
        const auto head = text.substr(0, text.find(','));
        return std::string(head) + ",(" + std::to_string(text.size()) + " bytes are not kept)";
    }
    if (is_base64(text)) {
        return "(base64, " + std::to_string(text.size()) + " bytes are not kept)";
    }
    return cut(redaction.apply(text), most);
}

void shape(Value& value, const Redaction& redaction, size_t most) {
    if (value.is_string()) {
        value = shape_text(value.as_string(), redaction, most);
    } else if (value.is_array()) {
        for (Value& item : value.items()) {
            shape(item, redaction, most);
        }
    } else if (value.is_object()) {
        size_t n = 0;
        for (json::Member& member : value.members()) {
            ++n;
            std::string key = shape_text(member.key, redaction, most);
            if (key != member.key) {  // two that look alike now stay two
                member.key = std::move(key) + "#" + std::to_string(n);
            }
            shape(member.value, redaction, most);
        }
    }
}

std::string not_kept(size_t bytes) {
    return json::dump(Value::object(
        {{"not_kept", "the body is too long, or no JSON"}, {"bytes", Value(uint64_t{bytes})}}));
}

void merge_delta(Value& into, const Value& delta);

// Pieces of tool calls say by their index which one they belong to.
void merge_list(Value& into, const Value& list) {
    for (const Value& item : list.items()) {
        const int64_t index = item["index"].as_int().value_or(static_cast<int64_t>(into.size()));
        if (index < 0 || index >= static_cast<int64_t>(kChoicesMost)) {
            continue;
        }
        while (static_cast<int64_t>(into.items().size()) <= index) {
            into.push(Value::object());
        }
        merge_delta(into.items()[static_cast<size_t>(index)], item);
    }
}

bool is_whole(std::string_view key) { return key == "role" || key == "id" || key == "type"; }

void merge_delta(Value& into, const Value& delta) {
    for (const json::Member& member : delta.members()) {
        Value* known = into.find(member.key);
        if (known == nullptr || known->is_null()) {
            if (member.value.is_array()) {
                Value& made = into.set(member.key, Value::array());
                merge_list(made, member.value);
            } else if (member.key != "index") {
                into.set(member.key, member.value);
            }
        } else if (known->is_string() && member.value.is_string() && !is_whole(member.key)) {
            *known = std::string(known->as_string()).append(member.value.as_string());
        } else if (known->is_object() && member.value.is_object()) {
            merge_delta(*known, member.value);
        } else if (known->is_array() && member.value.is_array()) {
            merge_list(*known, member.value);
        } else if (!member.value.is_null()) {
            *known = member.value;
        }
    }
}

// The texts of one choice, gathered aside: appending to a document would copy it each time.
struct Choice {
    std::string content;
    Value message = Value::object();
    Value finish;
};

class Assembly {
  public:
    void add(const Value& chunk) {
        for (const char* name : {"id", "created", "model", "system_fingerprint"}) {
            if (!out_.has(name) && chunk.has(name)) {
                out_.set(name, chunk[name]);
            }
        }
        if (chunk["usage"].is_object()) {
            usage_ = chunk["usage"];
        }
        if (chunk.has("error")) {
            error_ = chunk["error"];
        }
        for (const Value& choice : chunk["choices"].items()) {
            const auto index =
                static_cast<size_t>(std::max<int64_t>(0, choice["index"].as_int().value_or(0)));
            if (index >= kChoicesMost) {
                continue;
            }
            if (choices_.size() <= index) {
                choices_.resize(index + 1);
            }
            Choice& at = choices_[index];
            Value delta = choice["delta"];
            at.content.append(delta["content"].as_string());
            delta.erase("content");
            merge_delta(at.message, delta);
            if (!choice["finish_reason"].is_null()) {
                at.finish = choice["finish_reason"];
            }
        }
    }
    Value take() {
        out_.set("object", "chat.completion");
        Value& list = out_.set("choices", Value::array());
        for (size_t i = 0; i < choices_.size(); ++i) {
            Choice& choice = choices_[i];
            choice.message.set("content", std::move(choice.content));
            list.push(Value::object({{"index", Value(uint64_t{i})},
                                     {"message", std::move(choice.message)},
                                     {"finish_reason", std::move(choice.finish)}}));
        }
        if (!usage_.is_null()) {
            out_.set("usage", std::move(usage_));
        }
        if (!error_.is_null()) {
            out_.set("error", std::move(error_));
        }
        return std::move(out_);
    }

  private:
    Value out_ = Value::object();
    Value usage_, error_;
    std::vector<Choice> choices_;
};

}  // namespace

std::string shape_body(std::string_view body, size_t bytes, const Redaction& redaction,
                       size_t text_most) {
    if (body.empty() && bytes == 0) {
        return "{}";
    }
    if (body.size() != bytes) {
        return not_kept(bytes);
    }
    auto value = json::parse(body);
    if (!value.ok()) {
        return not_kept(bytes);
    }
    shape(*value, redaction, text_most);
    return json::dump(*value);
}

std::string shape_stream(std::string_view frames, size_t bytes, const Redaction& redaction,
                         size_t text_most) {
    Assembly assembly;
    sse::Parser parser;
    if (!parser.feed(frames).ok()) {
        return not_kept(bytes);
    }
    sse::Event event;
    size_t events = 0;
    const auto take = [&] {
        while (events < kEventsMost && parser.next(event)) {
            ++events;
            if (event.data != "[DONE]") {
                const auto chunk = json::parse(event.data);
                if (chunk.ok()) {
                    assembly.add(*chunk);
                }
            }
        }
    };
    take();
    parser.finish();
    take();
    Value value = assembly.take();
    if (frames.size() < bytes) {
        value.set("bytes_not_kept", uint64_t{bytes - frames.size()});
    }
    shape(value, redaction, text_most);
    return json::dump(value);
}

}  // namespace belay::observe

#include "sim/prompt.h"

#include <algorithm>
#include <cctype>

namespace belay::sim {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
        text.remove_prefix(1);
    }
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
        text.remove_suffix(1);
    }
    return text;
}

// At most `size` bytes, ending on a character border.
std::string_view clip(std::string_view text, size_t size) {
    if (text.size() <= size) {
        return text;
    }
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
        --size;
    }
    return text.substr(0, size);
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80) {
            word += c;
        } else if (!word.empty()) {
            words.push_back(std::move(word));
            word.clear();
        }
    }
    if (!word.empty()) {
        words.push_back(std::move(word));
    }
    return words;
}

// A number in the text, or -1.
int64_t number_in(std::string_view text) {
    for (const auto& word : words_of(text)) {
        if (word.size() <= 9 && std::all_of(word.begin(), word.end(),
                                            [](unsigned char c) { return std::isdigit(c); })) {
            return std::stoll(word);
        }
    }
    return -1;
}

// Capitalised words that are not the first of the text: names of places and people.
std::vector<std::string> names_in(std::string_view text) {
    std::vector<std::string> names;
    const auto words = words_of(text);
    for (size_t i = 1; i < words.size(); ++i) {
        if (std::isupper(static_cast<unsigned char>(words[i][0])) && words[i].size() > 2) {
            names.push_back(words[i]);
        }
    }
    return names;
}

// "Say X", "Reply with exactly: X", "Repeat: X" -> X.
std::string_view told_to_say(std::string_view text) {
    static constexpr std::string_view kOpeners[] = {"reply with exactly",
                                                    "respond with exactly",
                                                    "answer with exactly",
                                                    "say exactly",
                                                    "reply with",
                                                    "respond with",
                                                    "answer with",
                                                    "repeat after me",
                                                    "repeat",
                                                    "say"};
    text = trim(text);
    const std::string low = lower(text);
    for (const auto opener : kOpeners) {
        if (low.starts_with(opener) && low.size() > opener.size() &&
            (low[opener.size()] == ' ' || low[opener.size()] == ':')) {
            auto rest = trim(text.substr(opener.size()));
            rest = trim(rest.starts_with(":") ? rest.substr(1) : rest);
            if (rest.size() >= 2 && (rest.front() == '"' || rest.front() == '\'') &&
                rest.back() == rest.front()) {
                rest = rest.substr(1, rest.size() - 2);
            }
            return rest;
        }
    }
    return {};
}

std::string count_to(int64_t n) {
    std::string out;
    for (int64_t i = 1; i <= std::min<int64_t>(n, 2000); ++i) {
        out += (i == 1 ? "" : " ") + std::to_string(i);
    }
    return out;
}

std::string essay(int64_t words) {
    static constexpr std::string_view kWords[] = {
        "the", "rope",    "holds", "because", "each", "climber", "trusts", "the",
        "one", "below",   "while", "clouds",  "pass", "over",    "the",    "ridge",
        "and", "morning", "light", "reaches", "the",  "valley",  "slowly"};
    std::string out;
    for (int64_t i = 0; i < std::min<int64_t>(words, 20'000); ++i) {
        out +=
            (i == 0 ? "" : " ") + std::string(kWords[static_cast<size_t>(i) % std::size(kWords)]);
    }
    return out + ".";
}

std::string compose(const Ask& ask) {
    const std::string& name = ask.model->name;
    if (ask.after_tool) {
        return "Here is what the tool returned: " + std::string(clip(trim(ask.tool_result), 400));
    }
    const std::string low = lower(ask.text);
    if (const auto exact = told_to_say(ask.text); !exact.empty()) {
        return std::string(exact);
    }
    const int64_t n = number_in(ask.text);
    if (low.find("count to") != std::string::npos && n > 0) {
        return count_to(n);
    }
    if (low.find(" words") != std::string::npos && n > 0) {
        return essay(n);
    }
    if (ask.images > 0) {
        return "I can see " +
               (ask.images == 1 ? std::string("the image")
                                : std::to_string(ask.images) + " images") +
               " you sent. You asked: \"" + std::string(clip(trim(ask.text), 200)) + "\"";
    }
    if (low.starts_with("hello") || low.starts_with("hi") || low.starts_with("hey")) {
        return "Hello! I am " + name + ", speaking from the simulator. How can I help you today?";
    }
    return "This is " + name + " in the simulator. You wrote: \"" +
           std::string(clip(trim(ask.text), 400)) +
           "\". A real model would now answer that at length; I only show that every byte arrives.";
}

// How much the text wants this tool: its whole name, or a long word of it.
bool wants(std::string_view low, const std::vector<std::string>& words, const std::string& tool) {
    const std::string name = lower(tool);
    std::string spaced = name;
    std::replace(spaced.begin(), spaced.end(), '_', ' ');
    std::replace(spaced.begin(), spaced.end(), '-', ' ');
    if (low.find(name) != std::string_view::npos || low.find(spaced) != std::string_view::npos) {
        return true;
    }
    for (const auto& part : words_of(spaced)) {
        if (part.size() >= 4 && std::find(words.begin(), words.end(), part) != words.end()) {
            return true;
        }
    }
    return false;
}

// The tools to call, in order; the same tool twice when the text speaks of several things.
std::vector<const Tool*> choose_tools(const Ask& ask) {
    std::vector<const Tool*> chosen;
    if (ask.tools.empty() || ask.mode == ToolMode::none) {
        return chosen;
    }
    if (ask.mode == ToolMode::named) {
        for (const Tool& tool : ask.tools) {
            if (tool.name == ask.tool_name) {
                chosen.push_back(&tool);
            }
        }
        return chosen;
    }
    const std::string low = lower(ask.text);
    if (!ask.after_tool) {
        const auto words = words_of(low);
        for (const Tool& tool : ask.tools) {
            if (wants(low, words, tool.name)) {
                chosen.push_back(&tool);
            }
        }
        const bool asked =
            low.find("tool") != std::string::npos || low.find("function") != std::string::npos;
        if (chosen.empty() && asked) {
            chosen.push_back(&ask.tools.front());
        }
        const bool several =
            low.find("both") != std::string::npos || low.find("parallel") != std::string::npos ||
            low.find("twice") != std::string::npos || low.find("each") != std::string::npos;
        if (chosen.size() == 1 && several) {
            chosen.push_back(chosen.front());
        }
    }
    if (chosen.empty() && ask.mode == ToolMode::required) {
        chosen.push_back(&ask.tools.front());
    }
    if (chosen.size() > 1 && !ask.parallel) {
        chosen.resize(1);
    }
    return chosen;
}

std::string fill_string(const std::string& key, const json::Value& schema, std::string_view text) {
    if (schema["enum"].size() > 0) {
        return std::string(schema["enum"][0].as_string());
    }
    if (schema.has("const")) {
        return std::string(schema["const"].as_string());
    }
    const std::string low = lower(key);
    const auto names = names_in(text);
    if (!names.empty() &&
        (low.find("city") != std::string::npos || low.find("location") != std::string::npos ||
         low.find("place") != std::string::npos || low.find("name") != std::string::npos)) {
        return names.front();
    }
    if (low.find("path") != std::string::npos || low.find("file") != std::string::npos) {
        return "README.md";
    }
    if (low.find("date") != std::string::npos) {
        return "2026-01-01";
    }
    return std::string(clip(trim(text), 120));
}

json::Value fill(const std::string& key, const json::Value& schema, std::string_view text,
                 int depth);

json::Value fill_object(const json::Value& schema, std::string_view text, int depth) {
    json::Value out = json::Value::object({});
    for (const auto& property : schema["properties"].members()) {
        out.set(property.key, fill(property.key, property.value, text, depth + 1));
    }
    return out;
}

std::string_view type_of(const json::Value& schema) {
    const json::Value& type = schema["type"];
    if (type.is_array()) {
        return type[0].as_string();
    }
    return type.as_string(schema.has("properties") ? "object" : "string");
}

json::Value fill(const std::string& key, const json::Value& schema, std::string_view text,
                 int depth) {
    if (depth > 16) {
        return {};
    }
    for (const char* choice : {"anyOf", "oneOf", "allOf"}) {
        if (schema[choice].size() > 0) {
            return fill(key, schema[choice][0], text, depth + 1);
        }
    }
    const auto type = type_of(schema);
    if (type == "object") {
        return fill_object(schema, text, depth);
    }
    if (type == "array") {
        return json::Value::array({fill(key, schema["items"], text, depth + 1)});
    }
    if (type == "integer" || type == "number") {
        const int64_t n = number_in(text);
        return n >= 0 ? n : schema["minimum"].as_int().value_or(1);
    }
    if (type == "boolean") {
        return true;
    }
    if (type == "null") {
        return nullptr;
    }
    return fill_string(key, schema, text);
}

ToolCall make_call(const Tool& tool, const Ask& ask, size_t which) {
    std::string text = ask.text;
    // The second call of the same tool takes the next name in the text ("Paris and Tokyo").
    if (const auto names = names_in(text); which > 0 && which < names.size()) {
        text = "about " + names[which];
    }
    if (tool.freeform) {
        return {tool.name, std::string(clip(trim(text), 200)), true};
    }
    json::Value arguments =
        tool.schema.is_object() ? fill_schema(tool.schema, text) : json::Value::object({});
    if (!arguments.is_object()) {
        arguments = json::Value::object({});
    }
    return {tool.name, json::dump(arguments), false};
}

void apply_stops(const Ask& ask, Answer& answer) {
    for (const auto& stop : ask.stops) {
        const size_t at = stop.empty() ? std::string::npos : answer.text.find(stop);
        if (at != std::string::npos) {
            answer.text.resize(at);
            answer.stopped_by = stop;
        }
    }
}

// Cuts the answer at the caller's output limit.
void apply_limit(const Ask& ask, Answer& answer) {
    if (ask.output_max <= 0 || count_tokens(answer.text) <= ask.output_max) {
        return;
    }
    answer.text = std::string(clip(answer.text, static_cast<size_t>(ask.output_max) * 4));
    answer.finish = Finish::length;
}

}  // namespace

int64_t count_tokens(std::string_view text) { return static_cast<int64_t>((text.size() + 3) / 4); }

json::Value fill_schema(const json::Value& schema, std::string_view text) {
    return fill("", schema, text, 0);
}

std::vector<std::string> split_words(std::string_view text, size_t words) {
    std::vector<std::string> pieces;
    std::string piece;
    size_t spaces = 0;
    for (const char c : text) {
        piece += c;
        if (c == ' ' && ++spaces == words) {
            pieces.push_back(std::move(piece));
            piece.clear();
            spaces = 0;
        }
    }
    if (!piece.empty()) {
        pieces.push_back(std::move(piece));
    }
    return pieces;
}

std::vector<std::string> split_even(std::string_view text, size_t pieces) {
    std::vector<std::string> out;
    const size_t size =
        std::max<size_t>(1, (text.size() + pieces - 1) / std::max<size_t>(1, pieces));
    while (!text.empty()) {
        auto piece = clip(text, size);
        piece = piece.empty() ? text : piece;  // one character longer than a piece
        out.emplace_back(piece);
        text.remove_prefix(piece.size());
    }
    return out;
}

Answer plan_answer(const Ask& ask) {
    Answer answer;
    if (ask.think) {
        answer.reasoning = "The user wants an answer to \"" +
                           std::string(clip(trim(ask.text), 80)) +
                           "\". I check what is asked, then say it plainly.";
    }
    const auto chosen = choose_tools(ask);
    for (size_t i = 0; i < chosen.size(); ++i) {
        answer.calls.push_back(make_call(*chosen[i], ask, i));
    }
    if (!answer.calls.empty()) {
        // GPT calls without a word; Claude and Gemini say what they are about to do.
        answer.text = ask.model->family == Family::gpt ? "" : "I will look that up.";
        answer.finish = Finish::tool_calls;
    } else if (ask.schema != nullptr) {
        answer.text = json::dump(fill_schema(*ask.schema, ask.text));
    } else if (ask.json_object) {
        answer.text = json::dump(json::Value::object({{"answer", compose(ask)}}));
    } else {
        answer.text = compose(ask);
    }
    apply_stops(ask, answer);
    apply_limit(ask, answer);
    answer.usage.reasoning = count_tokens(answer.reasoning);
    answer.usage.output = count_tokens(answer.text) + answer.usage.reasoning;
    for (const auto& call : answer.calls) {
        answer.usage.output += count_tokens(call.name) + count_tokens(call.arguments) + 4;
    }
    return answer;
}

}  // namespace belay::sim

// Runs tests/transcripts/protocols/*.turn: one exchange per file, as plain text. Guarantee: the
// upstream is asked exactly that, the client hears exactly this, whichever way the bytes were cut.
//
//   # what this file shows
//   == options
//   upstream: chat | responses | messages | embeddings      how the upstream is asked
//   model: NAME          the upstream's name;  show: NAME  the client's
//   edits: copilot       the rules that Copilot needs
//   drop: a, b.c         rename: from to     default: key raw     override: key raw    (repeatable)
//   traits: adaptive no-sampling no-schema efforts=low,high budget=1024-32000 max_output=64000
//   == client request    JSON
//   == upstream request  expected, JSON on one line
//   == upstream stream   SSE as it comes; or  == upstream reply
//   == client stream     expected; or  == client reply
//   == facts             expected: usage, how it ended, where it was committed, warnings
//
// BELAY_BLESS=1 rewrites the expected sections; the diff is the review.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "protocols/convert.h"
#include "protocols/stream.h"
#include "wire/sse.h"

using namespace belay;
using namespace belay::protocols;
namespace fs = std::filesystem;

namespace {

struct Turn {
    std::string about;  // the comment lines at the top
    std::vector<std::pair<std::string, std::string>> sections;

    [[nodiscard]] const std::string* find(const std::string& name) const {
        for (const auto& section : sections) {
            if (section.first == name) {
                return &section.second;
            }
        }
        return nullptr;
    }
    void set(const std::string& name, const std::string& text) {
        for (auto& section : sections) {
            if (section.first == name) {
                section.second = text;
                return;
            }
        }
        sections.emplace_back(name, text);
    }
};

Turn read_turn(const fs::path& path) {
    std::ifstream in(path);
    Turn turn;
    std::string line;
    while (std::getline(in, line)) {
        if (line.starts_with("== ")) {
            turn.sections.emplace_back(line.substr(3), "");
        } else if (turn.sections.empty()) {
            turn.about += line + "\n";
        } else {
            turn.sections.back().second += line + "\n";
        }
    }
    return turn;
}

void write_turn(const fs::path& path, Turn turn) {
    static const std::vector<std::string> kOrder = {
        "options",        "client request", "upstream request", "upstream stream",
        "upstream reply", "client stream",  "client reply",     "facts"};
    std::stable_sort(turn.sections.begin(), turn.sections.end(), [](const auto& a, const auto& b) {
        return std::find(kOrder.begin(), kOrder.end(), a.first) <
               std::find(kOrder.begin(), kOrder.end(), b.first);
    });
    std::ofstream out(path);
    out << turn.about;
    for (const auto& [name, text] : turn.sections) {
        out << "== " << name << "\n" << text;
    }
}

struct Setup {
    Api upstream = Api::chat;
    std::string show;
    ChatEdits edits;
};

std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> out;
    std::stringstream in(text);
    std::string word;
    while (std::getline(in, word, by)) {
        word.erase(0, std::min(word.find_first_not_of(' '), word.size()));
        if (!word.empty()) {
            out.push_back(word);
        }
    }
    return out;
}

void read_traits(ModelTraits& traits, const std::string& text) {
    for (const auto& word : split(text, ' ')) {
        std::string value = word.substr(std::min(word.find('=') + 1, word.size()));
        if (word == "adaptive") {
            traits.adaptive_thinking = true;
        } else if (word == "no-sampling") {
            traits.sampling = false;
        } else if (word == "no-schema") {
            traits.structured_output = false;
        } else if (word.starts_with("efforts=")) {
            traits.efforts = split(value, ',');
        } else if (word.starts_with("max_output=")) {
            traits.max_output_tokens = std::stoll(value);
        } else if (word.starts_with("budget=")) {
            traits.thinking_budget_min = std::stoll(value);
            traits.thinking_budget_max = std::stoll(value.substr(value.find('-') + 1));
        } else {
            FAIL("unknown trait " << word);
        }
    }
}

std::pair<std::string, std::string> two(const std::string& text) {
    size_t space = text.find(' ');
    return {text.substr(0, space), text.substr(space + 1)};
}

Setup read_setup(const std::string& text) {
    Setup setup;
    std::map<std::string, Api> apis = {{"chat", Api::chat},
                                       {"responses", Api::responses},
                                       {"messages", Api::messages},
                                       {"embeddings", Api::embeddings}};
    for (const auto& line : split(text, '\n')) {
        std::string key = line.substr(0, line.find(": "));
        std::string value = line.substr(line.find(": ") + 2);
        if (key == "upstream") {
            setup.upstream = apis.at(value);
        } else if (key == "model") {
            setup.edits.model = value;
        } else if (key == "show") {
            setup.show = value;
        } else if (key == "edits") {
            setup.edits.force_stream_usage = setup.edits.flatten_assistant_text = true;
            setup.edits.drop_empty_content = setup.edits.copilot_cache_control = true;
            setup.edits.copilot_reasoning = true;
        } else if (key == "drop") {
            setup.edits.drop = split(value, ',');
        } else if (key == "rename") {
            setup.edits.rename.push_back(two(value));
        } else if (key == "default") {
            setup.edits.defaults.push_back(two(value));
        } else if (key == "override") {
            setup.edits.overrides.push_back(two(value));
        } else if (key == "traits") {
            read_traits(setup.edits.traits, value);
        } else {
            FAIL("unknown option " << key);
        }
    }
    return setup;
}

std::string render_usage(const std::optional<chat::Usage>& usage) {
    if (!usage) {
        return "usage: none\n";
    }
    std::ostringstream out;
    out << "usage: input=" << usage->input << " cache_read=" << usage->cache_read
        << " cache_write=" << usage->cache_write << " output=" << usage->output
        << " reasoning=" << usage->reasoning;
    if (usage->upstream_cost) {
        out << " cost=" << usage->upstream_cost->value;
    }
    out << "\n";
    return out.str();
}

std::string render_error_text(const Error& error) {
    return "error: " + std::string(kind_name(error.kind)) + " " + error.message +
           (error.param.empty() ? "" : " [" + error.param + "]") + "\n";
}

struct Heard {
    std::string stream;
    std::string facts;
    bool operator==(const Heard&) const = default;
};

std::string_view ended_name(Ended how) {
    switch (how) {
        case Ended::complete:
            return "complete";
        case Ended::cut:
            return "cut";
        case Ended::empty:
            return "empty";
        case Ended::failed:
            return "failed";
    }
    return "";
}

// What a client hears when the upstream's bytes arrive cut at `cuts`.
Heard play(const Setup& setup, bool include_usage, const std::string& bytes,
           const std::set<size_t>& cuts) {
    StreamOptions options{setup.show, "chatcmpl-turn", 1790000000, include_usage};
    auto stream = make_chat_stream(setup.upstream, options);
    sse::Parser parser;
    Heard heard;
    int events = 0;
    int commit = 0;
    std::string error;
    auto take = [&](const sse::Event& event) {
        size_t before = heard.stream.size();
        FrameFacts facts = stream->on_event(event.name, event.data, heard.stream);
        events++;
        if (facts.content && commit == 0) {
            commit = events;
        }
        if (!facts.error.empty() && error.empty()) {
            error = facts.error;
            CHECK(heard.stream.size() == before);  // an error is reported, never forwarded
        }
    };
    sse::Event event;
    size_t at = 0;
    while (at < bytes.size()) {
        auto next = cuts.upper_bound(at);
        size_t end = next == cuts.end() ? bytes.size() : std::min(*next, bytes.size());
        std::string piece = bytes.substr(at, end - at);
        REQUIRE(parser.feed(piece).ok());
        while (parser.next(event)) {
            take(event);
        }
        at = end;
    }
    parser.finish();
    while (parser.next(event)) {
        take(event);
    }
    StreamEnd end = stream->on_end(heard.stream);
    bool done = heard.stream.find("data: [DONE]") != std::string::npos;
    CHECK(done == (end.how == Ended::complete));  // the end mark never lies
    heard.facts = render_usage(end.usage) + "ended: " + std::string(ended_name(end.how)) +
                  "\nfinish: " + std::string(end.finish_reason) +
                  "\nmodel: " + std::string(end.upstream_model) +
                  "\ncommit: " + std::to_string(commit) + "\n";
    if (!error.empty()) {
        heard.facts += "error: " + error + "\n";
    }
    for (const auto& warning : stream->warnings()) {
        heard.facts += "warning: " + warning + "\n";
    }
    return heard;
}

// Every frame is one line of data with JSON in it, and they are of one reply.
void check_frames(const std::string& stream) {
    sse::Parser parser;
    REQUIRE(parser.feed(stream).ok());
    std::set<std::string> heads;
    sse::Event event;
    while (parser.next(event)) {
        if (event.data == "[DONE]") {
            continue;
        }
        auto value = json::parse(event.data);
        REQUIRE(value.ok());
        CHECK((*value)["object"].as_string() == "chat.completion.chunk");
        heads.insert(json::dump((*value)["id"]) + json::dump((*value)["created"]) +
                     json::dump((*value)["model"]));
    }
    CHECK(heads.size() <= 1);
    CHECK_FALSE(parser.partial());
}

void play_stream(const Setup& setup, const ChatFacts& facts, const std::string& bytes, Turn& got) {
    std::string trimmed = bytes;
    Heard whole = play(setup, facts.include_usage, trimmed, {});
    check_frames(whole.stream);
    std::set<size_t> every;
    for (size_t i = 1; i < trimmed.size(); i++) {
        every.insert(i);
    }
    CHECK(play(setup, facts.include_usage, trimmed, every) == whole);
    std::mt19937 random(42);
    for (int round = 0; round < 8; round++) {
        std::set<size_t> cuts;
        for (int i = 0; i < 10; i++) {
            cuts.insert(1 + random() % trimmed.size());
        }
        CHECK(play(setup, facts.include_usage, trimmed, cuts) == whole);
    }
    got.set("client stream", whole.stream);
    got.set("facts", whole.facts);
}

void play_plain(const Setup& setup, const ChatFacts& facts, const std::string& body, Turn& got) {
    ReplyOptions options{setup.show, "chatcmpl-turn", 1790000000, facts.n, facts.wants_base64};
    auto reply = convert_plain_reply(setup.upstream, body, options);
    if (!reply.ok()) {
        got.set("client reply", "");
        got.set("facts", render_error_text(reply.error()));
        return;
    }
    CHECK(json::parse(reply->body).ok());
    got.set("client reply", reply->body + "\n");
    std::string told = render_usage(reply->usage) + "finish: " + reply->finish_reason +
                       "\nmodel: " + reply->upstream_model + "\n";
    for (const auto& warning : reply->warnings) {
        told += "warning: " + warning + "\n";
    }
    got.set("facts", told);
}

Turn run(const Turn& turn) {
    Turn got = turn;
    Setup setup = read_setup(*turn.find("options"));
    std::string body = *turn.find("client request");
    auto facts =
        setup.upstream == Api::embeddings ? scan_embeddings_request(body) : scan_chat_request(body);
    if (!facts.ok()) {
        got.set("facts", render_error_text(facts.error()));
        return got;
    }
    auto request = build_upstream_request(setup.upstream, body, *facts, setup.edits);
    if (!request.ok()) {
        got.set("facts", render_error_text(request.error()));
        return got;
    }
    while (!request->body.empty() && request->body.back() == '\n') {
        request->body.pop_back();
    }
    CHECK(json::parse(request->body).ok());
    std::string asked = request->body + "\n";
    for (const auto& warning : request->warnings) {
        asked += "# warning: " + warning + "\n";
    }
    got.set("upstream request", asked);
    if (const auto* stream = turn.find("upstream stream")) {
        play_stream(setup, *facts, *stream, got);
    } else if (const auto* reply = turn.find("upstream reply")) {
        play_plain(setup, *facts, *reply, got);
    }
    return got;
}

}  // namespace

TEST_CASE("every recorded exchange is asked and answered as written, however the bytes are cut") {
    std::vector<fs::path> paths;
    for (const auto& entry :
         fs::directory_iterator(BELAY_SOURCE_DIR "/tests/transcripts/protocols")) {
        if (entry.path().extension() == ".turn") {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    CHECK(paths.size() >= 40);
    bool bless = std::getenv("BELAY_BLESS") != nullptr;
    for (const auto& path : paths) {
        CAPTURE(path.filename().string());
        Turn turn = read_turn(path);
        REQUIRE(turn.find("options") != nullptr);
        REQUIRE(turn.find("client request") != nullptr);
        CHECK(turn.about.starts_with("# "));
        Turn got = run(turn);
        if (bless) {
            write_turn(path, got);
            continue;
        }
        for (const auto& [name, text] : got.sections) {
            CAPTURE(name);
            const auto* expected = turn.find(name);
            REQUIRE(expected != nullptr);
            CHECK(*expected == text);
        }
    }
}

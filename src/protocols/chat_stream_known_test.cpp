// Chunks that are written by copying, from the last chunk or from earlier streams, must be heard as
// if each had been taken apart. The oracle: events with a name are always taken apart, and a name
// of no meaning changes nothing else.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "protocols/chat_stream.h"
#include "wire/sse.h"

using namespace belay;
using namespace belay::protocols;
namespace fs = std::filesystem;

namespace {

using Events = std::vector<std::pair<std::string, std::string>>;

std::string describe(const std::optional<chat::Usage>& usage) {
    if (!usage) {
        return "-";
    }
    std::string out;
    for (const int64_t count :
         {usage->input, usage->cache_read, usage->cache_write, usage->output, usage->reasoning,
          usage->upstream_cost.value_or(NanoCredits{-1}).value}) {
        out += std::to_string(count) + " ";
    }
    return out;
}

// Every frame, every fact and how it ended.
std::string hear(const Events& events, bool include_usage, bool taken_apart) {
    ChatStreamMender mender({"sho\"wn", "chatcmpl-own", 7, include_usage});
    std::string heard;
    for (const auto& [name, data] : events) {
        std::string out;
        const FrameFacts facts =
            mender.on_event(taken_apart && name.empty() ? "message" : name, data, out);
        heard += out + "[";
        for (const bool fact : {facts.content, facts.finished, facts.done, facts.malformed}) {
            heard += fact ? "x" : ".";
        }
        heard += std::string(facts.finish_reason) + "|" + describe(facts.usage) + "|" +
                 std::string(facts.error) + "]\n";
    }
    std::string out;
    const StreamEnd end = mender.on_end(out);
    heard += out + std::to_string(static_cast<int>(end.how)) + describe(end.usage);
    for (const std::string_view fact : {end.finish_reason, end.upstream_model, end.id}) {
        heard += std::string(fact) + "|";
    }
    return heard;
}

void check(const Events& events) {
    for (const bool include_usage : {false, true}) {
        const std::string apart = hear(events, include_usage, true);
        // The second time at the latest the patterns of the first are there.
        REQUIRE(hear(events, include_usage, false) == apart);
        REQUIRE(hear(events, include_usage, false) == apart);
    }
}

std::vector<Events> recorded_streams() {
    std::vector<Events> streams;
    for (const auto& entry :
         fs::directory_iterator(BELAY_SOURCE_DIR "/tests/transcripts/protocols")) {
        if (!entry.path().filename().string().starts_with("chat_stream_")) {
            continue;
        }
        std::ifstream in(entry.path());
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        constexpr std::string_view kBegin = "\n== upstream stream\n";
        const size_t begin = text.find(kBegin);
        if (begin == std::string::npos) {
            continue;
        }
        const size_t first = begin + kBegin.size();
        std::string bytes = text.substr(first, text.find("\n== ", first) + 1 - first);
        sse::Parser parser;
        REQUIRE(parser.feed(bytes).ok());
        parser.finish();
        Events events;
        sse::Event event;
        while (parser.next(event)) {
            events.emplace_back(event.name, event.data);
        }
        streams.push_back(std::move(events));
    }
    std::sort(streams.begin(), streams.end());
    return streams;
}

std::string chunk(std::string_view choice, std::string_view id, std::string_view created,
                  std::string_view more = "") {
    return R"({"choices":[{"index":0,)" + std::string(choice) + R"(}],"created":)" +
           std::string(created) + R"(,"id":")" + std::string(id) +
           R"(","model":"gpt-up","object":"chat.completion.chunk")" + std::string(more) + "}";
}

std::string usage(std::string_view prompt, std::string_view cached, std::string_view output) {
    return R"(,"usage":{"completion_tokens":)" + std::string(output) + R"(,"prompt_tokens":)" +
           std::string(prompt) +
           R"(,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":)" +
           std::string(cached) + R"(}},"copilot_usage":{"total_nano_aiu":53400000,)" +
           R"("token_details":[]})";
}

constexpr std::string_view kRole = R"("delta":{"role":"assistant","content":""})";
constexpr std::string_view kFinish = R"("delta":{},"finish_reason":"stop")";

std::string text(std::string_view raw) {
    return R"("delta":{"content":")" + std::string(raw) + R"("})";
}

Events stream(std::string_view id, std::string_view created, std::string_view end_usage) {
    return {{"", chunk(kRole, id, created)},
            {"", chunk(text("Hello"), id, created)},
            {"", chunk(text(" you"), id, created)},
            {"", chunk(kFinish, id, created, end_usage)},
            {"", "[DONE]"}};
}

}  // namespace

TEST_CASE("a stream like an earlier one is written without being taken apart") {
    chunk_patterns() = {};
    (void)hear(stream("chatcmpl-1", "1790000000", usage("100", "0", "20")), false, false);
    REQUIRE(chunk_patterns().size() == 3);  // role, text, finish
    const ChoiceSets none{}, open{1, 1, 0};
    struct Row {
        std::string what;
        std::string data;
        ChoiceSets state;
        bool fits;
    };
    const std::string counts = usage("7", "3", "9");
    const Row rows[] = {
        {"the role", chunk(kRole, "other", "5"), none, true},
        {"the role again", chunk(kRole, "other", "5"), open, false},
        {"a text", chunk(text("x"), "other", "5"), open, true},
        {"a text with escapes", chunk(text(R"(\"\u00e9\n)"), "other", "5"), open, true},
        {"a text in other letters", chunk(text("größe 日本"), "other", "5"), open, true},
        {"a broken escape", chunk(text(R"(\q)"), "other", "5"), open, false},
        {"no text", chunk(text(""), "other", "5"), open, false},
        {"text before the role", chunk(text("x"), "other", "5"), none, false},
        {"text behind the finish", chunk(text("x"), "other", "5"), {1, 1, 1}, false},
        {"no id", chunk(text("x"), "", "5"), open, false},
        {"no time", chunk(text("x"), "other", "0"), open, false},
        {"a fraction", chunk(text("x"), "other", "5.5"), open, false},
        {"one member more", chunk(text("x"), "other", "5", R"(,"a":1)"), open, false},
        {"the finish", chunk(kFinish, "other", "5", counts), open, true},
        {"a finish without usage", chunk(kFinish, "other", "5"), open, false},
        {"a padded count", chunk(kFinish, "other", "5", usage("07", "3", "9")), open, false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        TextPattern::Found found;
        CHECK((chunk_patterns().find(row.data, row.state, found) != nullptr) == row.fits);
    }
}

TEST_CASE("chunks that hardly come a second time are not kept") {
    for (const std::string_view choice :
         {R"("delta":{"content":"a","reasoning_opaque":"c2ln"})",
          R"("delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f"}}]})",
          R"("delta":{"content":"a","reasoning_text":"b"})",
          R"("delta":{"content":"a"}},{"index":1,"delta":{"content":"b"})"}) {
        CAPTURE(choice);
        chunk_patterns() = {};
        (void)hear({{"", chunk(choice, "chatcmpl-1", "5")}}, false, false);
        CHECK(chunk_patterns().size() == 0);
    }
}

TEST_CASE("ids, times, texts and counts that change are heard as from chunks taken apart") {
    const std::string counts[] = {usage("100", "0", "20"),
                                  usage("100", "64", "20"),
                                  usage("100", "640", "20"),
                                  usage("0", "0", "0"),
                                  usage("999999999999999", "0", "1"),
                                  "",
                                  R"(,"usage":null)",
                                  R"(,"usage":{})"};
    for (const std::string& end : counts) {
        CAPTURE(end);
        check(stream("chatcmpl-1", "1790000000", end));
        check(stream("chatcmpl-22222222", "5", end));
        check(stream("", "0", end));
        check(stream(R"(a\"b)", "-1", end));
        for (const std::string_view id : {"chatcmpl-1", "chatcmpl-2"}) {
            check({{"", chunk(R"("delta":{"content":"a"}},{"index":1,"delta":{"role":"assistant"})",
                              id, "5", end)},
                   {"", chunk(R"("finish_reason":"stop"},{"index":1,"finish_reason":"length")", id,
                              "5", end)}});
        }
    }
}

TEST_CASE("recorded streams are heard as if every chunk were taken apart") {
    const auto streams = recorded_streams();
    REQUIRE(streams.size() > 20);
    for (const Events& events : streams) {
        check(events);
    }
}

TEST_CASE("damaged, reordered and mixed streams are heard as if every chunk were taken apart") {
    auto streams = recorded_streams();
    streams.push_back(stream("chatcmpl-1", "1790000000", usage("100", "0", "20")));
    std::mt19937 random(7);
    constexpr std::string_view kBytes("\"\\{}[],:0159eE.-+ntfu \n\t\x80\xC3\x00x", 27);
    const auto any = [&](const auto& from) -> const auto& { return from[random() % from.size()]; };
    for (int round = 0; round < 3000; ++round) {
        Events events = any(streams);
        for (unsigned n = random() % 4; n < 4 && !events.empty(); ++n) {
            auto& picked = events[random() % events.size()];
            const Events& other = any(streams);
            switch (random() % 6) {
                case 0:
                    std::swap(picked, events[random() % events.size()]);
                    break;
                case 1:
                    events.insert(events.begin() + static_cast<ptrdiff_t>(random() % events.size()),
                                  std::pair(picked));
                    break;
                case 2:
                    events.erase(events.begin() + static_cast<ptrdiff_t>(random() % events.size()));
                    break;
                case 3:
                    if (!other.empty()) {
                        picked = any(other);
                    }
                    break;
                default:
                    if (std::string& data = picked.second; !data.empty()) {
                        const size_t at = random() % data.size();
                        if (random() % 2 == 0) {
                            data[at] = any(kBytes);
                        } else {
                            data.erase(at, 1 + random() % 4);
                        }
                    }
                    break;
            }
        }
        std::string shown;
        for (const auto& [name, data] : events) {
            shown += name + ": " + data + "\n";
        }
        CAPTURE(shown);
        check(events);
        if (round % 16 == 0) {
            chunk_patterns() = {};  // with new credit
        }
    }
}

#pragma once
// What the stream fuzzers share: any bytes as an upstream's SSE body. Holds: every byte that comes
// out is a whole frame of valid JSON; [DONE] stands at the end alone and only after a finish; an
// error appends nothing; the cut of the bytes changes nothing, nor does what was heard before.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocols/stream.h"
#include "protocols/tape.h"
#include "wire/sse.h"

namespace belay::protocols::fuzz {

inline void must(bool holds) {
    if (!holds) {
        std::abort();
    }
}

struct Heard {
    std::string out;
    std::string facts;
    Ended how = Ended::cut;
    bool operator==(const Heard&) const = default;
};

inline std::string describe(const std::optional<chat::Usage>& usage) {
    std::string out;
    if (usage) {
        for (const int64_t count :
             {usage->input, usage->cache_read, usage->cache_write, usage->output, usage->reasoning,
              usage->upstream_cost.value_or(NanoCredits{-1}).value}) {
            out += std::to_string(count) + " ";
        }
    }
    return out;
}

// `name` is given to the events that have none.
inline Heard play(Api api, std::string_view bytes, size_t step, std::string_view name = "") {
    auto stream = make_chat_stream(api, {"shown", "chatcmpl-1", 1, true});
    sse::Parser parser;
    Heard heard;
    auto drain = [&] {
        sse::Event event;
        while (parser.next(event)) {
            size_t before = heard.out.size();
            FrameFacts facts =
                stream->on_event(event.name.empty() ? name : event.name, event.data, heard.out);
            must(facts.error.empty() || heard.out.size() == before);
            must(!facts.malformed || !facts.error.empty());
            for (const bool fact : {facts.content, facts.finished, facts.done, facts.malformed}) {
                heard.facts += fact ? 'x' : '.';
            }
            heard.facts += describe(facts.usage);
            heard.facts += facts.finish_reason;
            heard.facts += facts.error;
        }
    };
    for (size_t at = 0; at < bytes.size(); at += step) {
        std::string piece(bytes.substr(at, step));
        if (!parser.feed(piece).ok()) {
            break;
        }
        drain();
    }
    parser.finish();
    drain();
    const StreamEnd end = stream->on_end(heard.out);
    heard.how = end.how;
    heard.facts += describe(end.usage);
    for (const std::string_view fact : {end.finish_reason, end.upstream_model, end.id}) {
        heard.facts += fact;
        heard.facts += '|';
    }
    return heard;
}

inline void check_frames(const Heard& heard) {
    sse::Parser parser;
    must(parser.feed(heard.out).ok());
    sse::Event event;
    bool done = false;
    bool finished = false;
    Tape tape;
    while (parser.next(event)) {
        must(!done);
        if (event.data == "[DONE]") {
            done = true;
            continue;
        }
        must(tape.read(event.data, Tape::Twins::ignored) && tape.root().is_object());
        finished |= event.data.find("\"finish_reason\":\"") != std::string_view::npos;
    }
    must(!parser.partial());
    must(done == (heard.how == Ended::complete));
    must(!done || finished);
}

inline int run(Api api, const uint8_t* data, size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    Heard whole = play(api, bytes, size + 1);
    check_frames(whole);
    must(play(api, bytes, 1) == whole);
    must(play(api, bytes, 7) == whole);
    return 0;
}

}  // namespace belay::protocols::fuzz

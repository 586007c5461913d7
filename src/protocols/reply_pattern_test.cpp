#include "protocols/reply_pattern.h"

#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "protocols/chat_reply.h"

using namespace belay;
using namespace belay::protocols;

namespace {

const ReplyOptions kOptions{"shown", "chatcmpl-own", 7, 1, false};

std::string reply(std::string_view id, std::string_view created, std::string_view content,
                  std::string_view counts) {
    return R"({"choices":[{"finish_reason":"stop","index":0,"content_filter_results":{"hate":)"
           R"({"filtered":false}},"message":{"role":"assistant","content":")" +
           std::string(content) + R"("}}],"created":)" + std::string(created) + R"(,"id":")" +
           std::string(id) + R"(","model":"gpt-up","system_fingerprint":"fp_1",)" +
           std::string(counts) + "}";
}

constexpr std::string_view kUsual =
    R"("usage":{"completion_tokens":20,"prompt_tokens":100,"total_tokens":120,)"
    R"("prompt_tokens_details":{"cached_tokens":0},)"
    R"("completion_tokens_details":{"accepted_prediction_tokens":0,"reasoning_tokens":5}},)"
    R"("copilot_usage":{"token_details":[{"token_count":100,"token_type":"input"},)"
    R"({"token_count":20,"token_type":"output"}],"total_nano_aiu":53400000})";

struct Mended {
    std::string body;
    std::optional<chat::Usage> usage;
    std::string finish, model, id;
    bool operator==(const Mended&) const = default;
};

Mended mend(std::string_view body) {
    auto reply = mend_chat_reply(body, kOptions);
    if (!reply.ok()) {
        return {"error: " + reply.error().message, {}, {}, {}, {}};
    }
    return {reply->body, reply->usage, reply->finish_reason, reply->upstream_model, reply->id};
}

// As a thread mends it that has seen nothing before.
Mended mend_freshly(std::string_view body) {
    Mended out;
    std::thread([&] { out = mend(body); }).join();
    return out;
}

bool fits(std::string_view body) {
    PlainReply ignored;
    return reply_patterns().write(body, kOptions.model, ignored);
}

}  // namespace

TEST_CASE("the second reply of its kind is written from the pattern of the first") {
    (void)mend(reply("chatcmpl-1", "1790000000", "Hello", kUsual));
    struct Row {
        std::string_view what, id, created, content;
        bool fits;
    };
    const Row rows[] = {
        {"another text", "chatcmpl-2", "1790000001", "Good day to you", true},
        {"a longer id", "chatcmpl-2222222222222222", "1790000001", "x", true},
        {"escapes", "chatcmpl-3", "5", R"(say \"hi\"\n\u00e9)", true},
        {"other alphabets", "chatcmpl-3", "5", "héllo 日本", true},
        {"no text", "chatcmpl-3", "5", "", true},
        {"a broken escape", "chatcmpl-3", "5", R"(a\qb)", false},
        {"broken UTF-8", "chatcmpl-3", "5", "a\xFFz", false},
        {"an escape in the id", R"(chat\"4)", "5", "x", false},
        {"no id", "", "5", "x", false},
        {"no time", "chatcmpl-3", "0", "x", false},
        {"a padded number", "chatcmpl-3", "05", "x", false},
        {"a fraction", "chatcmpl-3", "5.5", "x", false},
        {"another member", "chatcmpl-3", R"(5,"more":1)", "x", false},
        {"more in the message", "chatcmpl-3", "5", R"(x","refusal":"no)", false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        const std::string body = reply(row.id, row.created, row.content, kUsual);
        CHECK(fits(body) == row.fits);
        CHECK(mend(body) == mend_freshly(body));
    }
}

TEST_CASE("counts that change change the usage and its form, as the long way would") {
    (void)mend(reply("chatcmpl-1", "1", "Hello", kUsual));
    const auto with = [](std::string_view prompt, std::string_view cached, std::string_view output,
                         std::string_view total) {
        return R"("usage":{"completion_tokens":)" + std::string(output) + R"(,"prompt_tokens":)" +
               std::string(prompt) + R"(,"total_tokens":)" + std::string(total) +
               R"(,"prompt_tokens_details":{"cached_tokens":)" + std::string(cached) +
               R"(},"completion_tokens_details":{"accepted_prediction_tokens":0,)" +
               R"("reasoning_tokens":5}},"copilot_usage":{"token_details":[{"token_count":)" +
               std::string(prompt) +
               R"(,"token_type":"input"},{"token_count":20,"token_type":"output"}],)"
               R"("total_nano_aiu":7})";
    };
    const std::string rows[] = {
        with("100", "0", "20", "120"),          // as it was
        with("100", "64", "20", "120"),         // from the cache: LiteLLM's members appear
        with("100", "640", "20", "120"),        // more cached than asked
        with("100", "0", "20", "125"),          // reasoning on top
        with("0", "0", "0", "0"),               // nothing said
        with("9999999999999", "0", "1", "2"),   // cut
        with("999999999999999", "0", "1", "2")  // at the most digits
    };
    for (const std::string& counts : rows) {
        CAPTURE(counts);
        const std::string body = reply("chatcmpl-2", "2", "x", counts);
        CHECK(fits(body));
        CHECK(mend(body) == mend_freshly(body));
    }
}

// The short way must never say anything else than the long one, whatever comes.
TEST_CASE("damaged replies are read alike by a thread that knows the pattern") {
    std::mt19937 random(1);
    const std::string good = reply("chatcmpl-1", "1790000000", R"(Hello \"you\" é)", kUsual);
    (void)mend(good);
    REQUIRE(fits(good));
    constexpr std::string_view kBytes = "\"\\{}[],:0159eE.-+ntfu \n\t\x80\xC3\x00x";
    for (int i = 0; i < 1500; ++i) {
        std::string body = good;
        for (unsigned n = random() % 3; n < 3; ++n) {
            const size_t at = random() % body.size();
            const char byte = kBytes[random() % kBytes.size()];
            switch (random() % 3) {
                case 0:
                    body[at] = byte;
                    break;
                case 1:
                    body.insert(at, 1, byte);
                    break;
                default:
                    body.erase(at, 1 + random() % 4);
                    break;
            }
        }
        CAPTURE(body);
        REQUIRE(mend(body) == mend_freshly(body));
        (void)mend(good);
    }
}

TEST_CASE("replies that never look alike stop paying for patterns") {
    ReplyPatterns patterns;
    int made = 0;
    for (int i = 0; i < 200; ++i) {
        if (patterns.wants_more()) {
            patterns.keep(ReplyPattern());
            ++made;
        }
    }
    CHECK(made < 20);
}

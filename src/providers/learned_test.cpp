#include "providers/learned.h"

#include <doctest/doctest.h>

#include "providers/params.h"

namespace belay::providers {
namespace {

using protocols::Api;

routing::Outcome refused(std::string param, std::string rename_to = {}) {
    routing::Outcome outcome;
    outcome.cause = routing::Cause::bad_parameter;
    outcome.param = std::move(param);
    outcome.rename_to = std::move(rename_to);
    return outcome;
}

// Guarantee: a lesson holds for its model alone, is given once, and ends after its lifetime.
TEST_CASE("lessons belong to a model and fade") {
    Learned learned;
    const Mono now{};
    CHECK(learned.look("a", now).empty());
    learned.report("a", Api::chat, refused("top_p"), now);
    learned.report("a", Api::chat, refused("top_p"), now);
    learned.report("a", Api::chat, refused("x", "y"), now);
    CHECK(learned.look("a", now).drops == std::vector<std::string>{"top_p"});
    CHECK(learned.look("a", now).renames.size() == 1);
    CHECK(learned.look("b", now).empty());
    CHECK(learned.look("a", now + Learned::kLifetime).empty());
    learned.clear();
    CHECK(learned.look("a", now).empty());
}

// Guarantee: other failures teach nothing, nor does what is wrong with one item of one request.
TEST_CASE("what teaches nothing") {
    Learned learned;
    const Mono now{};
    for (const routing::Cause cause : {routing::Cause::rate_limited, routing::Cause::server_error,
                                       routing::Cause::bad_request, routing::Cause::success}) {
        routing::Outcome outcome = refused("top_p");
        outcome.cause = cause;
        learned.report("a", Api::chat, outcome, now);
    }
    learned.report("a", Api::chat, refused("messages[12].name"), now);
    learned.report("a", Api::chat, refused(""), now);
    CHECK(learned.look("a", now).empty());
    learned.report("a", Api::chat, refused("tools[*].strict"), now);
    CHECK(!learned.look("a", now).empty());
}

// Guarantee: memory is bounded however many models and parameters are refused; old lessons make
// room.
TEST_CASE("lessons are bounded") {
    Learned learned;
    Mono now{};
    for (int i = 0; i < 1000; ++i) {
        learned.report("m" + std::to_string(i), Api::chat, refused("p"), now);
        learned.report("m0", Api::chat, refused("p" + std::to_string(i)), now);
    }
    CHECK(learned.look("m0", now).drops.size() == Learned::kMaxRules);
    CHECK(learned.look("m999", now).empty());
    now += Learned::kLifetime;
    learned.report("m999", Api::chat, refused("p"), now);
    CHECK(!learned.look("m999", now).empty());
}

// Guarantee: a member that another API refuses is traced back to what made it in the chat request.
TEST_CASE("members of other APIs by their chat names") {
    struct Case {
        std::string path;
        std::vector<std::string> members;
    };
    for (const Case& c : {
             Case{"top_p", {"top_p"}},
             Case{"reasoning.effort", {"reasoning_effort", "reasoning"}},
             Case{"reasoning_effort", {"reasoning_effort"}},
             Case{"text.format", {"response_format"}},
             Case{"output_config.format.schema", {"response_format"}},
             Case{"output_config.effort", {"reasoning_effort", "thinking"}},
             Case{"max_output_tokens", {"max_tokens", "max_completion_tokens"}},
             Case{"anthropic-beta", {}},
             Case{"tools[*].strict", {"tools[*].function.strict"}},
         }) {
        CAPTURE(c.path);
        CHECK(chat_members_of(c.path) == c.members);
    }
    CHECK(chat_members_of("system[1].cache_control.scope").size() > 1);
}

}  // namespace
}  // namespace belay::providers

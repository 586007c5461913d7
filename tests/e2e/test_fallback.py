"""The chain: each way in which a model can refuse, on each place in the chain, before and inside a stream."""
import json

import pytest

from harness import GEMINI, MINI, OPUS, bare, text_of, until

QUOTA = ["quota_exceeded", "free_quota_exceeded", "overage_limit_reached", "additional_spend_limit_reached",
         "billing_not_configured", "session_quota_exceeded", "quota_exceeded_text", "user_weekly_rate_limited",
         "user_model_rate_limited"]
IN_STREAM = ["in_stream_quota", "in_stream_session_quota", "in_stream_weekly_limit", "in_stream_rate_limit"]
TROUBLE = ["internal_error", "bad_gateway", "service_unavailable", "goaway_503", "overloaded_error", "html_200",
           "empty_200", "drop_before_headers", "reset_before_headers", "cut_after_headers"]
PLACES = [([OPUS], GEMINI), ([OPUS, GEMINI], MINI)]
TEXT = "one two three four five six seven eight nine ten"


def assert_whole_answer(reply, model, hops):
    assert reply.status == 200
    assert text_of(reply) == TEXT, "no word missing, none doubled"
    assert reply.headers["x-litellm-attempted-fallbacks"] == str(hops)
    assert reply.headers["x-litellm-model-group"] == model
    assert reply.headers["x-litellm-model-id"]
    if reply.headers.get_content_type() == "text/event-stream":
        assert reply.events[-1] == "[DONE]" and reply.events.count("[DONE]") == 1
        models = {json.loads(e)["model"] for e in reply.events[:-1]}
        assert len({json.loads(e)["id"] for e in reply.events[:-1]}) == 1
    else:
        models = {reply.json["model"]}
    assert len(models) == 1 and bare(models.pop()) == bare(model)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("out, answers", PLACES, ids=["first", "second"])
@pytest.mark.parametrize("fault", QUOTA)
def test_quota_in_every_form_moves_on(sim, belay, fault, out, answers, stream):
    sim.no_quota(*out, fault=fault)
    assert_whole_answer(belay.chat(text="Say " + TEXT, stream=stream), answers, len(out))


@pytest.mark.parametrize("out, answers", PLACES, ids=["first", "second"])
@pytest.mark.parametrize("fault", IN_STREAM)
def test_quota_inside_a_stream_that_began_with_200_moves_on(sim, belay, fault, out, answers):
    sim.no_quota(*out, fault=fault)
    assert_whole_answer(belay.chat(text="Say " + TEXT, stream=True), answers, len(out))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", TROUBLE)
def test_lasting_trouble_moves_on(sim, belay, fault, stream):
    sim.fault(fault, OPUS)
    assert_whole_answer(belay.chat(text="Say " + TEXT, stream=stream), GEMINI, 1)


@pytest.mark.parametrize("fault", ["internal_error", "drop_before_headers", "goaway_503"])
def test_passing_trouble_is_tried_again_on_the_same_model(sim, belay, fault):
    sim.fault(fault, OPUS, count=1)
    assert_whole_answer(belay.chat(text="Say " + TEXT), OPUS, 0)


@pytest.mark.parametrize("fault", ["late_quota", "late_internal", "cut_after_content", "cut_mid_sse", "cut_mid_utf8",
                                   "reset_after_content"])
def test_after_the_first_word_a_failure_is_told_and_never_a_clean_end(make, fault):
    sim = make.simulator({"chunk_ms": 10})  # so that words are on their way when the failure comes
    belay = make.belay(sim)
    sim.fault(fault, OPUS, at=5)
    reply = belay.chat(text="Repeat " + "Gr\u00fc\u00dfe aus K\u00f6ln \u2713 " * 100, stream=True)
    assert reply.status == 200
    assert "[DONE]" not in reply.events
    last = json.loads(reply.events[-1])
    assert last["error"]["message"] and "code" in last["error"]
    told = "".join(c["delta"].get("content") or "" for e in reply.events[:-1] for c in json.loads(e)["choices"])
    assert told and ("Gr\u00fc\u00dfe aus K\u00f6ln \u2713 " * 100).startswith(told), "only what the first model said"
    assert {m for m, _ in sim.calls()} == {bare(OPUS)}, "nobody else is asked once the client has heard a word"


def test_a_model_without_quota_is_left_alone_until_its_reset(sim, belay):
    sim.no_quota(OPUS)
    for _ in range(3):
        assert belay.chat().status == 200
    assert [m for m, _ in sim.calls()].count(bare(OPUS)) == 1


def test_a_spent_chain_tells_the_first_error_and_the_history(sim, belay):
    sim.no_quota(OPUS, fault="quota_exceeded")
    sim.no_quota(GEMINI, MINI, fault="rate_limited")
    reply = belay.chat()
    assert reply.status == 429
    error = reply.json["error"]
    assert set(error) >= {"message", "type", "param", "code"} and isinstance(error["code"], str)
    assert f"Received Model Group={OPUS}" in error["message"]
    assert "Available Model Group Fallbacks=" in error["message"]
    assert reply.headers["retry-after"]


def test_content_refusal_and_bad_requests_stop_at_once(sim, belay):
    """The next model would refuse the same; asking it would only cost."""
    sim.fault("invalid_request_body")
    reply = belay.chat()
    assert reply.status == 400
    assert len(sim.calls()) == 1


def test_a_prompt_too_long_for_one_goes_to_the_next_whose_window_is_larger(sim, belay):
    sim.fault("model_max_prompt_tokens_exceeded", GEMINI,
              message="prompt token count of 110431 exceeds the limit of 109000")
    assert_whole_answer(belay.chat(GEMINI, text="Say " + TEXT), MINI, 1)


def test_the_request_s_own_fallbacks_come_first(sim, belay):
    sim.no_quota(OPUS)
    reply = belay.chat(text="Say " + TEXT, fallbacks=[MINI])
    assert_whole_answer(reply, MINI, 1)
    assert bare(GEMINI) not in [m for m, _ in sim.calls()]


def test_disable_fallbacks_means_it(sim, belay):
    sim.no_quota(OPUS)
    assert belay.chat(disable_fallbacks=True).status == 429
    assert {m for m, _ in sim.calls()} == {bare(OPUS)}


def test_explain_tells_the_story(sim, belay):
    sim.no_quota(OPUS)
    reply = belay.chat()
    story = until(lambda: belay.command("explain", reply.headers["x-litellm-call-id"], check=False).stdout,
                  "the record is stored")
    assert "claude-opus-4.6" in story and "gemini-3-pro-preview" in story
    assert "quota" in story.lower()
    assert "Say hello" not in story, "no prompt in a trace"

"""Models that the upstream serves on one of its other APIs only, asked through chat completions."""
import json

import openai
import pytest

from harness import KEY, bare

MESSAGES_ONLY = "github_copilot/claude-messages-only"
RESPONSES_ONLY = "github_copilot/gpt-responses-only"
MODELS = {MESSAGES_ONLY: "/v1/messages", RESPONSES_ONLY: "/responses"}
SCENARIO = {"models": [{"id": bare(MESSAGES_ONLY), "like": "claude-opus-4.6", "endpoints": ["/v1/messages"]},
                       {"id": bare(RESPONSES_ONLY), "like": "gpt-5-mini", "endpoints": ["/responses"]}]}
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


@pytest.fixture
def sim(make):
    return make.simulator(SCENARIO)


@pytest.fixture
def client(belay):
    return openai.OpenAI(base_url=belay.url + "/v1", api_key=KEY, max_retries=0)


def ask(text):
    return [{"role": "user", "content": text}]


def last_path(sim):
    return [r["target"] for r in sim.requests() if r.get("model")][-1]


@pytest.mark.parametrize("model", MODELS)
def test_plain(client, sim, model):
    reply = client.chat.completions.create(model=model, messages=ask("Say good morning"))
    assert reply.object == "chat.completion" and reply.model == model
    assert reply.choices[0].message.content == "good morning"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert last_path(sim) == MODELS[model]


@pytest.mark.parametrize("model", MODELS)
def test_streamed(client, sim, model):
    chunks = list(client.chat.completions.create(model=model, messages=ask("Count to 40"), stream=True,
                                                 stream_options={"include_usage": True}))
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    assert text == " ".join(map(str, range(1, 41)))
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert last_path(sim) == MODELS[model]


@pytest.mark.parametrize("model", MODELS)
def test_a_turn_with_tools(client, model):
    """The call comes in OpenAI's shape, and its result goes back the same way."""
    messages = ask("What is the weather in Paris? Use the tool.")
    with client.chat.completions.stream(model=model, messages=messages, tools=[WEATHER],
                                        tool_choice="required") as stream:
        first = stream.get_final_completion().choices[0]
    assert first.finish_reason == "tool_calls"
    call = first.message.tool_calls[0]
    assert set(json.loads(call.function.arguments)) == {"city"}
    messages += [{"role": "assistant", "content": None, "tool_calls": [
        {"id": call.id, "type": "function",
         "function": {"name": call.function.name, "arguments": call.function.arguments}}]},
        {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}]
    second = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content and second.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", MODELS)
def test_a_quota_error_falls_to_the_next_model(client, sim, model):
    sim.no_quota(model)
    reply = client.chat.completions.create(model=model, messages=ask("Say hello"),
                                           extra_body={"fallbacks": ["github_copilot/gpt-4.1"]})
    assert reply.choices[0].message.content == "hello"

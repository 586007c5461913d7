"""The Python package `openai` as a client."""
import base64
import json
import struct

import openai
import pytest

from harness import GEMINI, KEY, MINI, OPUS, ROOT

CHAT_MODELS = [OPUS, GEMINI, MINI, "github_copilot/gpt-4.1", "github_copilot/claude-sonnet-4.5"]
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


@pytest.fixture
def client(belay):
    return openai.OpenAI(base_url=belay.url + "/v1", api_key=KEY, max_retries=0)


def ask(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_a_plain_reply_has_openai_s_shape_whatever_the_model(client, model):
    reply = client.chat.completions.create(model=model, messages=ask("Say good morning"))
    assert reply.object == "chat.completion" and reply.id and reply.created > 0
    assert reply.model == model
    assert [c.index for c in reply.choices] == [0]
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.content == "good morning"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_a_stream_has_openai_s_shape_whatever_the_model(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=ask("Count to 40"), stream=True))
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert len({c.id for c in chunks}) == 1 and chunks[0].id
    assert all(c.index == 0 for chunk in chunks for c in chunk.choices)
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    assert text == " ".join(map(str, range(1, 41)))
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert all(not chunk.usage for chunk in chunks), "usage was not asked for"


def test_usage_comes_in_a_last_chunk_when_asked_for(client):
    chunks = list(client.chat.completions.create(model=OPUS, messages=ask("Say hello"), stream=True,
                                                 stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert all(not c.usage for c in chunks[:-1])


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_streamed_tool_calls_can_be_put_together(client, model):
    """Ids, indexes and fragments are such that the SDK's own accumulator finds two separate calls."""
    with client.chat.completions.stream(
            model=model, messages=ask("What is the weather in Paris and in Oslo? Use the tool."), tools=[WEATHER],
            tool_choice="required") as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert final.choices[0].finish_reason == "tool_calls"
    assert len(calls) >= 1 and len({c.id for c in calls}) == len(calls)
    for call in calls:
        assert call.function.name == "get_weather"
        assert set(json.loads(call.function.arguments)) == {"city"}


def test_a_tool_result_reaches_the_model(client):
    first = client.chat.completions.create(model=OPUS, messages=ask("What is the weather in Paris?"), tools=[WEATHER],
                                           tool_choice="required")
    message = first.choices[0].message
    second = client.chat.completions.create(model=OPUS, tools=[WEATHER], messages=[
        *ask("What is the weather in Paris?"), message.model_dump(exclude_none=True),
        *[{"role": "tool", "tool_call_id": c.id, "content": "18 degrees"} for c in message.tool_calls]])
    assert "18 degrees" in second.choices[0].message.content


def test_structured_output(client):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
              "required": ["name", "age"], "additionalProperties": False}
    reply = client.chat.completions.create(
        model=MINI, messages=ask("Who is there?"),
        response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}})
    assert set(json.loads(reply.choices[0].message.content)) == {"name", "age"}


@pytest.mark.parametrize("given, count", [("one line", 1), (["one", "two", "three"], 3)], ids=["a string", "a list"])
def test_embeddings_as_the_sdk_asks_for_them(client, given, count):
    """The SDK asks for base64 by itself and decodes it."""
    reply = client.embeddings.create(model="github_copilot/text-embedding-3-small", input=given)
    assert reply.object == "list" and reply.model == "github_copilot/text-embedding-3-small"
    assert [d.index for d in reply.data] == list(range(count))
    assert all(len(d.embedding) == 1536 for d in reply.data)
    assert reply.usage.prompt_tokens > 0


def test_base64_and_floats_are_the_same_vector(client):
    def get(encoding):
        return client.embeddings.create(model="github_copilot/text-embedding-3-small", input="one",
                                        encoding_format=encoding).data[0].embedding
    packed = base64.b64decode(get("base64"))
    numbers = get("float")
    assert list(struct.unpack(f"<{len(packed) // 4}f", packed)) == pytest.approx(numbers, rel=1e-6, abs=1e-9)


def test_the_models_are_listed(client):
    ids = [m.id for m in client.models.list()]
    assert {OPUS, GEMINI, MINI, "github_copilot/text-embedding-3-small"} <= set(ids)
    assert "*" not in ids
    assert client.models.retrieve(OPUS).id == OPUS


def test_an_unknown_name_goes_to_the_catch_all(make, sim):
    belay = make.belay(sim, config=(ROOT / "config.yaml").read_text())
    client = openai.OpenAI(base_url=belay.url + "/v1", api_key=KEY, max_retries=0)
    assert client.chat.completions.create(model="gpt-9-turbo", messages=ask("Say hi")).choices[0].message.content == "hi"


def test_a_wrong_key_is_refused(belay):
    with pytest.raises(openai.AuthenticationError) as e:
        openai.OpenAI(base_url=belay.url + "/v1", api_key="sk-wrong", max_retries=0).models.list()
    assert e.value.status_code == 401
    assert "sk-wrong" not in str(e.value)


def test_a_malformed_request_is_the_caller_s_fault(client):
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(model=OPUS, messages="not a list")
    assert e.value.param == "messages"


def test_a_spent_chain_is_a_rate_limit_with_a_truthful_retry_after(sim, client):
    """Every model is limited; the soonest comes back in 20 s, so that is what the client hears."""
    sim.no_quota(OPUS, GEMINI, MINI, fault="rate_limited")
    with pytest.raises(openai.RateLimitError) as e:
        client.chat.completions.create(model=OPUS, messages=ask("Say hello"))
    assert 1 <= int(e.value.response.headers["retry-after"]) <= 20
    assert "Available Model Group Fallbacks" in str(e.value)


def test_a_failure_after_the_first_word_is_an_error_in_the_stream(make):
    sim = make.simulator({"chunk_ms": 10})
    client = openai.OpenAI(base_url=make.belay(sim).url + "/v1", api_key=KEY, max_retries=0)
    sim.fault("late_internal", at=5)
    seen = []
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(model=OPUS, messages=ask("Count to 200"), stream=True):
            seen += [c.delta.content for c in chunk.choices if c.delta.content]
    assert seen, "the failure came after content"


def test_azure_s_paths_work(belay):
    client = openai.AzureOpenAI(azure_endpoint=belay.url, api_key=KEY, api_version="2024-10-21", max_retries=0)
    reply = client.chat.completions.create(model="github_copilot/gpt-5-mini", messages=ask("Say hello"))
    assert reply.choices[0].message.content == "hello"

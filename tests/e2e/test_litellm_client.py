"""The Python package `litellm` as a client."""
import litellm
import pytest

from harness import GEMINI, KEY, MINI, OPUS

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


def complete(belay, text="Say hello there", **options):
    return litellm.completion(model=f"litellm_proxy/{options.pop('model', OPUS)}", api_base=belay.url, api_key=KEY,
                              messages=[{"role": "user", "content": text}], **options)


def test_the_documented_call_prints_the_answer(belay):
    """The call that every user of the old set-up knows, word for word but for the port."""
    response = litellm.completion(
        model="litellm_proxy/github_copilot/claude-opus-4.6",
        messages=[{"role": "user", "content": "Say hello there"}],
        api_base=belay.url,
        api_key="sk-1234",
    )
    assert response.choices[0].message.content == "hello there"
    assert response.choices[0].finish_reason == "stop"
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens > 0


@pytest.mark.parametrize("out, answers", [([], OPUS), ([OPUS], GEMINI), ([OPUS, GEMINI], MINI)],
                         ids=["none out", "opus out", "opus and gemini out"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_quota_moves_the_documented_call_down_the_chain_unseen(sim, belay, out, answers, stream):
    sim.no_quota(*out)
    if stream:
        chunks = list(complete(belay, stream=True))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    else:
        text = complete(belay).choices[0].message.content
    assert text == "hello there"
    assert sim.calls()[-1] == (answers.removeprefix("github_copilot/"), 200)


def test_tools_go_there_and_back(belay):
    first = complete(belay, "What is the weather in Paris? Use the tool.", tools=[WEATHER], tool_choice="required")
    call = first.choices[0].message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather" and '"city"' in call.function.arguments
    second = litellm.completion(
        model=f"litellm_proxy/{OPUS}", api_base=belay.url, api_key=KEY, tools=[WEATHER],
        messages=[{"role": "user", "content": "What is the weather in Paris?"}, first.choices[0].message.model_dump(),
                  {"role": "tool", "tool_call_id": call.id, "content": "18 degrees, clear"}])
    assert "18 degrees, clear" in second.choices[0].message.content


def test_embeddings(belay):
    response = litellm.embedding(model="litellm_proxy/github_copilot/text-embedding-3-small", api_base=belay.url,
                                 api_key=KEY, input=["one", "two"])
    assert [item["index"] for item in response.data] == [0, 1]
    assert all(len(item["embedding"]) == 1536 for item in response.data)


def test_a_wrong_key_is_an_authentication_error(belay):
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(model=f"litellm_proxy/{OPUS}", api_base=belay.url, api_key="sk-wrong",
                           messages=[{"role": "user", "content": "hello"}])

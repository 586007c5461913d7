// The JavaScript package `openai` as a client.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { apiKey, fault, gemini, mini, opus, url, weather } from "./world.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const ask = (content) => [{ role: "user", content }];
const tools = [{ type: "function", function: { name: "get_weather", parameters: weather } }];

for (const model of [opus, gemini, mini]) {
  test(`a plain reply of ${model}`, async () => {
    const reply = await client.chat.completions.create({ model, messages: ask("Say hello there") });
    assert.equal(reply.object, "chat.completion");
    assert.equal(reply.choices[0].index, 0);
    assert.equal(reply.choices[0].message.content, "hello there");
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
  });

  test(`a stream of ${model}, put together by the SDK`, async () => {
    const stream = client.chat.completions.stream({ model, messages: ask("Count to 30") });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, Array.from({ length: 30 }, (_, i) => i + 1).join(" "));
    assert.equal(final.choices[0].finish_reason, "stop");
  });

  test(`the tool loop of the SDK with ${model}`, async () => {
    const cities = [];
    const runner = client.chat.completions.runTools({
      model,
      messages: ask("What is the weather in Paris? Use the tool."),
      tools: [
        {
          type: "function",
          function: {
            name: "get_weather",
            parameters: weather,
            parse: JSON.parse,
            function: ({ city }) => {
              cities.push(city);
              return "18 degrees, clear";
            },
          },
        },
      ],
      stream: true,
    });
    assert.match(await runner.finalContent(), /18 degrees, clear/);
    assert.ok(cities.length >= 1);
  });
}

test("parallel tool calls keep apart", async () => {
  const final = await client.chat.completions
    .stream({ model: opus, messages: ask("What is the weather in Paris and Oslo? Use the tool."), tools, tool_choice: "required" })
    .finalChatCompletion();
  const calls = final.choices[0].message.tool_calls;
  assert.equal(new Set(calls.map((c) => c.id)).size, calls.length);
  for (const call of calls) assert.ok(JSON.parse(call.function.arguments).city);
});

test("embeddings, as the SDK asks for them", async () => {
  const reply = await client.embeddings.create({ model: "github_copilot/text-embedding-3-small", input: ["a", "b"] });
  assert.equal(reply.data.length, 2);
  assert.equal(reply.data[1].embedding.length, 1536);
});

test("the models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok([opus, gemini, mini].every((id) => ids.includes(id)));
});

test("a wrong key is an AuthenticationError", async () => {
  const other = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(other.models.list(), OpenAI.AuthenticationError);
});

test("a failure after the first word throws, and never looks like an end", async () => {
  await fault("late_internal", mini, { at: 20 });
  const seen = [];
  await assert.rejects(async () => {
    const stream = await client.chat.completions.create({ model: mini, messages: ask("Count to 200"), stream: true });
    for await (const chunk of stream) seen.push(chunk.choices[0]?.delta?.content ?? "");
  });
  assert.ok(seen.join("").startsWith("1 2"));
});

// The Vercel AI SDK as a client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { apiKey, fault, gemini, mini, opus, url } from "./world.mjs";

const belay = createOpenAICompatible({ name: "belay", baseURL: `${url}/v1`, apiKey, includeUsage: true });
const options = { maxRetries: 0 };

const getWeather = (seen) =>
  tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      seen.push(city);
      return "18 degrees, clear";
    },
  });

for (const model of [opus, gemini, mini]) {
  test(`generateText with ${model}`, async () => {
    const { text, finishReason, usage } = await generateText({ ...options, model: belay(model), prompt: "Say hello there" });
    assert.equal(text, "hello there");
    assert.equal(finishReason, "stop");
    assert.ok(usage.totalTokens > 0);
  });

  test(`streamText with ${model}`, async () => {
    const result = streamText({ ...options, model: belay(model), prompt: "Count to 30" });
    let text = "";
    for await (const part of result.textStream) text += part;
    assert.equal(text, Array.from({ length: 30 }, (_, i) => i + 1).join(" "));
    assert.equal(await result.finishReason, "stop");
    assert.ok((await result.usage).totalTokens > 0);
  });

  test(`a tool loop, streamed, with ${model}`, async () => {
    const seen = [];
    const result = streamText({
      ...options,
      model: belay(model),
      prompt: "What is the weather in Paris? Use the tool.",
      tools: { get_weather: getWeather(seen) },
      stopWhen: stepCountIs(3),
    });
    assert.match(await result.text, /18 degrees, clear/);
    assert.ok(seen.length >= 1);
  });
}

test("a tool loop, not streamed", async () => {
  const seen = [];
  const result = await generateText({
    ...options,
    model: belay(opus),
    prompt: "What is the weather in Paris? Use the tool.",
    tools: { get_weather: getWeather(seen) },
    stopWhen: stepCountIs(3),
  });
  assert.match(result.text, /18 degrees, clear/);
  assert.ok(seen.length >= 1);
});

test("generateObject", async () => {
  const { object } = await generateObject({
    ...options,
    model: createOpenAICompatible({ name: "belay", baseURL: `${url}/v1`, apiKey, supportsStructuredOutputs: true })(mini),
    schema: z.object({ name: z.string(), age: z.number() }),
    prompt: "Who is there?",
  });
  assert.deepEqual(Object.keys(object).sort(), ["age", "name"]);
});

test("embedMany", async () => {
  const { embeddings } = await embedMany({
    ...options,
    model: belay.textEmbeddingModel("github_copilot/text-embedding-3-small"),
    values: ["a", "b", "c"],
  });
  assert.equal(embeddings.length, 3);
  assert.equal(embeddings[0].length, 1536);
});

test("quota moves on without the SDK noticing", async () => {
  await fault("in_stream_quota", opus);
  const result = streamText({ ...options, model: belay(opus), prompt: "Say one two three" });
  assert.equal(await result.text, "one two three");
});

// What every test file needs: where Belay is, and faults in the simulator.
export const url = process.env.BELAY_URL;
export const apiKey = process.env.BELAY_KEY;
export const opus = "github_copilot/claude-opus-4.6";
export const gemini = "github_copilot/gemini-3-pro-preview";
export const mini = "github_copilot/gpt-5-mini";

async function control(path, options) {
  const reply = await fetch(process.env.SIM_URL + path, options);
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
  return reply.json();
}

export const fault = (name, model, rule = {}) =>
  control("/_sim/faults?add=1", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([{ fault: name, model: model.replace("github_copilot/", ""), ...rule }]),
  });

export const weather = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

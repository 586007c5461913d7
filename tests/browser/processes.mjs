// Starts the program and its simulator on free ports, each test its own pair.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const binary = process.env.BELAY || fileURLToPath(new URL("../../build/belay", import.meta.url));

// Resolves with the first match of `pattern` in what the child prints.
function started(args, env, pattern) {
  const child = spawn(binary, args, { env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ended = new Promise((done) => child.once("exit", done));
  const match = new Promise((done, fail) => {
    const read = (bytes) => {
      said += bytes;
      const found = said.match(pattern);
      if (found) done(found);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    ended.then((code) => fail(new Error(`belay ${args.join(" ")} ended with ${code}:\n${said}`)));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return { match, stop, output: () => said };
}

export class Simulator {
  static async start(scenario = {}) {
    const sim = new Simulator();
    sim.process = started(["sim", "--port", "0"], {}, /simulator on (http:\/\/127\.0\.0\.1:\d+)/);
    sim.url = (await sim.process.match)[1];
    await sim.set("scenario", { device: { interval: 1 }, ...scenario });
    return sim;
  }
  async set(what, body, method = "POST") {
    const reply = await fetch(`${this.url}/_sim/${what}`, {
      method,
      headers: { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!reply.ok) throw new Error(`${what}: ${reply.status} ${await reply.text()}`);
    return reply.json();
  }
  async state() {
    return (await fetch(`${this.url}/_sim/state`)).json();
  }
  stop() {
    return this.process.stop();
  }
}

export class Belay {
  // `home` is kept between restarts of one test.
  static async start(sim, home) {
    const belay = new Belay();
    belay.home = home;
    const ready = join(home, "ready.json");
    await rm(ready, { force: true });
    const env = {
      HOME: home,
      XDG_DATA_HOME: join(home, "data"),
      GITHUB_COPILOT_TOKEN_DIR: join(home, "tokens"),
      GITHUB_COPILOT_DEVICE_CODE_URL: `${sim.url}/login/device/code`,
      GITHUB_COPILOT_ACCESS_TOKEN_URL: `${sim.url}/login/oauth/access_token`,
      GITHUB_COPILOT_API_KEY_URL: `${sim.url}/copilot_internal/v2/token`,
      GITHUB_COPILOT_API_BASE: sim.url,
    };
    belay.process = started(["serve", "--port", "0", "--auth-port", "0", "--ready-file", ready], env, /\/github/);
    await belay.process.match;
    for (;;) {
      try {
        belay.ports = JSON.parse(await readFile(ready, "utf8"));
        break;
      } catch {
        await new Promise((next) => setImmediate(next));
      }
    }
    belay.page = `http://localhost:${belay.ports.auth}/github`;
    return belay;
  }
  stop() {
    return this.process.stop();
  }
}

export async function temporaryHome() {
  const home = await mkdtemp(join(tmpdir(), "belay-browser-"));
  return { home, remove: () => rm(home, { recursive: true, force: true }) };
}

// Pictures of every state of the sign-in page: light, dark, phone. For eyes, not for CI.
//   BELAY_STATES_DIR=/tmp/states build/dev/test_admin -tc="write the states" --no-skip
//   node states.mjs /tmp/states
import { createServer } from "node:http";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./chromium.mjs";

const dir = process.argv[2];
const only = process.argv[3];
const assets = fileURLToPath(new URL("../../src/admin/assets/", import.meta.url));
const types = { css: "text/css", js: "text/javascript", svg: "image/svg+xml", html: "text/html; charset=utf-8" };

const server = createServer(async (request, reply) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (path === "/github/status") {
    reply.setHeader("content-type", "application/json");
    return reply.end(JSON.stringify({ state: "same", key: "same", expires_in: 873 }));
  }
  const file = path.startsWith("/github/assets/") ? join(assets, path.slice(15)) : join(dir, path);
  try {
    reply.setHeader("content-type", types[file.split(".").pop()] ?? "text/plain");
    reply.end(await readFile(file));
  } catch {
    reply.statusCode = 404;
    reply.end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const base = `http://127.0.0.1:${server.address().port}`;

const looks = [
  ["light", { viewport: { width: 1100, height: 820 }, colorScheme: "light" }],
  ["dark", { viewport: { width: 1100, height: 820 }, colorScheme: "dark" }],
  ["phone", { viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 2, isMobile: true }],
];
const states = (await readdir(dir)).filter((f) => f.endsWith(".html") && (!only || f.startsWith(only)));
for (const [look, options] of looks) {
  const { context, close } = await openBrowser({ ...options, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.addInitScript(() => sessionStorage.setItem("belay-begun", "1"));
  for (const state of states) {
    await page.goto(`${base}/${state}`, { waitUntil: "networkidle" });
    await page.evaluate((s) => (document.body.dataset.state = s), state.replace(/(-.*)?\.html$/, ""));
    await page.waitForFunction(() => document.getAnimations().every((a) => a.playState !== "running"));
    await page.screenshot({ path: join(dir, `${state.replace(".html", "")}-${look}.png`), fullPage: true });
  }
  await close();
}
server.close();

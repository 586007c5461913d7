// The sign-in page in a real browser, against the real program and its simulator.
//   npm ci && npm test            (BELAY=path of the program, BELAY_CHROMIUM=path of the browser)
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser } from "./chromium.mjs";
import { Belay, Simulator, temporaryHome } from "./processes.mjs";

const only = process.argv[2];
const cases = [];
const test = (name, work, options = {}) => cases.push({ name, work, ...options });

const title = (page) => page.locator("h1").first();
const codeOf = async (page) => (await page.locator("#code").getAttribute("data-code")) ?? "";
const shows = (page, text) => page.locator("h1", { hasText: text }).waitFor({ timeout: 30_000 });
const says = (page, text) => page.locator("#panel", { hasText: text }).waitFor({ timeout: 30_000 });

async function signIn(w, page) {
  await page.goto(w.belay.page);
  await shows(page, "Your code");
  await w.sim.set("authorize", { user_code: await codeOf(page) });
  await shows(page, "On belay");
}

test("from opening the page to signed in: one button, no reload, files private", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await page.evaluate(() => (window.neverReloaded = true));
  await shows(page, "Your code");
  const code = await codeOf(page);
  assert.match(code, /^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  assert.equal((await w.sim.state()).devices[0].user_code, code);
  await page.locator("#countdown", { hasText: /works for 1[45]:\d\d more/ }).waitFor();
  assert.match(await page.locator("#live").textContent(), new RegExp(code));

  const [github] = await Promise.all([
    w.browser.waitForEvent("page"),
    page.getByRole("link", { name: "Copy & Authorize" }).click(),
  ]);
  await says(page, "Copied. Paste it at GitHub.");
  await github.waitForLoadState();
  assert.equal(github.url(), `${w.sim.url}/login/device`);
  assert.equal(await github.evaluate(() => window.opener), null);
  await github.locator("#user_code").focus();
  await github.keyboard.press("Control+V");
  assert.equal(await github.locator("#user_code").inputValue(), code);
  await github.locator("#authorize").click();
  await github.locator("#done").waitFor();
  await github.close();

  await shows(page, "On belay");
  const login = (await w.sim.state()).accounts.find((a) => a.name === "pro_plus").login;
  await says(page, login);
  await says(page, "Copilot Pro+");
  await says(page, "credits left");
  await page.locator("#panel", { hasText: /\d+ models within reach/ }).waitFor();
  await says(page, "claude-opus-4.6");
  assert.equal(await page.evaluate(() => window.neverReloaded), true);
  for (const [name, mode] of [["", 0o700], ["access-token", 0o600], ["api-key.json", 0o600]]) {
    assert.equal((await stat(join(w.belay.home, "tokens", name))).mode & 0o777, mode, name);
  }
});

async function manage(w, path, body) {
  const reply = await fetch(`http://localhost:${w.belay.ports.api}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: "Bearer sk-1234", "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.ok(reply.ok, `${path}: ${reply.status} ${await reply.clone().text()}`);
  return reply.json();
}

async function people(w) {
  const sim = { login: "ann-gh", name: "ann", plan: "pro" };
  await w.sim.set("scenario", { device: { interval: 1 }, accounts: [sim] });
  return (await manage(w, "/user/new", { user_id: "ann", user_email: "ann@example.org" })).key;
}

async function boundTo(w, login) {
  for (;;) {
    const { accounts } = await manage(w, "/copilot/account/list");
    const one = accounts.find((a) => a.user_id === "ann" && a.connected_at !== null);
    if (one) return assert.equal(one.login, login);
    await new Promise((next) => setImmediate(next));
  }
}

test("a person connects their own account by a key, and disconnects it", async (w) => {
  const key = await people(w);
  const page = await w.browser.newPage();
  await page.goto(`${w.belay.page}/connect`);
  assert.equal(new URL(page.url()).port, String(w.belay.ports.api));
  await page.getByLabel("Your key").fill("sk-nobody-has-this-key");
  await page.getByRole("button", { name: "Continue" }).click();
  await says(page, "Invalid proxy server token");
  await page.getByLabel("Your key").fill("sk-1234");
  await page.getByRole("button", { name: "Continue" }).click();
  await says(page, "the operator's key");
  await page.getByLabel("Your key").fill(key);
  await page.getByRole("button", { name: "Continue" }).click();
  await says(page, "You are ann here");
  await page.getByRole("button", { name: "Get a sign-in code" }).click();
  await shows(page, "Your code");
  await w.sim.set("authorize", { user_code: await codeOf(page), account: "ann" });
  await shows(page, "On belay");
  await says(page, "ann-gh");
  await boundTo(w, "ann-gh");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await says(page, "You are ann here");
  const { accounts } = await manage(w, "/copilot/account/list");
  assert.deepEqual(accounts.map((a) => a.account_id), ["default"]);
});

test("a browser's session is enough to connect, and another page cannot use it", async (w) => {
  await people(w);
  await manage(w, "/user/update", { user_id: "ann", password: "correct horse battery staple" });
  const page = await w.browser.newPage();
  const api = `http://localhost:${w.belay.ports.api}`;
  const login = await page.request.post(`${api}/v2/login`, {
    data: { username: "ann@example.org", password: "correct horse battery staple" },
  });
  assert.equal(login.status(), 200);
  const [cookie] = (await page.context().cookies()).filter((c) => c.name === "token");
  assert.ok(cookie.httpOnly);
  assert.equal(cookie.sameSite, "Strict");
  await page.goto(`${api}/github/connect`);
  await says(page, "You are ann here");
  // A page on another port is the same site: the cookie is sent, and counts for nothing.
  const other = await w.browser.newPage();
  await other.goto(`${w.sim.url.replace("127.0.0.1", "localhost")}/login/device`);
  const [answer] = await Promise.all([
    other.waitForEvent("response", (r) => r.url().endsWith("/copilot/connect/start")),
    other.evaluate(
      (url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body: "{}" }).then(() => 0, () => 0),
      `${api}/copilot/connect/start`,
    ),
  ]);
  assert.equal(answer.status(), 403);
  const { accounts } = await manage(w, "/copilot/account/list");
  assert.deepEqual(accounts.map((a) => a.account_id), ["default"]);
  await page.getByRole("button", { name: "Get a sign-in code" }).click();
  await shows(page, "Your code");
  await w.sim.set("authorize", { user_code: await codeOf(page), account: "ann" });
  await shows(page, "On belay");
  await boundTo(w, "ann-gh");
});

test("a restart needs no new sign-in", async (w) => {
  const page = await w.browser.newPage();
  await signIn(w, page);
  const before = (await w.sim.state()).token_exchanges;
  await w.belay.stop();
  w.belay = await Belay.start(w.sim, w.belay.home);
  await page.goto(w.belay.page);
  await shows(page, "On belay");
  assert.equal((await w.sim.state()).token_exchanges, before);
});

test("signing out, then cancelled at GitHub, then expired: each has its way on", async (w) => {
  const page = await w.browser.newPage();
  await signIn(w, page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await shows(page, "Tie in to GitHub Copilot");
  await page.getByRole("button", { name: "Get a sign-in code" }).click();
  await shows(page, "Your code");
  await w.sim.set("authorize", { user_code: await codeOf(page), decision: "deny" });
  await shows(page, "Cancelled at GitHub");
  await page.getByRole("button", { name: "Get a new code" }).click();
  await shows(page, "Your code");
  await w.sim.set("authorize", { user_code: await codeOf(page), decision: "expire" });
  await shows(page, "The code has expired");
  await page.getByRole("button", { name: "Get a new code" }).click();
  await shows(page, "Your code");
  await page.getByRole("button", { name: "Cancel" }).click();
  await shows(page, "Tie in to GitHub Copilot");
});

test("another account takes the present one's place only when the person says so", async (w) => {
  const page = await w.browser.newPage();
  await signIn(w, page);
  const logins = Object.fromEntries((await w.sim.state()).accounts.map((a) => [a.name, a.login]));
  const signInAs = async (account) => {
    await page.getByRole("button", { name: "Use another account" }).click();
    await shows(page, "Your code");
    await w.sim.set("authorize", { user_code: await codeOf(page), account });
    await shows(page, "Change accounts?");
    await says(page, logins[account]);
  };
  await signInAs("business");
  await page.getByRole("button", { name: `Keep ${logins.pro_plus}` }).click();
  await shows(page, "On belay");
  await says(page, logins.pro_plus);
  await signInAs("business");
  await page.getByRole("button", { name: `Use ${logins.business}` }).click();
  await shows(page, "On belay");
  await says(page, logins.business);
  await says(page, "counted in your organisation's pool");
});

test("slow_down is said calmly and obeyed", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await says(page, "GitHub asked for a slower pace");
  assert.equal(await title(page).textContent(), "Your code");
  assert.equal((await w.sim.state()).device_early_polls, 0);
}, { scenario: { device: { interval: 1, script: ["slow_down", "pending"] } } });

test("GitHub going away is shown and heals by itself", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await shows(page, "Your code");
  await w.sim.set("faults", [{ path: "/login/oauth/access_token", fault: "service_unavailable" }]);
  await says(page, "GitHub cannot be reached");
  const code = await codeOf(page);
  await w.sim.set("faults", undefined, "DELETE");
  await says(page, "Waiting for you to confirm");
  assert.equal(await codeOf(page), code);
  await w.sim.set("authorize", { user_code: code });
  await shows(page, "On belay");
});

test("an account without Copilot is told the exact cause, with a link to GitHub only", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await shows(page, "Your code");
  await w.sim.set("account", { account: "pro_plus", exchange: "no_copilot_access" });
  await w.sim.set("authorize", { user_code: await codeOf(page) });
  await shows(page, "No Copilot access");
  await says(page, "no_copilot_access");
  const href = await page.getByRole("link", { name: "Open GitHub" }).getAttribute("href");
  assert.match(href, /^https:\/\/github\.com\//);
  await page.getByRole("button", { name: "Use another account" }).waitFor();
});

test("without a clipboard the code is selected and the page says so", async (w) => {
  const page = await w.browser.newPage();
  await page.addInitScript(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    document.execCommand = () => false;
  });
  await page.goto(w.belay.page);
  await shows(page, "Your code");
  await page.getByRole("link", { name: "Copy & Authorize" }).click();
  await says(page, "The code is selected: press");
  const selected = await page.evaluate(() => getSelection().toString());
  assert.equal(selected.replace(/\s/g, ""), await codeOf(page));
});

test("the keyboard is enough", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await shows(page, "Your code");
  for (let i = 0; i < 10; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.id === "authorize")) break;
  }
  assert.equal(await page.evaluate(() => document.activeElement.id), "authorize");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none");
  const [github] = await Promise.all([w.browser.waitForEvent("page"), page.keyboard.press("Enter")]);
  await github.close();
  await says(page, "Copied.");
  // When the state changes the focus goes on to the new state's main action, not to nowhere.
  await w.sim.set("authorize", { user_code: await codeOf(page), decision: "deny" });
  await shows(page, "Cancelled at GitHub");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.route), "start");
  await page.keyboard.press("Enter");
  await shows(page, "Your code");
});

test("without JavaScript: a form, the code, a link, and a page that refreshes itself", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await shows(page, "Tie in to GitHub Copilot");
  // The stability check of a click runs in the page, where no script may run.
  // A click that meets the page's own refresh is lost, and a person presses again.
  const code_shown = page.locator("#code");
  for (let tries = 0; tries < 10 && !(await code_shown.isVisible()); tries += 1) {
    await page.getByRole("button", { name: "Get a sign-in code" }).click({ force: true, timeout: 3000 }).catch(() => {});
    await code_shown.waitFor({ timeout: 3000 }).catch(() => {});
  }
  await code_shown.waitFor();
  const code = await codeOf(page);
  assert.equal(await page.getByRole("link", { name: "Open GitHub" }).getAttribute("href"), `${w.sim.url}/login/device`);
  assert.equal(await page.getByText("Copy & Authorize").isVisible(), false);
  await w.sim.set("authorize", { user_code: code });
  await shows(page, "On belay");
}, { browser: { javaScriptEnabled: false } });

test("another browser sees that a sign-in is under way, but never its code", async (w) => {
  const page = await w.browser.newPage();
  await page.goto(w.belay.page);
  await shows(page, "Your code");
  const code = await codeOf(page);
  const other = await openBrowser();
  try {
    const stranger = await other.context.newPage();
    await stranger.goto(w.belay.page);
    await shows(stranger, "A sign-in is under way");
    assert.equal((await stranger.content()).includes(code.slice(0, 4)), false);
    await stranger.getByRole("button", { name: "Begin again here" }).click();
    await shows(stranger, "Your code");
    assert.notEqual(await codeOf(stranger), code);
    await shows(page, "A sign-in is under way");
  } finally {
    await other.close();
  }
});

test("fits a phone and a narrow phone, in light and dark, with enough contrast and no motion", async (w) => {
  const page = await w.browser.newPage();
  await signIn(w, page);
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 320]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 780 });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${width}`);
      assert.equal(await page.evaluate(() => document.getAnimations().filter((a) => a.playState === "running" && a.animationName).length), 0);
      for (const selector of [".lead", "h1", ".models code", ".models span", ".endpoint span", "footer p", ".quiet"]) {
        const ratio = await page.locator(selector).first().evaluate(contrast);
        assert.ok(ratio >= 4.5, `${selector} in ${colorScheme}: ${ratio.toFixed(2)}`);
      }
    }
  }
});

// The contrast of an element's text on the nearest painted background (WCAG 2).
function contrast(element) {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  let node = element;
  let ground = [0, 0, 0, 0];
  for (; node && (ground[3] ?? 1) === 0; node = node.parentElement) ground = parse(getComputedStyle(node).backgroundColor);
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

let failed = 0;
for (const { name, work, scenario, browser } of cases) {
  if (only && !name.includes(only)) continue;
  const { home, remove } = await temporaryHome();
  const world = { complaints: [] };
  const opened = await openBrowser({ permissions: ["clipboard-read", "clipboard-write"], ...browser });
  try {
    world.sim = await Simulator.start(scenario);
    world.belay = await Belay.start(world.sim, home);
    world.browser = opened.context;
    // Anything the page logs is a defect: a policy that was hit, a script that threw.
    world.browser.on("console", (message) => {
      if (message.type() === "error" && !/status of (40[134]|421)/.test(message.text())) world.complaints.push(message.text());
    });
    world.browser.on("weberror", (error) => world.complaints.push(String(error.error())));
    await work(world);
    assert.deepEqual(world.complaints, []);
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n${error.stack}`);
    const pages = opened.context.pages();
    if (pages.length > 1) console.log(await pages[1].locator("#panel").textContent().catch(() => ""));
  } finally {
    await opened.close();
    await world.belay?.stop();
    await world.sim?.stop();
    await remove();
  }
}
console.log(failed === 0 ? "the sign-in page: all good" : `the sign-in page: ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

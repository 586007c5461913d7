// One headless Chromium for all browser tests: the system's, with nothing that talks to the network
// by itself, and an empty profile each time.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

// A browser context with an empty profile; close() removes it.
export async function openBrowser(options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "belay-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.BELAY_CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: flags,
    ...options,
  });
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

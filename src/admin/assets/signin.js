// Follows the sign-in live: asks for the state, swaps the panel when it changed, copies the code.
// The page works without this file; everything here is comfort.
"use strict";
(() => {
  const body = document.body;
  const panel = document.getElementById("panel");
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  // The connect page asks the management API, as the person whose session or key it has.
  const person = body.dataset.base !== undefined;
  const base = body.dataset.base || "/github";
  const form = panel.querySelector("#who");
  let bearer = "";
  document.documentElement.classList.remove("no-script");

  // An operator's link ends in #k=…: kept for this tab, gone from the address bar.
  const fragment = /^#k=([\w-]{8,128})$/.exec(location.hash);
  if (fragment) {
    sessionStorage.setItem("belay-link", fragment[1]);
    history.replaceState(null, "", location.pathname);
  }
  const link = sessionStorage.getItem("belay-link");

  let key = "";
  let expires = null; // milliseconds, by this page's own clock
  let misses = 0;
  let timer = 0;

  const headers = (more) => {
    const all = person ? { ...more } : { "X-Belay-Token": body.dataset.token, ...more };
    if (bearer) all.Authorization = `Bearer ${bearer}`;
    if (link) all["X-Belay-Link"] = link;
    return all;
  };

  const show = (status) => {
    expires = typeof status.expires_in === "number" ? performance.now() + status.expires_in * 1000 : null;
    tick();
    if (status.html === undefined) return;
    const entered = body.dataset.state !== status.state;
    const open = [...panel.querySelectorAll("details[open]")].map((d) => d.dataset.keep);
    const hint = panel.querySelector("#copied");
    const focus = document.activeElement;
    const route = panel.contains(focus) ? focus.dataset.route || focus.id : null;
    panel.classList.toggle("still", !entered);
    panel.innerHTML = status.html;
    body.dataset.state = status.state;
    for (const name of open) {
      const again = panel.querySelector(`details[data-keep="${name}"]`);
      if (again) again.open = true;
    }
    const next = panel.querySelector("#copied");
    if (!entered && hint && next) {
      next.textContent = hint.textContent;
      next.className = hint.className;
    }
    // Focus stays where it was, or moves to the new state's main action: never back to the top.
    if (route) {
      const same = panel.querySelector(`#${CSS.escape(route)}, [data-route="${CSS.escape(route)}"]`);
      (same || panel.querySelector(".primary") || panel.querySelector("button, a"))?.focus({ preventScroll: true });
    }
    if (status.announce) live.textContent = status.announce;
    tick();
  };

  const ask = async () => {
    clearTimeout(timer);
    try {
      const reply = await fetch(`${base}/status?have=${key}`, { headers: headers(), cache: "no-store", redirect: "error" });
      if (person && (reply.status === 401 || reply.status === 403)) return askWho(await reply.json().catch(() => ({})));
      if (reply.status === 403) {
        const why = await reply.json().catch(() => ({}));
        if (why.error !== "locked") return location.reload(); // Belay was restarted
        return;
      }
      if (!reply.ok) throw new Error(String(reply.status));
      const status = await reply.json();
      misses = 0;
      lost.hidden = true;
      key = status.key;
      show(status);
    } catch {
      misses += 1;
      lost.hidden = misses < 3;
    }
    const calm = body.dataset.state === "ready" ? 5000 : 1000;
    timer = setTimeout(ask, document.hidden ? 4000 : Math.min(calm * Math.max(1, misses), 8000));
  };

  // Nobody, or nobody who has an account: the form, with the reason once a key was tried.
  const askWho = (why) => {
    if (!panel.contains(form)) return location.reload(); // the session or the key has ended
    const wrong = form.querySelector("#wrong");
    wrong.hidden = !bearer;
    if (bearer) wrong.textContent = why.error?.message || "This key is not known here.";
    live.textContent = wrong.hidden ? "" : wrong.textContent;
    bearer = "";
  };

  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    bearer = form.querySelector("#key").value.trim();
    ask();
  });

  const send = async (route, takeover) => {
    for (const button of panel.querySelectorAll("button")) button.disabled = true;
    try {
      const reply = await fetch(`${base}/${route}`, {
        method: "POST",
        headers: headers({ "Content-Type": "application/json" }),
        body: JSON.stringify({ takeover }),
        redirect: "error",
      });
      if (reply.status === 403 && !person) return location.reload();
    } catch {
      misses += 1;
    }
    key = "";
    ask();
  };

  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };

  // The old way first: it is done before a new tab takes the focus away, and works on plain http.
  const copy = async (text) => {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "sr";
    field.setAttribute("readonly", "");
    document.body.append(field);
    const focus = document.activeElement;
    field.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    field.remove();
    focus?.focus({ preventScroll: true });
    if (done) return true;
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  };

  const copyCode = async () => {
    const code = panel.querySelector("#code");
    const done = await copy(code.dataset.code);
    const hint = panel.querySelector("#copied");
    if (!hint) return;
    hint.classList.toggle("help", !done);
    if (done) {
      hint.textContent = "Copied. Paste it at GitHub.";
    } else {
      select(code);
      const mac = /Mac|iPhone|iPad/.test(navigator.platform);
      hint.textContent = `This browser does not let a page copy. The code is selected: press ${mac ? "⌘" : "Ctrl"}+C.`;
    }
    live.textContent = hint.textContent;
  };

  panel.addEventListener("click", async (event) => {
    const route = event.target.closest("button[data-route]");
    if (route) {
      event.preventDefault();
      return send(route.dataset.route, route.dataset.takeover === "true");
    }
    const button = event.target.closest("button[data-copy]");
    if (button) {
      const done = await copy(button.dataset.copy);
      if (!done) select(panel.querySelector("#endpoint"));
      button.textContent = done ? "Copied" : "Selected";
      setTimeout(() => (button.textContent = "Copy"), 2000);
      return;
    }
    // The link itself opens GitHub; the code is copied on the way.
    if (event.target.closest("#authorize")) copyCode();
  });

  const tick = () => {
    const span = panel.querySelector("#countdown");
    if (!span || expires === null) return;
    const left = Math.max(0, Math.round((expires - performance.now()) / 1000));
    span.textContent = `The code works for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} more.`;
  };
  setInterval(tick, 1000);

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });

  // Whoever opens the page signed out came to sign in: the code is waiting for them. Once per tab,
  // and not when another site opened the page.
  const first = !sessionStorage.getItem("belay-begun");
  if (body.dataset.state === "welcome" && body.dataset.begin === "yes" && first && !document.hidden) {
    sessionStorage.setItem("belay-begun", "1");
    send("start", false);
  } else if (body.dataset.state === "locked" && link) {
    fetch(base, { headers: headers() })
      .then((reply) => reply.text())
      .then((text) => {
        const page = new DOMParser().parseFromString(text, "text/html");
        if (page.body.dataset.state === "locked") return;
        body.dataset.token = page.body.dataset.token;
        ask();
      });
  } else {
    ask();
  }
})();

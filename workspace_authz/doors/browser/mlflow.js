// In MLflow's page, before MLflow's own scripts. It must never throw, and does nothing where MLflow differs.
((settings) => {
  "use strict";

  // MLflow's Logout opens its page anew as soon as this was refused. A second time would take that one back.
  let loggingOut = false;
  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (...given) {
    loggingOut ||= String(given[3]).startsWith("mlflow-logged-out-");
    return open.apply(this, given);
  };

  // A 401 means that whoever uses this page is not signed in any more: it leads to the sign-in, and back.
  const KEY = "workspace-authz-signed-out";
  const ended = (url) => {
    if (loggingOut) return;
    try {
      if (new URL(url, location.href).origin !== location.origin) return;
      if (Date.now() - Number(sessionStorage.getItem(KEY) || 0) < 10000) return;
      sessionStorage.setItem(KEY, Date.now());
      location.reload();
    } catch {
      // Without a storage it could reload for ever.
    }
  };

  // Who has signed out in another tab sees nothing here any more, as soon as they look.
  const marked = () => /(^|; )mlflow_user=/.test(document.cookie);
  const signedIn = marked();
  window.addEventListener("focus", () => {
    if (signedIn && !loggingOut && !marked()) location.reload();
  });

  // MLflow keeps what it shows of one workspace, whichever the address names next: nothing of it may stay.
  const named = () => new URLSearchParams(location.hash.split("?")[1] ?? "").get("workspace");
  let workspace = named();
  const moved = () => {
    const now = named();
    if (now && workspace && now !== workspace) location.reload();
    workspace = now ?? workspace;
    link.hidden = !/^#\/account\b/.test(location.hash);
  };
  const link = document.createElement("a");
  link.className = "workspace-authz-link";
  link.href = settings.ownPages;
  link.textContent = "Permissions, access keys and audit";
  for (const name of ["pushState", "replaceState"]) {
    const change = history[name];
    history[name] = function (...given) {
      const done = change.apply(this, given);
      moved();
      return done;
    };
  }
  for (const kind of ["popstate", "hashchange"]) window.addEventListener(kind, moved);
  document.addEventListener("DOMContentLoaded", () => {
    moved();
    document.body.append(link);
  });

  // The server would refuse it as well, twice for each page.
  const ofAssistant = (asked) =>
    settings.assistant && /(^|\/)ajax-api\/3\.0\/mlflow\/assistant\//.test(String(asked?.url ?? asked));
  const refusal = () =>
    new Response(JSON.stringify({ error_code: "PERMISSION_DENIED", message: settings.assistant }), {
      status: 403,
      headers: { "Content-Type": "application/json" },
    });

  // Some pages of MLflow do not say why they were refused. Then it is said here, once.
  const BESIDES = /\/mlflow\/(gateway-proxy|users|roles|jobs|ui-telemetry)\b/; // what a page can do without
  let untold = "";
  const told = async (answer) => {
    try {
      if (BESIDES.test(answer.url)) return;
      const { message } = await answer.json();
      if (!untold) setTimeout(tell, 1500);
      untold = String(message);
    } catch {
      // An answer of somebody else's.
    }
  };
  const tell = () => {
    if (!document.body.innerText.includes(untold.slice(0, 80))) say(untold);
    untold = "";
  };

  const fetchOf = window.fetch;
  window.fetch = async (...asked) => {
    if (ofAssistant(asked[0])) return refusal();
    const answer = await fetchOf.apply(window, asked);
    if (answer.status === 401) ended(answer.url);
    else if (answer.status === 403 || answer.status === 503) told(answer.clone());
    return answer;
  };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...body) {
    this.addEventListener("load", () => {
      if (this.status === 401) ended(this.responseURL);
    });
    return send.apply(this, body);
  };

  // What MLflow keeps of having shown something: praise for a button that starts a job, and the assistant,
  // which opens by itself on the server's own machine.
  try {
    localStorage.setItem("mlflow.detectIssues.guidanceShown_v1", "true");
    if (settings.assistant) {
      localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
      localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
    }
  } catch {
    // No storage: then it is shown.
  }

  // Controls that nobody may use say why. MLflow draws them anew at any time, so nothing is set beforehand.
  const found = (event) => {
    const control = event.target?.closest?.("[data-component-id]");
    const id = control?.getAttribute("data-component-id");
    return Object.hasOwn(settings.disabled, id) ? [control, settings.disabled[id]] : [];
  };
  const explain = (event) => {
    const [control, why] = found(event);
    if (!control) return;
    control.setAttribute("aria-disabled", "true");
    control.setAttribute("title", why);
  };
  const stop = (event) => {
    const [control, why] = found(event);
    if (!control || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    explain(event);
    if (event.type !== "pointerdown") say(why);
  };
  const say = (why) => {
    const note = document.createElement("div");
    note.className = "workspace-authz-note";
    note.setAttribute("role", "alert");
    note.textContent = why;
    document.querySelector(".workspace-authz-note")?.remove();
    note.addEventListener("click", () => {
      if (!String(getSelection())) note.remove(); // otherwise somebody copies the command
    });
    document.body.append(note);
    setTimeout(() => note.remove(), 20000);
  };
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, explain, true);
  for (const kind of ["pointerdown", "click", "keydown"]) document.addEventListener(kind, stop, true);
})

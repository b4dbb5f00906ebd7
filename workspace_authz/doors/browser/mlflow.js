// In MLflow's page, before MLflow's own scripts. It must never throw, and does nothing where MLflow differs.
((settings) => {
  "use strict";

  // A 401 means that whoever uses this page is not signed in any more: it leads to the sign-in, and back here.
  const KEY = "workspace-authz-signed-out";
  const ended = (url) => {
    try {
      if (new URL(url, location.href).origin !== location.origin) return;
      if (Date.now() - Number(sessionStorage.getItem(KEY) || 0) < 10000) return;
      sessionStorage.setItem(KEY, Date.now());
      location.reload();
    } catch {
      // Without a storage it could reload for ever.
    }
  };

  // The server would refuse it as well, twice for each page.
  const ofAssistant = (asked) =>
    settings.assistant && /(^|\/)ajax-api\/3\.0\/mlflow\/assistant\//.test(String(asked?.url ?? asked));
  const refusal = () =>
    new Response(JSON.stringify({ error_code: "PERMISSION_DENIED", message: settings.assistant }), {
      status: 403,
      headers: { "Content-Type": "application/json" },
    });

  const fetchOf = window.fetch;
  window.fetch = async (...asked) => {
    if (ofAssistant(asked[0])) return refusal();
    const answer = await fetchOf.apply(window, asked);
    if (answer.status === 401) ended(answer.url);
    return answer;
  };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...body) {
    this.addEventListener("load", () => {
      if (this.status === 401) ended(this.responseURL);
    });
    return send.apply(this, body);
  };

  // On its own machine MLflow opens the assistant by itself, once.
  if (settings.assistant) {
    try {
      localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
      localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
    } catch {
      // No storage: then MLflow has no place to keep it either.
    }
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
    document.body.append(note);
    setTimeout(() => note.remove(), 8000);
  };
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, explain, true);
  for (const kind of ["pointerdown", "click", "keydown"]) document.addEventListener(kind, stop, true);
})

// A job on the server: sent, followed by its events, cancelled.

import { askForKey, keyHeader } from "./key.js";

const MAX_LOST = 5;
const REJOIN_MS = 2000;

/** What the server, or the way to it, refused: {code, message, next_step}. */
export class Problem extends Error {
  constructor({ code = "unknown", message = "something went wrong.", next_step = "Try again." } = {}) {
    super(message);
    this.code = code;
    this.nextStep = next_step;
  }

  static get lost() {
    return new Problem({
      code: "lost",
      message: "the connection to Actreel was lost.",
      next_step: "Check that it still runs, and try again.",
    });
  }

  static async of(response) {
    try {
      return new Problem((await response.json()).error);
    } catch {
      return new Problem({ message: `the server answered ${response.status}.` });
    }
  }
}

/** Asks for JSON, and the visitor for a key where the service wants one; every way it can fail becomes a Problem. */
export async function ask(address, method = "GET", body) {
  for (;;) {
    const headers = { ...keyHeader(), ...(body && { "Content-Type": "application/json" }) };
    const response = await fetch(address, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
      throw Problem.lost;
    });
    if (response.ok) return response.status === 204 ? null : response.json();
    if (response.status !== 401 || !(await askForKey())) throw await Problem.of(response);
  }
}

/**
 * One question to the server.
 *
 * `told` has `progress(stage, fraction)`, `segments(list)`, `done(prediction)`, `failed(problem)`, `cancelled()`; the
 * last three come once, and one of them is the end.
 */
export class Job {
  #told;
  #over = false;
  #request = null;
  #events = null;
  #lost = 0;
  id = null;

  constructor(told) {
    this.#told = told;
  }

  async sendLink(url) {
    this.#told.progress("queued", null);
    try {
      this.#follow((await ask("/jobs", "POST", { url })).id);
    } catch (problem) {
      this.#end("failed", problem);
    }
  }

  async sendFile(file) {
    this.#told.progress("upload", 0);
    try {
      await ask("/key"); // before the video is sent: a refusal in the middle of it would be lost with the connection
    } catch (problem) {
      this.#end("failed", problem);
    }
    if (this.#over) return;
    // Not fetch(), which does not tell how much was sent.
    const request = (this.#request = new XMLHttpRequest());
    const form = new FormData();
    form.append("video", file, file.name);
    request.open("POST", "/jobs");
    for (const [name, value] of Object.entries(keyHeader())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (!this.#over) this.#told.progress("upload", event.lengthComputable ? event.loaded / event.total : null);
    };
    request.onerror = () => this.#end("failed", Problem.lost);
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { error: { message: `the server answered ${request.status}.` } };
      }
      if (request.status === 202) this.#follow(answer.id);
      else this.#end("failed", new Problem(answer.error));
    };
    request.send(form);
  }

  cancel() {
    if (this.#over) return;
    if (this.id) ask(this.#address, "DELETE").catch(() => {});
    this.#request?.abort();
    this.#end("cancelled");
  }

  get #address() {
    return `/jobs/${encodeURIComponent(this.id)}`;
  }

  #follow(id) {
    this.id = id;
    if (this.#over) {
      // Cancelled while the server was still taking it on.
      ask(this.#address, "DELETE").catch(() => {});
      return;
    }
    this.#told.progress("queued", null);
    this.#listen();
  }

  #listen() {
    if (this.#over) return;
    const events = (this.#events = new EventSource(`${this.#address}/events`));
    const on = (name, use) =>
      events.addEventListener(name, (event) => {
        this.#lost = 0;
        if (!this.#over) use(JSON.parse(event.data || "null"));
      });
    on("progress", ({ state, progress: { stage, fraction } }) => {
      if (state === "queued") this.#told.progress("queued", null);
      else this.#told.progress(stage, fraction);
    });
    on("segments", ({ segments }) => this.#told.segments(segments));
    on("done", ({ result }) => this.#end("done", result));
    on("failed", ({ error }) => this.#end("failed", new Problem(error)));
    on("cancelled", () => this.#end("cancelled"));
    events.onerror = () => {
      // The browser connects again by itself, unless the server answered, as with 429.
      this.#lost += 1;
      if (this.#lost > MAX_LOST) this.#end("failed", Problem.lost);
      else if (events.readyState === EventSource.CLOSED) setTimeout(() => this.#listen(), REJOIN_MS);
    };
  }

  #end(how, what) {
    if (this.#over) return;
    this.#over = true;
    this.#events?.close();
    this.#told[how](what);
  }
}

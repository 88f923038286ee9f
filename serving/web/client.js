// A job on the server: send it, follow its events, cancel it.

import { askForKey, callHeaders } from "./key.js";

const MAX_LOST = 5;
const REJOIN_MS = 2000;

/** A failed request: {code, message, next_step} from the server, or for a lost connection. */
export class Problem extends Error {
  constructor({ code = "unknown", message = "Something went wrong.", next_step = "Try again." } = {}) {
    super(message);
    this.code = code;
    this.nextStep = next_step;
  }

  static get lost() {
    return new Problem({
      code: "lost",
      message: "The connection to Actreel was lost.",
      next_step: "Check that the service is running, then try again.",
    });
  }

  static async of(response) {
    try {
      return new Problem((await response.json()).error);
    } catch {
      return new Problem({ message: `The server answered with status ${response.status}.` });
    }
  }
}

/**
 * Requests JSON, and asks the visitor for a key if the service requires one. Every failure becomes a Problem.
 *
 * The operator's calls bring a key of their own, and nobody is asked for another.
 */
export async function ask(address, method = "GET", body, key = null) {
  for (;;) {
    const headers = { ...callHeaders(), ...(key && { "X-API-Key": key }), ...(body && { "Content-Type": "application/json" }) };
    const response = await fetch(address, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
      throw Problem.lost;
    });
    if (response.ok) return response.status === 204 ? null : response.json();
    if (response.status !== 401 || key || !(await askForKey())) throw await Problem.of(response);
  }
}

/**
 * One job; a lesson's brings the operator's key.
 *
 * `callbacks` has `progress(stage, fraction)`, `segments(list)`, `done(result)`, `failed(problem)` and
 * `cancelled()`. Exactly one of the last three is called, once, at the end.
 */
export class Job {
  #callbacks;
  #over = false;
  #request = null;
  #events = null;
  #key;
  #lost = 0;
  id = null;
  /** YouTube's id of the video in a link, as the server reads it. */
  video = null;

  constructor(callbacks, key = null) {
    this.#callbacks = callbacks;
    this.#key = key;
  }

  async sendLink(url) {
    this.#callbacks.progress("queued", null);
    try {
      const { id, video_id } = await ask("jobs", "POST", { url });
      this.video = video_id;
      this.#follow(id);
    } catch (problem) {
      this.#end("failed", problem);
    }
  }

  async sendLesson(actions) {
    this.#callbacks.progress("queued", null);
    try {
      const { id } = await ask("teach", "POST", { actions }, this.#key);
      this.#follow(id);
    } catch (problem) {
      this.#end("failed", problem);
    }
  }

  /** Follows a job that is under way. */
  rejoin(id) {
    this.#follow(id);
  }

  /** Sends a video, its signals, or both; what is null is left out. */
  async sendFile(file, signal = null) {
    this.#callbacks.progress("upload", 0);
    try {
      await ask("key"); // checked first: a refusal in the middle of an upload would be lost with the connection
    } catch (problem) {
      this.#end("failed", problem);
    }
    if (this.#over) return;
    // Not fetch(), which does not report upload progress.
    const request = (this.#request = new XMLHttpRequest());
    const form = new FormData();
    if (file) form.append("video", file, file.name);
    if (signal) form.append("signal", signal, signal.name);
    request.open("POST", "jobs");
    for (const [name, value] of Object.entries(callHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (!this.#over) this.#callbacks.progress("upload", event.lengthComputable ? event.loaded / event.total : null);
    };
    request.onerror = () => this.#end("failed", Problem.lost);
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { error: { message: `The server answered with status ${request.status}.` } };
      }
      if (request.status === 202) this.#follow(answer.id);
      else this.#end("failed", new Problem(answer.error));
    };
    request.send(form);
  }

  cancel() {
    if (this.#over) return;
    if (this.id) this.#delete();
    this.#request?.abort();
    this.#end("cancelled");
  }

  get #address() {
    return `jobs/${encodeURIComponent(this.id)}`;
  }

  #delete() {
    ask(this.#address, "DELETE", undefined, this.#key).catch(() => {});
  }

  #follow(id) {
    this.id = id;
    if (this.#over) {
      // Cancelled before the server had accepted it.
      this.#delete();
      return;
    }
    this.#callbacks.progress("queued", null);
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
      if (state === "queued") this.#callbacks.progress("queued", null);
      else this.#callbacks.progress(stage, fraction);
    });
    on("segments", ({ segments }) => this.#callbacks.segments(segments));
    on("done", ({ result }) => this.#end("done", result));
    on("failed", ({ error }) => this.#end("failed", new Problem(error)));
    on("cancelled", () => this.#end("cancelled"));
    events.onerror = () => {
      // The browser reconnects by itself, unless the server answered with an error such as 429.
      this.#lost += 1;
      if (this.#lost > MAX_LOST) this.#end("failed", Problem.lost);
      else if (events.readyState === EventSource.CLOSED) setTimeout(() => this.#listen(), REJOIN_MS);
    };
  }

  #end(how, what) {
    if (this.#over) return;
    this.#over = true;
    this.#events?.close();
    this.#callbacks[how](what);
  }
}

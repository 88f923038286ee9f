// The camera on the page: its button, the picture with the answer over it, and its end.

import { Camera, ServiceLink } from "./camera.js";
import { ask } from "./client.js";
import { inWords, make, percent, span, UNKNOWN } from "./result.js";

const at = (selector) => document.querySelector(selector);

/**
 * Offers the camera if the service takes it.
 *
 * `page` has `clear()`, which ends what else the page is doing, `say(text)` for screen readers, `showProblem(problem,
 * again)`, and `device()`, which is this device if frames are to stay on it.
 */
export async function offerCamera(page) {
  const settings = await ask("camera").catch(() => null);
  if (!settings) return null;
  const panel = new CameraPanel(settings, page);
  at("#with-camera").hidden = false;
  at("#open-camera").addEventListener("click", () => panel.start());
  at("#stop-camera").addEventListener("click", () => panel.stop("The camera is stopped."));
  at("#switch-camera").addEventListener("click", () => panel.turn());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) panel.stop("The camera was stopped, as this tab was hidden.");
  });
  addEventListener("pagehide", () => panel.stop(""));
  return panel;
}

class CameraPanel {
  #settings;
  #page;
  #root = at("#camera");
  #video = null;
  #now = null;
  #session = null;
  #facing = "user";
  #said = "";

  constructor(settings, page) {
    this.#settings = settings;
    this.#page = page;
  }

  start() {
    this.#session?.stop();
    this.#page.clear();
    at("#camera-hint").textContent = "";
    this.#open();
    this.#root.hidden = false;
    this.#root.scrollIntoView({ block: "nearest" });
    at("#stop-camera").focus();
  }

  /** Ends the session, if there is one, and says why. */
  stop(why = "") {
    if (!this.#session) return;
    this.#session.stop();
    const focused = this.#root.contains(document.activeElement);
    this.#close();
    at("#camera-hint").textContent = why;
    if (!why) return;
    this.#page.say(why);
    if (focused) at("#open-camera").focus();
  }

  /** Goes on with a telephone's other camera. */
  turn() {
    this.#facing = this.#facing === "user" ? "environment" : "user";
    this.#session?.stop();
    this.#open();
    at("#stop-camera").focus();
  }

  #open() {
    const device = this.#page.device();
    at("#camera .where").textContent = device ? "This browser runs the model. No frame is sent or stored." : this.#whereto();
    const windowS = this.#settings.window_s;
    const link = device ? device.link(windowS) : new ServiceLink(this.#settings);
    this.#said = "";
    this.#video = make("video", { muted: true, playsInline: true, "aria-label": "What your camera shows" });
    this.#now = make("p", { className: "now", dir: "auto", hidden: true });
    at("#camera .stage").replaceChildren(this.#video, this.#now);
    at("#switch-camera").hidden = true;
    at("#camera .what").textContent = "Waiting for the camera…";
    at("#camera progress").hidden = false;
    at("#camera progress").removeAttribute("value");
    this.#session = new Camera(this.#settings, this.#video, {
      started: (track) => this.#prepare(track),
      seen: (sighting, lag) => this.#show(sighting, lag),
      failed: (problem) => this.#fail(problem),
    }, link);
    this.#session.start(this.#facing);
  }

  #whereto() {
    const { width, height, frames_per_s: rate, window_s: windowS } = this.#settings;
    return (
      `Of each frame, a copy of about ${width}×${height} pixels goes to ${location.host}, ` +
      `${rate.toFixed(1).replace(".0", "")} a second. It stays in memory for ${span(windowS * 1000)} ` +
      "and is never stored. Nothing goes elsewhere."
    );
  }

  async #prepare(track) {
    // People expect to see themselves as in a mirror. The frames that are sent are not mirrored.
    this.#video.classList.toggle("mirrored", track.getSettings().facingMode !== "environment");
    const devices = await navigator.mediaDevices.enumerateDevices();
    at("#switch-camera").hidden = devices.filter(({ kind }) => kind === "videoinput").length < 2;
  }

  #show({ filled, answer }, lag) {
    const bar = at("#camera progress");
    const wait = span(this.#settings.window_s * 1000);
    bar.hidden = answer !== null;
    bar.value = filled;
    this.#now.hidden = answer === null;
    if (answer === null) {
      at("#camera .what").textContent = `Watching. The first answer comes when the camera has been seen for ${wait}.`;
      return;
    }
    const name = answer.known ? inWords(answer.label) : UNKNOWN;
    this.#now.textContent = name;
    const sure = answer.known ? `${percent(answer.confidence)} confidence` : "None of the model's actions is recognised";
    at("#camera .what").textContent = `${sure}, over the last ${wait}. Lag: ${span(lag)}.`;
    // Only what has changed is read out.
    if (name !== this.#said) this.#page.say(`The camera shows: ${name}.`);
    this.#said = name;
  }

  #close() {
    this.#session = null;
    this.#root.hidden = true;
    at("#camera .stage").replaceChildren();
  }

  #fail(problem) {
    this.#close();
    this.#page.showProblem(problem, () => this.start());
  }
}

// Recordings by camera: a few seconds of an action, sent like any video, and kept for training under its name.

import { closeCamera, openCamera } from "./camera.js";
import { ask, Job, Problem } from "./client.js";
import { inWords, make } from "./result.js";

const COUNT_DOWN = 3;
// What MediaRecorder writes in Chromium and Firefox, and in Safari.
const KINDS = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];

const wait = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

/** The form in `root`; `page` has `clear()`, which ends what else the page is doing. */
export class Recorder {
  #root;
  #page;
  #seconds;
  #stream = null;
  #kept = 0;

  constructor(root, seconds, page) {
    this.#root = root;
    this.#page = page;
    this.#seconds = seconds;
    if (!globalThis.MediaRecorder || !navigator.mediaDevices) return;
    root.hidden = false;
    this.#at(".start").textContent = `Record ${seconds.toFixed(1).replace(".0", "")} s`;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#record();
    });
    this.#at(".stop").addEventListener("click", () => this.#stop("The camera is stopped."));
    this.#at("#teach-action").addEventListener("change", () => (this.#kept = 0));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#stop("The camera was stopped, as this tab was hidden.");
    });
    addEventListener("pagehide", () => this.#stop(""));
  }

  #at(selector) {
    return this.#root.querySelector(selector);
  }

  #say(text) {
    this.#at(".said").textContent = text;
  }

  async #record() {
    const label = this.#at("#teach-action").value.trim();
    if (!label) return;
    this.#at(".start").disabled = true;
    try {
      await this.#open();
      const film = await this.#film();
      if (film === null) return;
      this.#say("Sending the recording…");
      const kept = await this.#send(film, label);
      this.#kept += kept;
      this.#say(kept ? `Recordings of ${inWords(label)} that are kept for training: ${this.#kept}.` : "The recording came too late to be kept. Try again.");
    } catch (problem) {
      this.#stop("");
      const { message, nextStep } = problem instanceof Problem ? problem : new Problem();
      this.#say(`${message} ${nextStep}`);
    } finally {
      this.#at(".start").disabled = false;
      this.#at(".start").focus();
    }
  }

  async #open() {
    this.#page.clear();
    if (this.#stream) return;
    const stream = await openCamera("user");
    this.#stream = stream;
    const video = make("video", { muted: true, playsInline: true, className: "mirrored", srcObject: stream });
    video.setAttribute("aria-label", "What your camera shows");
    this.#at(".stage").replaceChildren(video);
    this.#at(".stage").hidden = false;
    this.#at(".stop").hidden = false;
    await video.play().catch(() => {});
  }

  /** A film of the next seconds, or null if the camera was stopped meanwhile. */
  async #film() {
    const stream = this.#stream;
    for (let left = COUNT_DOWN; left > 0; left -= 1) {
      this.#say(`Recording begins in ${left}…`);
      await wait(1000);
      if (this.#stream !== stream) return null;
    }
    const recorder = new MediaRecorder(stream, { mimeType: KINDS.find((kind) => MediaRecorder.isTypeSupported(kind)) });
    const parts = [];
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    const stopped = new Promise((over) => recorder.addEventListener("stop", over));
    recorder.start();
    this.#say("Recording…");
    await Promise.race([wait(this.#seconds * 1000), stopped]);
    if (recorder.state !== "inactive") recorder.stop();
    await stopped;
    return this.#stream === stream ? new File(parts, "Recording", { type: recorder.mimeType }) : null;
  }

  /** Whether the service keeps the film. */
  async #send(film, label) {
    const prediction = await new Promise((done, failed) => {
      new Job({ progress() {}, segments() {}, done, failed, cancelled: failed }).sendFile(film);
    });
    const correct = prediction.known && prediction.label === label;
    const { video_kept: kept } = await ask("feedback", "POST", {
      prediction_id: prediction.prediction_id,
      correct,
      label: correct ? null : label,
      share_video: this.#at(".consent").checked,
    });
    return kept;
  }

  #stop(why) {
    if (!this.#stream) return;
    closeCamera(this.#stream);
    this.#stream = null;
    this.#at(".stage").hidden = true;
    this.#at(".stage").replaceChildren();
    this.#at(".stop").hidden = true;
    if (why) this.#say(why);
    this.#at(".start").focus();
  }
}

// What a camera shows, frame by frame: `TimedWindow` of src/actreel/inference/timed_window.py, and `SteadyLabel` of
// steady.py.

import { roundEven } from "./fitting.js";
import { argmax, meanOf, ranked } from "./windows.js";

const MARGIN = 0.1;
const BAND = 0.05;

/** The last parts of a stream, one frame each; `windows` are `Windows` that move by one frame. */
export class TimedWindow {
  #windows;
  #clipFrames;
  #partS;
  #startS = 0;
  #numParts = 0;
  numStarts = 0;

  constructor(windows, clipFrames, windowS) {
    this.#windows = windows;
    this.#clipFrames = clipFrames;
    this.#partS = windowS / clipFrames;
  }

  /** The share of the window that has been seen. */
  get filled() {
    return Math.min(1, this.#numParts / this.#clipFrames);
  }

  /** Takes the next frame, unless its part has one already; null or the score of the window that ends with it. */
  async push(frame, atS) {
    let part = roundEven((atS - this.#startS) / this.#partS);
    let missed = part - this.#numParts;
    if (this.#numParts === 0 || missed >= this.#clipFrames) {
      this.#windows.clear();
      this.#startS = atS;
      this.numStarts += 1;
      part = missed = 0;
    } else if (missed < 0) return null;
    this.#numParts = part + 1;
    this.#windows.hold(missed);
    return this.#windows.push(frame);
  }
}

/** The label with hysteresis; see SteadyLabel in Python. `model` has `labels` and `max_distance`. */
export class SteadyLabel {
  #hopS;
  #model;
  #run = null;
  #recent = [];
  #shown = null;

  constructor(hopS, model) {
    this.#hopS = hopS;
    this.#model = model;
  }

  /** Takes the next window's score; returns the answer that is shown from now on. */
  update({ probabilities, distance }, endS, run) {
    if (run !== this.#run) {
      this.#run = run;
      this.#shown = null;
      this.#recent = [];
    }
    this.#recent.push([endS, probabilities, distance]);
    this.#recent = this.#recent.filter(([at]) => at >= endS - 1.001 * this.#hopS);
    const mean = meanOf(this.#recent.map(([, each]) => each));
    const known = this.#isKnown(meanOf(this.#recent.map(([, , far]) => [far]))[0]);
    let action = argmax(mean);
    if (this.#shown !== null && mean[action] < mean[this.#shown.action] + MARGIN) action = this.#shown.action;
    this.#shown = { action, known };
    const { labels } = this.#model;
    return { label: labels[action], confidence: known ? mean[action] : 0, known, top: ranked(probabilities, labels) };
  }

  #isKnown(distance) {
    const { max_distance: most } = this.#model;
    if (most === null) return true;
    const side = this.#shown === null ? 0 : this.#shown.known ? BAND : -BAND;
    return distance <= most * (1 + side);
  }
}

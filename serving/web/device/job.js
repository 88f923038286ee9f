// A video that is recognised on this device: as a `Job` of ../client.js, but nothing of the video is sent.

import { Problem } from "../client.js";
import { Film } from "./film.js";
import { DeviceModel } from "./model.js";
import { answerFor, middles, plan, segmentsOf } from "./windows.js";

let loading = null;

/** The model, loaded once for the page; a failure is tried again the next time. */
export function modelOf(offer, told) {
  loading ??= DeviceModel.load(offer, told).catch((problem) => {
    loading = null;
    throw problem;
  });
  return loading;
}

/** One video. The callbacks are those of `Job`. */
export class DeviceJob {
  #offer;
  #callbacks;
  #over = false;
  id = null;
  video = null;

  constructor(offer, callbacks) {
    this.#offer = offer;
    this.#callbacks = callbacks;
  }

  async look(file) {
    const started = performance.now();
    let film = null;
    try {
      this.#tell("load", 0);
      const model = await modelOf(this.#offer, (fraction) => this.#tell("load", fraction));
      film = await Film.open(file);
      const took = { download: 0, decode: 0, model: 0 };
      const seen = await this.#windows(film, model, took);
      took.total = performance.now() - started;
      this.#end("done", seen && this.#prediction(file, film, seen, took));
    } catch (error) {
      this.#end("failed", error instanceof Problem ? error : new Problem({ message: String(error) }));
    } finally {
      film?.close();
    }
  }

  cancel() {
    this.#end("cancelled");
  }

  #tell(stage, fraction) {
    if (!this.#over) this.#callbacks.progress(stage, fraction);
  }

  /** All windows' scores, and the plan that they follow. */
  async #windows(film, model, took) {
    const planned = plan(film.durationS, this.#offer.clip, this.#offer.clip_duration_s);
    await model.begin(planned.hop);
    const scored = [];
    for (const [part, at] of middles(planned.numParts, film.durationS).entries()) {
      const before = performance.now();
      const frame = await film.frameAt(at);
      const decoded = performance.now();
      if (this.#over) return null; // or this frame would be among those of the next video
      const window = await model.push(frame);
      took.decode += decoded - before;
      took.model += performance.now() - decoded;
      if (this.#over) return null;
      this.#tell("decode", (part + 1) / planned.numParts);
      if (window === null) continue;
      scored.push(window);
      this.#callbacks.segments(segmentsOf(scored, planned, film.durationS, this.#offer));
    }
    return { planned, scored };
  }

  #prediction(file, film, { planned, scored }, took) {
    const { durationS: duration_s, width, height } = film;
    return {
      prediction_id: `on-device-${Date.now()}`,
      on_device: true,
      ...answerFor(scored, this.#offer),
      segments: segmentsOf(scored, planned, duration_s, this.#offer),
      video: { title: file.name, duration_s, width, height, fps: null },
      timings_ms: took,
      model: this.#offer.model,
    };
  }

  #end(how, what) {
    if (this.#over) return;
    this.#over = true;
    this.#callbacks[how](what);
  }
}

// The model on this device: loads it once into a thread of its own, and hands that thread frames.

import { ask, Problem } from "../client.js";
import { callHeaders } from "../key.js";

const ADDRESS = "on_device";

/** Why it cannot run here, in words for people. */
const failed = (why) =>
  new Problem({
    code: "not_on_device",
    message: `This browser cannot run the model: ${why}`,
    next_step: "Use a newer browser. If the video may leave this device, untick “Keep it on this device”.",
  });

async function fetchBytes(name, version, told) {
  const response = await fetch(`${ADDRESS}/${name}?v=${version}`, { headers: callHeaders() }).catch(() => {
    throw Problem.lost;
  });
  if (!response.ok) throw await Problem.of(response);
  const bytes = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.push(value);
    told(value.length);
  }
  return new Blob(bytes);
}

const unzipped = (blob) => new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

/** What the service says of the model for visitors' devices; null where it hands none out. */
export const offered = () => ask(ADDRESS).catch(() => null);

/** The model in its thread; calls are answered in order. */
export class DeviceModel {
  #worker = new Worker(`${ADDRESS}/worker.js`, { type: "module" });
  #waiting = [];
  #broken = null;

  constructor() {
    this.#worker.addEventListener("message", ({ data }) => {
      const { resolve, reject } = this.#waiting.shift();
      if (data.failed) reject(failed(data.failed));
      else resolve(data.answer);
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#broken = failed(event.message || "its thread did not start.");
      for (const { reject } of this.#waiting.splice(0)) reject(this.#broken);
    });
  }

  /** Loads what `offered` has named; `told(fraction)` hears how far that is. */
  static async load(offer, told = () => {}) {
    await ask("key"); // asks the visitor for a key where one is needed
    const all = [offer.runtime, ...offer.networks];
    const total = all.reduce((sum, { bytes }) => sum + bytes, 0);
    let loaded = 0;
    const count = (bytes) => told(Math.min(1, (loaded += bytes) / total));
    const [runtime, ...networks] = await Promise.all(all.map(({ name, version }) => fetchBytes(name, version, count)));
    const model = new DeviceModel();
    try {
      const files = await Promise.all([unzipped(runtime), ...networks.map((network) => network.arrayBuffer())]);
      const bytes = files.map((file) => new Uint8Array(file));
      await model.#call("load", { runtime: bytes[0], networks: bytes.slice(1), clip: offer.clip }, files);
    } catch (error) {
      model.close();
      throw error instanceof Problem ? error : failed(error.message);
    }
    return model;
  }

  /** Starts a video: the frames that follow are its own. */
  begin(hop) {
    return this.#call("begin", { hop });
  }

  /** Takes the next frame, {data, width, height} in RGBA, whose bytes move to the thread; null or the window's score. */
  push(frame) {
    return this.#call("frame", { frame }, [frame.data.buffer]);
  }

  /** Starts a camera, of which windows of `windowS` seconds are looked at. */
  watch(windowS, { labels, max_distance }) {
    return this.#call("watch", { windowS, model: { labels, max_distance } });
  }

  /** Takes a camera's next frame, as `push`; the answer is that of the service's WebSocket. */
  look(frame, captured) {
    return this.#call("look", { frame, captured }, [frame.data.buffer]);
  }

  close() {
    this.#worker.terminate();
  }

  #call(what, message, moved = []) {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage({ what, ...message }, moved);
    });
  }
}

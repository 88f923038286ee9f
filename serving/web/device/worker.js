// The thread that runs the model. The service serves it as on_device/worker.js, with a Content-Security-Policy under
// which it may compile WebAssembly, and may not ask any address for anything: frames that are here cannot leave.

import * as ort from "./ort.wasm.bundle.min.mjs";
import { fit } from "../static/device/fitting.js";
import { SteadyLabel, TimedWindow } from "../static/device/live.js";
import { Network, Windows } from "../static/device/network.js";

let network = null;
let windows = null;
let spec = null;
let camera = null;

const handlers = {
  /** `runtime` is the WebAssembly file, `networks` the ONNX files: bytes. */
  async load({ runtime, networks, clip }) {
    ort.env.wasm.wasmBinary = runtime;
    ort.env.wasm.numThreads = 1; // more would need the page to be cross-origin isolated
    spec = clip;
    network = await Network.load(ort, networks, spec);
  },
  async begin({ hop }) {
    windows = new Windows(network, spec.num_frames, hop);
  },
  /** A frame as it is, RGBA; answers with the score of the window that it completes. */
  async frame({ frame }) {
    return windows.push(fit(frame, spec));
  },
  async watch({ windowS, model }) {
    const last = new TimedWindow(new Windows(network, spec.num_frames, 1), spec.num_frames, windowS);
    camera = { last, steady: new SteadyLabel(windowS / 2, model) };
  },
  /** A camera's frame; answers as the service does over its WebSocket. */
  async look({ frame, captured }) {
    const { last, steady } = camera;
    const score = await last.push(fit(frame, spec), captured / 1000);
    const answer = score && steady.update(score, captured / 1000, last.numStarts);
    return { captured_ms: captured, filled: last.filled, answer };
  },
};

let last = Promise.resolve();
addEventListener("message", ({ data }) => {
  // One after another, in the order in which they came.
  last = last
    .then(() => handlers[data.what](data))
    .then((answer) => postMessage({ answer }), (error) => postMessage({ failed: String(error) }));
});

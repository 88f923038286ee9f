// A session of the visitor's camera: samples frames at the model's rate, and gives their pixels to whoever looks at them.

import { ask, Problem } from "./client.js";

const SUBPROTOCOL = "actreel.camera";
const HEADER_BYTES = 12;

/** What getUserMedia's errors mean for people. */
const BLOCKED = {
  NotAllowedError: ["The camera is blocked for this page.", "Allow it in the browser's address bar, then try again."],
  NotFoundError: ["This device has no camera that the browser can use.", "Connect one, or give a video file instead."],
  NotReadableError: ["The camera cannot be opened: another program may be using it.", "Close that program, then try again."],
};
const blocked = ({ name }) => {
  const [message, next_step] = BLOCKED[name] ?? ["The camera could not be started.", "Try again, or give a video file instead."];
  return new Problem({ code: "no_camera_here", message, next_step });
};

/** Opens a camera: a MediaStream without sound. */
export async function openCamera(facingMode) {
  if (!navigator.mediaDevices) {
    throw new Problem({
      code: "not_secure",
      message: "Browsers give the camera to pages over HTTPS only, and this page came over plain HTTP.",
      next_step: "Open this page by its https:// address, or give a video file instead.",
    });
  }
  const video = { facingMode, width: { ideal: 640 }, height: { ideal: 480 } };
  return navigator.mediaDevices.getUserMedia({ video, audio: false }).catch((error) => {
    throw blocked(error);
  });
}

/** The size at which a frame covers the model's input, without more bytes than the service takes. */
function sizeFor(video, settings) {
  const cover = Math.max(settings.width / video.videoWidth, settings.height / video.videoHeight);
  const most = Math.sqrt(settings.frame_bytes / 3 / (video.videoWidth * video.videoHeight));
  const scale = Math.min(1, cover, most);
  const shrunk = (side) => Math.max(1, scale === most ? Math.floor(side * scale) : Math.round(side * scale));
  return [shrunk(video.videoWidth), shrunk(video.videoHeight)];
}

/**
 * The service as the one that looks at frames, over a WebSocket. ./device/offer.js has the visitor's device instead.
 *
 * `open` takes `hear(sighting)`, and `fail(problem)` for what ends it; `most` is how many frames may be on their way.
 */
export class ServiceLink {
  #socket = null;
  most;

  constructor({ frames_per_s: rate }) {
    this.most = Math.max(2, rate); // a second's frames
  }

  /** Before the camera: nothing is asked of a visitor who is refused. */
  async prepare() {
    await ask("key");
  }

  async open(hear, fail) {
    const { ticket } = await ask("camera", "POST");
    const address = new URL("camera", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(address, [SUBPROTOCOL, ticket]));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      const said = JSON.parse(data);
      if (said.error) fail(new Problem(said.error));
      else hear(said);
    });
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("close", () => reject(noSocket()));
    });
    socket.addEventListener("close", () => fail(Problem.lost));
  }

  send({ data, width, height }, captured) {
    const message = new DataView(new ArrayBuffer(HEADER_BYTES + width * height * 3));
    message.setFloat64(0, captured, true);
    message.setUint16(8, width, true);
    message.setUint16(10, height, true);
    const pixels = new Uint8Array(message.buffer, HEADER_BYTES);
    for (let from = 0, to = 0; from < data.length; from += 4) {
      pixels[to++] = data[from];
      pixels[to++] = data[from + 1];
      pixels[to++] = data[from + 2];
    }
    this.#socket.send(message.buffer);
  }

  close() {
    this.#socket?.close();
  }
}

/**
 * One session, from the permission to its end.
 *
 * `callbacks` has `started(track)`, `seen(sighting, lag)`, with the lag from capture to answer in milliseconds, and
 * `failed(problem)`, which is called once at most, and not after `stop`.
 */
export class Camera {
  #settings;
  #callbacks;
  #video;
  #canvas = document.createElement("canvas");
  #pen = this.#canvas.getContext("2d", { willReadFrequently: true });
  #stream = null;
  #link;
  #over = false;
  #due = 0;
  #sent = -1;
  #unanswered = [];

  /** `settings` are the service's, as GET camera answers; `video` shows the camera; `link` looks at its frames. */
  constructor(settings, video, callbacks, link) {
    this.#link = link;
    this.#settings = settings;
    this.#video = video;
    this.#callbacks = callbacks;
  }

  async start(facingMode) {
    try {
      await this.#link.prepare();
      if (this.#over) return;
      const stream = await openCamera(facingMode);
      if (this.#over) return closeCamera(stream);
      this.#stream = stream;
      for (const track of stream.getTracks()) track.addEventListener("ended", () => this.#fail(blocked({})));
      this.#video.srcObject = stream;
      await this.#video.play().catch(() => {}); // where the element is removed meanwhile
      await this.#link.open((said) => this.#hear(said), (problem) => this.#fail(problem));
      if (this.#over) return this.#link.close();
      this.#callbacks.started(stream.getVideoTracks()[0]);
      this.#next();
    } catch (problem) {
      this.#fail(problem instanceof Problem ? problem : new Problem());
    }
  }

  stop() {
    if (this.#over) return;
    this.#over = true;
    this.#link.close();
    closeCamera(this.#stream);
    this.#video.srcObject = null;
  }

  #fail(problem) {
    if (this.#over) return;
    this.stop();
    this.#callbacks.failed(problem);
  }

  #hear(said) {
    if (this.#over) return;
    const lag = performance.now() - said.captured_ms;
    this.#unanswered = this.#unanswered.filter((captured) => captured > said.captured_ms);
    this.#callbacks.seen(said, lag);
  }

  /** Waits for the camera's next frame. */
  #next() {
    if (this.#over) return;
    if (this.#video.requestVideoFrameCallback) {
      this.#video.requestVideoFrameCallback((now, { captureTime }) => this.#sample(captureTime ?? now));
    } else {
      setTimeout(() => this.#sample(performance.now()), 1000 / this.#settings.frames_per_s / 2);
    }
  }

  #sample(captured) {
    if (this.#over) return;
    const period = 1000 / this.#settings.frames_per_s;
    if (captured >= this.#due) {
      // On a fixed beat where the camera keeps it, so that a camera that is little faster than the model loses no frame.
      this.#due = captured - this.#due < period ? this.#due + period : captured + period;
      // Those beyond are dropped here: old frames are of no use.
      if (this.#unanswered.length < this.#link.most) this.#send(captured);
    }
    this.#next();
  }

  #send(captured) {
    if (captured <= this.#sent || !this.#video.videoWidth) return;
    this.#sent = captured;
    const [width, height] = sizeFor(this.#video, this.#settings);
    Object.assign(this.#canvas, { width, height });
    this.#pen.imageSmoothingQuality = "high";
    this.#pen.drawImage(this.#video, 0, 0, width, height);
    const { data } = this.#pen.getImageData(0, 0, width, height);
    this.#unanswered.push(captured);
    this.#link.send({ data, width, height }, captured);
  }
}

/** Switches a camera off. */
export function closeCamera(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

const noSocket = () =>
  new Problem({
    code: "no_socket",
    message: "The camera's connection could not be opened. A proxy between this page and Actreel may not let WebSockets pass.",
    next_step: "Give a video file instead. The operator finds the proxy's settings in the documentation.",
  });

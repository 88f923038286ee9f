// The network in ONNX Runtime, fed with one frame after another: `EncodedWindows` of src/actreel/inference/recognition.py.

const run = async (session, tensor) => {
  const outputs = await session.run({ [session.inputNames[0]]: tensor });
  return session.outputNames.map((name) => outputs[name].data);
};

/** The model: encoder and head, or both in one file. */
export class Network {
  #ort;
  #spec;
  #encoder;
  #head;

  /** `ort` is onnxruntime-web, `files` are the bytes of its ONNX files in order, `spec` are the clip's settings. */
  static async load(ort, files, spec) {
    const network = new Network();
    network.#ort = ort;
    network.#spec = spec;
    const sessions = [];
    for (const file of files) sessions.push(await ort.InferenceSession.create(file, { executionProviders: ["wasm"] }));
    network.#head = sessions.pop();
    network.#encoder = sessions.pop() ?? null;
    return network;
  }

  /** One frame, encoded: its features, or its own bytes where one file does both. */
  async encode(frame) {
    if (this.#encoder === null) return frame;
    const tensor = new this.#ort.Tensor("uint8", frame, [1, this.#spec.height, this.#spec.width, 3]);
    return (await run(this.#encoder, tensor))[0];
  }

  /** What it says of a window of encoded frames: {probabilities, distance}. */
  async score(window) {
    const all = new window[0].constructor(window.length * window[0].length);
    window.forEach((encoded, at) => all.set(encoded, at * encoded.length));
    const { height, width } = this.#spec;
    const { Tensor } = this.#ort;
    const tensor = this.#encoder
      ? new Tensor("float32", all, [1, window.length, window[0].length])
      : new Tensor("uint8", all, [1, window.length, height, width, 3]);
    const [probabilities, distance] = await run(this.#head, tensor);
    return { probabilities: Array.from(probabilities), distance: distance ? distance[0] : 0 };
  }
}

/** The windows of one video or camera, whose frames come in order; each frame is encoded once. */
export class Windows {
  #network;
  #clipFrames;
  #hop;
  #encoded = [];
  #passedOver = 0;

  /** A window is `clipFrames` frames, and the next starts `hop` frames later. */
  constructor(network, clipFrames, hop) {
    this.#network = network;
    this.#clipFrames = clipFrames;
    this.#hop = hop;
  }

  /** Takes the next frame; returns the score of the window that it completes, or null. */
  async push(frame) {
    this.#take(await this.#network.encode(frame));
    const complete = this.#encoded.length === this.#clipFrames && this.#passedOver % this.#hop === 0;
    return complete ? this.#network.score(this.#encoded) : null;
  }

  /** Takes the last frame again, so many times. */
  hold(count) {
    for (let times = 0; times < count; times++) this.#take(this.#encoded.at(-1));
  }

  /** Forgets all frames: the next one starts a window. */
  clear() {
    this.#encoded = [];
    this.#passedOver = 0;
  }

  #take(encoded) {
    this.#encoded.push(encoded);
    if (this.#encoded.length > this.#clipFrames) {
      this.#encoded.shift();
      this.#passedOver += 1;
    }
  }
}

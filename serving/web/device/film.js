// A video file in this browser, as frames at given times.

import { Problem } from "../client.js";

/** Seconds added to the middle of a part: where it is the very start of a frame, a rounded time would show the one before. */
const PAST = 1e-4;

const unreadable = () =>
  new Problem({
    code: "not_playable_here",
    message: "This browser cannot play this video, so it cannot look at it on this device.",
    next_step:
      "Convert it: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4. If it may leave this device, untick “Keep it on " +
      "this device”: the service reads more formats.",
  });

/** Waits for one of a video element's events. */
const until = (video, event) =>
  new Promise((resolve, reject) => {
    const fail = () => reject(unreadable());
    video.addEventListener(event, resolve, { once: true });
    video.addEventListener("error", fail, { once: true });
  });

/** A video file that is open: close it when done. */
export class Film {
  #url;
  #video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, preload: "auto" });
  #canvas = document.createElement("canvas");
  #pen = this.#canvas.getContext("2d", { willReadFrequently: true });

  static async open(file) {
    const film = new Film();
    film.#url = URL.createObjectURL(file);
    try {
      const ready = until(film.#video, "loadeddata");
      film.#video.src = film.#url;
      await ready;
      if (!film.#video.videoWidth) throw unreadable();
      await film.#findItsEnd();
    } catch (error) {
      film.close();
      throw error;
    }
    return film;
  }

  get durationS() {
    return this.#video.duration;
  }

  get width() {
    return this.#video.videoWidth;
  }

  get height() {
    return this.#video.videoHeight;
  }

  /** The frame that is shown at a time: {data, width, height}, RGBA. */
  async frameAt(seconds) {
    await this.#seek(Math.min(seconds + PAST, this.durationS));
    const { width, height } = this;
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    this.#pen.drawImage(this.#video, 0, 0, width, height);
    return { data: this.#pen.getImageData(0, 0, width, height).data, width, height };
  }

  close() {
    this.#video.removeAttribute("src");
    this.#video.load();
    URL.revokeObjectURL(this.#url);
  }

  /** What browsers and telephones have recorded may not say how long it is, until it has been read to its end. */
  async #findItsEnd() {
    if (Number.isFinite(this.durationS)) return;
    await this.#seek(Number.MAX_SAFE_INTEGER);
    if (!Number.isFinite(this.durationS)) throw unreadable();
  }

  #seek(seconds) {
    const there = until(this.#video, "seeked");
    this.#video.currentTime = seconds;
    return there;
  }
}

// "Keep it on this device": the choice on the page, where the service hands the model out.

import { DeviceJob, modelOf } from "./job.js";
import { offered } from "./model.js";

const at = (selector) => document.querySelector(selector);

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** This device as the one that looks at a camera's frames: see `ServiceLink` of ../camera.js. */
class DeviceLink {
  #offer;
  #windowS;
  #model = null;
  #hear = null;
  #fail = null;
  /** One that is looked at, and the next. */
  most = 2;

  constructor(offer, windowS) {
    this.#offer = offer;
    this.#windowS = windowS;
  }

  async prepare() {
    this.#model = await modelOf(this.#offer);
  }

  async open(hear, fail) {
    this.#hear = hear;
    this.#fail = fail;
    await this.#model.watch(this.#windowS, this.#offer);
  }

  send(frame, captured) {
    this.#model.look(frame, captured).then(this.#hear, this.#fail);
  }

  close() {}
}

/** Shows the choice, and calls `changed` with it; returns {chosen, job(callbacks), link(windowS)}, or null. */
export async function offerDevice(changed) {
  const offer = await offered();
  if (!offer || typeof DecompressionStream === "undefined") return null;
  const bytes = [offer.runtime, ...offer.networks].reduce((sum, file) => sum + file.bytes, 0);
  at("#on-device-hint").textContent = `No frame is sent: this browser runs the model, which it loads once (${megabytes(bytes)}).`;
  at("#keep-here").hidden = false;
  const cameraHint = at("#with-camera .hint");
  const sent = cameraHint.textContent;
  at("#on-device").addEventListener("change", ({ target }) => {
    cameraHint.textContent = target.checked ? "Its frames stay in this browser." : sent;
    changed();
  });
  return {
    get chosen() {
      return at("#on-device").checked;
    },
    job: (callbacks) => new DeviceJob(offer, callbacks),
    link: (windowS) => new DeviceLink(offer, windowS),
  };
}

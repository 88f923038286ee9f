// "Keep it on this device": the choice on the page, where the service hands the model out.

import { DeviceJob } from "./job.js";
import { offered } from "./model.js";

const at = (selector) => document.querySelector(selector);

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Shows the choice; returns {chosen, job(callbacks)}, or null where there is none. */
export async function offerDevice() {
  const offer = await offered();
  if (!offer || typeof DecompressionStream === "undefined") return null;
  const bytes = [offer.runtime, ...offer.networks].reduce((sum, file) => sum + file.bytes, 0);
  at("#on-device-hint").textContent = `No frame is sent: this browser runs the model, which it loads once (${megabytes(bytes)}).`;
  at("#keep-here").hidden = false;
  return {
    get chosen() {
      return at("#on-device").checked;
    },
    job: (callbacks) => new DeviceJob(offer, callbacks),
  };
}

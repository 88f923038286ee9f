// A result on the page: label, bars, timeline, frames, provenance. Text from outside is set as textContent only.

import { Skeleton } from "./skeleton.js";

const NUM_COLOURS = 8;
const NUM_FRAMES = 8;
/** What stands in place of a label where the model does not know the action. */
export const UNKNOWN = "Unknown action";

/** "JumpingJack" and "jumping_jack" as words: "Jumping Jack" and "jumping jack". */
export const inWords = (label) =>
  label.replace(/_/g, " ").replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2").replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2");

/** 75.4 s as "1:15"; in a video of less than ten seconds with tenths, 1.54 s as "0:01.5". */
export const clock = (seconds, duration = Infinity) => {
  const tenths = Math.max(0, Math.floor(seconds * 10 + 1e-6));
  const whole = Math.floor(tenths / 10);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const fraction = duration < 10 ? `.${tenths % 10}` : "";
  return `${h ? `${h}:${String(m).padStart(2, "0")}` : m}:${String(s).padStart(2, "0")}${fraction}`;
};

/** Milliseconds as "48 ms" or "1.2 s". */
export const span = (milliseconds) =>
  milliseconds < 1000 ? `${Math.max(1, Math.round(milliseconds))} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

export const percent = (share) => `${Math.round(share * 100)}%`;

/** What the order of frames adds to the accuracy, with its interval, in words. */
function ofOrder({ mean_pool_accuracy: without, order_gain: gain, order_gain_low: low, order_gain_high: high }) {
  const points = (share) => Math.round(share * 100) || 0; // no "-0"
  const both = `${percent(without + gain)} with it, ${percent(without)} without`;
  const interval = `95%: ${points(low)} to ${points(high)} points`;
  if (low > 0) return `Adds ${points(gain)} points (${interval}): ${both}`;
  if (high < 0) return `Costs ${points(-gain)} points (${interval}): ${both}`;
  return `Adds nothing that the clips can show (${interval}): ${both}`;
}

/** What a visitor must know of this model before believing it, in sentences. */
export function limits({ dataset, can_reject: canReject }) {
  return [
    ...(dataset === "demo" ? ["It learned from the demo's drawn figures, so it does not recognise people in real videos."] : []),
    ...(canReject ? [] : ["It cannot say that a video shows none of its actions: each video gets one of them."]),
  ];
}

/** Makes an element with properties and children; strings become text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The names of segments with their colours, in order of time. */
const colours = (segments) =>
  new Map([...new Set(segments.map(({ name }) => name))].map((name, index) => [name, `var(--action-${index % NUM_COLOURS})`]));

/** A segment as it is shown: named after its action, or unknown. */
const shownAs = (segment) =>
  segment.known ? { ...segment, name: inWords(segment.label) } : { ...segment, name: UNKNOWN, confidence: null };

/** The segments as they are shown; those of an unknown video are one that is unknown from start to end. */
function named({ known, segments }) {
  if (known) return segments.map(shownAs);
  const times = segments.flatMap((segment) => [segment.start_s, segment.end_s]);
  return times.length ? [{ start_s: Math.min(...times), end_s: Math.max(...times), name: UNKNOWN, confidence: null }] : [];
}

/**
 * The segments so far. Whether the model knows the action is decided at the end, so each name has a question mark.
 */
export function drawPartial(list, segments) {
  const shown = segments.map(shownAs).map((segment) => ({ ...segment, name: `${segment.name}?`, confidence: null }));
  const end = Math.max(...segments.map((segment) => segment.end_s), 0.1);
  drawTimeline(list, shown, end, (_, words, description) => make("span", { className: "undecided", title: description }, words));
}

/** Fills a timeline with named segments; `part(segment, words, description)` makes a segment's element. */
function drawTimeline(list, segments, duration, part) {
  const colourOf = colours(segments);
  list.replaceChildren(
    ...segments.map((segment) => {
      const when = `${clock(segment.start_s, duration)} to ${clock(segment.end_s, duration)}`;
      const words = make("span", { className: "words", dir: "auto" }, segment.name);
      const sure = segment.confidence === null ? "" : `, ${percent(segment.confidence)} confidence`;
      const element = part(segment, words, `${segment.name}, ${when}${sure}`);
      element.classList.add("part");
      element.classList.toggle("nothing-known", segment.name === UNKNOWN);
      // Positioned by time, so gaps stay visible.
      const item = make("li", {}, element);
      item.style.position = "absolute";
      item.style.left = `${(100 * segment.start_s) / duration}%`;
      item.style.width = `calc(${(100 * (segment.end_s - segment.start_s)) / duration}% - 2px)`;
      item.style.setProperty("--colour", colourOf.get(segment.name));
      return item;
    }),
  );
}

/** Shows one prediction in `root`; `file` is the video if this browser has it, `video` its YouTube id if it has one. */
export class Result {
  #root;
  #url = null;
  #shown = null;
  #segments = [];
  #skeleton;

  constructor(root) {
    this.#root = root;
    const player = this.#at("video");
    this.#skeleton = new Skeleton(this.#at(".viewer"), player, (seconds) => this.#mark(seconds));
    player.addEventListener("timeupdate", () => this.#mark(player.currentTime));
    // Browsers play few containers; the server reads more.
    player.addEventListener("error", () => this.#showStill(this.#segments[0]?.start_s ?? 0));
  }

  #at(selector) {
    return this.#root.querySelector(selector);
  }

  /** The result on the page: {prediction, job, file, video}, or null. */
  get shown() {
    return this.#shown;
  }

  hide() {
    this.#root.hidden = true;
    this.#at("video").pause();
    this.#skeleton.hide();
  }

  show(shown, model) {
    this.#shown = shown;
    const { prediction, file, video } = shown;
    this.#segments = named(prediction);
    this.#root.classList.toggle("unknown", !prediction.known);
    this.#at(".eyebrow").textContent = prediction.video.title;
    this.#at("#answer").textContent = prediction.known ? inWords(prediction.label) : UNKNOWN;
    const names = new Set(this.#segments.map(({ name }) => name));
    const actions = names.size - names.has(UNKNOWN);
    const shows = `shows ${actions} ${actions === 1 ? "action" : "actions"}${names.has(UNKNOWN) ? " and parts that are unknown" : ""}`;
    const whole = names.size > 1 ? ` for the whole video, which ${shows}` : "";
    this.#at(".confidence").textContent = prediction.known
      ? `${percent(prediction.confidence)} confidence${whole}`
      : "This video is unlike the model's training clips, so none of its actions is recognised.";
    this.#showTop(prediction);
    this.#showTimeline(prediction, video);
    this.#showFrames();
    this.#showAbout(prediction, model);
    this.#at("#share").hidden = !video;
    this.#root.hidden = false;
    this.#skeleton.show(prediction);
    this.#play(file);
  }

  #showTop({ known, top }) {
    this.#at(".top-title").textContent = known ? "Top five" : "Nearest actions, none of them recognised";
    this.#at(".top").replaceChildren(
      ...top.map(({ label, confidence }) => {
        const words = make("span", { dir: "auto" }, inWords(label));
        // A confidence says which of its actions the model would choose, and nothing about a video that shows none.
        if (!known) return make("li", {}, words);
        const fill = make("span", { className: "fill" });
        fill.style.width = `${100 * confidence}%`;
        return make(
          "li",
          {},
          make("div", { className: "line" }, words, make("span", { className: "share" }, percent(confidence))),
          make("div", { className: "track", "aria-hidden": "true" }, fill),
        );
      }),
    );
  }

  #showTimeline(prediction, video) {
    const duration = Math.max(prediction.video.duration_s, ...prediction.segments.map((segment) => segment.end_s), 0.1);
    drawTimeline(this.#at(".viewer .timeline"), this.#segments, duration, (segment, words, description) => {
      if (video) {
        const href = `https://youtu.be/${encodeURIComponent(video)}?t=${Math.floor(segment.start_s)}`;
        const name = `${description}. Opens YouTube in a new tab`;
        return make("a", { href, target: "_blank", rel: "noopener noreferrer", title: description, "aria-label": name }, words);
      }
      const button = make("button", { type: "button", title: description, "aria-label": description }, words);
      button.addEventListener("click", () => this.seek(segment.start_s));
      return button;
    });
    this.#at(".axis .start").textContent = clock(0, duration);
    this.#at(".axis .end").textContent = clock(duration, duration);
    this.#at(".legend").replaceChildren(
      ...[...colours(this.#segments)].map(([name, colour]) => {
        const item = make("li", { dir: "auto", className: name === UNKNOWN ? "nothing-known" : "" }, name);
        item.style.setProperty("--colour", colour);
        return item;
      }),
    );
  }

  #showFrames() {
    const group = this.#at(".frames");
    group.hidden = true;
    const drawn = typeof this.#shown.prediction.people === "number";
    this.#at("#frames-title").textContent = drawn ? "Skeletons from the video" : "Frames from the video";
    if (!this.#shown.job || this.#shown.prediction.video.width === 0) return;
    const duration = this.#shown.prediction.video.duration_s;
    const moment = duration / NUM_FRAMES;
    const items = Array.from({ length: NUM_FRAMES }, (_, number) => {
      const at = (number + 0.5) * moment;
      const picture = make("img", { src: this.#frame(number), alt: "", loading: "lazy" });
      const button = make("button", { type: "button", "aria-label": `Show ${clock(at, duration)}` }, picture, make("span", {}, clock(at, duration)));
      button.addEventListener("click", () => this.seek(at));
      const item = make("li", {}, button);
      // A stored result outlives its frames on the server, and a short video has fewer.
      item.hidden = true;
      picture.loading = "eager";
      picture.addEventListener("load", () => (item.hidden = group.hidden = false));
      return item;
    });
    group.querySelector("ul").replaceChildren(...items);
  }

  #frame(number) {
    return `jobs/${encodeURIComponent(this.#shown.job)}/frames/${number}.jpg`;
  }

  #showAbout({ model, timings_ms: took }, details) {
    const rows = [["Model", [model.name, model.version].filter(Boolean).join(" ")]];
    const { accuracy, accuracy_low: low, accuracy_high: high, chance } = details?.metrics ?? {};
    const { num_test_clips: clips, num_test_groups: groups } = details?.metrics ?? {};
    if (accuracy !== undefined) {
      const from = groups ? ` of ${groups} ${groups === 1 ? "group" : "groups"}` : "";
      rows.push(["Accuracy", `${percent(accuracy)} on ${clips ? `${clips} ` : ""}held-out clips${from}`]);
    }
    // A model that was registered before intervals were has none.
    if (low !== undefined) rows.push(["95% interval", `${percent(low)} to ${percent(high)}, for new groups`]);
    if (chance !== undefined) rows.push(["Chance level", percent(chance)]);
    if (details?.metrics.order_gain !== undefined) rows.push(["Order of frames", ofOrder(details.metrics)]);
    if (details?.protocol) rows.push(["Protocol", inWords(details.protocol)]);
    if (details?.labels) rows.push(["Classes", `${details.labels.length} actions`]);
    if (details) rows.push(["Other actions", details.can_reject ? "Reported as unknown" : "Not recognised as such: each video gets one of its actions"]);
    if (details?.dataset === "demo") rows.push(["Clips", "Drawn figures, not people"]);
    if (details?.trained_at) rows.push(["Trained", details.trained_at.slice(0, 10)]);
    const { people } = this.#shown.prediction;
    if (typeof people === "number") rows.push(["People", people > 1 ? `${people} at once; the largest is followed` : people ? "One" : "None found"]);
    rows.push(["Data", model.data_version.slice(0, 12)], ["Code", model.git_commit.replace(/^(.{12})[0-9a-f]*/, "$1")]);
    if (this.#shown.prediction.on_device) rows.push(["Recognised", "On this device; the video was not sent"]);
    rows.push(["Time taken", `${span(took.total)} (model ${span(took.model)})`]);
    this.#at(".about .model-card").hidden = !details?.card;
    this.#at(".about dl").replaceChildren(
      ...rows.flatMap(([term, fact]) => [make("dt", {}, term), make("dd", {}, fact || "not recorded")]),
    );
  }

  #play(file) {
    const player = this.#at("video");
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = file ? URL.createObjectURL(file) : null;
    this.#at(".now").hidden = true;
    this.#at(".still").hidden = true;
    player.hidden = !file;
    this.#at(".stage").hidden = false;
    if (file) {
      player.src = this.#url;
      this.#at(".viewer-hint").textContent = "Select a segment to jump to it.";
    } else {
      player.removeAttribute("src");
      this.#showStill(0);
    }
  }

  /** Without a player, shows the nearest frame instead. */
  #showStill(seconds) {
    const { prediction, job, video } = this.#shown ?? {};
    this.#at("video").hidden = true;
    const pictured = prediction?.video.width !== 0;
    const why = pictured ? "This browser cannot play this video." : "These are signals without a video.";
    this.#at(".viewer-hint").textContent = video ? "Select a segment to watch it on YouTube." : why;
    const still = this.#at(".still");
    if (this.#skeleton.drawn) {
      still.hidden = true;
      this.#skeleton.standIn(seconds);
      this.#mark(seconds);
      return;
    }
    if (!job || !pictured) {
      this.#at(".stage").hidden = true;
      return;
    }
    const number = Math.min(NUM_FRAMES - 1, Math.floor((seconds / prediction.video.duration_s) * NUM_FRAMES) || 0);
    still.onerror = () => (this.#at(".stage").hidden = true);
    still.src = this.#frame(number);
    still.alt = `The video at ${clock(seconds, prediction.video.duration_s)}`;
    still.hidden = false;
    this.#mark(seconds);
  }

  seek(seconds) {
    const player = this.#at("video");
    if (player.hidden) {
      this.#showStill(seconds);
    } else {
      player.currentTime = seconds;
      this.#mark(seconds);
    }
  }

  #mark(seconds) {
    const current = this.#segments.findIndex((segment) => segment.start_s <= seconds + 0.01 && seconds < segment.end_s);
    this.#root.querySelectorAll(".viewer .timeline .part").forEach((part, number) => {
      if (number === current) part.setAttribute("aria-current", "true");
      else part.removeAttribute("aria-current");
    });
    const now = this.#at(".now");
    now.hidden = current < 0;
    if (current >= 0) now.textContent = this.#segments[current].name;
  }
}

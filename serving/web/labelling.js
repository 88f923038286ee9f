// Correcting a result's timeline: drag boundaries, pick labels, split, while the video plays. Saved as feedback.

import { ask } from "./client.js";
import { clock, inWords, make } from "./result.js";
import { Segments } from "./segments.js";
import { Track } from "./track.js";

const NONE = "";
const OTHER = "another";
const MOST_KEYS = 9;
const LONGEST_LABEL = 200;
/** How the page calls what shows none of the actions. */
const NONE_WORDS = "None of these actions";

const sameVideo = ({ video: one }, { video: other }) =>
  one.title === other.title && Math.abs(one.duration_s - other.duration_s) < 0.01 && one.width === other.width && one.height === other.height;

/**
 * The editor in `root`. `player` is the page's video, `seek(seconds)` shows a moment even without one; `say(text)`
 * tells screen readers; `saved()` is called when the service has stored a timeline.
 */
export class Labelling {
  #root;
  #player;
  #calls;
  #track;
  #prediction = null;
  #segments = null;
  #labels = [];
  #now = 0;
  #saved = false;

  constructor(root, player, { seek, say, saved }) {
    this.#root = root;
    this.#player = player;
    this.#calls = { seek, say, saved };
    this.#track = new Track(this.#at(".strip"), {
      name: (label) => this.#name(label),
      place: (label) => this.#labels.indexOf(label),
      seek: (seconds) => this.#seek(seconds),
      drag: (place, seconds) => this.#moveTo(place, seconds),
      dragging: (begins) => (begins ? this.#segments.open() : this.#segments.close()),
    });
    this.#at(".open").addEventListener("click", () => this.#open());
    this.#at(".close").addEventListener("click", () => this.#close());
    this.#at(".save").addEventListener("click", () => this.#save());
    for (const [name, act] of Object.entries(this.#acts)) this.#at(`.${name}`).addEventListener("click", act);
    this.#at(".label").addEventListener("change", ({ target }) => this.#choose(target.value));
    this.#at(".other").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(this.#at(".other input").value.trim());
    });
    root.addEventListener("keydown", (event) => this.#onKey(event));
    // Firefox clicks a button when the space bar is released, whatever became of its pressing.
    root.addEventListener("keyup", (event) => event.key === " " && this.#track.holds(event.target) && event.preventDefault());
    for (const name of ["timeupdate", "seeked"]) player.addEventListener(name, () => this.#follow());
    for (const name of ["play", "pause"]) player.addEventListener(name, () => this.#onPlay());
    player.addEventListener("error", () => this.#draw());
  }

  #at(selector) {
    return this.#root.querySelector(selector);
  }

  /** Offers to correct this prediction; `labels` are the model's. */
  offer(prediction, labels) {
    // Labelling may take longer than the service keeps a video: sent again, it has its corrections again.
    const again = this.#segments?.canUndo && !this.#saved && sameVideo(this.#prediction, prediction);
    const named = again ? this.#segments.parts.map(({ label }) => label).filter((label) => label !== null) : [];
    this.#prediction = prediction;
    const used = prediction.segments.filter(({ known }) => known && prediction.known).map(({ label }) => label);
    const top = prediction.top.map(({ label }) => label);
    // Keys go to those that are likely here; the others follow by name.
    this.#labels = [...new Set([...used, ...top, ...[...labels].sort(), ...named])];
    this.#at(".label").replaceChildren();
    if (!again) this.#segments = null;
    this.#saved = false;
    this.#now = 0;
    this.#at(".hint").textContent = again ? "Your corrections of this video are here again. Save them now." : "";
    this.#close(false);
    this.#root.hidden = prediction.segments.length === 0;
  }

  get #acts() {
    return {
      play: () => this.#togglePlay(),
      split: () => this.#did(this.#segments.split(this.#now), () => `Split at ${this.#time(this.#now)}`),
      none: () => this.#pick(null),
      remove: () => this.#remove(),
      undo: () => this.#did(this.#segments.undo(), () => "Undone"),
      redo: () => this.#did(this.#segments.redo(), () => "Redone"),
    };
  }

  #open() {
    this.#segments ??= this.#begin();
    this.#show(true);
    this.#draw();
    this.#onPlay(); // the video may have been played before
    this.#track.focus(this.#segments.at(this.#now));
  }

  #begin() {
    const { known, segments, video } = this.#prediction;
    const duration = Math.max(video.duration_s, segments.at(-1).end_s);
    const parts = segments.map((each) => ({ start: each.start_s, end: each.end_s, label: known && each.known ? each.label : null }));
    // The answer's segments follow each other; the last one may end a moment before the video.
    parts.at(-1).end = duration;
    return new Segments(parts, duration, video.fps);
  }

  #close(focus = true) {
    this.#show(false);
    if (focus) this.#at(".open").focus();
  }

  #show(editing) {
    this.#at(".editor").hidden = !editing;
    this.#at(".open").hidden = editing;
    this.#at(".other").hidden = true;
    this.#root.closest(".viewer").classList.toggle("editing", editing);
  }

  get #playing() {
    return !this.#player.hidden && !this.#player.paused;
  }

  #togglePlay() {
    if (this.#player.hidden) return;
    if (this.#player.paused) this.#player.play().catch(() => {});
    else this.#player.pause();
  }

  #onPlay() {
    this.#at(".play").textContent = this.#playing ? "Pause" : "Play";
    const step = () => {
      this.#follow();
      if (this.#playing && !this.#at(".editor").hidden) requestAnimationFrame(step);
    };
    step();
  }

  /** Follows the player, also where its own controls were used. */
  #follow() {
    if (!this.#segments || this.#player.hidden || this.#player.seeking) return;
    const seconds = this.#player.currentTime;
    // A player stands within a frame; the moment that was asked for is its beginning.
    if (!this.#playing && Math.abs(seconds - this.#now) < this.#segments.frame) return;
    this.#now = Math.min(seconds, this.#segments.duration);
    this.#draw();
  }

  #seek(seconds) {
    this.#now = this.#segments.snap(Math.min(seconds, this.#segments.duration - this.#segments.frame));
    // A little later than the frame's first moment, which rounding could put before it.
    this.#calls.seek(this.#now + this.#segments.frame / 4);
    this.#draw();
  }

  /** Of the part at the playhead; while the video plays, from the playhead on. */
  #pick(label) {
    const changed = this.#playing ? this.#segments.begin(this.#now, label) : this.#segments.label(this.#segments.at(this.#now), label);
    this.#did(changed, () => `${this.#name(label)}${this.#playing ? ` from ${this.#time(this.#now)} on` : ""}`);
  }

  #remove() {
    const place = this.#segments.at(this.#now);
    this.#did(this.#segments.remove(place), () => `Segment removed, now ${this.#name(this.#segments.parts[this.#segments.at(this.#now)].label)}`);
  }

  #did(changed, words) {
    if (!changed) return;
    this.#saved = false;
    this.#draw();
    this.#calls.say(words());
  }

  #choose(value) {
    this.#at(".other").hidden = value !== OTHER;
    if (value === OTHER) this.#at(".other input").focus();
    // A choice from the list means the whole part, also while the video plays.
    else this.#did(this.#segments.label(this.#segments.at(this.#now), value === NONE ? null : this.#labels[Number(value)]), () => "Label changed");
  }

  #add(label) {
    if (!label || label.length > LONGEST_LABEL) return;
    if (!this.#labels.includes(label)) this.#labels.push(label);
    this.#at(".other").hidden = true;
    this.#at(".other input").value = "";
    this.#pick(label);
    this.#track.focus(this.#segments.at(this.#now));
  }

  #name(label) {
    return label === null ? NONE_WORDS : inWords(label);
  }

  #time(seconds) {
    return clock(seconds, 0); // with tenths, whatever the video's length
  }

  #draw() {
    if (!this.#segments || this.#at(".editor").hidden) return;
    const { parts, duration } = this.#segments;
    const place = this.#segments.at(this.#now);
    this.#track.draw(parts, duration, this.#now, place, (seconds) => this.#time(seconds));
    const { start, end, label } = parts[place];
    this.#at(".where").textContent = `${this.#time(this.#now)} of ${this.#time(duration)}. This segment: ${this.#time(start)} to ${this.#time(end)}`;
    this.#fillLabels(label);
    this.#at(".play").disabled = this.#player.hidden;
    this.#at(".remove").disabled = parts.length === 1;
    this.#at(".undo").disabled = !this.#segments.canUndo;
    this.#at(".redo").disabled = !this.#segments.canRedo;
  }

  #fillLabels(label) {
    const select = this.#at(".label");
    if (select.options.length !== this.#labels.length + 2) {
      const options = this.#labels.map((each, place) => {
        const key = place < MOST_KEYS ? `${place + 1}: ` : "";
        return make("option", { value: String(place) }, key + inWords(each));
      });
      select.replaceChildren(make("option", { value: NONE }, `N: ${NONE_WORDS}`), ...options, make("option", { value: OTHER }, "Another action…"));
    }
    if (this.#at(".other").hidden) select.value = label === null ? NONE : String(this.#labels.indexOf(label));
  }

  #onKey(event) {
    if (this.#at(".editor").hidden || event.altKey || event.target.matches("select, input, summary")) return;
    const act = this.#keyed(event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** What a key does here, if anything. */
  #keyed({ key, shiftKey, ctrlKey, metaKey, target }) {
    const acts = this.#acts;
    if (ctrlKey || metaKey) {
      if (key.toLowerCase() === "z") return shiftKey ? acts.redo : acts.undo;
      return key.toLowerCase() === "y" ? acts.redo : null;
    }
    const step = (key === "ArrowLeft" || key === "ArrowDown" ? -1 : 1) * (shiftKey ? 1 : this.#segments.frame);
    const boundary = this.#track.boundary(target);
    if (key.startsWith("Arrow")) {
      if (boundary === null) return () => this.#seek(this.#now + step);
      return () => this.#moveTo(boundary, this.#segments.parts[boundary].end + step);
    }
    if (/^[1-9]$/.test(key) && this.#labels.length >= Number(key)) return () => this.#pick(this.#labels[Number(key) - 1]);
    const place = this.#segments.at(this.#now);
    // On a button of the tools, the space bar is that button's.
    if (key === " ") return this.#track.holds(target) ? acts.play : null;
    return {
      k: acts.play, s: acts.split, n: acts.none, 0: acts.none, z: acts.undo, y: acts.redo, delete: acts.remove, backspace: acts.remove,
      i: () => place > 0 && this.#moveTo(place - 1, this.#now),
      o: () => this.#moveTo(place, this.#now),
      ",": () => this.#seek(this.#segments.parts[Math.max(0, place - 1)].start),
      ".": () => place + 1 < this.#segments.parts.length && this.#seek(this.#segments.parts[place + 1].start),
    }[key.toLowerCase()];
  }

  #moveTo(boundary, seconds) {
    if (!this.#segments.move(boundary, seconds)) return;
    this.#saved = false;
    this.#seek(this.#segments.parts[boundary].end);
  }

  async #save() {
    const hint = this.#at(".hint");
    try {
      const stored = await ask("feedback/segments", "POST", {
        prediction_id: this.#prediction.prediction_id,
        segments: this.#segments.parts.map(({ start, end, label }) => ({ start_s: start, end_s: end, label })),
        share_video: this.#at(".share").checked,
      });
      hint.textContent = `Thank you. The timeline is stored${stored.video_kept ? " with the video, for the next training" : "; the video is not kept"}.`;
      this.#saved = true;
      this.#close();
      this.#calls.saved();
    } catch (problem) {
      hint.textContent = `${problem.message} ${problem.nextStep}`;
    }
  }
}

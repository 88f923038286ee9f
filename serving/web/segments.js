// The parts of a video while they are corrected: without gaps, from 0 to its end, each with a label or none. No DOM.

export class Segments {
  #parts;
  #undone = [];
  #done = [];
  #open = false;

  /** `parts` are [{start, end, label}] in order and without gaps; label null means none of the actions. */
  constructor(parts, duration, fps) {
    this.duration = duration;
    this.frame = 1 / (fps > 0 ? fps : 25);
    this.#parts = parts.map((part) => ({ ...part }));
  }

  get parts() {
    return this.#parts;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** The nearest time at which a frame begins. */
  snap(seconds) {
    return Math.min(this.duration, Math.max(0, Math.round(seconds / this.frame) * this.frame));
  }

  /** The place of the part that a moment lies in. */
  at(seconds) {
    const place = this.#parts.findIndex((part) => seconds < part.end - this.frame / 4);
    return place < 0 ? this.#parts.length - 1 : place;
  }

  /** Moves the end of part `place`, and with it the start of the next; each keeps a frame. False if it stays. */
  move(place, seconds) {
    const [before, after] = [this.#parts[place], this.#parts[place + 1]];
    if (!after) return false;
    const low = before.start + this.frame;
    const high = after.end - this.frame;
    const end = Math.max(low, Math.min(high, this.snap(seconds)));
    if (low > high || Math.abs(end - before.end) < this.frame / 4) return false;
    this.#remember();
    this.#replace(place, 2, { ...before, end }, { ...after, start: end });
    return true;
  }

  /** Splits the part at a moment in two of its label. False if one of them would be shorter than a frame. */
  split(seconds) {
    return this.begin(seconds, this.#parts[this.at(seconds)].label, true);
  }

  /** From this moment to the end of its part, it is another action. False if nothing changes. */
  begin(seconds, label, even = false) {
    const place = this.at(seconds);
    const part = this.#parts[place];
    const cut = this.snap(seconds);
    if (!even && part.label === label) return false;
    if (part.end - cut < this.frame / 2) return false;
    if (cut - part.start < this.frame / 2) return even ? false : this.label(place, label);
    this.#remember();
    this.#replace(place, 1, { ...part, end: cut }, { ...part, start: cut, label });
    return true;
  }

  label(place, label) {
    if (this.#parts[place].label === label) return false;
    this.#remember();
    this.#replace(place, 1, { ...this.#parts[place], label });
    return true;
  }

  /** Gives a part's time to the one before it, or else to the one after. */
  remove(place) {
    if (this.#parts.length === 1) return false;
    const other = place > 0 ? place - 1 : 1;
    const [first, last] = [Math.min(place, other), Math.max(place, other)];
    this.#remember();
    this.#replace(first, 2, { start: this.#parts[first].start, end: this.#parts[last].end, label: this.#parts[other].label });
    return true;
  }

  /** Until `close`, all changes are one step for undo: what a hand does while it drags. */
  open() {
    this.close();
    this.#open = true;
  }

  close() {
    this.#open = false;
  }

  undo() {
    return this.#swap(this.#done, this.#undone);
  }

  redo() {
    return this.#swap(this.#undone, this.#done);
  }

  #swap(from, to) {
    const parts = from.pop();
    if (!parts) return false;
    this.close();
    to.push(this.#parts);
    this.#parts = parts;
    return true;
  }

  #remember() {
    if (this.#open === "changed") return;
    if (this.#open) this.#open = "changed";
    this.#done.push(this.#parts);
    this.#undone = [];
  }

  /** Not in place: undo keeps the arrays of before. */
  #replace(place, count, ...parts) {
    this.#parts = this.#parts.toSpliced(place, count, ...parts);
  }
}

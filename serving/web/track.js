// The bar of segments while they are corrected: a button for each, a slider for each boundary, and the playhead.

import { make } from "./result.js";

const NUM_COLOURS = 8;

/**
 * Draws segments into `root`. `calls` has `name(label)` and `place(label)` for words and colour, `seek(seconds)`,
 * `drag(boundary, seconds)` while a boundary is dragged, and `dragging(begins)` before and after.
 */
export class Track {
  #root;
  #calls;
  #parts = [];
  #boundaries = [];
  #head = make("div", { className: "head", "aria-hidden": "true" });
  #duration = 1;

  constructor(root, calls) {
    this.#root = root;
    this.#calls = calls;
    root.append(this.#head);
  }

  /** Elements stay where they can: one that has the focus, or is dragged, must not be replaced. */
  draw(parts, duration, now, current, time) {
    this.#duration = duration;
    this.#fit(this.#parts, parts.length, () => this.#newPart());
    this.#fit(this.#boundaries, parts.length - 1, () => this.#newBoundary());
    parts.forEach(({ start, end, label }, place) => {
      const element = this.#parts[place];
      const name = this.#calls.name(label);
      element.style.insetInlineStart = this.#share(start);
      element.style.width = `calc(${this.#share(end - start)} - 2px)`;
      element.style.setProperty("--colour", `var(--action-${Math.max(0, this.#calls.place(label)) % NUM_COLOURS})`);
      element.classList.toggle("nothing-known", label === null);
      element.setAttribute("aria-label", `${name}, ${time(start)} to ${time(end)}`);
      if (place === current) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
      element.firstChild.textContent = name;
    });
    this.#boundaries.forEach((element, place) => {
      const [before, after] = [parts[place], parts[place + 1]];
      element.style.insetInlineStart = this.#share(before.end);
      element.setAttribute("aria-label", `Boundary between ${this.#calls.name(before.label)} and ${this.#calls.name(after.label)}`);
      element.setAttribute("aria-valuemin", before.start.toFixed(2));
      element.setAttribute("aria-valuemax", after.end.toFixed(2));
      element.setAttribute("aria-valuenow", before.end.toFixed(2));
      element.setAttribute("aria-valuetext", time(before.end));
    });
    this.#head.style.insetInlineStart = this.#share(now);
  }

  focus(place) {
    this.#parts[place]?.focus();
  }

  /** The boundary that an element is, or null. */
  boundary(element) {
    const place = this.#boundaries.indexOf(element);
    return place < 0 ? null : place;
  }

  holds(element) {
    return this.#root.contains(element);
  }

  #share(seconds) {
    return `${(100 * seconds) / this.#duration}%`;
  }

  /** Elements are added and removed at the end, each kind before the next, so that Tab goes through them in order. */
  #fit(elements, count, add) {
    while (elements.length > Math.max(0, count)) elements.pop().remove();
    while (elements.length < count) elements.push(add());
  }

  #newPart() {
    const element = make("button", { type: "button", className: "part" }, make("span", { className: "words", dir: "auto" }));
    // To where it was clicked; with the keyboard, to its start.
    element.addEventListener("click", (event) => this.#calls.seek(event.detail ? this.#moment(event) : this.#startOf(element)));
    (this.#boundaries[0] ?? this.#head).before(element);
    return element;
  }

  #startOf(element) {
    return (parseFloat(element.style.insetInlineStart) / 100) * this.#duration;
  }

  #newBoundary() {
    const element = make("div", { className: "boundary", role: "slider", tabindex: "0" });
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.focus();
      element.setPointerCapture(event.pointerId);
      this.#calls.dragging(true);
    });
    element.addEventListener("pointermove", (event) => {
      if (element.hasPointerCapture(event.pointerId)) this.#calls.drag(this.boundary(element), this.#moment(event));
    });
    element.addEventListener("lostpointercapture", () => this.#calls.dragging(false));
    this.#head.before(element);
    return element;
  }

  /** The moment below a pointer. */
  #moment({ clientX }) {
    const { left, width } = this.#root.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width)) * this.#duration;
  }
}

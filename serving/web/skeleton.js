// The largest person's skeleton, over the playing video; where this browser has no video, on plain ground and moving.

// BlazePose's numbers: the left limbs, the right ones (each number is one higher), the trunk, and the face.
const LEFT = [[11, 13], [13, 15], [15, 17], [15, 19], [17, 19], [23, 25], [25, 27], [27, 29], [29, 31], [27, 31]];
const RIGHT = LEFT.map(([start, end]) => [start + 1, end + 1]);
const TRUNK = [[11, 12], [12, 24], [24, 23], [23, 11]];
const FACE = [[8, 5], [5, 0], [0, 2], [2, 7], [9, 10]];
const GROUND = "#16191b";
const COLOURS = [[TRUNK, "#9fb0ff"], [FACE, "#eef0ef"], [LEFT, "#5cc9bb"], [RIGHT, "#f0a26c"]];
/** What is less likely to be visible is pale. */
const SURE = 0.5;

/**
 * Where the landmarks are at a moment: [[x, y, visible], …], on a straight line between the two sampled frames; null if
 * there is no person. Where one is in one of the two frames only, they are there until half way.
 */
export function poseAt(poses, seconds) {
  const after = poses.findIndex(({ at_s: at }) => at > seconds);
  const second = poses[after < 0 ? poses.length - 1 : after];
  const first = poses[Math.max(0, after < 0 ? poses.length - 1 : after - 1)];
  const gap = second.at_s - first.at_s;
  const share = gap > 0 ? Math.min(1, Math.max(0, (seconds - first.at_s) / gap)) : 0;
  const [from, to] = [first.landmarks, second.landmarks];
  if (from.length && to.length) return from.map((mark, each) => mark.map((value, axis) => (1 - share) * value + share * to[each][axis]));
  const nearest = share < 0.5 ? from : to;
  return nearest.length ? nearest : null;
}

/** Draws into the canvas of `root`; `player` is the page's video, `moved(seconds)` is called where none plays. */
export class Skeleton {
  #canvas;
  #player;
  #tools;
  #box;
  #button;
  #moved;
  #poses = null;
  #video = null;
  #seconds = 0;
  #alone = false;
  #frame = 0;

  constructor(root, player, moved) {
    [this.#canvas, this.#tools] = [root.querySelector(".skeleton"), root.querySelector(".draw-skeleton")];
    [this.#box, this.#button] = [this.#tools.querySelector("input"), this.#tools.querySelector("button")];
    [this.#player, this.#moved] = [player, moved];
    this.#box.addEventListener("change", () => this.#draw());
    this.#button.addEventListener("click", () => (this.#frame ? this.#stop() : this.#play()));
    new ResizeObserver(() => this.#draw()).observe(this.#canvas.parentElement);
    this.#follow();
  }

  /** Whether somebody was found in the video on the page. */
  get drawn() {
    return this.#poses !== null;
  }

  /** Takes a prediction; one of a model that sees no landmarks, or that found nobody, is not drawn. */
  show({ poses, video }) {
    this.#stop();
    this.#poses = poses?.some(({ landmarks }) => landmarks.length) ? poses : null;
    this.#video = video;
    this.#seconds = 0;
    this.#alone = false;
    this.#offer();
  }

  /** There is no video to draw over: the skeleton stands for it, at this moment. */
  standIn(seconds) {
    this.#stop();
    this.#alone = true;
    this.#seconds = seconds;
    this.#offer();
  }

  hide() {
    this.#stop();
  }

  #offer() {
    this.#canvas.hidden = this.#tools.hidden = !this.drawn;
    this.#box.parentElement.hidden = this.#alone;
    this.#button.hidden = !this.#alone;
    this.#draw();
  }

  /** Draws with each frame that the player shows, while it plays and when it is sought in. */
  #follow() {
    const show = (seconds) => {
      if (this.#alone) return;
      this.#seconds = seconds;
      this.#draw();
    };
    for (const name of ["timeupdate", "seeked", "loadeddata"]) this.#player.addEventListener(name, () => show(this.#player.currentTime));
    if (!this.#player.requestVideoFrameCallback) return;
    const each = (_, { mediaTime }) => {
      show(mediaTime);
      this.#player.requestVideoFrameCallback(each);
    };
    this.#player.requestVideoFrameCallback(each);
  }

  #play() {
    const last = this.#video.duration_s;
    const began = performance.now() - 1000 * (this.#seconds < last ? this.#seconds : 0);
    const step = (now) => {
      this.#seconds = Math.min(last, Math.max(0, now - began) / 1000);
      this.#moved(this.#seconds);
      this.#draw();
      if (this.#seconds < last) this.#frame = requestAnimationFrame(step);
      else this.#stop();
    };
    this.#frame = requestAnimationFrame(step);
    this.#button.textContent = "Pause the skeleton";
  }

  #stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#button.textContent = "Play the skeleton";
  }

  #draw() {
    if (!this.drawn || this.#canvas.hidden) return;
    const { width, height } = this.#canvas.getBoundingClientRect();
    const dots = devicePixelRatio;
    this.#canvas.width = Math.round(width * dots);
    this.#canvas.height = Math.round(height * dots);
    const pen = this.#canvas.getContext("2d");
    pen.scale(dots, dots);
    if (this.#alone) {
      pen.fillStyle = GROUND;
      pen.fillRect(0, 0, width, height);
    } else if (!this.#box.checked) return;
    const marks = poseAt(this.#poses, this.#seconds);
    if (marks) drawPerson(pen, marks, this.#fit(width, height));
  }

  /** From pixels of the video to the canvas: the video lies in its middle, as large as it can be. */
  #fit(width, height) {
    const shown = !this.#alone && this.#player.videoWidth;
    const [w, h] = shown ? [this.#player.videoWidth, this.#player.videoHeight] : [this.#video.width, this.#video.height];
    const scale = Math.min(width / w, height / h);
    const [x, y] = [(scale * w) / this.#video.width, (scale * h) / this.#video.height];
    const [left, top] = [(width - scale * w) / 2, (height - scale * h) / 2];
    return ([markX, markY]) => [left + x * markX, top + y * markY];
  }
}

function drawPerson(pen, marks, place) {
  const places = marks.map(place);
  const trunk = Math.hypot(places[11][0] - places[24][0], places[11][1] - places[24][1]);
  const thickness = Math.max(2, trunk / 14);
  pen.lineCap = "round";
  for (const [lines, colour] of COLOURS) {
    for (const [start, end] of lines) {
      pen.globalAlpha = Math.min(marks[start][2], marks[end][2]) < SURE ? 0.35 : 1;
      // A dark rim, so that it is seen on any ground.
      for (const [style, width] of [[GROUND, thickness + 2], [colour, thickness]]) {
        pen.strokeStyle = style;
        pen.lineWidth = width;
        pen.beginPath();
        pen.moveTo(...places[start]);
        pen.lineTo(...places[end]);
        pen.stroke();
      }
    }
  }
  pen.globalAlpha = 1;
}

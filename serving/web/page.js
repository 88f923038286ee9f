// The page: sends videos, shows progress and results, and keeps recent results in this browser.

import { offerCamera } from "./camera_panel.js";
import { ask, Job, Problem } from "./client.js";
import { offerDevice } from "./device/offer.js";
import { Labelling } from "./labelling.js";
import { clock, drawPartial, inWords, limits, make, Result, UNKNOWN } from "./result.js";
import { offerTeaching } from "./teach.js";

const STAGES = {
  queued: "Waiting in the queue",
  load: "Loading the model onto this device",
  upload: "Uploading the video",
  download: "Downloading the video from YouTube",
  decode: "Decoding the frames",
  model: "Recognising the action",
};
// Problems that may be gone when the same request is sent again.
const TEMPORARY = new Set(["busy", "rate_limited", "too_slow", "no_network", "timeout", "bot_check", "failed", "internal", "interrupted", "lost", "no_key", "no_camera_here", "session_over", "unknown"]);
const MEMORY = "actreel.recent";
const MAX_REMEMBERED = 8;
const MOST_LISTED = 12;
const SIGNAL_NAME = /\.(csv|npz)$/i;
const YOUTUBE_ID = /^[\w-]{11}$/;

const at = (selector) => document.querySelector(selector);
const result = new Result(at("#result"));
const model = ask("model").catch(() => null);
let job = null;
let repeat = null;
let camera = null;
let device = null;

const say = (text) => (at("#status").textContent = text);

// Sending

function start(send, file = null, create = (callbacks) => new Job(callbacks)) {
  job?.cancel();
  camera?.stop();
  repeat = () => start(send, file, create);
  const mine = (job = create({
    progress: showProgress,
    segments: showPartial,
    done: async (prediction) => finish({ prediction, job: mine.id, video: mine.video, file }, await model),
    failed: showProblem,
    cancelled: () => {
      at("#progress").hidden = true;
      say("Cancelled.");
      at("#link").focus();
    },
  }));
  at("#problem").hidden = true;
  at("#link-hint").textContent = "";
  at("#progress .partial").replaceChildren();
  result.hide();
  at("#progress").hidden = false;
  at("#cancel").focus();
  at("#progress").scrollIntoView({ block: "nearest" });
  send(mine);
}

const startLink = (link) => start((mine) => mine.sendLink(link));
// What is to stay on this device is never sent, whatever happens.
const startFile = (file) => {
  const signal = takeSignal();
  return device?.chosen
    ? start((mine) => mine.look(file), file, (callbacks) => device.job(callbacks))
    : start((mine) => mine.sendFile(file, signal), file);
};

function showProgress(stage, fraction) {
  const words = STAGES[stage] ?? stage;
  const what = at("#progress .what");
  if (!what.textContent.startsWith(words)) say(`${words}.`);
  what.textContent = fraction === null ? `${words}…` : `${words}: ${Math.round(100 * fraction)}%`;
  const bar = at("#progress progress");
  if (fraction === null) bar.removeAttribute("value");
  else bar.value = fraction;
}

const showPartial = (segments) => drawPartial(at("#progress .partial"), segments);

function showProblem(problem) {
  at("#progress").hidden = true;
  at("#problem .message").textContent = problem.message;
  at("#problem .next-step").textContent = problem.nextStep;
  at("#try-again").hidden = !repeat || !TEMPORARY.has(problem.code);
  at("#problem").hidden = false;
  at("#problem").focus();
  say(`Something went wrong: ${problem.message} ${problem.nextStep}`);
}

function finish(shown, details) {
  at("#progress").hidden = true;
  show(shown, details);
  remember(shown);
}

function show(shown, details) {
  const { prediction, video } = shown;
  result.show(shown, details);
  const labels = details?.labels ?? prediction.top.map(({ label }) => label);
  prepareFeedback(labels);
  labelling.offer(prediction, labels);
  // The service does not know of what was recognised on this device.
  // And a timeline is corrected beside a video, which signals alone have not.
  const pictured = prediction.video.width !== 0;
  if (prediction.on_device || !pictured) at("#labelling").hidden = true;
  feedback.elements.share.closest("p").hidden = !pictured;
  feedback.hidden = Boolean(prediction.on_device);
  history.replaceState(null, "", video ? `?v=${video}` : location.pathname);
  const answer = at("#answer");
  answer.focus({ preventScroll: true });
  at("#result").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  say(`${answer.textContent}. ${at("#result .confidence").textContent}`);
}

at("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const link = at("#link").value.trim();
  if (link) startLink(link);
  else {
    at("#link-hint").textContent = "Paste a YouTube link first, or choose a video below.";
    at("#link").focus();
  }
});
at("#cancel").addEventListener("click", () => job?.cancel());
at("#try-again").addEventListener("click", () => repeat?.());
for (const opener of ["#choose", "#upload-instead"]) at(opener).addEventListener("click", () => at("#file").click());
at("#file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) startFile(file);
  target.value = ""; // or choosing the same file again would not be a change
});

// Dropping, anywhere on the page

const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (!at("#with-signal").hidden && SIGNAL_NAME.test(file?.name)) chooseSignal(event.dataTransfer.files);
  else if (file) startFile(file);
});

// Signals of sensors, for a model that takes them

async function offerSignals() {
  const details = await model;
  if (!details || details.takes === "video") return;
  const alone = details.takes === "signal";
  at("#signal-hint").textContent = alone
    ? "A .csv or .npz file. It is enough by itself; a video may come with it."
    : "A .csv or .npz file. Choose it first, then the video.";
  at("#signal").addEventListener("change", () => (at("#send-signal").hidden = !alone || !at("#signal").files.length));
  at("#send-signal").addEventListener("click", () => {
    const signal = takeSignal();
    start((mine) => mine.sendFile(null, signal));
  });
  at("#with-signal").hidden = false;
}

/** The chosen signals, which are then no longer chosen: the next video has others. */
function takeSignal() {
  const [signal] = at("#signal").files;
  at("#signal").value = "";
  at("#send-signal").hidden = true;
  return signal ?? null;
}

function chooseSignal(files) {
  at("#signal").files = files;
  at("#signal").dispatchEvent(new Event("change"));
  say(`${files[0].name} is chosen.`);
}

// Samples

async function offerSamples() {
  const samples = await ask("samples").catch(() => []);
  at("#samples ul").replaceChildren(
    ...samples.map(({ name, label }) => {
      const button = make("button", { type: "button" }, inWords(label));
      button.addEventListener("click", async () => {
        try {
          const response = await fetch(`samples/${encodeURIComponent(name)}`);
          if (!response.ok) throw await Problem.of(response);
          const video = await response.blob();
          startFile(new File([video], `Sample: ${inWords(label)}`, { type: video.type }));
        } catch (problem) {
          showProblem(problem instanceof Problem ? problem : Problem.lost);
        }
      });
      return make("li", {}, button);
    }),
  );
  at("#samples").hidden = samples.length === 0;
}

// What the model knows

async function tellScope() {
  const details = await model;
  if (!details) return;
  at("#scope summary").textContent = `The ${details.labels.length} actions that this model knows`;
  at("#scope ul").replaceChildren(...[...details.labels].sort().map((label) => make("li", { dir: "auto" }, inWords(label))));
  at("#scope details").open = details.labels.length <= MOST_LISTED;
  at("#scope .limits").textContent = limits(details).join(" ");
  at("#scope").hidden = false;
}

// Copying and sharing

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copying is blocked";
  }
  say(button.textContent);
  setTimeout(() => (button.textContent = label), 2000);
}
at("#copy").addEventListener("click", ({ target }) => copy(target, JSON.stringify(result.shown.prediction, null, 2)));
at("#share").addEventListener("click", ({ target }) => copy(target, `${location.origin}${location.pathname}?v=${result.shown.video}`));

// Feedback

const feedback = at("#feedback");

function prepareFeedback(labels) {
  feedback.reset();
  feedback.querySelector("fieldset").hidden = false;
  feedback.querySelector(".more").hidden = true;
  feedback.querySelector(".hint").textContent = "";
  const options = [...labels].sort().map((label) => make("option", { value: label }, inWords(label)));
  at("#right-label").replaceChildren(make("option", { value: "" }, "Another action"), ...options);
}
feedback.addEventListener("change", () => {
  const answer = feedback.elements.correct.value;
  feedback.querySelector(".more").hidden = !answer;
  feedback.querySelector(".right-label").hidden = answer !== "no";
});
feedback.addEventListener("submit", async (event) => {
  event.preventDefault();
  const hint = feedback.querySelector(".hint");
  const correct = feedback.elements.correct.value === "yes";
  try {
    await ask("feedback", "POST", {
      prediction_id: result.shown.prediction.prediction_id,
      correct,
      label: correct ? null : feedback.elements.label.value || null,
      share_video: feedback.elements.share.checked,
    });
    feedback.querySelector("fieldset").hidden = true;
    hint.textContent = "Thank you. Your feedback is stored for the next training.";
    hint.tabIndex = -1;
    hint.focus();
  } catch (problem) {
    hint.textContent = `${problem.message} ${problem.nextStep}`;
  }
});

const labelling = new Labelling(at("#labelling"), at("#result video"), {
  say,
  seek: (seconds) => result.seek(seconds),
  saved: () => (feedback.querySelector("fieldset").hidden = true), // it would replace the timeline
});

// Recent results, in this browser only

function recall() {
  try {
    const remembered = JSON.parse(localStorage.getItem(MEMORY) ?? "[]");
    return Array.isArray(remembered) ? remembered.filter((entry) => entry?.prediction?.video && entry.prediction.label) : [];
  } catch {
    return [];
  }
}

function remember({ prediction: { poses, ...prediction }, job, video }) { // poses would fill the browser's memory
  const others = recall().filter((entry) => entry.prediction.prediction_id !== prediction.prediction_id);
  try {
    localStorage.setItem(MEMORY, JSON.stringify([{ prediction, job, video }, ...others].slice(0, MAX_REMEMBERED)));
  } catch {
    // Private windows may refuse to store it; the result is shown anyway.
  }
  listRecent();
}

function listRecent() {
  const entries = recall();
  at("#recent").hidden = entries.length === 0;
  at("#recent ul").replaceChildren(
    ...entries.map((entry) => {
      const { prediction } = entry;
      const label = prediction.known ? inWords(prediction.label) : UNKNOWN;
      const title = `${prediction.video.title || "A video"}, ${clock(prediction.video.duration_s, prediction.video.duration_s)}`;
      const button = make(
        "button",
        { type: "button" },
        make("span", { className: "label" }, label),
        make("span", { className: "title" }, title),
      );
      button.addEventListener("click", async () => {
        job?.cancel();
        camera?.stop();
        at("#problem").hidden = true;
        show({ ...entry, file: null }, await model);
      });
      return make("li", {}, button);
    }),
  );
}
at("#forget").addEventListener("click", () => {
  localStorage.removeItem(MEMORY);
  listRecent();
  say("List cleared.");
  at("#link").focus();
});

// The camera

offerCamera({
  say,
  clear() {
    job?.cancel();
    at("#problem").hidden = true;
    result.hide();
  },
  /** This device, if frames are to stay on it; else null. */
  device: () => (device?.chosen ? device : null),
  showProblem(problem, again) {
    repeat = again;
    showProblem(problem);
  },
}).then((panel) => (camera = panel));
offerDevice(() => camera?.stop("The camera was stopped, as you changed where its frames go.")).then((offered) => (device = offered));

offerTeaching({
  say,
  clear() {
    job?.cancel();
    camera?.stop();
  },
});

listRecent();
offerSamples();
offerSignals();
tellScope();
const shared = new URLSearchParams(location.search).get("v");
if (shared && YOUTUBE_ID.test(shared)) {
  at("#link").value = `https://youtu.be/${shared}`;
  startLink(at("#link").value);
}

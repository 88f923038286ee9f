// Teaching: recordings by visitors, and for the operator what was marked, a draft of it, and its promotion.

import { ask, Job } from "./client.js";
import { fitsHeader } from "./key.js";
import { Recorder } from "./recorder.js";
import { inWords, make } from "./result.js";

const STAGES = { queued: "Waiting in the queue", lesson: "Cutting the clips", teach: "Teaching the new last layer" };
const NONE = "_unknown";

const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** Offers teaching where the service does. `page` has `say(text)` and `clear()`, which ends what else the page does. */
export async function offerTeaching(page) {
  const offered = await ask("teach").catch(() => null);
  if (!offered) return;
  const root = document.querySelector("#teach");
  root.hidden = false;
  new Recorder(root.querySelector(".record"), offered.record_s, page);
  new Operator(root.querySelector(".operator"), page);
}

/** The operator's part. The key is kept in this object, and nowhere else. */
class Operator {
  #root;
  #page;
  #key = "";
  #job = null;

  constructor(root, page) {
    this.#root = root;
    this.#page = page;
    this.#on(".unlock", "submit", () => this.#unlock());
    this.#on(".lesson", "submit", () => this.#teach());
    this.#on(".promote", "submit", () => this.#promote());
    this.#on(".again", "click", () => this.#look());
    this.#on(".lock", "click", () => this.#lock("The key is forgotten."));
    this.#on(".cancel", "click", () => this.#job?.cancel());
    this.#on(".lesson", "change", () => this.#count());
  }

  #at(selector) {
    return this.#root.querySelector(selector);
  }

  #on(selector, name, act) {
    this.#at(selector).addEventListener(name, (event) => {
      if (name === "submit") event.preventDefault();
      act();
    });
  }

  #say(text) {
    this.#at(".said").textContent = text;
  }

  #unlock() {
    const field = this.#at("#operator-key");
    this.#key = field.value;
    field.value = "";
    if (fitsHeader(this.#key)) this.#look();
    else this.#lock("This key is not valid.");
  }

  #lock(why) {
    this.#key = "";
    for (const part of [".lesson", ".draft"]) this.#at(part).hidden = true;
    this.#at(".unlock").hidden = false;
    this.#at("#operator-key").focus();
    this.#say(why);
  }

  /** Shows a problem; of a wrong key, it asks for another. */
  #tell(problem) {
    if (problem.code === "no_key") this.#lock("This key is not valid.");
    else this.#say(`${problem.message} ${problem.nextStep}`);
  }

  /** Lists what was marked, and follows the lesson that is being learned. */
  async #look() {
    try {
      const { actions, job } = await ask("teach/lessons", "GET", undefined, this.#key);
      this.#say(actions.length ? "" : "Nobody has marked a video and shared it yet.");
      this.#at(".unlock").hidden = true;
      this.#at(".lesson").hidden = false;
      this.#at(".lesson ul").replaceChildren(...actions.map((each) => this.#choice(each)));
      this.#count();
      (this.#at(".lesson input") ?? this.#at(".again")).focus();
      if (job) this.#follow((mine) => mine.rejoin(job));
    } catch (problem) {
      this.#tell(problem);
    }
  }

  #choice({ label, clips, videos }) {
    const name = label === NONE ? "None of the model's actions (to measure, not to learn)" : inWords(label);
    const words = make("span", { dir: "auto" }, `${name}: ${counted(clips, "clip")} of ${counted(videos, "video")}`);
    return make("li", {}, make("label", {}, make("input", { type: "checkbox", value: label }), words));
  }

  get #chosen() {
    return [...this.#root.querySelectorAll(".lesson input:checked")].map(({ value }) => value);
  }

  #count() {
    this.#at(".begin").disabled = !this.#chosen.some((label) => label !== NONE);
  }

  #teach() {
    this.#at(".draft").hidden = true;
    this.#follow((mine) => mine.sendLesson(this.#chosen));
  }

  #follow(begin) {
    this.#say("");
    this.#at(".lesson").hidden = true;
    this.#at(".learning").hidden = false;
    this.#at(".learning progress").removeAttribute("value");
    this.#at(".cancel").focus();
    const over = () => {
      this.#at(".learning").hidden = true;
      this.#at(".lesson").hidden = false;
    };
    const callbacks = {
      progress: (stage) => this.#progress(`${STAGES[stage] ?? stage}…`),
      segments: () => {},
      done: (draft) => {
        over();
        this.#show(draft);
      },
      failed: (problem) => {
        over();
        this.#at(".begin").focus();
        this.#tell(problem);
      },
      cancelled: () => {
        over();
        this.#at(".begin").focus();
        this.#say("Cancelled.");
      },
    };
    this.#job = new Job(callbacks, this.#key);
    begin(this.#job);
  }

  #progress(words) {
    const what = this.#at(".learning .what");
    if (what.textContent === words) return;
    what.textContent = words;
    this.#page.say(words);
  }

  #show({ name, version, base, table: [head, ...rows], notes, to_try: command }) {
    const title = this.#at(".draft h3");
    title.textContent = `${name} version ${version}: a draft from version ${base}`;
    this.#at(".draft thead").replaceChildren(make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, cell))));
    this.#at(".draft tbody").replaceChildren(
      ...rows.map(([action, ...cells]) =>
        make("tr", {}, make("th", { scope: "row", dir: "auto" }, inWords(action)), ...cells.map((cell) => make("td", {}, cell))),
      ),
    );
    this.#at(".draft .notes").replaceChildren(...notes.map((note) => make("li", { dir: "auto" }, note)));
    this.#at(".draft code").textContent = command;
    this.#at(".promote").hidden = false;
    this.#at(".draft").hidden = false;
    title.focus();
    this.#page.say(`${title.textContent}. ${notes.join(" ")}`);
  }

  async #promote() {
    try {
      const reason = this.#at("#promote-why").value;
      const champion = await ask("teach/promote", "POST", { job: this.#job.id, reason }, this.#key);
      const before = champion.instead_of ? `, in place of version ${champion.instead_of}` : "";
      this.#at(".promote").hidden = true;
      this.#at(".draft h3").focus();
      this.#say(`Version ${champion.version} of ${champion.name} is champion now${before}. ${champion.next_step}`);
    } catch (problem) {
      this.#tell(problem);
    }
  }
}

// What `actreel watch` sees, as it sees it.

const MOST_LISTED = 12;
const UNKNOWN = "Unknown action";

const at = (id) => document.getElementById(id);

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

let shown = null;

function show({ label, known, confidence, lag_ms: lag, fps, dropped, reconnects, end_s: end }) {
  const name = known ? label : UNKNOWN;
  at("label").textContent = name;
  at("label").hidden = at("numbers").hidden = false;
  at("state").hidden = true;
  const numbers = { confidence: known ? `${Math.round(100 * confidence)}%` : "none", lag: `${Math.round(lag)} ms`, fps, dropped, reconnects };
  for (const [id, value] of Object.entries(numbers)) at(id).textContent = value;
  if (name === shown) return;
  shown = name;
  at("said").textContent = name; // only what has changed is read out
  const item = document.createElement("li");
  const when = document.createElement("span");
  when.textContent = clock(end);
  item.append(when, ` ${name}`);
  at("before").hidden = false;
  at("labels").prepend(item);
  at("labels").children[MOST_LISTED]?.remove();
}

function finish(words) {
  events.close();
  at("picture").removeAttribute("src");
  at("picture").hidden = true;
  at("state").textContent = at("said").textContent = words;
  at("state").hidden = false;
}

const events = new EventSource("events");
events.addEventListener("source", ({ data }) => {
  const source = JSON.parse(data);
  at("source").textContent = source;
  document.title = `${source}: Actreel, live`;
});
events.addEventListener("message", ({ data }) => show(JSON.parse(data)));
// The connection ends with the command; another one would have another address.
events.addEventListener("error", () => finish("actreel watch has ended."));
// Only now, as a picture that never ends would keep the page loading for as long.
addEventListener("load", () => (at("picture").src = "pictures"));

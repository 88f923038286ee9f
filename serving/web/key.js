// The key of a service that wants one: asked for when it answers 401, and kept for this tab only.

const KEPT = "actreel.key";
const dialog = document.querySelector("#key");
const field = dialog.querySelector("input");
const hint = dialog.querySelector(".hint");
let key = "";
let asking = null;

try {
  key = sessionStorage.getItem(KEPT) ?? "";
} catch {
  // Private windows may refuse to remember; the page itself remembers until it is left.
}

/** The header that carries the key, as long as there is one. */
export const keyHeader = () => (key ? { "X-API-Key": key } : {});

/** Asks the visitor for a key; true once one is given, false if they would rather not. */
export function askForKey() {
  // Calls that are refused at the same time share one question.
  asking ??= new Promise((answered) => {
    hint.textContent = key ? "That is not the key." : "";
    field.setAttribute("aria-invalid", String(Boolean(key)));
    field.value = "";
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        asking = null;
        const given = dialog.returnValue === "given" ? field.value : "";
        field.value = "";
        if (given) keep(given);
        answered(Boolean(given));
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

function keep(given) {
  key = given;
  try {
    sessionStorage.setItem(KEPT, given);
  } catch {
    // As above.
  }
}

dialog.querySelector("#no-key").addEventListener("click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", (event) => {
  // A header holds nothing else, and neither does a key.
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(field.value)) return;
  event.preventDefault();
  hint.textContent = "That is not the key.";
  field.setAttribute("aria-invalid", "true");
  field.focus();
});

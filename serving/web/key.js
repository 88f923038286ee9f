// The key, for a service that requires one: asked for after a 401, and kept for this tab only.

const KEPT = "actreel.key";
const dialog = document.querySelector("#key");
const field = dialog.querySelector("input");
const hint = dialog.querySelector(".hint");
let key = "";
let asking = null;

try {
  key = sessionStorage.getItem(KEPT) ?? "";
} catch {
  // Private windows may refuse to store it; then it is kept until the page is left.
}

/** The headers of every call: the key if there is one, and the sign that this page is calling and no other site's. */
export const callHeaders = () => ({ "X-Requested-With": "actreel", ...(key && { "X-API-Key": key }) });

/** Whether a key can be sent: only printable ASCII fits in a header. */
export const fitsHeader = (given) => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(given);

/** Asks the visitor for a key; resolves to true once one is given, to false if the dialog is closed. */
export function askForKey() {
  // Requests that are refused at the same time share one dialog.
  asking ??= new Promise((answered) => {
    hint.textContent = key ? "This key is not valid." : "";
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
  if (fitsHeader(field.value)) return;
  event.preventDefault();
  hint.textContent = "This key is not valid.";
  field.setAttribute("aria-invalid", "true");
  field.focus();
});

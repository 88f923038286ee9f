const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
document.getElementById("save").addEventListener("click", () => {
  const lines = [...document.querySelectorAll("fieldset")].map((pair) =>
    [pair.dataset.clip, pair.dataset.other, pair.querySelector("input:checked").value].map(quoted).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["clip,other,same\n" + lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
});

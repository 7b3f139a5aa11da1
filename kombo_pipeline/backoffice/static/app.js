// What all pages share. Every page works without it.
(() => {
  "use strict";

  const announce = (text) => {
    const region = document.getElementById("announcer");
    region.textContent = "";
    // A screen reader speaks what changes after the region is empty.
    window.setTimeout(() => { region.textContent = text; }, 50);
  };

  // On a phone the navigation scrolls in a row.
  document.querySelector(".top [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // After a swap: keep the keyboard where the reader is, say what happened.
  document.addEventListener("htmx:afterSettle", () => {
    const main = document.getElementById("main");
    if (!document.activeElement || document.activeElement === document.body) {
      (main.querySelector("[data-focus]") || main).focus({ preventScroll: true });
    }
    const news = main.querySelector("[data-announce]");
    if (news) announce(news.textContent.trim());
  });
  document.addEventListener("htmx:sendError", () => announce("The back office does not answer. Nothing was saved."));

  document.addEventListener("click", (event) => {
    // <button data-dialog="id"> opens a <dialog>; <button data-close> closes the one around it.
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog).showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
    // <input type="checkbox" data-check-all="name"> checks or clears every box of that name in its form.
    const all = event.target.closest("[data-check-all]");
    if (all) {
      for (const box of all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.checkAll}"]`)) {
        if (!box.disabled && box.checked !== all.checked) {
          box.checked = all.checked;
          box.dispatchEvent(new Event("change", { bubbles: true }));
        }
      }
    }
    // <button data-copy="id"> copies the value or text of that element.
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      const source = document.getElementById(copier.dataset.copy);
      navigator.clipboard.writeText(source.value ?? source.textContent).then(() => announce("Copied"));
    }
  });

  // <select data-submits>: a filter applies as soon as it is chosen.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  // For page scripts with keys of their own: is somebody typing, or is a dialog open?
  window.backoffice = {
    announce,
    isTyping: (event) =>
      event.ctrlKey || event.metaKey || event.altKey || event.isComposing ||
      event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null ||
      document.querySelector("dialog[open]") !== null,
  };
})();

// The job picker and own jobs made by hand; both work without it.
(() => {
  "use strict";

  const WAIT_MILLISECONDS = 200;

  // How many boxes are ticked.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-counts]");
    if (!form || !event.target.matches("input[type=checkbox], input[type=radio]")) return;
    const ticked = form.querySelectorAll("tbody input:checked, .verdicts input:checked:not([value=''])").length;
    const count = form.querySelector("[data-count]");
    if (count) count.textContent = ticked ? `${ticked} ticked` : "";
  });

  // The dropdown of ATS jobs: an ARIA combobox over the search field, whose choice becomes a radio button of the form.
  const boxOf = (target) => target.closest && target.closest("[data-combobox]");
  const inputOf = (box) => box.querySelector("input");
  const listOf = (box) => box.querySelector("[role=listbox]");
  let timer = 0;
  let asked = 0;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const setOpen = (box, isOpen) => {
    listOf(box).hidden = !isOpen;
    inputOf(box).setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) inputOf(box).removeAttribute("aria-activedescendant");
  };

  const prepare = (box) => {
    const input = inputOf(box);
    if (input.getAttribute("role") === "combobox") return;
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-expanded": "false", "aria-controls": listOf(box).id, "aria-autocomplete": "list",
    })) input.setAttribute(name, value);
  };

  const activate = (box, option) => {
    for (const each of listOf(box).children) each.setAttribute("aria-selected", String(each === option));
    if (!option) return;
    inputOf(box).setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };

  const describe = (job) => {
    const parts = [element("span", job.name, "job-name"), document.createTextNode(" ")];
    for (const text of job.chips) parts.push(element("span", text, "chip"), document.createTextNode(" "));
    if (job.more) parts.push(element("span", job.more, "quiet"));
    return parts;
  };

  const show = (box, jobs) => {
    const list = listOf(box);
    list.replaceChildren(...jobs.map((job, number) => {
      const option = document.createElement("li");
      option.id = `${list.id}-${number}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.append(...describe(job));
      option.job = job;
      return option;
    }));
    box.querySelector("[data-said]").textContent =
      jobs.length ? `${jobs.length} ATS jobs; arrow keys choose` : "No ATS job answers to that";
    setOpen(box, jobs.length > 0);
  };

  const search = async (box) => {
    const text = inputOf(box).value.trim();
    const mine = ++asked;
    if (!text) return show(box, []);
    const answer = await fetch(`${box.dataset.combobox}&q=${encodeURIComponent(text)}`).catch(() => null);
    if (mine !== asked || !document.contains(box)) return undefined;
    if (answer && answer.ok && !answer.redirected) return show(box, await answer.json());
    box.querySelector("[data-said]").textContent = "The search does not answer; the button Search tries again";
    return undefined;
  };

  const choose = (box, job) => {
    const results = box.parentElement.querySelector("[data-results]");
    let radio = [...results.querySelectorAll("input")].find((each) => each.value === job.id);
    if (!radio) {
      const label = element("label", "", "check job");
      radio = Object.assign(document.createElement("input"), { type: "radio", name: "kombo_job_id", value: job.id });
      const line = element("span", "", "job-line");
      line.append(...describe(job));
      label.append(radio, line);
      results.querySelector("legend").after(label);
    }
    radio.checked = true;
    inputOf(box).value = "";
    setOpen(box, false);
    radio.focus();
    window.backoffice.announce(`${job.name} chosen`);
  };

  document.addEventListener("focusin", (event) => {
    const box = boxOf(event.target);
    if (box) prepare(box);
    for (const other of document.querySelectorAll("[data-combobox]")) if (other !== box) setOpen(other, false);
  });
  document.addEventListener("input", (event) => {
    const box = boxOf(event.target);
    if (!box) return;
    prepare(box);
    window.clearTimeout(timer);
    timer = window.setTimeout(() => search(box), WAIT_MILLISECONDS);
  });
  document.addEventListener("keydown", (event) => {
    const box = boxOf(event.target);
    if (!box || event.target !== inputOf(box) || event.isComposing) return;
    const options = [...listOf(box).children];
    const isOpen = !listOf(box).hidden;
    const at = options.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && options.length) {
      event.preventDefault();
      setOpen(box, true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      activate(box, options[(at + step + options.length + (at < 0 && step < 0 ? 1 : 0)) % options.length]);
    } else if (event.key === "Enter") {
      // In this field Enter never sends the form.
      event.preventDefault();
      if (isOpen && at >= 0) choose(box, options[at].job);
      else search(box);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      setOpen(box, false);
    }
  });
  document.addEventListener("mousedown", (event) => {
    // The field keeps the focus while an option is clicked.
    if (event.target.closest && event.target.closest("[role=option]") && boxOf(event.target)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const box = boxOf(event.target);
    const option = event.target.closest && event.target.closest("[role=option]");
    if (box && option) choose(box, option.job);
  });
})();

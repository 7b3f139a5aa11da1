// Keys of the review page, and the list under its search box. Everything has a button or a link too.
(() => {
  "use strict";

  const WAIT = 250; // milliseconds without a key before the search box asks
  let timer, asked = 0;

  const box = () => document.getElementById("sought");
  const list = () => document.getElementById("options");

  document.addEventListener("keydown", (event) => {
    if (!document.querySelector(".review") || window.backoffice.isTyping(event)) return;
    if (event.key === "s" || event.key === "/") {
      if (box()) { event.preventDefault(); box().focus(); box().select(); }
      return;
    }
    if (event.key === "w") {
      const all = [...document.querySelectorAll("details.why")];
      const show = all.some((each) => !each.open);
      for (const each of all) each.open = show;
      return;
    }
    if (event.repeat) return;
    const named = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key.split(" ").includes(event.key));
    if (named) { event.preventDefault(); named.click(); }
  });

  const close = () => {
    if (!list()) return;
    list().hidden = true;
    list().replaceChildren();
    box().setAttribute("aria-expanded", "false");
    box().removeAttribute("aria-activedescendant");
  };

  const options = () => [...list().querySelectorAll("[role=option]:not([aria-disabled])")];

  const choose = (option) => {
    const form = document.getElementById("find");
    const query = new URLSearchParams(new FormData(form));
    query.delete("q");
    query.set("found", option.dataset.found);
    close();
    const address = `/review?${query}`;
    window.htmx.ajax("GET", address, { target: "#main", select: "#main", swap: "outerHTML show:none" })
      .then(() => { window.history.replaceState({ htmx: true }, "", address); });
  };

  const mark = (option) => {
    for (const each of options()) each.setAttribute("aria-selected", String(each === option));
    if (option) {
      box().setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      box().removeAttribute("aria-activedescendant");
    }
  };

  const ask = async () => {
    const mine = ++asked;
    const form = document.getElementById("find");
    const query = new URLSearchParams(new FormData(form));
    if (!box().value.trim()) { close(); return; }
    let html;
    try {
      const answer = await fetch(`${form.dataset.options}?${query}`, { headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.redirected) throw new Error();
      html = await answer.text();
    } catch {
      window.backoffice.announce("The search does not answer. Press Enter to try again.");
      return;
    }
    // A slow answer to an earlier text must not replace that to a later one.
    if (mine !== asked || document.activeElement !== box()) return;
    list().innerHTML = html;
    list().hidden = false;
    box().setAttribute("aria-expanded", "true");
    box().removeAttribute("aria-activedescendant");
    const count = options().length;
    window.backoffice.announce(count ? `${count} found` : "Nothing found");
  };

  document.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(ask, WAIT);
  });

  document.addEventListener("keydown", (event) => {
    if (event.target !== box() || event.isComposing) return;
    const all = options();
    const at = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") {
      event.preventDefault();
      if (list().hidden) box().blur();
      close();
    } else if (list().hidden) {
      if (event.key === "ArrowDown") ask();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(all[(at + step + all.length + (at < 0 && step < 0 ? 1 : 0)) % all.length]);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      choose(all[at]);
    }
  });

  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest("#options [role=option]:not([aria-disabled])");
    if (option) { event.preventDefault(); choose(option); }
  });

  document.addEventListener("focusout", (event) => { if (event.target === box()) close(); });
})();

// The button that accepts in bulk says how many it accepts.
(() => {
  "use strict";
  const count = () => {
    const button = document.querySelector("[data-counts]");
    if (!button) return;
    const chosen = button.form.querySelectorAll(`input[name="${button.dataset.counts}"]:checked`).length;
    button.textContent = button.dataset.label.replace("{n}", chosen).replace(/^(\D*1 link)s$/, "$1");
    button.disabled = chosen === 0;
  };
  document.addEventListener("change", count);
  document.addEventListener("htmx:afterSettle", count);
  document.addEventListener("DOMContentLoaded", count);
  count();
})();

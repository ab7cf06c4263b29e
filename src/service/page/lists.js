// Lists of galaxies of interest, which stay in this browser.

import { count, el } from "./dom.js";
import { save } from "./api.js";
import { write } from "./query.js";

const KEY = "astroclip-lists";
const FIRST = "My galaxies";

function all() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    if (kept && typeof kept.lists === "object" && Object.keys(kept.lists).length) return kept;
  } catch {
    // Another program's, or none can be kept: begin anew.
  }
  return { chosen: FIRST, lists: { [FIRST]: [] } };
}

function keep(lists) {
  try {
    localStorage.setItem(KEY, JSON.stringify(lists));
  } catch {
    // Private windows keep nothing.
  }
}

/** The galaxies of a list. */
export const galaxiesOf = (name) => all().lists[name] ?? null;

/** The list that stars put galaxies into. */
export const chosen = () => all().chosen;

export const has = (id) => (all().lists[all().chosen] ?? []).includes(id);

/** Puts a galaxy into the chosen list, or takes it out; returns whether it is in. */
export function toggle(id) {
  const kept = all();
  const ids = kept.lists[kept.chosen] ?? [];
  const isIn = ids.includes(id);
  kept.lists[kept.chosen] = isIn ? ids.filter((other) => other !== id) : [...ids, id];
  keep(kept);
  return !isIn;
}

/** The dialog of all lists; `go(address)` shows one. */
export function open(dialog, go, failed) {
  const draw = () => {
    const kept = all();
    const change = (edit) => {
      edit(kept);
      keep(kept);
      draw();
    };
    const rows = Object.entries(kept.lists).map(([name, ids]) => {
      const isChosen = name === kept.chosen;
      const export_ = (format, label) =>
        el("button", { type: "button", disabled: !ids.length, "aria-label": `${label} of ${name}`, onclick: () => save(ids, null, format).catch(failed) }, label);
      return el(
        "div",
        { class: "listed" },
        el("label", { class: "name" }, el("input", { type: "radio", name: "chosen", checked: isChosen, onchange: () => change((lists) => (lists.chosen = name)) }), ` ${name} `, el("span", { class: "note" }, count(ids.length))),
        el("button", { type: "button", "aria-label": `Show ${name}`, onclick: () => (dialog.close(), go(write({ list: name }))) }, "Show"),
        el("button", { type: "button", disabled: !ids.length, "aria-label": `Search like ${name}`, onclick: () => (dialog.close(), go(write({ ids: ids.slice(0, 100) }))) }, "Search like it"),
        export_("csv", "CSV"),
        export_("votable", "VOTable"),
        export_("ids", "Identifiers"),
        el("button", { type: "button", "aria-label": `Remove ${name}`, disabled: Object.keys(kept.lists).length === 1, onclick: () => change((lists) => { delete lists.lists[name]; if (isChosen) [lists.chosen] = Object.keys(lists.lists); }) }, "Remove"),
      );
    });
    const input = el("input", { "aria-label": "Name of a new list", placeholder: "Name of a new list", maxLength: 60, required: true });
    const form = el("form", {
      class: "toolbar",
      onsubmit: (event) => {
        event.preventDefault();
        const name = input.value.trim();
        if (name) change((lists) => { lists.lists[name] ??= []; lists.chosen = name; });
      },
    }, input, el("button", { type: "submit" }, "Add"));
    dialog.replaceChildren(
      el("h2", { id: "lists-title" }, "Lists"),
      el("p", { class: "note" }, "A star ☆ puts a galaxy into the list that is chosen here. Lists stay in this browser."),
      ...rows,
      form,
      el("form", { method: "dialog" }, el("button", {}, "Close")),
    );
  };
  draw();
  dialog.showModal();
}

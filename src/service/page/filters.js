// Which galaxies are meant at all: ranges of columns.

import { el, short } from "./dom.js";

/** The form of filters; `change(filters)` is called with those of the address. */
export function show(place, columns, filters, change) {
  const body = place.querySelector("div");
  place.querySelector("summary").textContent = filters.length ? `Filters (${filters.length})` : "Filters";
  if (!columns.length) {
    body.replaceChildren(el("p", { class: "note" }, "Nothing is known of the galaxies: start the service with --labels FILE to filter by redshift, magnitude or any other column."));
    return;
  }
  const chips = filters.map((filter) =>
    el("span", { class: "chip" }, words(filter), el("button", { type: "button", "aria-label": `Without the filter ${words(filter)}`, onclick: () => change(filters.filter((other) => other !== filter)) }, "×")),
  );
  const select = el("select", { id: "filter-column", onchange: () => hint() }, columns.map((column) => el("option", { value: column.name, textContent: column.name })));
  const [min, max] = ["from", "to"].map((word) => el("input", { type: "number", step: "any", "aria-label": `${word}, of the filter` }));
  const hint = () => {
    const column = columns.find((one) => one.name === select.value);
    min.placeholder = short(column.min);
    max.placeholder = short(column.max);
  };
  hint();
  const add = (event) => {
    event.preventDefault();
    if (min.value === "" && max.value === "") {
      min.focus();
      return;
    }
    change([...filters.filter((filter) => !filter.startsWith(`${select.value}:`)), `${select.value}:${min.value}..${max.value}`]);
  };
  const form = el("form", { onsubmit: add }, el("label", {}, "Column", select), el("label", {}, "From", min), el("label", {}, "To", max), el("button", { type: "submit" }, "Add"));
  const all = filters.length > 0 && el("button", { type: "button", onclick: () => change([]) }, "Without filters");
  body.replaceChildren(el("div", { class: "chips" }, chips, all), form);
}

function words(filter) {
  const at = filter.lastIndexOf(":");
  const [min, max] = filter.slice(at + 1).split("..");
  const name = filter.slice(0, at);
  if (min === "") return `${name} ≤ ${max}`;
  if (max === "") return `${name} ≥ ${min}`;
  return `${min} ≤ ${name} ≤ ${max}`;
}

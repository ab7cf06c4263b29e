// What was found: a column of galaxies for each direction of search, or one grid.

import { count, el, say, short } from "./dom.js";
import { Refused, save, spectrum } from "./api.js";
import { drawInto } from "./galaxy.js";
import { glance } from "./spectrum.js";
import * as lists from "./lists.js";

/** Side of the pictures on cards, pixels of the image. */
const SIDE = 96;

/** A card of a galaxy. `act` has what can be done: `look(id)` (an address), `more(id)`, `less(id)`. */
function card(galaxy, act, of) {
  const id = galaxy.object_id;
  const frame = el("div", { class: "picture" });
  frame.galaxy = galaxy;
  drawInto(frame, galaxy, act.info, SIDE);
  const star = el("button", { type: "button", "aria-pressed": String(lists.has(id)), "aria-label": `Keep ${id} in the list`, title: "Keep in the list (s)", onclick: () => {
    const isIn = lists.toggle(id);
    star.setAttribute("aria-pressed", String(isIn));
    star.textContent = isIn ? "★" : "☆";
    say(`${id} ${isIn ? "is in" : "is no longer in"} ${lists.chosen()}`);
  } }, lists.has(id) ? "★" : "☆");
  star.dataset.act = "s";
  const button = (text, label, name, run) => {
    const made = el("button", { type: "button", "aria-label": label, title: `${label} (${name})`, onclick: run }, text);
    made.dataset.act = name;
    return made;
  };
  const told = [
    galaxy.similarity === undefined ? null : `cos ${galaxy.similarity.toFixed(4)}`,
    galaxy.distance === undefined ? null : `${act.distance ?? "distance"} ${short(galaxy.distance)}`,
    galaxy.properties.redshift === undefined ? null : `z ${galaxy.properties.redshift.toFixed(4)}`,
  ].filter(Boolean);
  const isItself = act.query.includes(id);
  const strip = of === "spectrum" && galaxy.spectrum ? el("canvas", { "aria-hidden": "true" }) : null;
  if (strip) {
    strip.galaxy = galaxy;
    watch.observe(strip);
  }
  return el(
    "li",
    { class: `card${isItself ? " itself" : ""}` },
    frame,
    el("div", { class: "what" }, el("a", { href: act.look(id), "data-internal": true }, id), el("div", { class: "note" }, told.join(" · ")), isItself ? el("span", { class: "badge" }, "the query itself") : null),
    el("div", { class: "do" }, act.more ? button("+", `More like ${id}`, "+", () => act.more(id)) : null, act.less ? button("−", `Less like ${id}`, "-", () => act.less(id)) : null, star),
    strip,
  );
}

/** Spectra are read once they come into view. */
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    watch.unobserve(target);
    spectrum(target.galaxy.object_id, 220).then((found) => glance(target, found), () => target.remove());
  }
}, { rootMargin: "200px" });

/** Draws all pictures anew, after the stretch has changed. */
export function redraw(place, info) {
  for (const frame of place.querySelectorAll(".card .picture")) drawInto(frame, frame.galaxy, info, SIDE);
}

/** Buttons that save what is shown; `shown()` has the galaxies. */
function exports_(shown, failed) {
  const button = (format, label) =>
    el("button", { type: "button", onclick: () => {
      const galaxies = shown();
      const similarity = galaxies.every((galaxy) => galaxy.similarity !== undefined) ? galaxies.map((galaxy) => galaxy.similarity) : null;
      save(galaxies.map((galaxy) => galaxy.object_id), similarity, format).then(() => say(`${count(galaxies.length)} galaxies saved`), failed);
    } }, label);
  return [el("span", { class: "note" }, "Save as"), button("csv", "CSV"), button("votable", "VOTable"), button("ids", "Identifiers")];
}

/**
 * Shows searches side by side. Each direction has a `title`, `of` (what is searched) and `page(offset)`, which promises
 * `{ total, galaxies }`.
 */
export async function show(place, title, directions, act, failed, found = () => {}) {
  const galaxiesOf = new Map();
  const unique = () => {
    const byId = new Map();
    for (const direction of directions) for (const galaxy of galaxiesOf.get(direction) ?? []) {
      const key = galaxy.object_id;
      if (!byId.has(key)) byId.set(key, galaxy);
    }
    return [...byId.values()];
  };
  const choice = el("select", { "aria-label": "What is saved" }, directions.map((direction, index) => el("option", { value: index, textContent: direction.title })), el("option", { value: "all", textContent: "all of them" }));
  const shown = () => {
    if (directions.length === 1 || choice.value !== "all") return galaxiesOf.get(directions[Number(choice.value) || 0]) ?? [];
    return unique().map(({ similarity, ...galaxy }) => galaxy);
  };
  const toolbar = el("div", { class: "toolbar" }, el("h2", {}, title), el("span", { class: "push" }), exports_(shown, failed), directions.length > 1 ? choice : null);
  const columns = el("div", { class: directions.length > 1 ? "directions" : "grid" });
  columns.style.setProperty("--count", Math.min(directions.length, 4));
  place.replaceChildren(toolbar, columns);
  const fill = async (direction) => {
    const list = el("ol", { class: "cards" });
    const note = el("p", { class: "note" }, "Searching …");
    const section = el("section", { "aria-label": direction.title }, directions.length > 1 ? el("h3", {}, direction.title) : null, note, list);
    columns.append(section);
    galaxiesOf.set(direction, []);
    const more = el("button", { type: "button", class: "more", onclick: () => next() }, "More");
    const next = async () => {
      more.disabled = true;
      const known = galaxiesOf.get(direction);
      try {
        const answer = await direction.page(known.length);
        if (answer.waiting) {
          note.textContent = answer.waiting;
          return;
        }
        known.push(...answer.galaxies);
        note.textContent = answer.note ?? (known.length ? `${count(known.length)} of ${count(answer.total)}` : "No galaxy passes the filters; take one away.");
        const cards = answer.galaxies.map((galaxy) => card(galaxy, act, direction.of));
        list.append(...cards);
        more.remove();
        if (known.length < Math.min(answer.total, 10_000) && answer.galaxies.length) section.append(more);
        if (known.length > answer.galaxies.length) cards[0]?.querySelector("a").focus();
        found(unique());
      } catch (error) {
        if (error.name === "AbortError") return;
        note.textContent = error instanceof Refused ? error.message : String(error);
      } finally {
        more.disabled = false;
      }
    };
    await next();
  };
  // Columns stand in their order, whatever is answered first.
  await Promise.all(directions.map(fill));
  say(`${count(unique().length)} galaxies found`);
}

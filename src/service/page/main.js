// From the address to what the page shows, and from what people do to the next address.

import { $, complain, count, el, say } from "./dom.js";
import * as api from "./api.js";
import * as filters from "./filters.js";
import * as lists from "./lists.js";
import * as map from "./map.js";
import * as results from "./results.js";
import { show as showGalaxy, showUpload, drawInto } from "./galaxy.js";
import { parsed, read, typed, write } from "./query.js";

/** Galaxies of a column at once. */
const PAGE = 8;
/** Galaxies of a grid at once. */
const GRID = 24;
/** Radius of a search by position, arcsec. */
const RADIUS = 60;
const WAIT = 2000;

let info = null;
let query = read(location.search);
let going = new AbortController();
/** Uploads of this visit, by the word in the address. */
const uploads = new Map();

const go = (address) => {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  render();
};
const failed = (error) => complain(error.message);
const lookAt = (id) => write({ ids: [id], filters: query.filters });

/** What can be done with the galaxies that are shown. */
function acts(ids, extra = {}) {
  const isSearch = query.ids.length > 0;
  const change = (edit) => (id) => {
    const next = { ids: query.ids.filter((other) => other !== id), without: query.without.filter((other) => other !== id), filters: query.filters };
    edit(next, id);
    go(write(next));
  };
  return {
    info,
    query: ids,
    look: lookAt,
    more: isSearch ? change((next, id) => next.ids.push(id)) : null,
    less: isSearch ? change((next, id) => (next.ids.length ? next.without.push(id) : next.ids.push(id))) : null,
    ...extra,
  };
}

async function render() {
  going.abort();
  going = new AbortController();
  const { signal } = going;
  query = read(location.search);
  complain();
  $("query").hidden = true;
  $("query").replaceChildren();
  $("results").replaceChildren();
  map.mark([], []);
  filters.show($("filters"), info.columns, query.filters, (changed) => go(write({ ...query, filters: changed })));
  $("filters").hidden = query.at !== "" || query.list !== "";
  $("what").value = query.ids.length ? query.ids.join(",") : query.at;
  document.title = `${query.ids.join(", ") || query.at || (query.unusual && "Unusual galaxies") || query.list || (query.upload && "Upload") || info.embeddings} – astroclip`;
  try {
    if (query.ids.length) await byGalaxies(signal);
    else if (query.upload) await byUpload(signal);
    else if (query.at) await byPosition(signal);
    else if (query.unusual) await unusual(signal);
    else if (query.list) await list(signal);
    else await home(signal);
  } catch (error) {
    if (error.name !== "AbortError") unknown(error);
  }
}

/** What is wrong, and where to go from there. */
function unknown(error) {
  const examples = el("p", {}, "Go on with ", info.examples.map((id, index) => [index ? ", " : "", el("a", { href: lookAt(id), "data-internal": true }, id)]), ", or ", el("a", { href: write({ unusual: info.modalities[0] }), "data-internal": true }, "unusual galaxies"), ".");
  complain(error.message, examples);
}

const arrows = (from, to) => `${from} → ${to}`;

/** A search of a direction, page by page. */
function direction(title, body, to, signal) {
  return {
    title,
    of: to,
    page: async (offset) => {
      const found = await api.search({ ...body, to, offset, limit: PAGE, filters: parsed(query.filters) }, signal);
      return { total: found.total, galaxies: found.matches };
    },
  };
}

async function byGalaxies(signal) {
  const { ids, without } = query;
  const batch = await api.galaxies([...ids, ...without], signal);
  if (batch.missing.length) {
    // In the service's words.
    await api.galaxy(batch.missing[0], signal);
  }
  const rowOf = new Map(batch.galaxies.map((galaxy) => [galaxy.object_id, galaxy]));
  const first = rowOf.get(ids[0].trim()) ?? batch.galaxies[0];
  const chip = (id, isLess) => {
    const drop = () => go(write({ ...query, ids: ids.filter((other) => other !== id), without: without.filter((other) => other !== id) }));
    const only = ids.length + without.length === 1 || (!isLess && ids.length === 1);
    return el("span", { class: `chip${isLess ? " less" : ""}` }, el("a", { href: lookAt(id), "data-internal": true }, `${isLess ? "not " : ""}${id}`), only ? " " : el("button", { type: "button", "aria-label": `Without ${id}`, onclick: drop }, "×"));
  };
  const several = ids.length + without.length > 1;
  const title = several ? el("div", { class: "wide" }, el("h2", {}, "Like these galaxies"), el("div", { class: "chips" }, ids.map((id) => chip(id, false)), without.map((id) => chip(id, true)))) : el("div", { class: "wide" }, el("h2", {}, `Galaxy ${first.object_id}`));
  $("query").replaceChildren(title);
  $("query").hidden = false;
  showGalaxy($("query"), first, info, redraw(first));
  const directions = info.modalities.flatMap((from) => info.modalities.map((to) => direction(arrows(from, to), { ids, without, from }, to, signal)));
  const rows = ids.map((id) => rowOf.get(id.trim())?.row).filter((row) => row !== undefined);
  map.mark(rows, []);
  await results.show($("results"), "Most alike", directions, acts(ids.map((id) => id.trim())), failed, (found) => map.mark(rows, found.map((galaxy) => galaxy.row)));
}

/** Draws the pictures anew after the stretch has changed. */
const redraw = (galaxy) => () => {
  const frame = document.querySelector("#query .picture");
  if (frame) drawInto(frame, galaxy, info);
  results.redraw($("results"), info);
};

async function byUpload(signal) {
  const upload = uploads.get(query.upload);
  if (!upload) throw new Error("The upload is gone: the service keeps none. Upload the file again.");
  $("query").replaceChildren(el("div", { class: "wide" }, el("h2", {}, upload.name)));
  $("query").hidden = false;
  showUpload($("query"), upload, info);
  const directions = Object.entries(upload.vectors).flatMap(([from, vector]) => info.modalities.map((to) => direction(arrows(from, to), { vector }, to, signal)));
  await results.show($("results"), "Most alike", directions, acts([]), failed, (found) => map.mark([], found.map((galaxy) => galaxy.row)));
}

async function byPosition(signal) {
  const [ra, dec] = query.at.split(/\s+/);
  const found = await api.get("near", { ra, dec, radius: RADIUS }, signal);
  if (!found.galaxies.length) throw new Error(`No galaxy lies within ${RADIUS} arcsec of right ascension ${ra} and declination ${dec} (degrees).`);
  const page = async () => ({ total: found.galaxies.length, galaxies: found.galaxies.slice(0, 200) });
  map.mark([], found.galaxies.map((galaxy) => galaxy.row));
  await results.show($("results"), `Within ${RADIUS} arcsec of ${query.at}`, [{ title: "near", page }], acts([], { distance: "arcsec" }), failed);
}

async function unusual(signal) {
  const of = query.unusual;
  const ask = (offset) => api.get("unusual", { of, offset, limit: GRID, filters: query.filters.join(",") }, signal);
  const page = async (offset) => {
    const answer = await ask(offset);
    if (answer.status === "computing") {
      setTimeout(() => signal.aborted || render(), WAIT);
      return { waiting: "Each galaxy is compared with all others; this takes a moment, and meanwhile everything else works." };
    }
    const sample = answer.among < info.galaxies ? `, among a sample of ${count(answer.among)}` : "";
    return { total: answer.total, galaxies: answer.galaxies, note: `By the distance to the tenth neighbour of their ${of} embedding${sample}.` };
  };
  const others = info.modalities.filter((name) => name !== of);
  await results.show($("results"), `Unusual ${of === "image" ? "images" : "spectra"} first`, [{ title: "unusual", of, page }], acts([]), failed, (found) => map.mark([], found.map((galaxy) => galaxy.row)));
  $("results").querySelector(".toolbar h2").after(...others.map((name) => el("a", { href: write({ unusual: name, filters: query.filters }), "data-internal": true }, `by ${name === "image" ? "images" : "spectra"}`)));
}

async function list(signal) {
  const ids = lists.galaxiesOf(query.list);
  if (ids === null) throw new Error(`There is no list “${query.list}” in this browser.`);
  if (!ids.length) throw new Error(`The list “${query.list}” is empty: a star ☆ puts a galaxy into it.`);
  const page = async (offset) => {
    const batch = await api.galaxies(ids.slice(offset, offset + GRID), signal);
    if (batch.missing.length) complain(`Not in ${info.embeddings}: ${batch.missing.join(", ")}.`);
    return { total: ids.length - batch.missing.length, galaxies: batch.galaxies };
  };
  await results.show($("results"), query.list, [{ title: "list", page }], acts([]), failed, (found) => map.mark([], found.map((galaxy) => galaxy.row)));
}

async function home(signal) {
  const page = async () => {
    const batch = await api.galaxies(info.examples, signal);
    return { total: batch.galaxies.length, galaxies: batch.galaxies, note: "Click one, type an identifier or a position, or choose a point on the map." };
  };
  await results.show($("results"), "Some galaxies to begin with", [{ title: "examples", page }], acts([]), failed);
}

async function upload(file) {
  say(`Embedding ${file.name}`);
  $("upload-button").disabled = true;
  $("upload-button").textContent = "Embedding …";
  try {
    const brought = await api.upload(file);
    const word = String(uploads.size + 1);
    uploads.set(word, { ...brought, name: file.name });
    go(write({ upload: word, filters: query.filters }));
  } catch (error) {
    failed(error);
  } finally {
    $("upload-button").disabled = false;
    $("upload-button").textContent = "Upload";
  }
}

/** Dark or light: as the system says until somebody chooses. */
function theme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("astroclip-theme");
    document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
    document.dispatchEvent(new Event("theme"));
  };
  system.addEventListener("change", apply);
  $("theme-button").addEventListener("click", () => {
    localStorage.setItem("astroclip-theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  apply();
}

/** Keys, where nobody types. */
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const cards = [...document.querySelectorAll(".card")];
  const current = event.target.closest(".card");
  const step = (by) => {
    const next = cards[Math.min(cards.length - 1, Math.max(0, current ? cards.indexOf(current) + by : 0))];
    next?.querySelector("a").focus();
  };
  const press = (act) => () => current?.querySelector(`[data-act="${act}"]`)?.click();
  const act = {
    "/": () => $("what").select(),
    j: () => step(1),
    k: () => step(-1),
    s: press("s"),
    "+": press("+"),
    "-": press("-"),
    u: () => go(write({ unusual: info.modalities[0], filters: query.filters })),
    m: () => document.querySelector("#map canvas")?.focus(),
    "?": () => $("help").showModal(),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

async function start() {
  theme();
  try {
    info = await api.get("info");
  } catch (error) {
    failed(error);
    return;
  }
  $("held").textContent = `${info.embeddings}: ${count(info.galaxies)} galaxies, embeddings of ${info.modalities.map((name) => (name === "image" ? "images" : "spectra")).join(" and ")}${info.approximate ? "; a few of the nearest may be missing" : ""}`;
  map.open($("map"), info, (id) => go(lookAt(id)));
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("what").value.trim();
    if (text) go(write(typed(text, query.filters)));
  });
  $("upload-button").addEventListener("click", () => {
    if (info.uploads.length) $("upload").click();
    else complain("Nothing can be uploaded, because no model is at hand: start the service with --weights MODEL.");
  });
  $("upload").addEventListener("change", () => {
    const [file] = $("upload").files;
    if (file) upload(file);
    $("upload").value = "";
  });
  $("unusual-button").addEventListener("click", () => go(write({ unusual: info.modalities[0], filters: query.filters })));
  $("lists-button").addEventListener("click", () => lists.open($("lists"), go, failed));
  $("help-button").addEventListener("click", () => $("help").showModal());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-internal]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(link.getAttribute("href"));
    window.scrollTo({ top: 0 });
  });
  document.addEventListener("keydown", keys);
  window.addEventListener("popstate", render);
  render();
}

start();

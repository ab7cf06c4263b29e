// One galaxy at large: its image, its spectrum, what is known of it and what its neighbours say.

import { el, settled, short } from "./dom.js";
import { Refused, fits, get, picture, spectrum, stretch } from "./api.js";
import { panel } from "./spectrum.js";

/** Fills `place` with a galaxy. `again()` redraws all pictures of the page after the stretch has changed. */
export async function show(place, galaxy, info, again) {
  const image = el("div", { class: "picture" });
  drawInto(image, galaxy, info);
  const look = el("div", { class: "look" }, image, el("div", {}, galaxy.image ? sliders(() => again()) : null, links(galaxy)));
  const known = el("div", { class: "properties" }, properties(galaxy.properties, info, []));
  const side = el("div", {}, el("p", { class: "note" }, "…"));
  place.replaceChildren(...place.querySelectorAll(".wide"), look, side, known);
  get(`galaxies/${encodeURIComponent(galaxy.object_id)}/estimates`).then(
    (estimates) => known.replaceChildren(properties(galaxy.properties, info, estimates)),
    () => {},
  );
  if (!galaxy.spectrum) {
    side.replaceChildren(el("p", { class: "note" }, info.spectra ? "The survey files hold no spectrum of this galaxy." : "No spectra are at hand: start the service with the survey files, --data FILE …"));
    return;
  }
  try {
    side.replaceChildren(panel(await spectrum(galaxy.object_id), galaxy.properties.redshift, `galaxy ${galaxy.object_id}`));
  } catch (error) {
    side.replaceChildren(el("p", { class: "note" }, error instanceof Refused ? error.message : String(error)));
  }
}

/** Fills `place` with what was uploaded. */
export function showUpload(place, upload, info) {
  const image = el("div", { class: "picture" }, upload.picture ? el("img", { src: upload.picture, alt: "The image that was uploaded" }) : el("span", {}, "no image"));
  const redshift = upload.redshift ?? upload.estimates.find((one) => one.column === "redshift")?.value;
  const side = upload.spectrum ? panel(upload.spectrum, redshift, "the upload") : el("p", { class: "note" }, "The upload has no spectrum.");
  const known = upload.redshift === null ? {} : { redshift: upload.redshift };
  place.replaceChildren(...place.querySelectorAll(".wide"), el("div", { class: "look" }, image), el("div", {}, side), el("div", { class: "properties" }, properties(known, info, upload.estimates)));
}

/** Puts a galaxy's picture into a frame, or says why there is none. */
export function drawInto(frame, galaxy, info, size) {
  if (!galaxy.image) {
    frame.replaceChildren(el("span", {}, info.images ? "no image" : size ? "–" : "No images are at hand: start the service with --data FILE …"));
    return;
  }
  const failed = () => frame.replaceChildren(el("span", {}, "unreadable"));
  const source = picture(galaxy.object_id, size);
  const img = frame.querySelector("img");
  if (img) {
    if (img.getAttribute("src") !== source) img.src = source;
    return;
  }
  frame.replaceChildren(el("img", { src: source, alt: `Image of galaxy ${galaxy.object_id}`, loading: size ? "lazy" : "eager", onerror: failed }));
}

function sliders(again) {
  const changed = settled(120, again);
  const slider = (name, label, least, most) => {
    // In steps that look alike.
    const input = el("input", { id: `stretch-${name}`, type: "range", min: Math.log(least), max: Math.log(most), step: 0.01, value: Math.log(stretch[name]), oninput: () => { stretch[name] = Math.exp(Number(input.value)); changed(); } });
    return [el("label", { for: `stretch-${name}` }, label), input];
  };
  const [brightness, softening] = [slider("brightness", "Brightness", 0.1, 30), slider("softening", "Softening", 1, 400)];
  const reset = el("button", { type: "button", onclick: () => { Object.assign(stretch, { brightness: 1, softening: 20 }); brightness[1].value = 0; softening[1].value = Math.log(20); again(); } }, "As the survey");
  return el("div", { class: "sliders" }, brightness, softening, el("span"), reset);
}

function links(galaxy) {
  const out = (href, text) => el("a", { href, target: "_blank", rel: "noreferrer" }, text);
  const found = [];
  if (galaxy.ra !== null && galaxy.dec !== null) {
    const at = `ra=${galaxy.ra}&dec=${galaxy.dec}`;
    found.push(
      out(`https://www.legacysurvey.org/viewer?${at}&layer=ls-dr10&zoom=15&mark=${galaxy.ra},${galaxy.dec}`, "Legacy Surveys"),
      out(`https://www.legacysurvey.org/viewer?${at}&layer=ls-dr10&zoom=15&desi-spec-dr1`, "DESI"),
      out(`https://skyserver.sdss.org/dr18/VisualTools/explore/summary?${at}`, "SDSS"),
    );
  }
  if (galaxy.image) found.push(el("a", { href: fits(galaxy.object_id), download: "" }, "FITS"));
  const place = galaxy.ra === null ? el("span", { class: "note" }, "No position is known.") : el("span", { class: "note" }, `RA ${galaxy.ra.toFixed(5)}, Dec ${galaxy.dec.toFixed(5)}`);
  return el("div", { class: "links" }, place, found);
}

/** A number as it stands beside others of its kind. */
const brief = (value) => (Math.abs(value) >= 1 && Math.abs(value) < 1000 ? value.toFixed(2).replace("-", "−") : short(value));

/** What is known and what neighbours say, as a table; ends of intervals stand with what they are of. */
function properties(known, info, estimates) {
  const kinds = [...new Set(estimates.map((estimate) => estimate.by))];
  const isEnd = (name) => /_p(025|160|500|840|975)$/.test(name);
  const units = new Map(info.columns.map((column) => [column.name, column]));
  const row = (name) => {
    const column = units.get(name);
    const [low, high] = [known[`${name}_p160`], known[`${name}_p840`]];
    const interval = low !== undefined && high !== undefined ? [" ", el("span", { class: "note" }, `${brief(low)} … ${brief(high)}`)] : null;
    const cells = kinds.map((by) => {
      const found = estimates.find((one) => one.by === by && one.column === name);
      return el("td", {}, found ? [brief(found.value), " ", el("span", { class: "note" }, `± ${brief(found.scatter)}`)] : "");
    });
    return el("tr", {}, el("th", { scope: "row", title: column?.meaning ?? "" }, name, column?.unit ? el("span", { class: "note" }, ` ${column.unit}`) : null), el("td", {}, known[name] === undefined ? "–" : brief(known[name]), interval), cells);
  };
  const names = [...new Set([...info.columns.map((column) => column.name), ...Object.keys(known)])].filter((name) => !isEnd(name));
  const asked = new Set(estimates.map((estimate) => estimate.column));
  const first = names.filter((name) => asked.has(name) || units.get(name)?.meaning);
  const others = names.filter((name) => !first.includes(name) && known[name] !== undefined);
  if (!first.length && !others.length) return el("p", { class: "note" }, "Nothing is known of this galaxy. --labels FILE gives redshifts, magnitudes and other properties.");
  const head = el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col" }, "known"), kinds.map((by) => el("th", { scope: "col", title: "Mean and scatter of the 16 nearest galaxies by embedding" }, `by ${by}s`.replace("spectrums", "spectra")))));
  const table = el("table", {}, el("caption", { class: "hidden" }, "Properties, and estimates from the nearest galaxies"), head, el("tbody", {}, first.map(row)));
  const rest = others.length ? el("details", {}, el("summary", {}, `${others.length} more columns`), el("table", {}, el("tbody", {}, others.map((name) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, short(known[name]))))))) : null;
  return el("div", {}, first.length ? table : null, rest);
}

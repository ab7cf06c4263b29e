// The map of the embeddings: all galaxies as points, with the query and what was found marked.

import { $, count, el, settled, short } from "./dom.js";
import { Refused, get } from "./api.js";
import { colours, sharp } from "./spectrum.js";

const HEIGHT = 520;
const STEPS = 48;
const STOPS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const WAIT = 1500;

const drawn = new Map();
const values = new Map();
const state = { of: null, colour: null, marks: { query: [], found: [] }, view: { x: 0.5, y: 0.5, scale: 1 }, rows: new Map() };
let canvas = null;

/** Sets the map up; `look(id)` goes to a galaxy. */
export function open(place, info, look) {
  state.of = info.modalities[0];
  state.colour = info.columns.find((column) => column.name === "redshift")?.name ?? info.columns[0]?.name ?? null;
  canvas = el("canvas", { tabIndex: 0, role: "img", "aria-label": "Map of the embeddings: galaxies that are alike lie close together. Arrows move, plus and minus zoom, 0 shows all." });
  const of = el("select", { onchange: () => { state.of = of.value; load(); } }, info.modalities.map((name) => el("option", { value: name, textContent: `${name} embeddings` })));
  const colour = el("select", { onchange: () => { state.colour = colour.value || null; load(); } }, el("option", { value: "", textContent: "nothing" }), info.columns.map((column) => el("option", { value: column.name, textContent: column.name, selected: column.name === state.colour })));
  const button = (label, text, run) => el("button", { type: "button", "aria-label": label, title: label, onclick: run }, text);
  place.replaceChildren(
    el("div", { class: "row" }, el("h2", {}, "Map"), el("label", {}, "of ", of), el("label", {}, "coloured by ", colour), button("Zoom in", "+", () => zoom(1.5)), button("Zoom out", "−", () => zoom(1 / 1.5)), button("Show all", "All", all), el("span", { id: "map-point", class: "note" })),
    el("div", { class: "mapped" }, canvas, el("div", { class: "legend" }, el("span", { id: "map-low" }), el("i"), el("span", { id: "map-high" }), el("b"), " query ", el("b", { class: "found" }), " found", el("span", { id: "map-note" }))),
  );
  pointers(look);
  new ResizeObserver(settled(50, draw)).observe(canvas);
  document.addEventListener("theme", draw);
  // Nobody may look at it: it is begun once it comes into view.
  const seen = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      seen.disconnect();
      load();
    }
  });
  seen.observe(canvas);
}

/** Marks galaxies by their rows. */
export function mark(query, found) {
  state.marks = { query, found };
  draw();
}

async function load() {
  const { of, colour } = state;
  const note = $("map-note");
  try {
    while (!drawn.has(of)) {
      const map = await get("map", { of });
      if (map.status === "done") drawn.set(of, map);
      else {
        note.textContent = "The map is being drawn; meanwhile everything else works.";
        await new Promise((done) => setTimeout(done, WAIT));
      }
      if (state.of !== of) return;
    }
    if (colour && !values.has(colour)) values.set(colour, (await get(`columns/${encodeURIComponent(colour)}`)).values);
    if (state.of !== of || state.colour !== colour) return;
    const map = drawn.get(of);
    state.rows = new Map(map.rows.map((row, index) => [row, index]));
    note.textContent = map.landmarks < map.rows.length ? `${count(map.rows.length)} galaxies; t-SNE placed ${count(map.landmarks)}, the others stand between those that they are like` : `${count(map.rows.length)} galaxies by t-SNE`;
    draw();
  } catch (error) {
    note.textContent = error instanceof Refused ? error.message : String(error);
  }
}

/** From a place on the map to the canvas. */
function placing(width, height) {
  const side = Math.min(width, height) * 0.94 * state.view.scale;
  return [(x) => width / 2 + (x - state.view.x) * side, (y) => height / 2 - (y - state.view.y) * side, side];
}

function draw() {
  const map = drawn.get(state.of);
  if (!canvas || !map) return;
  const { context, width, height } = sharp(canvas, Math.min(HEIGHT, Math.max(320, canvas.clientWidth)));
  const [x, y] = placing(width, height);
  const colour = colours();
  context.fillStyle = colour.paper;
  context.fillRect(0, 0, width, height);
  const known = state.colour ? values.get(state.colour) : null;
  const [low, high] = ends(map, known);
  $("map-low").textContent = known ? short(low) : "";
  $("map-high").textContent = known ? short(high) : "";
  // By colour: a canvas is slow to change it.
  const steps = Array.from({ length: STEPS + 1 }, () => []);
  for (let index = 0; index < map.rows.length; index++) {
    const px = x(map.x[index]);
    const py = y(map.y[index]);
    if (px < 0 || py < 0 || px > width || py > height) continue;
    const value = known?.[map.rows[index]];
    const step = value === null || value === undefined ? STEPS : Math.min(STEPS - 1, Math.max(0, Math.floor(((value - low) / (high - low || 1)) * STEPS)));
    steps[step].push(px, py);
  }
  const size = Math.min(6, (map.rows.length > 30_000 ? 1.4 : map.rows.length > 5_000 ? 2 : 3.2) * Math.sqrt(state.view.scale));
  for (const step of [STEPS, ...Array(STEPS).keys()]) {
    const points = steps[step];
    context.fillStyle = step === STEPS ? (known ? colour.rule : colour.accent) : viridis((step + 0.5) / STEPS);
    for (let index = 0; index < points.length; index += 2) context.fillRect(points[index] - size / 2, points[index + 1] - size / 2, size, size);
  }
  const ring = (rows, stroke, radius) => {
    for (const row of rows) {
      const index = state.rows.get(row);
      if (index === undefined) continue;
      for (const [style, line] of [[colour.paper, 5], [stroke, 2.5]]) {
        context.strokeStyle = style;
        context.lineWidth = line;
        context.beginPath();
        context.arc(x(map.x[index]), y(map.y[index]), radius, 0, 2 * Math.PI);
        context.stroke();
      }
    }
  };
  ring(state.marks.found, "#e66100", 5);
  ring(state.marks.query, colour.itself, 8);
}

/** The 2nd and 98th of 100 parts of the values on the map. */
function ends(map, known) {
  if (!known) return [0, 1];
  const sorted = Float64Array.from(map.rows.map((row) => known[row]).filter((value) => value !== null)).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  return [at(0.02), at(0.98)];
}

function viridis(share) {
  const place = share * (STOPS.length - 1);
  const [from, to] = [STOPS[Math.floor(place)], STOPS[Math.ceil(place)]].map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  return `rgb(${from.map((value, channel) => Math.round(value + (to[channel] - value) * (place % 1))).join(" ")})`;
}

function zoom(factor, at) {
  const { view } = state;
  const scale = Math.min(200, Math.max(0.5, view.scale * factor));
  if (at) {
    view.x = at[0] - ((at[0] - view.x) * view.scale) / scale;
    view.y = at[1] - ((at[1] - view.y) * view.scale) / scale;
  }
  view.scale = scale;
  draw();
}

function all() {
  state.view = { x: 0.5, y: 0.5, scale: 1 };
  draw();
}

function pointers(look) {
  let from = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const side = placing(box.width, box.height)[2];
    return [state.view.x + (event.clientX - box.left - box.width / 2) / side, state.view.y - (event.clientY - box.top - box.height / 2) / side];
  };
  const nearest = (event) => {
    const map = drawn.get(state.of);
    if (!map) return null;
    const at = place(event);
    const side = placing(canvas.clientWidth, canvas.clientHeight)[2];
    let best = (12 / side) ** 2;
    let found = null;
    for (let index = 0; index < map.rows.length; index++) {
      const distance = (map.x[index] - at[0]) ** 2 + (map.y[index] - at[1]) ** 2;
      if (distance < best) [best, found] = [distance, index];
    }
    return found;
  };
  canvas.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, y: event.clientY, at: place(event), moved: false };
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from && event.pointerType === "mouse") {
      from.moved ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4;
      if (from.moved) {
        const now = place(event);
        state.view.x += from.at[0] - now[0];
        state.view.y += from.at[1] - now[1];
        requestAnimationFrame(draw);
      }
      return;
    }
    const found = nearest(event);
    canvas.classList.toggle("point", found !== null);
    const map = drawn.get(state.of);
    $("map-point").textContent = found === null ? "" : map.object_id[found];
  });
  canvas.addEventListener("pointerup", (event) => {
    const wasClick = from && !from.moved;
    from = null;
    if (!wasClick) return;
    const found = nearest(event);
    if (found !== null) look(drawn.get(state.of).object_id[found]);
  });
  canvas.addEventListener("pointercancel", () => (from = null));
  canvas.addEventListener("wheel", (event) => {
    // Without a key the page scrolls.
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), place(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = 0.1 / state.view.scale;
    const move = (dx, dy) => () => { state.view.x += dx; state.view.y += dy; draw(); };
    const act = { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: all, ArrowLeft: move(-step, 0), ArrowRight: move(step, 0), ArrowUp: move(0, step), ArrowDown: move(0, -step) }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}

// Spectra on a canvas: zoom, and lines where the redshift puts them.

import { el, short } from "./dom.js";

/** Lines and their wavelengths at rest in vacuum, Å. */
const LINES = [
  ["[O II]", 3728.5], ["Ca K", 3934.8], ["Ca H", 3969.6], ["Hδ", 4102.9], ["Hγ", 4341.7], ["Hβ", 4862.7], ["[O III]", 5008.2],
  ["Mg b", 5176.0], ["Na D", 5895.6], ["Hα", 6564.6], ["[S II]", 6725.5], ["[S III]", 9533.2], ["Mg II", 2799.1], ["C III]", 1908.7], ["C IV", 1549.5], ["Lyα", 1215.7],
];
const MARGIN = { left: 46, right: 10, top: 24, bottom: 34 };

/** The colours of the page. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "muted", "rule", "paper", "accent", "itself"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** A canvas as sharp as the screen; returns its context and size in CSS pixels. */
export function sharp(canvas, height) {
  const width = canvas.clientWidth || 300;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** A spectrum with its tools. */
export function panel(spectrum, redshift, name) {
  const { start, step, flux } = spectrum;
  const end = start + step * (flux.length - 1);
  let view = [start, end];
  let drag = null;
  let z = Number.isFinite(redshift) ? redshift : null;
  const canvas = el("canvas", { tabIndex: 0, role: "img", "aria-label": `Spectrum of ${name}, ${short(start)} to ${short(end)} Å. Arrows move, plus and minus zoom, 0 shows all.` });
  const readout = el("span", { class: "note", "aria-hidden": "true" });
  const input = el("input", { type: "number", step: "0.001", min: 0, max: 10, value: z === null ? "" : z.toFixed(4), placeholder: "unknown", oninput: () => { z = input.value === "" ? null : Number(input.value); draw(); } });

  const zoom = (factor, about = (view[0] + view[1]) / 2) => {
    const half = [about - view[0], view[1] - about].map((side) => side * factor);
    if (half[0] + half[1] < 20 * step) return;
    view = [Math.max(start, about - half[0]), Math.min(end, about + half[1])];
    draw();
  };
  const move = (share) => {
    const width = view[1] - view[0];
    const from = Math.min(Math.max(start, view[0] + share * width), end - width);
    view = [from, from + width];
    draw();
  };
  const whole = () => {
    view = [start, end];
    draw();
  };
  const scale = (width) => (wavelength) => MARGIN.left + ((wavelength - view[0]) / (view[1] - view[0])) * (width - MARGIN.left - MARGIN.right);
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    return view[0] + Math.min(Math.max(share, 0), 1) * (view[1] - view[0]);
  };

  function draw() {
    const colour = colours();
    const { context, width, height } = sharp(canvas, 260);
    const x = scale(width);
    const first = Math.max(0, Math.floor((view[0] - start) / step));
    const last = Math.min(flux.length - 1, Math.ceil((view[1] - start) / step));
    const part = flux.slice(first, last + 1);
    const sorted = part.filter(Number.isFinite).sort((a, b) => a - b);
    if (!sorted.length) return;
    const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const low = Math.min(quantile(0.005), 0);
    const high = Math.max(quantile(0.998), low + 1e-9) * 1.05;
    const y = (value) => height - MARGIN.bottom - ((Math.min(Math.max(value, low - 1), high * 1.2) - low) / (high - low)) * (height - MARGIN.top - MARGIN.bottom);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colour.muted;
    context.strokeStyle = colour.rule;
    context.lineWidth = 1;
    context.textAlign = "center";
    for (const tick of ticks(view[0], view[1], Math.max(3, width / 110))) {
      context.beginPath();
      context.moveTo(x(tick), MARGIN.top);
      context.lineTo(x(tick), height - MARGIN.bottom);
      context.stroke();
      context.fillText(String(Math.round(tick * 100) / 100), x(tick), height - MARGIN.bottom + 15);
    }
    context.fillText("observed wavelength (Å)", (MARGIN.left + width) / 2, height - 4);
    context.textAlign = "right";
    for (const tick of ticks(low, high, 4)) context.fillText(short(tick), MARGIN.left - 5, y(tick) + 4);
    if (z !== null && Number.isFinite(z)) {
      context.textAlign = "center";
      let free = -Infinity;
      for (const [line, rest] of [...LINES].sort((a, b) => a[1] - b[1])) {
        const wavelength = rest * (1 + z);
        if (wavelength < view[0] || wavelength > view[1]) continue;
        context.strokeStyle = colour.itself;
        context.globalAlpha = 0.55;
        context.setLineDash([3, 3]);
        context.beginPath();
        context.moveTo(x(wavelength), MARGIN.top - 4);
        context.lineTo(x(wavelength), height - MARGIN.bottom);
        context.stroke();
        context.setLineDash([]);
        context.globalAlpha = 1;
        const half = context.measureText(line).width / 2 + 3;
        if (x(wavelength) - half > free) {
          context.fillStyle = colour.itself;
          context.fillText(line, Math.min(Math.max(x(wavelength), half), width - half), 13);
          free = x(wavelength) + half;
        }
      }
    }
    context.save();
    context.beginPath();
    context.rect(MARGIN.left, MARGIN.top - 6, width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom + 12);
    context.clip();
    trace(context, part, (index) => x(start + step * (first + index)), y, colour.accent, width);
    context.restore();
    if (drag) {
      context.fillStyle = colour.accent;
      context.globalAlpha = 0.18;
      context.fillRect(x(drag[0]), MARGIN.top, x(drag[1]) - x(drag[0]), height - MARGIN.top - MARGIN.bottom);
      context.globalAlpha = 1;
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button) return;
    drag = [at(event), at(event)];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const wavelength = at(event);
    const value = flux[Math.round((wavelength - start) / step)];
    readout.textContent = `${wavelength.toFixed(1)} Å, flux ${short(value)}${z !== null ? `, at rest ${(wavelength / (1 + z)).toFixed(1)} Å` : ""}`;
    if (drag) {
      drag[1] = wavelength;
      draw();
    }
  });
  canvas.addEventListener("pointerup", () => {
    if (!drag) return;
    const [a, b] = [Math.min(...drag), Math.max(...drag)];
    drag = null;
    if (b - a > 20 * step) view = [a, b];
    draw();
  });
  canvas.addEventListener("dblclick", whole);
  canvas.addEventListener("keydown", (event) => {
    const act = { "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: whole, ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2) }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  new ResizeObserver(() => draw()).observe(canvas);
  document.addEventListener("theme", draw);
  const button = (label, text, run) => el("button", { type: "button", "aria-label": label, title: label, onclick: run }, text);
  return el(
    "div",
    { class: "spectrum" },
    el("div", { class: "row" }, button("Zoom in", "+", () => zoom(0.6)), button("Zoom out", "−", () => zoom(1 / 0.6)), button("To the blue", "←", () => move(-0.3)), button("To the red", "→", () => move(0.3)), button("Whole spectrum", "All", whole), el("label", {}, "Lines at z ", input), readout),
    canvas,
  );
}

/** A spectrum without axes, for a glance. */
export function glance(canvas, spectrum) {
  const { context, width, height } = sharp(canvas, 44);
  const sorted = spectrum.flux.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return;
  const [low, high] = [0.02, 0.99].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
  const y = (value) => height - 3 - ((Math.min(Math.max(value, low), high * 1.15) - low) / (high * 1.15 - low || 1)) * (height - 6);
  trace(context, spectrum.flux, (index) => (index / (spectrum.flux.length - 1)) * width, y, colours().accent, width);
}

/** Draws values as a line; where several fall on a pixel, their mean over a faint band from the least to the largest. */
function trace(context, values, x, y, colour, width) {
  const perPixel = Math.max(1, Math.floor(values.length / width));
  const points = [];
  for (let index = 0; index < values.length; index += perPixel) {
    const some = values.slice(index, index + perPixel).filter(Number.isFinite);
    if (some.length) points.push([x(index + (some.length - 1) / 2), some.reduce((sum, value) => sum + value) / some.length, Math.min(...some), Math.max(...some)]);
  }
  context.strokeStyle = colour;
  if (perPixel > 1) {
    context.globalAlpha = 0.22;
    context.lineWidth = 1;
    context.beginPath();
    for (const [place, , low, high] of points) {
      context.moveTo(place, y(low));
      context.lineTo(place, y(high));
    }
    context.stroke();
    context.globalAlpha = 1;
  }
  context.lineWidth = 1.2;
  context.beginPath();
  for (const [place, mean] of points) context.lineTo(place, y(mean));
  context.stroke();
}

/** Round numbers within a range, about so many. */
function ticks(low, high, wanted) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(tick);
  return found;
}

// Elements, numbers as people read them, and what is said aloud.

export const $ = (id) => document.getElementById(id);

/** An element with properties and children; `on…` are listeners, `data`, `class` and `aria-…` as in HTML. */
export function el(tag, of = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(of)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role" || name === "for" || name === "list") element.setAttribute(name, value === true ? "" : value);
    else element[name] = value;
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A number with four digits that say something. */
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(2) : size >= 100 ? value.toFixed(1) : size >= 10 ? value.toFixed(2) : value.toFixed(3);
  return text.replace("-", "−");
}

export const count = (value) => value.toLocaleString("en");

/** Tells people who do not see the page what happened. */
export function say(text) {
  $("status").textContent = text;
}

/** Shows what is wrong; `parts` are texts and elements. */
export function complain(...parts) {
  const box = $("message");
  box.replaceChildren(...parts.map((part) => (typeof part === "string" ? el("p", {}, part) : part)));
  box.hidden = parts.length === 0;
}

/** A function that runs once calls have ceased for a while. */
export function settled(wait, run) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), wait);
  };
}

// What the page asks the service.

/** A request that was refused, in the service's words. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answer(promise) {
  let response;
  try {
    response = await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service does not answer. Is `astroclip serve` still running?", 0);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refused(body.error ?? `The service answers ${response.status}.`, response.status);
}

const url = (path, parameters = {}) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  return `/api/v1/${path}${given.length ? "?" : ""}${new URLSearchParams(given)}`;
};

export const get = async (path, parameters, signal) => (await answer(fetch(url(path, parameters), { signal }))).json();

const send = (path, body, signal) =>
  answer(fetch(url(path), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal }));

export const search = async (body, signal) => (await send("search", body, signal)).json();
export const galaxies = async (ids, signal) => (await send("galaxies", { ids }, signal)).json();
export const galaxy = (id, signal) => get(`galaxies/${encodeURIComponent(id)}`, {}, signal);

export async function upload(file) {
  const request = fetch(url("upload", { name: file.name }), {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
  return (await answer(request)).json();
}

/** Saves galaxies as a file: `csv`, `votable` or `ids`. */
export async function save(ids, similarity, format) {
  const response = await send("export", { ids, similarity, format });
  const ending = { csv: "csv", votable: "vot", ids: "txt" }[format];
  const place = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = place;
  link.download = `galaxies.${ending}`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(place), 10_000);
}

/** How fluxes become colours, for all pictures of the page. */
export const stretch = { brightness: 1, softening: 20 };

export function picture(id, size) {
  const { brightness, softening } = stretch;
  return url(`galaxies/${encodeURIComponent(id)}/image.png`, { brightness: brightness.toPrecision(3), softening: softening.toPrecision(3), size });
}

export const fits = (id) => url(`galaxies/${encodeURIComponent(id)}/image.fits`);

const spectra = new Map();

/** A spectrum, of so many pixels at most; kept, since galaxies come up again. */
export function spectrum(id, bins) {
  const key = `${bins ?? ""} ${id}`;
  if (!spectra.has(key)) {
    if (spectra.size > 400) spectra.clear();
    const asked = get(`galaxies/${encodeURIComponent(id)}/spectrum`, { bins });
    asked.catch(() => spectra.delete(key));
    spectra.set(key, asked);
  }
  return spectra.get(key);
}

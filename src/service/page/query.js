// What is looked for, as the address has it: the back button and shared links work by it.

const list = (text) => (text ? text.split(",").filter(Boolean) : []);

/** What an address asks for. */
export function read(search) {
  const from = new URLSearchParams(search);
  return {
    ids: list(from.get("id")),
    without: list(from.get("without")),
    at: from.get("at") ?? "",
    unusual: from.get("unusual") ?? "",
    list: from.get("list") ?? "",
    upload: from.get("upload") ?? "",
    filters: list(from.get("filters")),
  };
}

/** The address that asks for it. */
export function write(query) {
  const to = new URLSearchParams();
  if (query.ids?.length) to.set("id", query.ids.join(","));
  if (query.without?.length) to.set("without", query.without.join(","));
  for (const name of ["at", "unusual", "list", "upload"]) if (query[name]) to.set(name, query[name]);
  if (query.filters?.length) to.set("filters", query.filters.join(","));
  // Commas, colons and blanks stay as people read them.
  const text = to.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text ? `/?${text}` : "/";
}

/** What somebody typed: a position in degrees or identifiers. */
export function typed(text, filters) {
  const words = text.trim();
  const numbers = words.split(/[\s,]+/).map(Number);
  const isPosition = numbers.length === 2 && numbers.every(Number.isFinite) && Math.abs(numbers[1]) <= 90 && Math.abs(numbers[0]) <= 360 && /[.\s]/.test(words);
  if (isPosition) return { at: numbers.join(" "), filters };
  // Names may hold blanks, numbers do not.
  const separator = /^[\d\s,-]+$/.test(words) ? /[\s,]+/ : ",";
  return { ids: words.split(separator).map((word) => word.trim()).filter(Boolean), filters };
}

/** Filters of an address as the body of a search has them. */
export function parsed(filters) {
  return filters.map((filter) => {
    const at = filter.lastIndexOf(":");
    const [min, max] = filter.slice(at + 1).split("..");
    const number = (text) => (text === "" || text === undefined ? null : Number(text));
    return { column: filter.slice(0, at), min: number(min), max: number(max) };
  });
}

import fs from "node:fs";

/** Undefined until it was asked for. */
let known: { readonly max: number | undefined } | undefined;

/** How many files this process may have open, as far as the system tells; on Linux the soft limit, which Node has raised to the hard one. */
export function openFilesMax(): number | undefined {
  known ??= { max: readLimit() };
  return known.max;
}

function readLimit(): number | undefined {
  try {
    const digits = /^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"))?.[1];
    return digits === undefined ? undefined : Number(digits);
  } catch {
    // Other systems have no such file.
    return undefined;
  }
}

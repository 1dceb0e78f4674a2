const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/** A size for people: `1.4 MiB`. */
export function humanSize(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes / 1024;
  let unit = 0;
  // 1023.95 would be printed as 1024.0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** An exact size and, where it helps, its size for people: `1,468,006 bytes (1.4 MiB)`. */
export function exactSize(bytes: number): string {
  const exact = `${humanNumber(bytes)} ${bytes === 1 ? "byte" : "bytes"}`;
  return bytes < 1024 ? exact : `${exact} (${humanSize(bytes)})`;
}

/** A number with thousands separated: `12,345`. */
export function humanNumber(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** How many of what: `1 object`, `2,000 objects`. */
export function count(value: number, noun: string): string {
  return `${humanNumber(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** A time in seconds as a clock: `0:07`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const pad = (value: number): string => value.toString().padStart(2, "0");
  if (minutes < 60) return `${minutes}:${pad(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
}

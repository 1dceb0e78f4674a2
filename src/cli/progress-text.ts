import type { Progress } from "../index.ts";
import { clock, humanNumber, humanSize } from "./units.ts";

/** The rate is that of the last seconds, so that it follows what happens now. */
const WINDOW_MS = 5000;
const BAR_CHARACTERS = 24;

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
  readonly objects: number;
}

/** Measures how fast a phase goes. Time is given by the caller, in milliseconds. */
export class RateMeter {
  #samples: Sample[] = [];

  add(atMs: number, progress: Progress): void {
    this.#samples.push({ atMs, bytes: progress.bytes, objects: progress.objects });
    // One sample older than the window stays: the rate is measured against it.
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? 0) <= atMs - WINDOW_MS) this.#samples.shift();
  }

  /** Per second; undefined until two samples are far enough apart. */
  rate(of: "bytes" | "objects"): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs - first.atMs < 200) return undefined;
    return ((last[of] - first[of]) * 1000) / (last.atMs - first.atMs);
  }
}

/** One line without a line feed, cut to `columns`: phase, bar, bytes, rate, objects, remaining time. */
export function progressLine(progress: Progress, meter: RateMeter, columns: number): string {
  const { bytes, objects, totalBytes, totalObjects } = progress;
  const measure = totalBytes ? "bytes" : totalObjects ? "objects" : undefined;
  const total = measure === "bytes" ? totalBytes : totalObjects;
  const parts: string[] = [];
  if (measure !== undefined && total) {
    const done = Math.min(1, progress[measure] / total);
    const filled = Math.floor(done * BAR_CHARACTERS);
    parts.push(`[${"#".repeat(filled)}${"-".repeat(BAR_CHARACTERS - filled)}] ${Math.floor(done * 100)}%`);
  }
  const hasBytes = bytes > 0 || totalBytes !== undefined;
  if (hasBytes) parts.push(totalBytes ? `${humanSize(bytes)} of ${humanSize(totalBytes)}` : humanSize(bytes));
  const bytesPerSecond = meter.rate("bytes");
  if (hasBytes && bytesPerSecond !== undefined) parts.push(`${humanSize(bytesPerSecond)}/s`);
  parts.push(`${humanNumber(objects)}${totalObjects ? ` of ${humanNumber(totalObjects)}` : ""} objects`);
  const perSecond = measure === undefined ? undefined : meter.rate(measure);
  if (measure !== undefined && total && perSecond) {
    parts.push(`${clock(Math.max(0, total - progress[measure]) / perSecond)} left`);
  }
  return `${progress.phase}  ${parts.join("  ")}`.slice(0, Math.max(0, columns - 1));
}

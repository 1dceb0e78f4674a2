import type { Progress } from "../index.ts";
import { clock, humanNumber, humanSize } from "./units.ts";

/** The rate is that of the last seconds, so that it follows what happens now. */
const WINDOW_MS = 5000;
const BAR_CHARACTERS = 24;
/** Rather than a bar shorter than this, objects are left out. */
const SHORTER_BAR = 12;
/** And rather than one shorter than this, the bar. */
const SHORTEST_BAR = 4;

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

/**
 * One line without a line feed, which fits `columns`: phase, bar, percent, bytes, rate, objects, remaining time. Where there is no room for
 * all of it, the bar is shorter, then the objects are left out, then the bar.
 */
export function progressLine(progress: Progress, meter: RateMeter, columns: number): string {
  const room = Math.max(0, columns - 1);
  const { part, bytes, objects, left } = partsOf(progress, meter);
  const percent = part === undefined ? [] : [`${Math.floor(part * 100)}%`];
  // Where bytes are not counted, it is the objects that tell how far it is.
  const most = [...percent, ...(bytes.length > 0 ? bytes : [objects]), ...left];
  const all = [...percent, ...bytes, objects, ...left];
  const lines = [
    lineOf(room, progress.phase, part, all, SHORTER_BAR),
    lineOf(room, progress.phase, part, most, SHORTEST_BAR),
    lineOf(room, progress.phase, undefined, most),
  ];
  return lines.find((line) => line.length <= room) ?? (lines.at(-1) as string).slice(0, room);
}

/** What a line tells, each as text; `part` is what is done of all, if that is known. */
function partsOf(progress: Progress, meter: RateMeter) {
  const { bytes, objects, totalBytes, totalObjects } = progress;
  const measure = totalBytes ? "bytes" : "objects";
  const total = totalBytes || totalObjects;
  const bytesPerSecond = meter.rate("bytes");
  const perSecond = meter.rate(measure);
  const sizes = totalBytes ? `${humanSize(bytes)} of ${humanSize(totalBytes)}` : humanSize(bytes);
  const hasBytes = bytes > 0 || totalBytes !== undefined;
  return {
    part: total ? Math.min(1, progress[measure] / total) : undefined,
    bytes: hasBytes ? [sizes, ...(bytesPerSecond === undefined ? [] : [`${humanSize(bytesPerSecond)}/s`])] : [],
    objects: `${humanNumber(objects)}${totalObjects ? ` of ${humanNumber(totalObjects)}` : ""} objects`,
    left: total && perSecond ? [`${clock(Math.max(0, total - progress[measure]) / perSecond)} left`] : [],
  };
}

/** The words with two spaces between. If `part` is given, they have a bar in front, as long as there is room, and not below `least` characters. */
function lineOf(room: number, phase: string, part: number | undefined, words: readonly string[], least = 0): string {
  const text = words.join("  ");
  if (part === undefined) return `${phase}  ${text}`;
  const spare = room - phase.length - text.length - "  [] ".length;
  const length = Math.max(least, Math.min(BAR_CHARACTERS, spare));
  const filled = Math.floor(part * length);
  return `${phase}  [${"#".repeat(filled)}${"-".repeat(length - filled)}] ${text}`;
}

import type { Progress } from "../index.ts";
import { clock, count, exactSize, humanNumber, humanSize } from "./units.ts";

/** What a command has done in all; without `bytes` where it does not handle contents. */
export interface Work {
  readonly objects: number;
  readonly bytes?: number;
}

/** What `--verbose` tells at the end. */
export interface WorkReport extends Partial<Work> {
  readonly seconds: number;
  readonly objectsPerSecond?: number;
  readonly bytesPerSecond?: number;
  /** The largest resident set of the process so far. */
  readonly peakMemoryBytes: number;
}

/** Remembers how much a command has done: what it says at its end, or else the last that its progress said. */
export class WorkMeter {
  readonly #startMs = performance.now();
  #work: Work | undefined;
  #isFinal = false;

  update(progress: Progress): void {
    if (!this.#isFinal) this.#work = { objects: progress.objects, bytes: progress.bytes };
  }

  /** The amount when all is done. */
  finish(work: Work): void {
    this.#work = work;
    this.#isFinal = true;
  }

  report(): WorkReport {
    const seconds = (performance.now() - this.#startMs) / 1000;
    // Node gives KiB on every system.
    const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
    if (this.#work === undefined) return { seconds, peakMemoryBytes };
    const { objects, bytes } = this.#work;
    return {
      objects,
      ...(bytes !== undefined && { bytes, bytesPerSecond: bytes / seconds }),
      seconds,
      objectsPerSecond: objects / seconds,
      peakMemoryBytes,
    };
  }
}

/** One line: `300 objects, 1,468,006 bytes (1.4 MiB) in 2.1 s: 142 objects/s, 0.7 MB/s; peak memory 98.2 MiB`. */
export function workLine(report: WorkReport): string {
  const { objects, bytes, seconds, objectsPerSecond = 0, bytesPerSecond = 0, peakMemoryBytes } = report;
  const done: string[] = [];
  const rates: string[] = [];
  if (objects !== undefined) {
    done.push(count(objects, "object"));
    rates.push(`${humanNumber(Math.round(objectsPerSecond))} objects/s`);
  }
  if (bytes !== undefined) {
    done.push(exactSize(bytes));
    rates.push(`${(bytesPerSecond / 1e6).toFixed(1)} MB/s`);
  }
  const time = seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds);
  const what = done.length === 0 ? time : `${done.join(", ")} in ${time}: ${rates.join(", ")}`;
  return `${what}; peak memory ${humanSize(peakMemoryBytes)}`;
}

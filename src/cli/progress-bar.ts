import type { OnProgress, Progress } from "../index.ts";
import { progressLine, RateMeter } from "./progress-text.ts";

/** A line on the terminal that says how far a long operation is. Without a terminal there is none. */
export interface ProgressBar {
  /** False when it only measures: nobody would see how much there is to do. */
  readonly wantsTotals: boolean;
  readonly update: OnProgress;
  /** Takes the line away, so that something else can be written; the next update draws it again. */
  hide(): void;
}

const REDRAW_MS = 100;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** A bar on `stream`, or undefined when nobody would see it. The library that draws is loaded only then. */
export async function createProgressBar(stream: NodeJS.WriteStream): Promise<ProgressBar | undefined> {
  if (!stream.isTTY || process.env["TERM"] === "dumb") return undefined;
  ensureSize(stream);
  const { createLogUpdate } = await import("log-update");
  // The cursor stays: hiding it needs handlers for signals and exit that bring it back.
  const draw = createLogUpdate(stream, { showCursor: true });
  let meter = new RateMeter();
  let phase: string | undefined;
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    wantsTotals: true,
    update(progress: Progress): void {
      const now = performance.now();
      if (progress.phase !== phase) meter = new RateMeter();
      else if (now - drawnAt < REDRAW_MS) return;
      phase = progress.phase;
      drawnAt = now;
      meter.add(now, progress);
      ensureSize(stream);
      draw(progressLine(progress, meter, stream.columns));
    },
    hide: () => draw.clear(),
  };
}

/** A terminal that nobody has given a size says 0, which the library takes for no room at all. A later size takes its place. */
function ensureSize(stream: NodeJS.WriteStream): void {
  stream.columns ||= DEFAULT_COLUMNS;
  stream.rows ||= DEFAULT_ROWS;
}

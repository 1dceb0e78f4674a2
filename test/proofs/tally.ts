import type { Line } from "./lines.ts";
import type { PowerCut } from "./loop-disk.ts";

/** What a proof has seen. */
export class Tally {
  inserted = 0;
  deleted = 0;
  kills = 0;
  cuts = 0;
  /** Writes that had not been flushed at the cuts, and how many of them survived. */
  unflushed = 0;
  survivors = 0;
  readonly #done = new Map<string, number>();
  readonly #interrupted = new Map<string, number>();

  take({ sign, subject }: Line): void {
    if (sign === "+") this.inserted++;
    if (sign === "-") this.deleted++;
    if (sign === "<") count(this.#done, subject);
  }

  killed(doing: string | undefined): void {
    this.kills++;
    count(this.#interrupted, doing ?? "nothing");
  }

  cut({ unflushed, survivors }: PowerCut): void {
    this.cuts++;
    this.unflushed += unflushed;
    this.survivors += survivors;
  }

  get operations(): string {
    return text(this.#done);
  }

  get interrupted(): string {
    return text(this.#interrupted);
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function text(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([name, number]) => `${name} ${number}`).join(", ");
}

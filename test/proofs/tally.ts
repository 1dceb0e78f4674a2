import type { Line } from "./lines.ts";

/** What a proof has seen. */
export class Tally {
  inserted = 0;
  deleted = 0;
  kills = 0;
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

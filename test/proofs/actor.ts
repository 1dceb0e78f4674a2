import { Container } from "../../src/index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { contentOf, IDS_PER_ACTOR, SHARED_CONTENTS } from "./contents.ts";
import { say } from "./lines.ts";

/** Long, since others hold the packer lock most of the time. */
const LOCK_TIMEOUT_MS = 300_000;

/** One of the processes that work on a container: what it knows, and what it may choose. */
export class Actor {
  readonly root: string;
  readonly number: number;
  #container: Container | undefined;
  /** The contents that it may delete, by key. */
  readonly mine: Map<string, number> = new Map();
  /** The contents that were deleted and that it may insert again, by key. */
  readonly gone: Map<string, number> = new Map();
  /** Keys of others that are there. */
  readonly known: Set<string> = new Set();
  readonly #next: () => number;
  readonly #base: number;
  #lastId = 0;

  /** Actors with different numbers have different contents; the seed decides what they do. */
  constructor(root: string, number: number, seed: number) {
    this.root = root;
    this.number = number;
    this.#base = SHARED_CONTENTS + number * IDS_PER_ACTOR;
    this.#next = numbers(seed);
  }

  get container(): Container {
    if (this.#container === undefined) throw new Error("open comes first");
    return this.#container;
  }

  /** Opens the container, or opens it anew. */
  async open(): Promise<void> {
    await this.close();
    this.#container = await this.another();
  }

  /** The same container, as somebody else has it open. */
  another(): Promise<Container> {
    return Container.open(this.root, { lockTimeoutMs: LOCK_TIMEOUT_MS });
  }

  async close(): Promise<void> {
    await this.#container?.close();
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.#next() % limit;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  newId(): number {
    return this.#base + this.#lastId++;
  }

  sharedId(): number {
    return this.below(SHARED_CONTENTS);
  }

  /** Takes up to so many out of the map. */
  take(from: Map<string, number>, count: number): [string, number][] {
    const skipped = this.below(Math.max(1, from.size - count));
    const taken = [...from].slice(skipped, skipped + count);
    for (const [key] of taken) from.delete(key);
    return taken;
  }

  /** Up to so many keys that should be there. */
  some(count: number): string[] {
    const all = [...this.mine.keys(), ...this.known];
    if (all.length <= count) return all;
    return Array.from({ length: count }, () => this.pick(all));
  }

  acknowledged(key: string, id: number): void {
    say("+", key, id);
    if (id >= SHARED_CONTENTS) this.mine.set(key, id);
  }

  source(id: number): Uint8Array | AsyncIterable<Uint8Array> {
    const content = contentOf(id);
    return this.chance(20) ? inPieces(content) : content;
  }
}

async function* inPieces(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536);
}

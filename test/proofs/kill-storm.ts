import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { ActorProcess } from "./actor-process.ts";
import { endsClean, goesOn } from "./aftermath.ts";
import { dosActor } from "./dos-actor.ts";
import type { Line } from "./lines.ts";
import { Model } from "./model.ts";
import { passTime } from "./pass-time.ts";
import { Tally } from "./tally.ts";

const AT_ONCE = 4;
/** Milliseconds: actors do several things in that time, so nearly every kill lands inside one of them. */
const KILLED_WITHIN = 150;
const ROUNDS_PER_CONTAINER = 50;
const FOCUSED = ["delete", "pack", "repack", "backup", "import"] as const;

export interface Storm {
  /** For the containers; removed when they are done. */
  readonly folder: string;
  readonly seed: number;
  readonly kills: number;
  readonly formatVersion: 1 | 2;
  /**
   * Version 1: one of the processes is disk-objectstore's. Its packer brings back what is deleted while it packs, so with it nothing
   * is deleted.
   */
  readonly dos?: boolean;
  readonly onRound?: (tally: Tally) => void;
}

/** Actors that do everything are killed at random moments, several at once, again and again. */
export async function killStorm({ folder, seed, kills, formatVersion, dos, onRound }: Storm): Promise<Tally> {
  const tally = new Tally();
  const next = numbers(seed);
  while (tally.kills < kills) {
    const scratch = mkdtempSync(join(folder, "storm-"));
    const root = join(scratch, "container");
    const options = { formatVersion, packSizeTarget: 1_000_000 + (next() % 3_000_000) };
    await (await Container.create(root, options)).close();
    const rounds = Math.min(ROUNDS_PER_CONTAINER, Math.ceil((kills - tally.kills) / AT_ONCE));
    const container = new StormyContainer(root, next, tally, dos ?? false);
    await container.run(rounds, () => onRound?.(tally));
    rmSync(scratch, { recursive: true });
  }
  return tally;
}

class StormyContainer {
  readonly #root: string;
  readonly #next: () => number;
  readonly #tally: Tally;
  readonly #dos: boolean;
  readonly #model = new Model();
  #actors = 0;

  constructor(root: string, next: () => number, tally: Tally, dos: boolean) {
    this.#root = root;
    this.#next = next;
    this.#tally = tally;
    this.#dos = dos;
  }

  async run(rounds: number, onRound: () => void): Promise<void> {
    let starting = this.#start();
    try {
      for (let round = 0; round < rounds; round++) {
        await this.#kill(starting);
        // They take their time to start, and open the container only when they are told to.
        starting = round < rounds - 1 ? this.#start() : [];
        await this.#check();
        onRound();
      }
      await this.#end();
    } finally {
      await Promise.all(starting.map((actor) => actor.kill()));
    }
  }

  #start(): ActorProcess[] {
    return Array.from({ length: AT_ONCE }, (_, i) => {
      const onLine = (line: Line): void => {
        this.#model.take(line);
        this.#tally.take(line);
      };
      const options = { root: this.#root, number: this.#actors++, seed: this.#next(), onLine };
      if (!this.#dos) return new ActorProcess({ ...options, ...(i === 0 && { verbs: this.#focus() }) });
      return i === 0
        ? dosActor({ ...options, verbs: ["dos-loose", "dos-packed", "dos-pack"] })
        : new ActorProcess({ ...options, verbs: ["loose", "packed", "auto", "shared", "pack", "clean", "open"] });
    });
  }

  /** One of them does little but what takes long or is rare among all that they do. */
  #focus(): string[] {
    const verb = FOCUSED[this.#next() % FOCUSED.length] as string;
    return ["loose", "packed", verb, verb, verb];
  }

  async #kill(actors: readonly ActorProcess[]): Promise<void> {
    const delays = actors.map(() => this.#next() % KILLED_WITHIN);
    await Promise.all(
      actors.map(async (actor, i) => {
        await actor.ready();
        await actor.begin();
        await sleep(delays[i]);
        await actor.kill();
        assert.equal(actor.failure, undefined);
        this.#tally.killed(actor.doing);
      }),
    );
  }

  /** Everybody is dead: nothing is lost, and the next operation just works, without waiting for a lock. */
  async #check(): Promise<void> {
    if (this.#dos) passTime(this.#root);
    await using container = await Container.open(this.#root, { lockTimeoutMs: 0 });
    await goesOn(container, this.#model, this.#next);
  }

  async #end(): Promise<void> {
    await using container = await Container.open(this.#root, { lockTimeoutMs: 0 });
    await endsClean(container, this.#model);
  }
}

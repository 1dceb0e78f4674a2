import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { ActorProcess } from "./actor-process.ts";
import { endsClean } from "./aftermath.ts";
import { SHARED_CONTENTS } from "./contents.ts";
import { dosActor } from "./dos-actor.ts";
import type { Line } from "./lines.ts";
import { Model } from "./model.ts";
import { Tally } from "./tally.ts";
import { verbs } from "./verbs.ts";

/** Objects; what is more is given to the deleter. */
const POPULATION = 3000;
const HAND_OVER_MS = 50;
/** Fewer than so many at a time. */
const HAND_OVER = 20;
/** For the last operation of each to end. */
const ENDING_MS = 180_000;

/** What each process does, and its longest pause in milliseconds. */
interface Role {
  readonly verbs: readonly string[];
  readonly pauseMs: number;
  /** Instead of tsdos, its Python original. */
  readonly dos?: boolean;
}

const READERS: readonly Role[] = [
  { verbs: ["read-single", "read-bulk", "read-ranges", "list", "open"], pauseMs: 20 },
  { verbs: ["read-held", "read-bulk", "read-held"], pauseMs: 20 },
];
const BACKUP: Role = { verbs: ["backup"], pauseMs: 500 };
const WRITERS: readonly Role[] = [
  { verbs: ["loose", "again", "shared"], pauseMs: 200 },
  { verbs: ["packed", "auto", "again", "import"], pauseMs: 200 },
];
const MAINTAINERS: readonly Role[] = [
  { verbs: ["pack"], pauseMs: 200 },
  { verbs: ["repack"], pauseMs: 500 },
  { verbs: ["clean", "rebuild-index", "open"], pauseMs: 500 },
  { verbs: ["validate"], pauseMs: 500 },
];
const DELETER: Role = { verbs: ["delete"], pauseMs: 20 };
const DOS_USER: readonly Role[] = [{ verbs: ["dos-loose", "dos-read"], pauseMs: 50, dos: true }];
const DOS_PACKER: readonly Role[] = [{ verbs: ["dos-pack", "dos-packed"], pauseMs: 300, dos: true }];

export interface SoakOptions {
  readonly folder: string;
  readonly formatVersion: 1 | 2;
  readonly seed: number;
  readonly seconds: number;
  /**
   * Version 1: live processes of disk-objectstore take part. Its packer brings back what is deleted while it packs: so with it
   * nothing is deleted.
   */
  readonly dos?: "reads and writes" | "packs";
  readonly onMinute?: (tally: Tally) => void;
}

/** Processes of all kinds work on one container, and what they see is compared with what they did. */
export async function soak(options: SoakOptions): Promise<Tally> {
  const root = join(options.folder, `container-${options.formatVersion}-${options.dos ?? ""}`);
  const { formatVersion } = options;
  await (await Container.create(root, { formatVersion, packSizeTarget: 4_000_000 })).close();
  const run = new Soak(root, options);
  await run.work();
  await run.end();
  return run.tally;
}

class Soak {
  readonly tally = new Tally();
  readonly #root: string;
  readonly #options: SoakOptions;
  readonly #next: () => number;
  readonly #model = new Model();
  /** How many readers still have to look for a key that was deleted. */
  readonly #unchecked = new Map<string, number>();
  readonly #actors: ActorProcess[] = [];
  #readers: readonly ActorProcess[] = [];
  #writers: readonly ActorProcess[] = [];
  #deleter: ActorProcess | undefined;
  #problem: string | undefined;

  constructor(root: string, options: SoakOptions) {
    this.#root = root;
    this.#options = options;
    this.#next = numbers(options.seed);
  }

  async work(): Promise<void> {
    const { dos, seconds, onMinute } = this.#options;
    this.#readers = this.#start([...READERS, BACKUP]);
    this.#writers = this.#start(WRITERS);
    this.#start(MAINTAINERS);
    if (dos !== "packs") [this.#deleter] = this.#start([DELETER]);
    if (dos !== undefined) this.#readers = [...this.#readers, ...this.#start(DOS_USER)];
    if (dos === "packs") this.#start(DOS_PACKER);
    try {
      for (const actor of this.#actors) await actor.ready();
      for (const actor of this.#actors) await actor.begin();
      const end = performance.now() + seconds * 1000;
      let minute = performance.now() + 60_000;
      while (performance.now() < end && this.#problem === undefined) {
        await sleep(HAND_OVER_MS);
        this.#handOver();
        if (performance.now() < minute) continue;
        minute += 60_000;
        onMinute?.(this.tally);
      }
      for (const actor of this.#actors) actor.endInput();
      for (const actor of this.#actors) {
        if (this.#problem === undefined) await actor.succeeds();
        assert.equal(this.#problem, undefined);
      }
    } finally {
      await Promise.all(this.#actors.map((actor) => actor.kill()));
    }
  }

  /** Nobody works any more. */
  async end(): Promise<void> {
    await using container = await Container.open(this.#root, { lockTimeoutMs: 0 });
    await this.#model.check(container);
    await endsClean(container, this.#model);
  }

  #start(roles: readonly Role[]): ActorProcess[] {
    const { formatVersion, seconds } = this.#options;
    const actors = roles.map(({ verbs: names, pauseMs, dos }) => {
      const known = names.filter((name) => dos || (verbs[name]?.version ?? formatVersion) === formatVersion);
      const options = {
        root: this.#root,
        number: this.#actors.length,
        seed: this.#next(),
        pauseMs,
        verbs: known,
        limitMs: seconds * 1000 + ENDING_MS,
        onLine: (line: Line) => this.#take(line),
      };
      const actor = dos ? dosActor(options) : new ActorProcess(options);
      this.#actors.push(actor);
      return actor;
    });
    return actors;
  }

  #take(line: Line): void {
    const { sign, subject, detail } = line;
    this.tally.take(line);
    this.#model.take(line);
    if (sign === "x") this.#problem ??= `${subject} failed: ${detail.replaceAll(" | ", "\n")}`;
    if (sign === "!" && this.#model.present.has(subject)) this.#problem ??= `${subject} is lost, says ${detail}`;
    if (sign === "+") this.#tell(this.#readers, `read ${subject}`);
    if (sign === "-") {
      this.#unchecked.set(subject, this.#readers.length);
      this.#tell(this.#readers, `gone ${subject}`);
    }
    if (sign === "=") this.#isGone(subject);
  }

  #tell(actors: readonly ActorProcess[], line: string): void {
    for (const actor of actors) actor.say(line);
  }

  /** A reader has seen that a deleted object is not there. After the last one has, it may come back. */
  #isGone(key: string): void {
    const left = (this.#unchecked.get(key) ?? 0) - 1;
    this.#unchecked.set(key, left);
    if (left > 0) return;
    this.#unchecked.delete(key);
    const id = this.#model.gone.get(key);
    const writer = this.#writers[this.#next() % this.#writers.length];
    if (id !== undefined && this.#next() % 3 === 0) writer?.say(`again ${key} ${id}`);
  }

  /** Gives the deleter what is too much: from then on nobody can say whether it is there, until it was deleted. */
  #handOver(): void {
    if (this.#deleter === undefined || this.#model.present.size === 0) return;
    let count = Math.max(this.#next() % HAND_OVER, this.#model.present.size - POPULATION);
    const all = [...this.#model.present];
    // The newest are loose still, or just being packed.
    const from = this.#next() % 2 === 0 ? this.#next() % all.length : Math.max(0, all.length - 2 * count);
    for (const [key, id] of all.slice(from)) {
      if (count <= 0) return;
      if (id < SHARED_CONTENTS) continue;
      count--;
      this.#tell(this.#readers, `forget ${key}`);
      this.#model.put(this.#model.unsure, key, id);
      this.#deleter.say(`own ${key} ${id}`);
    }
  }
}

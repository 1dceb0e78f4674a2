import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { ActorProcess } from "./actor-process.ts";
import { endsClean, goesOn } from "./aftermath.ts";
import { type FileSystemKind, makeImage } from "./file-systems.ts";
import type { Line } from "./lines.ts";
import { LoopDisk, type PowerCut, withImage } from "./loop-disk.ts";
import { Model } from "./model.ts";
import { passTime } from "./pass-time.ts";
import { Tally } from "./tally.ts";
import type { Survival } from "./volatile-disk.ts";

const ACTORS = 2;
/** While the workload runs; each is of the same disk at another moment. */
const CUTS_IN_A_RUN = 10;
/** Milliseconds from one cut to the next. */
const GAP = 150;
/** Then the disk begins empty again. */
const RUNS_OF_A_DISK = 4;
const SURVIVALS: readonly Survival[] = ["all", "none", "some", "some blocks", "first"];

export interface PowerCutOptions {
  /** For the images. */
  readonly folder: string;
  readonly kind: FileSystemKind;
  readonly formatVersion: 1 | 2;
  readonly seed: number;
  readonly cuts: number;
  readonly onCut?: (tally: Tally) => void;
}

/** Cuts the power of a disk that actors work on, and looks at what is left. */
export async function powerCuts(options: PowerCutOptions): Promise<Tally> {
  const tally = new Tally();
  const next = numbers(options.seed);
  while (tally.cuts < options.cuts) {
    const disk = new WorkedOnDisk(options, next, tally);
    for (let run = 0; run < RUNS_OF_A_DISK && tally.cuts < options.cuts; run++)
      await disk.run(Math.min(CUTS_IN_A_RUN, options.cuts - tally.cuts));
  }
  return tally;
}

class WorkedOnDisk {
  readonly #options: PowerCutOptions;
  readonly #next: () => number;
  readonly #tally: Tally;
  /** What the disk holds when the actors begin, and what must be in it. */
  readonly #image: string;
  #model = new Model();
  #actors = 0;

  constructor(options: PowerCutOptions, next: () => number, tally: Tally) {
    this.#options = options;
    this.#next = next;
    this.#tally = tally;
    this.#image = join(options.folder, "image");
    makeImage(options.kind, this.#image);
  }

  /** Cuts the power several times while actors work; the next run goes on with what the last of the cuts has left. */
  async run(count: number): Promise<void> {
    const { folder, kind } = this.#options;
    const images = Array.from({ length: count }, (_, i) => join(folder, `cut-${i}`));
    const lines: Line[] = [];
    const cuts = await this.#work(images, lines);
    for (const [i, cut] of cuts.entries()) {
      const image = images[i] as string;
      const model = this.#model.copy();
      for (const line of lines) if (line.time < cut.at) model.take(line);
      try {
        await withImage(image, kind, join(folder, "checked"), (at) => this.#check(join(at, "container"), model));
      } catch (error) {
        const said = lines.map(({ time, sign, subject, detail }) => `${time - cut.at} ${sign} ${subject} ${detail}\n`);
        writeFileSync(join(folder, "said"), said.join(""));
        const message = `${image}: ${(error as Error).message}; said by nanoseconds since the cut: ${folder}/said`;
        throw new Error(message, { cause: error });
      }
      this.#tally.cut(cut);
      this.#options.onCut?.(this.#tally);
      if (i < cuts.length - 1) rmSync(image);
      else this.#goOnWith(image, model);
    }
  }

  #goOnWith(image: string, model: Model): void {
    // Renamed over the old one, so that nothing is copied.
    renameSync(image, this.#image);
    this.#model = model;
  }

  async #work(images: readonly string[], lines: Line[]): Promise<PowerCut[]> {
    const { folder, kind, formatVersion } = this.#options;
    const disk = await LoopDisk.start(folder, this.#image, kind);
    const actors: ActorProcess[] = [];
    try {
      const root = join(disk.folder, "container");
      if (!existsSync(root)) {
        const packSizeTarget = 500_000 + (this.#next() % 2_000_000);
        await (await Container.create(root, { formatVersion, packSizeTarget })).close();
      }
      for (let i = 0; i < ACTORS; i++) {
        const onLine = (line: Line): void => {
          lines.push(line);
          this.#tally.take(line);
        };
        actors.push(new ActorProcess({ root, number: this.#actors++, seed: this.#next(), onLine }));
      }
      for (const actor of actors) await actor.ready();
      for (const actor of actors) await actor.begin();
      const cuts: PowerCut[] = [];
      for (const image of images) cuts.push(await this.#cut(disk, image));
      for (const actor of actors) await actor.hasSaidAll(cuts.at(-1)?.at ?? 0n);
      for (const actor of actors) assert.equal(actor.failure, undefined);
      return cuts;
    } finally {
      await Promise.all(actors.map((actor) => actor.kill()));
      await disk.stop();
    }
  }

  async #cut(disk: LoopDisk, image: string): Promise<PowerCut> {
    const survival = SURVIVALS[this.#next() % SURVIVALS.length] as Survival;
    const seed = this.#next();
    const wantsSync = this.#next() % 3 === 0;
    await sleep(this.#next() % GAP);
    // Otherwise what was never synced hardly ever reaches the disk; the cut comes in the middle of that.
    if (wantsSync) spawn("sync", ["--file-system", disk.folder], { stdio: "ignore" });
    await sleep(this.#next() % 10);
    return disk.cut(image, survival, seed);
  }

  async #check(root: string, model: Model): Promise<void> {
    passTime(root);
    await using container = await Container.open(root, { lockTimeoutMs: 0 });
    await goesOn(container, model, this.#next);
    await endsClean(container, model);
  }
}

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { Container } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import { Quarantine } from "../../src/maintenance/quarantine.ts";
import { numbers, smallContents } from "../../src/testing/contents.ts";
import { cut, flip, loosePathOf } from "../support/damage.ts";
import { readableIn } from "../support/repaired.ts";
import { ActorProcess } from "./actor-process.ts";
import { Tally } from "./tally.ts";
import { copyOf } from "./verbs.ts";

/** Milliseconds: about what a repair takes. */
const KILLED_WITHIN = 120;
/** Of repairs of the same container, one after the other. */
const KILLS_PER_CONTAINER = 4;
const PACK_SIZE = 15_000;
/** Bytes of tables of contents that are damaged. */
const TOC_FLIPS = 3;

const contents = [...smallContents(300, 60)].filter((bytes) => bytes.length > 0);
const [packed, both, loose] = [contents.slice(0, 200), contents.slice(200, 240), contents.slice(240)] as const;

export interface RepairStorm {
  /** For the containers; removed when they are done. */
  readonly folder: string;
  readonly seed: number;
  readonly kills: number;
  readonly formatVersion: 1 | 2;
  readonly onContainer?: (tally: RepairTally) => void;
}

export class RepairTally extends Tally {
  containers = 0;
  /** Objects that could not be read before the repairs, and of them those that could after them. */
  damaged = 0;
  recovered = 0;
}

/** Repairs of damaged containers are killed at random moments, again and again; then one is let through. */
export async function killRepairs({
  folder,
  seed,
  kills,
  formatVersion,
  onContainer,
}: RepairStorm): Promise<RepairTally> {
  const tally = new RepairTally();
  const next = numbers(seed);
  const scratch = mkdtempSync(join(folder, "repairs-"));
  const intact = join(scratch, "intact");
  await fill(intact, formatVersion);
  while (tally.kills < kills) {
    const root = join(scratch, "container");
    cpSync(intact, root, { recursive: true });
    cpSync(copyOf(intact), copyOf(root), { recursive: true });
    await damage(root, next, formatVersion);
    const container = new RepairedContainer(root, next, tally);
    await container.run(Math.min(KILLS_PER_CONTAINER, kills - tally.kills));
    onContainer?.(tally);
    for (const path of [root, copyOf(root)]) rmSync(path, { recursive: true });
  }
  rmSync(scratch, { recursive: true });
  return tally;
}

/** Half of the packed objects are in the index only if it is made; a third of all are in the container beside it, too. */
async function fill(root: string, formatVersion: 1 | 2): Promise<void> {
  await using container = await Container.create(root, { formatVersion, packSizeTarget: PACK_SIZE });
  await Array.fromAsync(container.insertMany(packed.slice(0, 100), { to: "packed" }));
  if (formatVersion === 2) await container.rebuildIndex();
  await Array.fromAsync(container.insertMany(packed.slice(100), { to: "packed" }));
  await Array.fromAsync(container.insertMany(both));
  await container.pack({ clean: false });
  await Array.fromAsync(container.insertMany(loose));
  await using copy = await Container.create(copyOf(root), { formatVersion });
  const third = contents.filter((_, i) => i % 3 === 0);
  await Array.fromAsync(copy.insertMany(third, { to: "packed" }));
}

/** Changes bytes of packed and loose objects; in version 2 also tables of contents, one of which may be cut or lost, or the index. */
async function damage(root: string, next: () => number, formatVersion: 1 | 2): Promise<void> {
  const pick = <T>(values: readonly T[]): T => values[next() % values.length] as T;
  const packs = join(root, formatVersion === 2 ? "packed" : "packs");
  const name = (packId: number): string => join(packs, formatVersion === 2 ? `${packId}.pack` : String(packId));
  {
    await using container = await Container.open(root, { tidyIndex: false });
    for (const bytes of Array.from({ length: 6 }, () => pick([...packed, ...both]))) {
      const { packId = 0, offset = 0, storedSize } = (await container.stat(keyOf(bytes), "packed")) ?? assert.fail();
      flip(name(packId), offset + (next() % storedSize), 1 + (next() % 255));
    }
  }
  for (const bytes of Array.from({ length: 5 }, () => pick([...loose, ...both])))
    flip(loosePathOf(root, bytes), next() % bytes.length, 1 + (next() % 255));
  if (formatVersion === 1) return;
  const tocs = readdirSync(packs).filter((file) => file.endsWith(".toc"));
  const flipAnywhere = (path: string): void => flip(path, next() % statSync(path).size, 1 + (next() % 255));
  for (let i = 0; i < TOC_FLIPS; i++) flipAnywhere(join(packs, pick(tocs)));
  const fate = pick(["cut", "lost", "index", "none"]);
  // Only what MANIFEST knows can be found to be cut off.
  const first = join(packs, "0.toc");
  if (fate === "cut") cut(first, next() % statSync(first).size);
  if (fate === "lost") rmSync(join(packs, pick(tocs)));
  if (fate === "index") flipAnywhere(join(packs, "index", pick(readdirSync(join(packs, "index")))));
}

class RepairedContainer {
  readonly #root: string;
  readonly #next: () => number;
  readonly #tally: RepairTally;

  constructor(root: string, next: () => number, tally: RepairTally) {
    this.#root = root;
    this.#next = next;
    this.#tally = tally;
  }

  async run(kills: number): Promise<void> {
    const before = await readableIn(this.#root, contents);
    const expected = await this.#rehearse();
    let starting = this.#start();
    try {
      for (let kill = 1; kill <= kills; kill++) {
        const actor = starting;
        await this.#kill(actor);
        if (kill < kills) starting = this.#start();
        await this.#check(before);
      }
    } finally {
      await starting.kill();
    }
    await this.#end(expected);
    this.#tally.containers++;
    this.#tally.damaged += contents.length - before.length;
    this.#tally.recovered += expected.length - before.length;
  }

  /** What can be read after a repair that nobody kills. */
  async #rehearse(): Promise<string[]> {
    const rehearsed = `${this.#root}-rehearsed`;
    cpSync(this.#root, rehearsed, { recursive: true });
    {
      await using container = await Container.open(rehearsed);
      await using copy = await Container.open(copyOf(this.#root));
      await container.repair({ from: [copy] });
    }
    const readable = await readableIn(rehearsed, contents);
    rmSync(rehearsed, { recursive: true });
    return readable;
  }

  #start(): ActorProcess {
    const onLine = this.#tally.take.bind(this.#tally);
    return new ActorProcess({ root: this.#root, number: 0, seed: this.#next(), verbs: ["repair"], onLine });
  }

  async #kill(actor: ActorProcess): Promise<void> {
    await actor.ready();
    await actor.begin();
    await sleep(this.#next() % KILLED_WITHIN);
    await actor.kill();
    assert.equal(actor.failure, undefined);
    this.#tally.killed(actor.doing);
  }

  /** What could be read still can, and what cannot is listed, or found damaged. */
  async #check(before: readonly string[]): Promise<void> {
    const readable = new Set(await readableIn(this.#root, contents));
    for (const key of before) assert.ok(readable.has(key), `${key} could be read before the repair`);
    await using container = await Container.open(this.#root, { tidyIndex: false, lockTimeoutMs: 0 });
    const { problems } = await container.validate();
    const listed = listedIn(container);
    if (listed.has(undefined) || problems.some(({ kind }) => kind === "toc" || kind === "index")) return;
    for (const key of contents.map(keyOf).filter((one) => !readable.has(one)))
      assert.ok(isIn(listed, key) || problems.some((problem) => problem.key === key), `${key} is lost without a word`);
  }

  /** A repair that is let through recovers what the first one would have recovered, and leaves nothing to do. */
  async #end(expected: readonly string[]): Promise<void> {
    await using container = await Container.open(this.#root, { lockTimeoutMs: 0 });
    await using copy = await Container.open(copyOf(this.#root));
    assert.deepEqual((await container.repair({ from: [copy] })).unrepaired, []);
    assert.deepEqual((await container.validate()).problems, []);
    const readable = new Set(await readableIn(this.#root, contents));
    for (const key of expected) assert.ok(readable.has(key), `${key} is lost, and one repair would have had it`);
    const listed = listedIn(container);
    for (const key of contents.map(keyOf)) {
      assert.ok(readable.has(key) || isIn(listed, key) || listed.has(undefined), `${key} is lost without a word`);
      assert.ok(!(readable.has(key) && listed.has(key)), `${key} is listed as lost, and is there`);
    }
    const { lost, replaced, adopted, moved, rewrittenTocs } = await container.repair({ from: [copy] });
    assert.deepEqual([lost, replaced, adopted, moved, rewrittenTocs], [0, 0, 0, 0, 0], "nothing is left to do");
    await container.clean({ sandboxAgeMs: 0 });
    const left = readdirSync(join(this.#root, "sandbox")).filter((name) => !name.startsWith("tsdos."));
    assert.deepEqual(left, [], "clean leaves nothing in the sandbox");
    const packs = readdirSync(join(this.#root, container.formatVersion === 1 ? "packs" : "packed"));
    assert.deepEqual(
      packs.filter((name) => name.endsWith(".tmp")),
      [],
      "clean leaves nothing beside the packs",
    );
  }
}

function listedIn({ path, config }: Container): Set<string | undefined> {
  const quarantine = new Quarantine({ fs: new NodeFileSystem(), root: path, config, durability: "full" });
  return new Set(Array.from(quarantine.lost(), ({ key }) => key));
}

/** Where the bytes of an object are damaged and its entry, too, the list has the key as the entry has it: bytes of it may be wrong. */
function isIn(listed: ReadonlySet<string | undefined>, key: string): boolean {
  return [...listed].some((one = "") => [...key].filter((digit, i) => digit !== one[i]).length <= 2 * TOC_FLIPS);
}

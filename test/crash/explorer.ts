import { numbers } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem, MemoryFileSystem, type Survives } from "../../src/testing.ts";
import { makeEmptyFolder, openOn, type StoreSettings } from "../support/stores.ts";
import { Acknowledged, type Step } from "../support/workload.ts";
import { JustWorks, type Recovery } from "./recovery.ts";

const READ_ONLY = new Set(["openIfExists", "close", "read", "size", "stat", "list"]);

/** How much of what may be left by a crash is tried. */
export interface Bounds {
  /** Up to so many unsynced changes every subset is tried. */
  readonly exhaustive: number;
  /** Of more: so many random subsets, and as many of each kind: prefixes, all but one, a single one. */
  readonly samples: number;
  /** Of how many states in one the recovery is crashed in turn. */
  readonly secondCrashOneOf: number;
}

export interface Operation {
  readonly name: string;
  /** Taken before, and durable. */
  readonly before?: readonly Step[];
  /** Taken before, and not durable by itself. */
  readonly unsynced?: readonly Step[];
  readonly run: Step["run"];
  readonly settings?: StoreSettings;
  /** Bytes that survive together, in place of 4096. */
  readonly pageSize?: number;
  /** Objects may be damaged that were written for the life of the process. */
  readonly lenient?: boolean;
  /** Damages what was there before. */
  readonly damage?: (files: MemoryFileSystem, state: Acknowledged) => Promise<void>;
  /** What is to come after a crash; {@link JustWorks} by default. */
  readonly recovery?: Recovery;
}

/** What was tried. */
export class Counts {
  /** Calls to the file system that change something. */
  calls = 0;
  /** Images of the disk that were built. */
  images = 0;
  /** Those of them that differ, or that differ in what was acknowledged: each was opened and checked. */
  states = 0;
  /** States after a crash of the recovery. */
  second = 0;

  add(other: Counts): void {
    this.calls += other.calls;
    this.images += other.images;
    this.states += other.states;
    this.second += other.second;
  }

  toString(): string {
    const { calls, images, states, second } = this;
    return `${states} states (of ${images} images at ${calls} calls), ${second} more after a second crash`;
  }
}

interface Moment {
  readonly after: string;
  readonly state: Acknowledged;
  readonly files: MemoryFileSystem;
}

/** Collects what a crash may leave, at each call that changes something. */
class Moments {
  readonly found: Moment[] = [];
  readonly counts = new Counts();
  readonly #memory: MemoryFileSystem;
  readonly #state: Acknowledged;
  readonly #subsets: (changes: number) => Iterable<Survives>;
  readonly #seen = new Set<string>();
  #previous = "the beginning";

  constructor(memory: MemoryFileSystem, state: Acknowledged, subsets: (changes: number) => Iterable<Survives>) {
    this.#memory = memory;
    this.#state = state;
    this.#subsets = subsets;
  }

  /** The file system with a crash before each change. */
  get files(): InterceptedFileSystem {
    return new InterceptedFileSystem(this.#memory, (call) => this.#before(call));
  }

  #before(call: FileCall): undefined {
    if (READ_ONLY.has(call.name) || (call.name === "open" && call.mode === "read")) return;
    this.crash();
    this.#previous = `${call.name} ${call.path}`;
  }

  crash(): void {
    this.counts.calls++;
    let state: Acknowledged | undefined;
    for (const survives of this.#subsets(this.#memory.unsynced.length)) {
      this.counts.images++;
      const files = this.#memory.afterPowerCut(survives);
      const name = `${files.digest()} ${this.#state.version}`;
      if (this.#seen.has(name)) continue;
      this.#seen.add(name);
      this.counts.states++;
      state ??= this.#state.copy();
      this.found.push({ after: this.#previous, state: state.copy(), files });
    }
  }
}

/** The subsets of so many changes that are tried. */
function* subsetsOf(changes: number, { exhaustive, samples }: Bounds, next: () => number): Generator<Survives> {
  if (changes <= exhaustive) {
    for (let subset = 0; subset < 2 ** changes; subset++) yield (_, i) => ((subset >>> i) & 1) === 1;
    return;
  }
  yield () => false;
  yield () => true;
  // All of them where there are few enough, else some.
  const some = (count: number): number[] => {
    const all = Array.from({ length: count }, (_, i) => i);
    return count <= samples ? all : Array.from({ length: samples }, () => next() % count);
  };
  for (const end of some(changes)) yield (_, i) => i < end;
  for (const omitted of some(changes)) yield (_, i) => i !== omitted;
  for (const only of some(changes)) yield (_, i) => i === only;
  for (let i = 0; i < samples; i++) {
    const likely = [0.2, 0.5, 0.8][i % 3] as number;
    yield () => next() < likely * 2 ** 32;
  }
}

/** The files before an operation. */
async function prepare(operation: Operation, state: Acknowledged): Promise<MemoryFileSystem> {
  const first = makeEmptyFolder(new MemoryFileSystem(operation.pageSize ?? 4096));
  await take(operation.before, first, operation, state);
  // As if half a minute had passed: file systems write everything by then.
  const files = first.afterPowerCut(() => true);
  await take(operation.unsynced, files, operation, state);
  if (operation.damage === undefined) return files;
  await operation.damage(files, state);
  return files.afterPowerCut(() => true);
}

async function take(
  steps: readonly Step[] = [],
  files: MemoryFileSystem,
  { settings = {} }: Operation,
  state: Acknowledged,
): Promise<void> {
  const stores = openOn(files, settings);
  for (const step of steps) await step.run(stores, state);
  stores.close();
}

/** Tries each operation with a crash of the whole machine at each of its calls. */
export async function explorePowerCuts(operation: Operation, bounds: Bounds, seed: number): Promise<Counts> {
  const next = numbers(seed);
  const state = new Acknowledged();
  const memory = await prepare(operation, state);
  const moments = new Moments(memory, state, (changes) => subsetsOf(changes, bounds, next));
  return explore(operation, moments, state, { oneOf: bounds.secondCrashOneOf, next });
}

/** Tries each operation, without syncs, with a crash of the process at each of its calls: what was written stays. */
export async function exploreProcessCrashes(operation: Operation): Promise<Counts> {
  const settings = { ...operation.settings, durability: "process" as const };
  const state = new Acknowledged();
  const memory = await prepare(operation, state);
  return explore({ ...operation, settings }, new Moments(memory, state, () => [() => true]), state);
}

async function explore(
  operation: Operation,
  moments: Moments,
  state: Acknowledged,
  second?: { readonly oneOf: number; readonly next: () => number },
): Promise<Counts> {
  const { settings = {}, recovery = new JustWorks(operation.lenient) } = operation;
  const stores = openOn(moments.files, settings);
  await operation.run(stores, state);
  moments.crash();
  stores.close();
  const { counts } = moments;
  for (const [i, moment] of moments.found.entries()) {
    const where = `crash in "${operation.name}" after ${moment.after}, state ${i}`;
    await explained(where, async () => {
      if (second !== undefined && second.next() % second.oneOf === 0)
        counts.second += await crashAgain(moment, recovery, settings, second.next);
      await recovery.opensAgain(openOn(moment.files, settings), moment.state);
      await recovery.goesOn(() => openOn(moment.files, settings), moment.files, moment.state);
    });
  }
  return counts;
}

/** Crashes what the next writer does after a crash. */
async function crashAgain(
  moment: Moment,
  recovery: Recovery,
  settings: StoreSettings,
  next: () => number,
): Promise<number> {
  const state = moment.state.copy();
  const bounds: Bounds = { exhaustive: 3, samples: 3, secondCrashOneOf: 1 };
  const memory = moment.files.afterPowerCut();
  const moments = new Moments(memory, state, (changes) => subsetsOf(changes, bounds, next));
  await recovery.goesOn(() => openOn(moments.files, settings), memory, state);
  for (const again of moments.found) {
    await explained(`second crash after ${again.after}`, () =>
      recovery.opensAgain(openOn(again.files, settings), again.state),
    );
  }
  return moments.counts.states;
}

async function explained(where: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
  }
}

import type { FileSystem } from "../file-system.ts";
import type { ContainerConfig } from "../format/config.ts";
import { checkOption } from "./check-option.ts";
import type { Durability } from "./object-store.ts";

/** Keeps apart who removes loose files and who makes packed copies of them count: each sees what the other has done, or comes first. */
export interface RemovalLock {
  /**
   * Does short synchronous work while nobody else does such work.
   * @throws TsdosError `LOCKED` when somebody does for a long time
   */
  hold<T>(work: () => T): T;
}

/** What the stores of one container share. */
export interface StoreContext {
  readonly fs: FileSystem;
  /** The container's folder. */
  readonly root: string;
  readonly config: ContainerConfig;
  /** Used by calls that do not say. */
  readonly durability: Durability;
  /** Undefined where all who use the container are in one thread. */
  readonly removals?: RemovalLock;
}

/**
 * Whether a call that may say how durable its work shall be syncs it.
 * @throws RangeError for a level that there is none
 */
export function syncs(
  context: Pick<StoreContext, "durability">,
  { durability }: { readonly durability?: Durability | undefined },
): boolean {
  checkOption("durability", durability, ["full", "process"]);
  return (durability ?? context.durability) === "full";
}

/** Does work under the removal lock. */
export function withoutRemovals<T>({ removals }: StoreContext, work: () => T): T {
  return removals === undefined ? work() : removals.hold(work);
}

/** Milliseconds; longer than the time stamps of any file system are apart, and than clocks of a network usually differ. */
const CLOCK_TICK_MS = 2000;
/** The same where stamps have fractions of a second: there they are some 15 ms apart at most. */
const FINE_CLOCK_TICK_MS = 500;

/** True when the next change of a file or folder that had changed at `mtimeMs`, in milliseconds since 1970, leaves another time for sure. */
export function isSettled(mtimeMs: number): boolean {
  const tickMs = mtimeMs % 1000 === 0 ? CLOCK_TICK_MS : FINE_CLOCK_TICK_MS;
  return mtimeMs < Date.now() - tickMs;
}

/** Lets other work of the process run when the current piece of synchronous work has taken long enough. */
export class Pacer {
  #since: number = performance.now();

  /** True when it is time to await {@link pause}. */
  get due(): boolean {
    return performance.now() - this.#since > SLICE_MS;
  }

  async pause(): Promise<void> {
    await new Promise(setImmediate);
    this.#since = performance.now();
  }
}

/** Takes all steps of something that is done step by step, and lets others run in between. */
export async function inSteps<T>(steps: Generator<unknown, T>, signal?: AbortSignal): Promise<T> {
  const pacer = new Pacer();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = steps.next();
      if (step.done) return step.value;
      if (pacer.due) await pacer.pause();
    }
  } finally {
    steps.return(undefined as T);
  }
}

/** Milliseconds of synchronous work in one go: short enough for a responsive server, long enough to cost nothing. */
const SLICE_MS = 15;

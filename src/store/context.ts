import type { FileSystem } from "../file-system.ts";
import type { ContainerConfig } from "../format/config.ts";
import type { Durability } from "./object-store.ts";

/** What the stores of one container share. */
export interface StoreContext {
  readonly fs: FileSystem;
  /** The container's folder. */
  readonly root: string;
  readonly config: ContainerConfig;
  /** Used by calls that do not say. */
  readonly durability: Durability;
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

/** Milliseconds of synchronous work in one go: short enough for a responsive server, long enough to cost nothing. */
const SLICE_MS = 15;

import type { ObjectKey } from "../key/object-key.ts";
import type { Progress } from "../progress.ts";
import { LISTED_MAX } from "./findings.ts";
import type { PackReport, PassedOver } from "./reports.ts";

/** What `pack` has done so far. */
export class PackTally {
  #examined = 0;
  #packedObjects = 0;
  #rawBytes = 0;
  #storedBytes = 0;
  #cleanedObjects = 0;
  #cleanedBytes = 0;
  #damagedObjects = 0;
  readonly #damaged: ObjectKey[] = [];

  /** Bytes of an object that was packed, on average. */
  get averageSize(): number {
    return this.#packedObjects === 0 ? 0 : this.#rawBytes / this.#packedObjects;
  }

  examined(objects: number): void {
    this.#examined += objects;
  }

  packed(rawBytes: number, storedBytes: number): void {
    this.#packedObjects++;
    this.#rawBytes += rawBytes;
    this.#storedBytes += storedBytes;
  }

  cleaned({ objects, bytes }: { readonly objects: number; readonly bytes: number }): void {
    this.#cleanedObjects += objects;
    this.#cleanedBytes += bytes;
  }

  damaged(key: ObjectKey): undefined {
    this.#damagedObjects++;
    if (this.#damaged.length < LISTED_MAX) this.#damaged.push(key);
  }

  progress(total: { readonly totalObjects?: number }): Progress {
    const progress = { phase: "pack" as const, objects: this.#examined, bytes: this.#rawBytes };
    const { totalObjects } = total;
    return totalObjects === undefined ? progress : { ...progress, totalObjects };
  }

  report(): Omit<PackReport, keyof PassedOver> {
    return {
      packedObjects: this.#packedObjects,
      rawBytes: this.#rawBytes,
      storedBytes: this.#storedBytes,
      cleanedObjects: this.#cleanedObjects,
      cleanedBytes: this.#cleanedBytes,
      damagedObjects: this.#damagedObjects,
      damaged: this.#damaged,
      dryRun: false,
    };
  }
}

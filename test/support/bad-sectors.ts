import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { TsdosError } from "../../src/errors.ts";
import type { FileCall } from "../../src/testing.ts";

interface Sector {
  /** Keeps the file's number from being given to another file once it is removed. */
  readonly file: number;
  readonly inode: number;
  readonly start: number;
  readonly end: number;
}

/** Parts of files that cannot be read, for `openFailing`: they stay with the file, whatever name it gets. */
export class BadSectors {
  readonly #sectors: Sector[] = [];
  /** A folder whose names cannot be read. */
  folder: string | undefined;

  spoil(path: string, start: number, end: number): void {
    const file = openSync(path, "r");
    this.#sectors.push({ file, inode: fstatSync(file).ino, start, end });
  }

  /** Bytes of a file, if it is there. */
  sizeOf(path: string): number | undefined {
    return statSync(path, { throwIfNoEntry: false })?.size;
  }

  hits(path: string, start: number, end: number): boolean {
    const inode = statSync(path, { throwIfNoEntry: false })?.ino;
    return this.#sectors.some((one) => one.inode === inode && one.start < end && start < one.end);
  }

  readonly errorOf = ({ name, path, position = 0, size = 0 }: FileCall): Error | undefined => {
    const end = name === "copy" ? Number.POSITIVE_INFINITY : position + size;
    const isHit = name === "list" ? path === this.folder : /^(read|copy)/.test(name) && this.hits(path, position, end);
    if (!isHit) return undefined;
    return new TsdosError("IO_ERROR", `cannot ${name} ${path}: on purpose (EIO)`, { path, errno: "EIO" });
  };

  heal(): void {
    for (const { file } of this.#sectors.splice(0)) closeSync(file);
    this.folder = undefined;
  }
}

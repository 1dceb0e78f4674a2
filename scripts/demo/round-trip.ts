import { closeSync, openSync, readSync } from "node:fs";
import { type Container, fromFile, isTsdosError, type ObjectKey, type StoredObject } from "../../src/index.ts";
import { hasChanged, isMissingOrDenied, type SourceFile } from "./tree.ts";

/** Objects up to this many bytes are compared in one piece. */
const WHOLE_MAX = 1 << 20;

export interface Stored {
  /** The files that are stored, by key. */
  readonly filesByKey: ReadonlyMap<ObjectKey, readonly SourceFile[]>;
  readonly files: number;
  readonly bytes: number;
  /** Files that could not be read, or vanished before they were. */
  readonly unreadable: readonly SourceFile[];
}

/** Stores the files as loose objects. A file that cannot be read is left out, and does not stop the others. */
export async function storeFiles(
  container: Container,
  files: readonly SourceFile[],
  signal?: AbortSignal,
): Promise<Stored> {
  const filesByKey = new Map<ObjectKey, SourceFile[]>();
  const unreadable: SourceFile[] = [];
  let bytes = 0;
  for (let queue = files; queue.length > 0; ) {
    let done = 0;
    const sources = queue.values().map((file) => fromFile(file.path));
    try {
      for await (const { key, rawSize } of container.insertMany(sources, { to: "loose", ...(signal && { signal }) })) {
        const file = queue[done++] as SourceFile;
        const same = filesByKey.get(key);
        if (same === undefined) filesByKey.set(key, [file]);
        else same.push(file);
        bytes += rawSize;
      }
      queue = [];
    } catch (error) {
      // One source's failure ends insertMany: go on behind the last result, without that source.
      const path = isTsdosError(error) ? error.details.path : undefined;
      const lost = queue.findIndex((file, i) => i >= done && file.path === path);
      if (lost < 0) throw error;
      unreadable.push(queue[lost] as SourceFile);
      queue = queue.slice(done).toSpliced(lost - done, 1);
    }
  }
  return { filesByKey, files: files.length - unreadable.length, bytes, unreadable };
}

export interface Comparison {
  readonly same: number;
  /** Files that changed or vanished after they were walked, so that there is nothing to compare with. */
  readonly changed: readonly SourceFile[];
  /** Files that did not come back as they are. */
  readonly different: readonly SourceFile[];
}

/** Reads every object back and compares it with each file that it was stored from, byte for byte. */
export async function compareFiles(container: Container, stored: Stored, signal?: AbortSignal): Promise<Comparison> {
  let same = 0;
  const changed: SourceFile[] = [];
  const different: SourceFile[] = [];
  for await (const { key, object } of container.extractMany(stored.filesByKey.keys(), { ...(signal && { signal }) })) {
    for (const file of stored.filesByKey.get(key) ?? []) {
      if (object === undefined) different.push(file);
      else if (await isSame(object, file.path)) same++;
      else if (hasChanged(file)) changed.push(file);
      else different.push(file);
    }
  }
  return { same, changed, different };
}

/** What a file has where a piece of an object is compared with it: the memory is used again. */
let expectation = Buffer.allocUnsafeSlow(WHOLE_MAX);

/** True when the file at `path` has the object's bytes; false too when the file is gone. */
export async function isSame(object: StoredObject, path: string): Promise<boolean> {
  const chunks = object.rawSize <= WHOLE_MAX ? [await object.bytes()] : object.pieces();
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (isMissingOrDenied(error)) return false;
    throw error;
  }
  try {
    let position = 0;
    for await (const chunk of chunks) {
      if (expectation.length < chunk.length) expectation = Buffer.allocUnsafeSlow(chunk.length);
      const expected = expectation.subarray(0, chunk.length);
      if (readSync(file, expected, 0, chunk.length, position) !== chunk.length || !expected.equals(chunk)) return false;
      position += chunk.length;
    }
    return readSync(file, Buffer.allocUnsafe(1), 0, 1, position) === 0;
  } finally {
    closeSync(file);
  }
}

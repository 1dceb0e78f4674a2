import { TsdosError } from "../errors.ts";
import type { FileStat, FileSystem } from "../file-system.ts";
import {
  DUPLICATES_FOLDER,
  INDEX_FOLDER,
  isLoosePrefix,
  LOCK_FILE,
  LOCK_HOLDER_FILE,
  MANIFEST_FILE,
  packLockName,
  parseLoosePath,
  parsePackFileName,
  parseSegmentFileName,
  parseTocFileName,
  REMOVALS_LOCK_FILE,
  REMOVALS_LOCK_HOLDER_FILE,
  SANDBOX_FOLDER,
} from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { readManifest } from "../pack-index/manifest-file.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { isOfOne, refuseDangling } from "../store/unreadable.ts";
import { findOrUndefined } from "./placed-entries.ts";
import { STALE_MS, staleFiles } from "./stale-files.ts";
import { unreachable } from "./unreadable.ts";
import type { Leftover } from "./validate-reports.ts";

/** A loose object in a place where nobody looks for it. */
export interface Misplaced {
  readonly key: ObjectKey;
  readonly path: string;
  readonly error: TsdosError;
}

/** A folder of loose objects of which nothing can be read. */
export interface UnreadableFolder {
  readonly error: TsdosError;
}

type Stray = Misplaced | UnreadableFolder | Leftover;

/**
 * Files in a container's folders that are not where they should be, or that nothing refers to, and folders of loose objects that cannot
 * be read. Rests now and then.
 */
export function* findStrays(store: CombinedStore): Generator<Stray | undefined> {
  yield* looseStrays(store);
  yield* packStrays(store);
  const { root, fs } = store.packed.context;
  for (const folder of [SANDBOX_FOLDER, DUPLICATES_FOLDER]) {
    for (const file of staleFiles(fs, `${root}/${folder}`, Date.now() - STALE_MS))
      yield { ...file, reason: "left by a program that was interrupted" };
  }
}

function* looseStrays(store: CombinedStore): Generator<Stray | undefined> {
  const { loose, packed } = store;
  const { fs, config } = packed.context;
  const length = config.loosePrefixLen;
  for (const name of (fs.list(loose.folders.root) ?? []).sort()) {
    const path = `${loose.folders.root}/${name}`;
    const isPrefix = length > 0 && isLoosePrefix(name, length);
    if (length === 0 && parseLoosePath("", name) !== undefined && !statIfReadable(fs, path)?.isDirectory) {
      yield undefined;
      continue;
    }
    const inside = namesIn(fs, path);
    yield undefined;
    if (inside instanceof TsdosError) {
      // What is not ours may be as it likes.
      if (isPrefix) yield { error: inside };
      continue;
    }
    if (inside === undefined) yield* strayIn(store, path, parseLoosePath("", name));
    for (const inner of inside?.sort() ?? []) {
      const key = parseLoosePath(name, inner);
      if (isPrefix && key !== undefined && inner.length + length === key.length) continue;
      yield* strayIn(store, `${path}/${inner}`, key);
    }
  }
}

/** What is in a folder; its error where nothing of that can be reached. Undefined for what is no folder. */
function namesIn(fs: FileSystem, path: string): string[] | TsdosError | undefined {
  try {
    const stat = fs.stat(path);
    if (stat === undefined) return refuseDangling(fs, path);
    if (!stat.isDirectory) return undefined;
    return unreachable(fs, path) ?? fs.list(path);
  } catch (error) {
    if (isOfOne(error, path)) return error;
    throw error;
  }
}

function statIfReadable(fs: FileSystem, path: string): FileStat | undefined {
  try {
    return fs.stat(path);
  } catch (error) {
    if (isOfOne(error, path)) return undefined;
    throw error;
  }
}

/** A file in a wrong place: misplaced, if its name is a key that is not found otherwise. */
function* strayIn(
  { loose, packed }: CombinedStore,
  path: string,
  key: ObjectKey | undefined,
): Generator<Misplaced | Leftover> {
  const stat = statIfReadable(packed.context.fs, path);
  if (!stat?.isFile) return;
  const isElsewhere = (of: ObjectKey): boolean => {
    packed.index.refresh();
    return findOrUndefined(packed, of) !== undefined;
  };
  if (key === undefined || loose.mayBe(key) || isElsewhere(key)) {
    yield {
      path,
      bytes: stat.size,
      reason: key === undefined ? "its name is no key" : "a copy of an object in a wrong place",
    };
    return;
  }
  const message = `object ${key} is in ${path}, where nobody looks for it; run repair, or move it to ${loose.pathOf(key)}`;
  yield { key, path, error: new TsdosError("CORRUPT_OBJECT", message, { key, path }) };
}

function* packStrays({ packed }: CombinedStore): Generator<Leftover> {
  const { files, context } = packed;
  const { fs, config } = context;
  const version = config.containerVersion;
  const ofFormat = (name: string): boolean => {
    if (version === 1)
      return parsePackFileName(name, 1) !== undefined || files.ids().some((id) => packLockName(id) === name);
    const known = [INDEX_FOLDER, LOCK_FILE, LOCK_HOLDER_FILE, REMOVALS_LOCK_FILE, REMOVALS_LOCK_HOLDER_FILE];
    return parsePackFileName(name, 2) !== undefined || parseTocFileName(name) !== undefined || known.includes(name);
  };
  for (const name of fs.list(files.folder) ?? []) {
    const path = `${files.folder}/${name}`;
    const stat = fs.stat(path);
    if (stat?.isFile && !ofFormat(name)) yield { path, bytes: stat.size, reason: "nothing refers to it" };
  }
  if (version === 1) return;
  const folder = `${files.folder}/${INDEX_FOLDER}`;
  const listed = new Set(readManifest(fs, folder).manifest.segments.map(({ number }) => number));
  for (const name of fs.list(folder) ?? []) {
    const number = parseSegmentFileName(name);
    if (name === MANIFEST_FILE || (number !== undefined && listed.has(number))) continue;
    yield { path: `${folder}/${name}`, bytes: fs.stat(`${folder}/${name}`)?.size ?? 0, reason: "no index uses it" };
  }
}

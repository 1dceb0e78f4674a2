import { isUtf8 } from "node:buffer";
import fs from "node:fs";
import path from "node:path";
import { TsdosError } from "../index.ts";
import { attempt, errnoOf, type FilePath, fileError, realPath, writeAll } from "./files.ts";

// --- trees that are read --------------------------------------------------------------------------------------------

export interface TreeEntry {
  readonly kind: "file" | "folder" | "link" | "special" | "left-out" | "unreadable";
  /** Relative to the tree's root, `/` between names; `.` is the root itself. */
  readonly name: Buffer;
  readonly at: FilePath;
  /** Permission bits. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  /** Links only. */
  readonly target?: Buffer;
  /** Unreadable ones only. */
  readonly error?: TsdosError;
}

const toPath = (bytes: Buffer): FilePath => (isUtf8(bytes) ? bytes.toString() : bytes);

/** The path of `name` in the tree at `root`. */
export function pathInTree(root: string, name: Buffer): FilePath {
  return toPath(Buffer.concat([Buffer.from(`${root}/`), name]));
}

function examine(root: string, name: Buffer): TreeEntry {
  const at = pathInTree(root, name);
  try {
    const stat = fs.lstatSync(at);
    const entry = { name, at, mode: stat.mode & 0o7777, size: stat.size };
    if (stat.isFile()) return { kind: "file", ...entry };
    if (stat.isDirectory()) return { kind: "folder", ...entry };
    if (stat.isSymbolicLink()) return { kind: "link", ...entry, target: fs.readlinkSync(at, "buffer") };
    return { kind: "special", ...entry };
  } catch (error) {
    return { kind: "unreadable", name, at, mode: 0, size: 0, error: fileError("read", at, error, "SOURCE_FAILED") };
  }
}

/**
 * The folder at `root` and all below it, folders before what they hold, names in the order of their bytes. Links are not
 * followed. `leaveOut` holds absolute paths, without links, that are not read. Of each level it holds the names of one folder.
 */
export function* walkTree(root: string, leaveOut: readonly string[] = []): Generator<TreeEntry> {
  const real = realPath(`${root}/`);
  // Names are held as latin1: a character for each byte whatever the bytes are, compact, and sorted as the bytes are.
  const bytesOf = (name: string): Buffer => Buffer.from(name, "latin1");
  const skipped = new Set(leaveOut.map((at) => Buffer.from(path.relative(real, at)).toString("latin1")));
  const folders: { readonly prefix: string; readonly names: string[] }[] = [{ prefix: "", names: ["."] }];
  for (let folder = folders.at(-1); folder !== undefined; folder = folders.at(-1)) {
    const last = folder.names.pop();
    if (last === undefined) {
      folders.pop();
      continue;
    }
    const name = folder.prefix + last;
    const entry = examine(root, bytesOf(name));
    if (entry.kind !== "folder" || skipped.has(name)) {
      yield skipped.has(name) ? { ...entry, kind: "left-out" } : entry;
      continue;
    }
    try {
      const names = fs.readdirSync(entry.at, "latin1").sort().reverse();
      folders.push({ prefix: name === "." ? "" : `${name}/`, names });
      yield entry;
    } catch (error) {
      yield { ...entry, kind: "unreadable", error: fileError("read", entry.at, error, "SOURCE_FAILED") };
    }
  }
}

// --- trees that are written -----------------------------------------------------------------------------------------

/** Node's own way, `recursive`, calls a read-only file system "no such file or directory". */
function makeFolders(at: string): void {
  try {
    fs.mkdirSync(at);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    if (errnoOf(error) !== "ENOENT" || path.dirname(at) === at) throw error;
    makeFolders(path.dirname(at));
    fs.mkdirSync(at);
  }
}

/** @throws TsdosError `ALREADY_EXISTS` when the folder holds anything, unless `force` says that this is meant. */
export function prepareDestination(at: string, force: boolean): void {
  const names = attempt("write to", at, () => {
    makeFolders(at);
    return fs.readdirSync(at);
  });
  if (names.length === 0 || force) return;
  throw new TsdosError("ALREADY_EXISTS", `${at} is not empty (--force writes into it, and replaces files)`, {
    path: at,
  });
}

/** Makes a folder that its owner can write to, unless a folder (not a link to one) is there. */
export function makeFolder(at: FilePath, mode: number): void {
  attempt("make", at, () => {
    const existing = fs.lstatSync(at, { throwIfNoEntry: false });
    if (existing?.isDirectory() !== true) fs.mkdirSync(at, mode | 0o700);
  });
}

export function setMode(at: FilePath, mode: number): void {
  attempt("set the mode of", at, () => fs.chmodSync(at, mode));
}

/**
 * Throws where what is there has another name, as in file systems in which `a` and `A` are one: it may be what was restored just now.
 */
function refuseOtherName(at: FilePath): void {
  const bytes = Buffer.from(at);
  const start = bytes.lastIndexOf("/") + 1;
  const name = bytes.toString("latin1", start);
  const swapped = name.replace(/[a-z]+|([A-Z]+)/g, (part, upper) => (upper ? part.toLowerCase() : part.toUpperCase()));
  const folder = bytes.subarray(0, start);
  const other = Buffer.concat([folder, Buffer.from(swapped, "latin1")]);
  // That both are found may be two files: the folder tells.
  const isMaybeOther = swapped !== name && fs.lstatSync(other, { throwIfNoEntry: false }) !== undefined;
  if (!isMaybeOther || fs.readdirSync(folder, "latin1").includes(name)) return;
  throw new Error("its name differs only in case from one that is there");
}

/** Runs `create`, which fails when something is there; with `replace` a file or link that is there goes first. */
function creating<T>(at: FilePath, replace: boolean, create: () => T): T {
  return attempt("write", at, () => {
    try {
      return create();
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      refuseOtherName(at);
      if (!replace) throw error;
      fs.unlinkSync(at);
      return create();
    }
  });
}

/** Writes a new file; leaves none behind when that fails. Never follows a link at `at`. */
export function writeNewFile(at: FilePath, bytes: Uint8Array, mode: number, replace: boolean): void {
  const file = creating(at, replace, () => fs.openSync(at, "wx", mode));
  try {
    attempt("write", at, () => {
      writeAll(file, bytes);
      // The mode given to open is less the umask.
      fs.fchmodSync(file, mode);
    });
  } catch (error) {
    fs.rmSync(at, { force: true });
    throw error;
  } finally {
    fs.closeSync(file);
  }
}

export function writeNewLink(at: FilePath, target: Buffer, replace: boolean): void {
  creating(at, replace, () => fs.symlinkSync(target, at));
}

/** Copies in the background, sharing the blocks where the file system can. */
export async function copyFile(from: string, to: string): Promise<void> {
  try {
    await fs.promises.copyFile(from, to, fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL);
  } catch (error) {
    throw fileError("write", to, error);
  }
}

/** Moves a complete file to its place. */
export function moveFile(from: string, to: FilePath, mode: number, replace: boolean): void {
  attempt("write", to, () => {
    if (fs.lstatSync(to, { throwIfNoEntry: false }) !== undefined) {
      refuseOtherName(to);
      if (!replace) throw new Error("it exists");
    }
    fs.chmodSync(from, mode);
    fs.renameSync(from, to);
  });
}

/** A new folder that only its owner can look into; removed with all that is left in it. */
export class PrivateFolder {
  readonly path: string;

  /** `prefix`: how its path begins. */
  constructor(prefix: string) {
    this.path = attempt("write to", path.dirname(prefix), () => fs.mkdtempSync(prefix));
  }

  [Symbol.dispose](): void {
    attempt("remove", this.path, () => fs.rmSync(this.path, { recursive: true, force: true }));
  }
}

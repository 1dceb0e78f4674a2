import fs from "node:fs";
import { constants } from "node:os";
import { dirname } from "node:path";
import type { FileStat, FileSystem, FileWindow, OpenMode, SmallFileReader } from "../file-system.ts";
import { isOpenHere } from "./file-opener.ts";
import { FileRing } from "./file-ring.ts";
import { isLocal, reservableBytes } from "./file-system-kind.ts";
import { libc } from "./libc.ts";
import { MappedWindow } from "./mapped-window.ts";
import { mayWrite } from "./may-write.ts";
import { openFilesMax } from "./open-files-max.ts";
import { fromSystemError } from "./system-error.ts";

const FLAGS: Record<Exclude<OpenMode, "read">, number> = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  update: fs.constants.O_RDWR | fs.constants.O_CREAT,
  modify: fs.constants.O_RDWR,
};
const FILE_MODE = 0o666;
const OWNER_WRITES = 0o200;
const OWNER_MODE = 0o700;
const GROUP_MODE = 0o070;
// Linux, include/uapi/linux/fs.h and falloc.h
/** Without the flags that wait: those would take errors away that a sync has to tell. */
const SYNC_FILE_RANGE_WRITE = 2;
const FALLOC_FL_KEEP_SIZE = 1;
const NO_SPACE: readonly number[] = [constants.errno.ENOSPC, constants.errno.EDQUOT];
/**
 * Reading does not change when a file was last read: the first read of each file of a day would write to the disk, and takes half as
 * long again. Linux allows it to the owner of a file; elsewhere there is no such flag.
 */
const NO_ACCESS_TIME: number = fs.constants.O_NOATIME ?? 0;
/** A named pipe that somebody has put in the place of a file is not waited for: reading at a position tells what it is. */
const OPEN_TO_READ: number = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);
/** Bytes that are written by one call: for more, Linux looks for larger pieces of free memory, which may take it ten times as long. */
const WRITE_MAX: number = 512 * 1024;
/**
 * Times that a folder which others make and remove meanwhile is tried to be made again, each a few microseconds. Beside one who does
 * nothing else, one folder in a thousand takes more than ten attempts (the two go in step), and of 700,000 none took more than 172.
 */
const MAKE_ATTEMPTS = 1000;

/** The operating system's files, through Node's synchronous calls. */
export class NodeFileSystem implements FileSystem {
  /** By file. (A map that each file is taken out of again costs a microsecond for each, as long as V8 has not compiled the callers.) */
  readonly #paths: string[] = [];
  #readFlag = NO_ACCESS_TIME;

  get openFilesMax(): number | undefined {
    return openFilesMax();
  }

  open(path: string, mode: OpenMode): number {
    try {
      const file = mode === "read" ? this.#openToRead(path) : fs.openSync(path, FLAGS[mode], FILE_MODE);
      this.#paths[file] = path;
      return file;
    } catch (error) {
      throw fromSystemError(error, mode === "read" ? "open" : "open for writing", path);
    }
  }

  createLike(path: string, other: string): number {
    try {
      const { mode, uid, gid } = fs.statSync(other);
      const file = fs.openSync(path, FLAGS.create, mode & OWNER_MODE);
      this.#paths[file] = path;
      // Another group may do what all others may. The mode given to open is less the umask.
      const isSameGroup = isDone(() => fs.fchownSync(file, uid, gid)) || isDone(() => fs.fchownSync(file, -1, gid));
      const kept = isSameGroup ? mode : (mode & ~GROUP_MODE) | ((mode << 3) & GROUP_MODE);
      isDone(() => fs.fchmodSync(file, kept & 0o777));
      return file;
    } catch (error) {
      throw fromSystemError(error, "open for writing", path);
    }
  }

  openIfExists(path: string): number | undefined {
    try {
      const file = this.#openToRead(path);
      this.#paths[file] = path;
      return file;
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw fromSystemError(error, "open", path);
    }
  }

  #openToRead(path: string): number {
    try {
      return fs.openSync(path, OPEN_TO_READ | this.#readFlag);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A file server of this machine has a lease on it (fcntl, F_SETLEASE), and gives it back: that is waited for.
      if (code === "EAGAIN") return fs.openSync(path, fs.constants.O_RDONLY | this.#readFlag);
      if (code !== "EPERM" || this.#readFlag === 0) throw error;
      // It belongs to somebody else, and so will others.
      this.#readFlag = 0;
      return fs.openSync(path, OPEN_TO_READ);
    }
  }

  close(file: number): void {
    try {
      fs.closeSync(file);
    } catch (error) {
      throw fromSystemError(error, "close", this.#pathOf(file));
    }
  }

  read(file: number, into: Uint8Array, at: number, length: number, position: number): number {
    let done = 0;
    while (done < length) {
      const got = this.readOnce(file, into, at + done, length - done, position + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  readOnce(file: number, into: Uint8Array, at: number, length: number, position: number): number {
    try {
      return fs.readSync(file, into, at, length, position);
    } catch (error) {
      throw fromSystemError(error, "read", this.#pathOf(file));
    }
  }

  readAsync(file: number, into: Uint8Array, at: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const readFrom = (done: number): void =>
        fs.read(file, into, at + done, length - done, position + done, (error, got) => {
          if (error !== null) reject(fromSystemError(error, "read", this.#pathOf(file)));
          else if (got === 0 || done + got === length) resolve(done + got);
          else readFrom(done + got);
        });
      readFrom(0);
    });
  }

  window(file: number, size: number, atOnce: number): FileWindow | undefined {
    return isLocal(file) ? MappedWindow.open(file, size, atOnce) : undefined;
  }

  smallFileReader(folder: string, sizeMax: number): SmallFileReader | undefined {
    return FileRing.open(folder, sizeMax, this.#readFlag);
  }

  write(file: number, bytes: Uint8Array, from: number, to: number, position: number): void {
    try {
      let at = from;
      while (at < to) at += fs.writeSync(file, bytes, at, Math.min(WRITE_MAX, to - at), position + at - from);
    } catch (error) {
      throw fromSystemError(error, "write", this.#pathOf(file));
    }
  }

  startWriteback(file: number, position: number, length: number): void {
    libc()?.syncFileRange(file, position, length, SYNC_FILE_RANGE_WRITE);
  }

  sync(file: number): void {
    this.#do("sync", file, () => fs.fdatasyncSync(file));
  }

  async syncAll(files: readonly number[]): Promise<void> {
    // To the last one, also after a failure: the caller closes the files next.
    const results = await Promise.allSettled(files.map((file) => this.#syncOne(file)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #syncOne(file: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(file, (error) => {
        if (error === null) resolve();
        else reject(fromSystemError(error, "sync", this.#pathOf(file)));
      });
    });
  }

  syncDirectory(path: string): void {
    const folder = this.open(path, "read");
    try {
      this.#do("sync", folder, () => fs.fsyncSync(folder));
    } finally {
      this.close(folder);
    }
  }

  size(file: number): number {
    return this.#do("stat", file, () => fs.fstatSync(file).size);
  }

  reserve(file: number, size: number): void {
    const free = reservableBytes(file);
    const calls = free === undefined ? undefined : libc();
    if (free === undefined || calls === undefined) return;
    // Not tried in vain: what does not fit fills the disk, and others meet that, before it fails.
    const isTooMuch = size > free;
    if (!isTooMuch && calls.fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size) !== -1) return;
    const errno = isTooMuch ? constants.errno.ENOSPC : calls.errno();
    // Whatever else it is: writing will tell.
    if (!NO_SPACE.includes(errno)) return;
    const error = Object.assign(new Error(`ENOSPC: no space left for ${size} bytes, fallocate`), { errno: -errno });
    throw fromSystemError(error, "set room aside for", this.#pathOf(file));
  }

  truncate(file: number, size: number): void {
    this.#do("truncate", file, () => fs.ftruncateSync(file, size));
  }

  stat(path: string): FileStat | undefined {
    try {
      const stat = fs.statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) return undefined;
      return {
        isDirectory: stat.isDirectory(),
        isFile: stat.isFile(),
        size: stat.size,
        mtimeMs: stat.mtimeMs,
        inode: stat.ino,
      };
    } catch (error) {
      throw fromSystemError(error, "stat", path);
    }
  }

  mayWrite(path: string): boolean {
    return mayWrite(path);
  }

  isOpen(path: string): boolean {
    return isOpenHere(path);
  }

  isLink(path: string): boolean {
    try {
      return fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
    } catch (error) {
      throw fromSystemError(error, "stat", path);
    }
  }

  realPath(path: string): string {
    try {
      return fs.realpathSync(path);
    } catch (error) {
      throw fromSystemError(error, "find", path);
    }
  }

  list(path: string): string[] | undefined {
    try {
      return fs.readdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw fromSystemError(error, "list", path);
    }
  }

  makeDirectory(path: string): void {
    // Not by Node's recursive mkdir: on a read-only file system that says ENOENT.
    for (let attempts = MAKE_ATTEMPTS; ; attempts--) {
      try {
        fs.mkdirSync(path);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const parent = dirname(path);
        const found = code === "EEXIST" ? isFolder(path) : undefined;
        if (found) return;
        const withoutParent = code === "ENOENT" && parent !== path;
        const vanished = code === "EEXIST" && found === undefined;
        if (attempts === 0 || !(vanished || withoutParent)) throw fromSystemError(error, "create the folder", path);
        if (withoutParent) this.makeDirectory(parent);
      }
    }
  }

  rename(from: string, to: string): void {
    try {
      fs.renameSync(from, to);
    } catch (error) {
      throw fromSystemError(error, `rename ${from} to`, to);
    }
  }

  link(from: string, to: string): void {
    try {
      fs.linkSync(from, to);
    } catch (error) {
      throw fromSystemError(error, `link ${from} to`, to);
    }
  }

  symlink(target: string, path: string): void {
    try {
      fs.symlinkSync(target, path);
    } catch (error) {
      throw fromSystemError(error, `link ${target} to`, path);
    }
  }

  copy(from: string, to: string): void {
    try {
      fs.copyFileSync(from, to, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE);
      const { mode } = fs.statSync(to);
      if ((mode & OWNER_WRITES) === 0) fs.chmodSync(to, mode | OWNER_WRITES);
    } catch (error) {
      throw fromSystemError(error, `copy ${from} to`, to);
    }
  }

  setModified(path: string, mtimeMs: number): void {
    try {
      fs.utimesSync(path, mtimeMs / 1000, mtimeMs / 1000);
    } catch (error) {
      throw fromSystemError(error, "set the time of", path);
    }
  }

  remove(path: string): boolean {
    try {
      fs.unlinkSync(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw fromSystemError(error, "remove", path);
    }
  }

  removeDirectory(path: string): boolean {
    try {
      fs.rmdirSync(path);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTEMPTY" || code === "EEXIST") return false;
      throw fromSystemError(error, "remove the folder", path);
    }
  }

  #do<T>(action: string, file: number, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw fromSystemError(error, action, this.#pathOf(file));
    }
  }

  #pathOf(file: number): string {
    return this.#paths[file] ?? `file ${file}`;
  }
}

/** Undefined: nothing is there, not even a link to nowhere. */
function isFolder(path: string): boolean | undefined {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isSymbolicLink()) return stat?.isDirectory();
  return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** False where the system refuses: not everybody may do it, and not every file system has it. */
function isDone(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

import type { FileStat, FileSystem, OpenMode } from "../file-system.ts";

/** One call of a {@link FileSystem}, as a test sees it before it is made. */
export interface FileCall {
  readonly name: keyof FileSystem;
  readonly path: string;
  /** The new name, of `rename`, `link` and `copy`. */
  readonly to?: string;
  readonly mode?: OpenMode;
  /** Bytes, of `read` and `write`. */
  readonly size?: number;
  /** Byte offset, of `read`, `write` and `truncate`. */
  readonly position?: number;
}

/** What goes wrong in a call: the error, and how many bytes a failing `write` has written (none by default). */
export interface Fault {
  readonly error: Error;
  readonly written?: number;
}

/** Passes every call on to another file system, after `before` has seen it and perhaps made it fail. */
export class InterceptedFileSystem implements FileSystem {
  readonly #inner: FileSystem;
  readonly #before: (call: FileCall) => Fault | undefined;
  readonly #paths = new Map<number, string>();

  constructor(inner: FileSystem, before: (call: FileCall) => Fault | undefined) {
    this.#inner = inner;
    this.#before = before;
  }

  /** Paths of the files that are open. */
  get openFiles(): readonly string[] {
    return [...this.#paths.values()];
  }

  #check(call: FileCall): void {
    const fault = this.#before(call);
    if (fault !== undefined) throw fault.error;
  }

  #pathOf(file: number): string {
    const path = this.#paths.get(file);
    if (path === undefined) throw new Error(`file ${file} is not open`);
    return path;
  }

  open(path: string, mode: OpenMode): number {
    this.#check({ name: "open", path, mode });
    const file = this.#inner.open(path, mode);
    this.#paths.set(file, path);
    return file;
  }

  createLike(path: string, other: string): number {
    this.#check({ name: "createLike", path });
    const file = this.#inner.createLike(path, other);
    this.#paths.set(file, path);
    return file;
  }

  openIfExists(path: string): number | undefined {
    this.#check({ name: "openIfExists", path });
    const file = this.#inner.openIfExists(path);
    if (file !== undefined) this.#paths.set(file, path);
    return file;
  }

  /** A fault does not keep the file open: nobody could close it any more. */
  close(file: number): void {
    const path = this.#pathOf(file);
    this.#paths.delete(file);
    this.#inner.close(file);
    this.#check({ name: "close", path });
  }

  read(file: number, into: Uint8Array, at: number, length: number, position: number): number {
    this.#check({ name: "read", path: this.#pathOf(file), size: length, position });
    return this.#inner.read(file, into, at, length, position);
  }

  readOnce(file: number, into: Uint8Array, at: number, length: number, position: number): number {
    this.#check({ name: "read", path: this.#pathOf(file), size: length, position });
    return this.#inner.readOnce(file, into, at, length, position);
  }

  async readAsync(file: number, into: Uint8Array, at: number, length: number, position: number): Promise<number> {
    this.#check({ name: "read", path: this.#pathOf(file), size: length, position });
    return this.#inner.readAsync(file, into, at, length, position);
  }

  write(file: number, bytes: Uint8Array, from: number, to: number, position: number): void {
    const fault = this.#before({ name: "write", path: this.#pathOf(file), size: to - from, position });
    const end = fault === undefined ? to : Math.min(to, from + (fault.written ?? 0));
    if (fault === undefined || end > from) this.#inner.write(file, bytes, from, end, position);
    if (fault !== undefined) throw fault.error;
  }

  sync(file: number): void {
    this.#check({ name: "sync", path: this.#pathOf(file) });
    this.#inner.sync(file);
  }

  async syncAll(files: readonly number[]): Promise<void> {
    for (const file of files) this.#check({ name: "sync", path: this.#pathOf(file) });
    await this.#inner.syncAll(files);
  }

  syncDirectory(path: string): void {
    this.#check({ name: "syncDirectory", path });
    this.#inner.syncDirectory(path);
  }

  size(file: number): number {
    this.#check({ name: "size", path: this.#pathOf(file) });
    return this.#inner.size(file);
  }

  truncate(file: number, size: number): void {
    this.#check({ name: "truncate", path: this.#pathOf(file), position: size });
    this.#inner.truncate(file, size);
  }

  stat(path: string): FileStat | undefined {
    this.#check({ name: "stat", path });
    return this.#inner.stat(path);
  }

  realPath(path: string): string {
    this.#check({ name: "realPath", path });
    return this.#inner.realPath(path);
  }

  list(path: string): string[] | undefined {
    this.#check({ name: "list", path });
    return this.#inner.list(path);
  }

  makeDirectory(path: string): void {
    this.#check({ name: "makeDirectory", path });
    this.#inner.makeDirectory(path);
  }

  rename(from: string, to: string): void {
    this.#check({ name: "rename", path: from, to });
    this.#inner.rename(from, to);
  }

  link(from: string, to: string): void {
    this.#check({ name: "link", path: from, to });
    this.#inner.link(from, to);
  }

  symlink(target: string, path: string): void {
    this.#check({ name: "symlink", path });
    this.#inner.symlink(target, path);
  }

  copy(from: string, to: string): void {
    this.#check({ name: "copy", path: from, to });
    this.#inner.copy(from, to);
  }

  setModified(path: string, mtimeMs: number): void {
    this.#check({ name: "setModified", path });
    this.#inner.setModified(path, mtimeMs);
  }

  remove(path: string): boolean {
    this.#check({ name: "remove", path });
    return this.#inner.remove(path);
  }

  removeDirectory(path: string): boolean {
    this.#check({ name: "removeDirectory", path });
    return this.#inner.removeDirectory(path);
  }
}

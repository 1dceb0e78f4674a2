import { type ErrorCode, TsdosError } from "../errors.ts";
import type { FileStat, FileSystem, OpenMode } from "../file-system.ts";

/** Bytes that reach the disk together, or not. */
const SECTOR = 512;

interface FileNode {
  readonly kind: "file";
  readonly inode: number;
  /** The content is `bytes[0..size)`. */
  bytes: Uint8Array;
  size: number;
  mtimeMs: number;
  /** The content at the last sync. */
  durable: Uint8Array;
}

interface FolderNode {
  readonly kind: "folder";
  readonly inode: number;
  names: Map<string, Node>;
  mtimeMs: number;
  /** The names at the last sync. */
  durable: Map<string, Node>;
}

type Node = FileNode | FolderNode;

/** Decides what of the writes that were never synced a power cut has spared; always false: none. */
export type Survives = () => boolean;

/**
 * Files in memory, with paths as on POSIX. It knows what was synced: {@link MemoryFileSystem.afterPowerCut} is what a
 * power cut in this moment leaves. Stricter than real file systems: names are durable only once their folder was synced.
 */
export class MemoryFileSystem implements FileSystem {
  readonly #root: FolderNode = { kind: "folder", inode: 1, names: new Map(), mtimeMs: 0, durable: new Map() };
  readonly #open = new Map<number, { readonly node: Node; readonly path: string }>();
  #nextInode = 2;
  #nextFile = 3;
  /** A clock that advances with each change. */
  #now = 0;

  open(path: string, mode: OpenMode): number {
    const { folder, name, node } = this.#locate(path);
    if (mode === "create" && node !== undefined) throw fails("IO_ERROR", "EEXIST", path);
    if (mode !== "read" && node?.kind === "folder") throw fails("IO_ERROR", "EISDIR", path);
    if (node !== undefined) return this.#opened(node, path);
    if (mode === "read" || mode === "modify" || folder === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    return this.#opened(this.#link(folder, name, this.#newFile()), path);
  }

  openIfExists(path: string): number | undefined {
    const { node } = this.#locate(path);
    return node === undefined ? undefined : this.#opened(node, path);
  }

  close(file: number): void {
    if (!this.#open.delete(file)) throw new Error(`file ${file} is not open`);
  }

  read(file: number, into: Uint8Array, at: number, length: number, position: number): number {
    const node = this.#fileOf(file);
    const got = Math.max(0, Math.min(length, node.size - position));
    into.set(node.bytes.subarray(position, position + got), at);
    return got;
  }

  write(file: number, bytes: Uint8Array, from: number, to: number, position: number): void {
    const node = this.#fileOf(file);
    const end = position + to - from;
    if (end > node.bytes.length) {
      const larger = new Uint8Array(Math.max(end, node.bytes.length * 2, 64));
      larger.set(node.bytes.subarray(0, node.size));
      node.bytes = larger;
    }
    node.bytes.set(bytes.subarray(from, to), position);
    node.size = Math.max(node.size, end);
    node.mtimeMs = ++this.#now;
  }

  sync(file: number): void {
    const node = this.#fileOf(file);
    node.durable = node.bytes.slice(0, node.size);
  }

  async syncAll(files: readonly number[]): Promise<void> {
    for (const file of files) this.sync(file);
  }

  syncDirectory(path: string): void {
    const folder = this.#folderOf(path);
    if (folder === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    folder.durable = new Map(folder.names);
  }

  size(file: number): number {
    return this.#fileOf(file).size;
  }

  truncate(file: number, size: number): void {
    const node = this.#fileOf(file);
    const bytes = new Uint8Array(size);
    bytes.set(node.bytes.subarray(0, Math.min(size, node.size)));
    node.bytes = bytes;
    node.size = size;
    node.mtimeMs = ++this.#now;
  }

  stat(path: string): FileStat | undefined {
    const { node } = this.#locate(path);
    if (node === undefined) return undefined;
    const isFile = node.kind === "file";
    return { isFile, isDirectory: !isFile, size: isFile ? node.size : 0, mtimeMs: node.mtimeMs, inode: node.inode };
  }

  list(path: string): string[] | undefined {
    const { node } = this.#locate(path);
    if (node?.kind === "file") throw fails("IO_ERROR", "ENOTDIR", path);
    return node === undefined ? undefined : [...node.names.keys()];
  }

  makeDirectory(path: string): void {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      const next = folder.names.get(name) ?? this.#link(folder, name, this.#newFolder());
      if (next.kind === "file") throw fails("IO_ERROR", "EEXIST", path);
      folder = next;
    }
  }

  rename(from: string, to: string): void {
    const source = this.#locate(from);
    const target = this.#locate(to);
    if (source.folder === undefined || source.node === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.folder === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.node?.kind === "folder") throw fails("IO_ERROR", "EISDIR", to);
    this.#unlink(source.folder, source.name);
    this.#link(target.folder, target.name, source.node);
  }

  link(from: string, to: string): void {
    const source = this.#locate(from);
    const target = this.#locate(to);
    if (source.node?.kind !== "file" || target.folder === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.node !== undefined) throw fails("IO_ERROR", "EEXIST", to);
    this.#link(target.folder, target.name, source.node);
  }

  remove(path: string): boolean {
    const { folder, name, node } = this.#locate(path);
    if (folder === undefined || node === undefined) return false;
    if (node.kind === "folder") throw fails("IO_ERROR", "EISDIR", path);
    this.#unlink(folder, name);
    return true;
  }

  removeDirectory(path: string): boolean {
    const { folder, name, node } = this.#locate(path);
    if (folder === undefined || node === undefined) return false;
    if (node.kind === "file") throw fails("IO_ERROR", "ENOTDIR", path);
    if (node.names.size > 0) return false;
    this.#unlink(folder, name);
    return true;
  }

  /**
   * The files after a power cut now. What was synced is there; of each sector and each name that was changed since, `survives`
   * says whether the change is. This file system goes on as if nothing had happened.
   */
  afterPowerCut(survives: Survives = () => false): MemoryFileSystem {
    const copy = new MemoryFileSystem();
    const copies = new Map<Node, Node>();
    const copyOf = (node: Node): Node => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const made = node.kind === "file" ? copy.#newFile(survivingBytes(node, survives)) : copy.#newFolder();
      copies.set(node, made);
      if (node.kind === "folder" && made.kind === "folder") fill(node, made);
      return made;
    };
    const fill = (from: FolderNode, to: FolderNode): void => {
      for (const name of new Set([...from.durable.keys(), ...from.names.keys()])) {
        const before = from.durable.get(name);
        const now = from.names.get(name);
        const node = before !== now && survives() ? now : before;
        if (node !== undefined) to.names.set(name, copyOf(node));
      }
      to.durable = new Map(to.names);
    };
    fill(this.#root, copy.#root);
    return copy;
  }

  #opened(node: Node, path: string): number {
    const file = this.#nextFile++;
    this.#open.set(file, { node, path });
    return file;
  }

  #fileOf(file: number): FileNode {
    const open = this.#open.get(file);
    if (open === undefined) throw new Error(`file ${file} is not open`);
    if (open.node.kind === "folder") throw fails("IO_ERROR", "EISDIR", open.path);
    return open.node;
  }

  #newFile(bytes: Uint8Array = new Uint8Array()): FileNode {
    return {
      kind: "file",
      inode: this.#nextInode++,
      bytes,
      size: bytes.length,
      mtimeMs: ++this.#now,
      durable: bytes.slice(),
    };
  }

  #newFolder(): FolderNode {
    return { kind: "folder", inode: this.#nextInode++, names: new Map(), mtimeMs: ++this.#now, durable: new Map() };
  }

  #link<T extends Node>(folder: FolderNode, name: string, node: T): T {
    folder.names.set(name, node);
    folder.mtimeMs = ++this.#now;
    return node;
  }

  #unlink(folder: FolderNode, name: string): void {
    folder.names.delete(name);
    folder.mtimeMs = ++this.#now;
  }

  #folderOf(path: string): FolderNode | undefined {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      const next = folder.names.get(name);
      if (next?.kind !== "folder") return undefined;
      folder = next;
    }
    return folder;
  }

  #locate(path: string): {
    readonly folder: FolderNode | undefined;
    readonly name: string;
    readonly node: Node | undefined;
  } {
    const parts = partsOf(path);
    const name = parts.pop();
    if (name === undefined) return { folder: undefined, name: "", node: this.#root };
    const folder = this.#folderOf(parts.join("/"));
    return { folder, name, node: folder?.names.get(name) };
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function fails(code: ErrorCode, errno: string, path: string): TsdosError {
  return new TsdosError(code, `${errno}: ${path}`, { path, errno });
}

function survivingBytes({ bytes, size, durable }: FileNode, survives: Survives): Uint8Array {
  const changed = size !== durable.length || Buffer.compare(bytes.subarray(0, size), durable) !== 0;
  if (!changed) return durable.slice();
  const result = new Uint8Array(size !== durable.length && survives() ? size : durable.length);
  for (let at = 0; at < result.length; at += SECTOR) {
    const end = Math.min(at + SECTOR, result.length);
    const from = survives() ? bytes.subarray(0, size) : durable;
    result.set(from.subarray(at, Math.min(end, from.length)), at);
  }
  return result;
}

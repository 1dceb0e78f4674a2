import { hash } from "node:crypto";
import { type ErrorCode, TsdosError } from "../errors.ts";
import type { FileStat, FileSystem, OpenMode } from "../file-system.ts";
import {
  edit,
  type MemoryFile,
  type MemoryFolder,
  type MemoryNode,
  type UnsyncedChange,
  UnsyncedChanges,
} from "./unsynced.ts";

/** Bytes that reach the disk together, or not: a sector. */
const SECTOR = 512;

/** Decides what of the changes that were never synced a power cut has spared; always false: none. */
export type Survives = (change: UnsyncedChange, index: number) => boolean;

/**
 * Files in memory, with paths as on POSIX. It knows what was synced: {@link MemoryFileSystem.afterPowerCut} is what a
 * power cut in this moment leaves. Stricter than real file systems: names are durable only once their folder was synced.
 */
export class MemoryFileSystem implements FileSystem {
  readonly #root: MemoryFolder = { kind: "folder", inode: 1, names: new Map(), mtimeMs: 0, durable: new Map() };
  readonly #open = new Map<number, { readonly node: MemoryNode; readonly path: string }>();
  readonly #changes: UnsyncedChanges;
  readonly #pageSize: number;
  #nextInode = 2;
  #nextFile = 3;
  /** A clock that advances with each change. */
  #now = 0;

  /** `pageSize`: bytes that reach the disk together, or not. */
  constructor(pageSize: number = SECTOR) {
    this.#pageSize = pageSize;
    this.#changes = new UnsyncedChanges(pageSize);
  }

  /** What a power cut now may undo, in the order in which it was done. */
  get unsynced(): readonly UnsyncedChange[] {
    return this.#changes.all;
  }

  open(path: string, mode: OpenMode): number {
    const { folder, name, node } = this.#locate(path);
    if (mode === "create" && node !== undefined) throw fails("IO_ERROR", "EEXIST", path);
    if (mode !== "read" && node?.kind === "folder") throw fails("IO_ERROR", "EISDIR", path);
    if (node !== undefined) return this.#opened(node, path);
    if (mode === "read" || mode === "modify" || folder === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    return this.#opened(this.#link(folder, name, this.#newFile()), path);
  }

  createLike(path: string): number {
    return this.open(path, "create");
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

  readOnce(file: number, into: Uint8Array, at: number, length: number, position: number): number {
    return this.read(file, into, at, length, position);
  }

  async readAsync(file: number, into: Uint8Array, at: number, length: number, position: number): Promise<number> {
    return this.read(file, into, at, length, position);
  }

  write(file: number, bytes: Uint8Array, from: number, to: number, position: number): void {
    const node = this.#fileOf(file);
    const end = position + to - from;
    const { size } = node;
    if (end > node.bytes.length || node.bytes === node.durable) {
      const own = new Uint8Array(end > node.bytes.length ? Math.max(end, node.bytes.length * 2, 64) : size);
      own.set(node.bytes.subarray(0, size));
      node.bytes = own;
    }
    node.bytes.set(bytes.subarray(from, to), position);
    node.size = Math.max(size, end);
    node.mtimeMs = ++this.#now;
    this.#changes.written(node, position, end, size);
  }

  sync(file: number): void {
    this.#changes.settleFile(this.#fileOf(file));
  }

  async syncAll(files: readonly number[]): Promise<void> {
    for (const file of files) this.sync(file);
  }

  syncDirectory(path: string): void {
    const folder = this.#folderOf(path);
    if (folder === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    this.#changes.settleFolder(folder);
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
    this.#changes.resized(node);
  }

  /** A sync of the file that fails: it stays as it is to read, but later syncs do not make it durable. */
  failSync(path: string): void {
    const { node } = this.#locate(path);
    if (node?.kind === "file") this.#changes.lose(node);
  }

  stat(path: string): FileStat | undefined {
    const { node } = this.#locate(path);
    if (node === undefined) return undefined;
    const isFile = node.kind === "file";
    return { isFile, isDirectory: !isFile, size: isFile ? node.size : 0, mtimeMs: node.mtimeMs, inode: node.inode };
  }

  realPath(path: string): string {
    const { name, named, node } = this.#locate(path);
    if (node === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    if (named === node) return path;
    const { target = "" } = named as MemoryFile;
    return this.realPath(target.startsWith("/") ? target : `${path.slice(0, path.lastIndexOf(name))}${target}`);
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
    if (source.folder === undefined || source.named === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.folder === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.named?.kind === "folder") throw fails("IO_ERROR", "EISDIR", to);
    this.#rename(
      { folder: source.folder, name: source.name, node: undefined },
      { folder: target.folder, name: target.name, node: source.named },
    );
  }

  link(from: string, to: string): void {
    const source = this.#locate(from);
    const target = this.#locate(to);
    if (source.node?.kind !== "file" || target.folder === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.named !== undefined) throw fails("IO_ERROR", "EEXIST", to);
    this.#link(target.folder, target.name, source.node);
  }

  symlink(target: string, path: string): void {
    const { folder, name, named } = this.#locate(path);
    if (folder === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    if (named !== undefined) throw fails("IO_ERROR", "EEXIST", path);
    this.#link(folder, name, this.#newFile(new Uint8Array(), target));
  }

  copy(from: string, to: string): void {
    const source = this.#locate(from);
    const target = this.#locate(to);
    if (source.node?.kind !== "file" || target.folder === undefined) throw fails("NOT_FOUND", "ENOENT", to);
    if (target.named !== undefined) throw fails("IO_ERROR", "EEXIST", to);
    const { bytes, size } = source.node;
    const file = this.open(to, "create");
    this.write(file, bytes, 0, size, 0);
    this.close(file);
  }

  setModified(path: string, mtimeMs: number): void {
    const { node } = this.#locate(path);
    if (node === undefined) throw fails("NOT_FOUND", "ENOENT", path);
    node.mtimeMs = mtimeMs;
  }

  remove(path: string): boolean {
    const { folder, name, named } = this.#locate(path);
    if (folder === undefined || named === undefined) return false;
    if (named.kind === "folder") throw fails("IO_ERROR", "EISDIR", path);
    this.#rename({ folder, name, node: undefined });
    return true;
  }

  removeDirectory(path: string): boolean {
    const { folder, name, node } = this.#locate(path);
    if (folder === undefined || node === undefined) return false;
    if (node.kind === "file") throw fails("IO_ERROR", "ENOTDIR", path);
    if (node.names.size > 0) return false;
    this.#rename({ folder, name, node: undefined });
    return true;
  }

  /**
   * The files after a power cut now: what was synced is there, of the changes since `survives` says which are. This file system
   * goes on as if nothing had happened.
   */
  afterPowerCut(survives: Survives = () => false): MemoryFileSystem {
    const copy = new MemoryFileSystem(this.#pageSize);
    const surviving = this.unsynced.filter(survives);
    const names = new Map<MemoryFolder, Map<string, MemoryNode>>();
    const namesOf = (folder: MemoryFolder): Map<string, MemoryNode> => {
      const known = names.get(folder) ?? new Map(folder.durable);
      names.set(folder, known);
      return known;
    };
    const changesOf = new Map<MemoryFile, UnsyncedChange[]>();
    for (const change of surviving) {
      if (change.kind === "names") edit(change.edits, namesOf);
      else changesOf.set(change.file, [...(changesOf.get(change.file) ?? []), change]);
    }
    const copies = new Map<MemoryNode, MemoryNode>();
    const copyOf = (node: MemoryNode): MemoryNode => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const changes = node.kind === "file" ? changesOf.get(node) : undefined;
      const made =
        node.kind === "file"
          ? copy.#newFile(changes === undefined ? node.durable : this.#changes.contentAfter(node, changes), node.target)
          : copy.#newFolder();
      copies.set(node, made);
      if (node.kind === "folder" && made.kind === "folder") fill(node, made);
      return made;
    };
    const fill = (from: MemoryFolder, to: MemoryFolder): void => {
      for (const [name, node] of namesOf(from)) to.names.set(name, copyOf(node));
      to.durable = new Map(to.names);
    };
    fill(this.#root, copy.#root);
    return copy;
  }

  /** The same for the same names and contents. */
  digest(): string {
    let text = "";
    const add = (folder: MemoryFolder): void => {
      for (const name of [...folder.names.keys()].sort()) {
        const node = folder.names.get(name) as MemoryNode;
        text += `${name}/${node.kind === "file" ? contentDigest(node) : ""}/`;
        if (node.kind === "folder") add(node);
      }
      text += "/";
    };
    add(this.#root);
    return hash("sha1", text);
  }

  #opened(node: MemoryNode, path: string): number {
    const file = this.#nextFile++;
    this.#open.set(file, { node, path });
    return file;
  }

  #fileOf(file: number): MemoryFile {
    const open = this.#open.get(file);
    if (open === undefined) throw new Error(`file ${file} is not open`);
    if (open.node.kind === "folder") throw fails("IO_ERROR", "EISDIR", open.path);
    return open.node;
  }

  #newFile(bytes: Uint8Array = new Uint8Array(), target?: string): MemoryFile {
    const inode = this.#nextInode++;
    return { kind: "file", target, inode, bytes, size: bytes.length, mtimeMs: ++this.#now, durable: bytes };
  }

  #newFolder(): MemoryFolder {
    return { kind: "folder", inode: this.#nextInode++, names: new Map(), mtimeMs: ++this.#now, durable: new Map() };
  }

  #link<T extends MemoryNode>(folder: MemoryFolder, name: string, node: T): T {
    this.#rename({ folder, name, node });
    return node;
  }

  #rename(...edits: Parameters<UnsyncedChanges["named"]>): void {
    edit(edits, ({ names }) => names);
    for (const { folder } of edits) folder.mtimeMs = ++this.#now;
    this.#changes.named(...edits);
  }

  #folderOf(path: string): MemoryFolder | undefined {
    const { node } = this.#locate(path);
    return node?.kind === "folder" ? node : undefined;
  }

  /** `named` is what has the name, `node` what it leads to. */
  #locate(path: string): {
    readonly folder: MemoryFolder | undefined;
    readonly name: string;
    readonly named: MemoryNode | undefined;
    readonly node: MemoryNode | undefined;
  } {
    let folder: MemoryFolder | undefined;
    let name = "";
    let named: MemoryNode | undefined = this.#root;
    let node: MemoryNode | undefined = this.#root;
    for (let from = 0; from <= path.length; ) {
      const slash = path.indexOf("/", from);
      const to = slash < 0 ? path.length : slash;
      const above = from;
      from = to + 1;
      const part = path.slice(above, to);
      if (part === "" || part === ".") continue;
      folder = node?.kind === "folder" ? node : undefined;
      name = part;
      named = folder?.names.get(name);
      node = named;
      if (named?.kind !== "file" || named.target === undefined) continue;
      const { target } = named;
      node = this.#locate(target.startsWith("/") ? target : `${path.slice(0, above)}${target}`).node;
    }
    return { folder, name, named, node };
  }
}

/** Of contents that are never modified: copies of a file system share them. */
const digests = new WeakMap<Uint8Array, string>();

function contentDigest({ bytes, size, durable }: MemoryFile): string {
  const known = bytes === durable ? digests.get(bytes) : undefined;
  if (known !== undefined) return known;
  const digest = hash("sha1", bytes.subarray(0, size));
  if (bytes === durable) digests.set(bytes, digest);
  return digest;
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function fails(code: ErrorCode, errno: string, path: string): TsdosError {
  return new TsdosError(code, `${errno}: ${path}`, { path, errno });
}

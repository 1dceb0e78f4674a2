/**
 * How a file is opened: `create` fails when it exists; `update` reads and writes an existing file or creates it; `modify` reads and
 * writes an existing file.
 */
export type OpenMode = "read" | "create" | "update" | "modify";

export interface FileStat {
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970, with fractions. */
  readonly mtimeMs: number;
  readonly inode: number;
}

/** Shows parts of a file without copying them. */
export interface FileWindow {
  /**
   * The bytes at `position` up to `end`, as many as a window shows, until `atOnce` more were shown; undefined when they have to be
   * read, since not all of them are in memory, or behind the end of the file. `willLoad`: {@link load} comes before anybody touches
   * them, and finds out by itself what the disk cannot give.
   */
  show(position: number, end: number, willLoad?: boolean): Uint8Array | undefined;
  /**
   * Has what was shown last brought nearer, in a thread of the runtime, so that it takes less time to look at; false when it has to
   * be read after all.
   */
  load(): Promise<boolean>;
  /** Whether the file is still that long: what was shown behind its end must not be touched. */
  reaches(end: number): boolean;
  /** What was shown is gone; nothing may be under way. The file stays open. */
  close(): void;
}

/** Reads many small files at once, beside the caller. */
export interface SmallFileReader {
  /** How many at a time. */
  readonly width: number;
  /**
   * The contents of up to {@link width} files, by their ASCII paths below the reader's folder; undefined for those that have to be
   * read in another way, which tells why: they are missing, not small, or something failed. As by {@link FileSystem.readOnce}, for
   * content that is compared with a hash. They stand in memory that the next call uses again.
   *
   * One call at a time. It rejects when the reader cannot be used any more.
   */
  read(paths: readonly string[]): Promise<(Buffer | undefined)[]>;
  /** Called when no call is under way. */
  close(): void;
}

/**
 * All access to the operating system's files goes through this port (implementations: src/fs, src/testing.ts).
 * It is synchronous: measured on small files, plain synchronous calls run at the speed of C, promises 3-30 times slower.
 *
 * Every method throws a TsdosError that names the path: `NO_SPACE`, `ACCESS_DENIED` (also for read-only file systems),
 * `NOT_FOUND` for a missing path, else `IO_ERROR`; a method that answers `undefined` or `false` does so for a missing path only.
 */
export interface FileSystem {
  /** How many files the process may have open at a time; undefined when that is not known. */
  readonly openFilesMax?: number | undefined;
  open(path: string, mode: OpenMode): number;
  /** As `open` in mode `create`, with the permissions of another file, and its owner and group where that may be. */
  createLike(path: string, other: string): number;
  /** As `open` in mode `read`, but undefined when the file is missing. */
  openIfExists(path: string): number | undefined;
  close(file: number): void;
  /** Reads up to `length` bytes; returns how many were read, fewer only at the end of the file. */
  read(file: number, into: Uint8Array, at: number, length: number, position: number): number;
  /**
   * As {@link read}, by a single call of the operating system: fewer bytes than `length` are hardly ever not all that are left, so
   * that this is for content that is compared with a hash. To find out for sure costs as much again, for a small file.
   */
  readOnce(file: number, into: Uint8Array, at: number, length: number, position: number): number;
  /**
   * As {@link read}, beside the caller, in a thread of the runtime: leave `into` alone, and the file open, until then. Worth it for
   * pieces of large files: it costs some 50 us.
   */
  readAsync(file: number, into: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /**
   * A window on an open file that is never cut, nor changed where it was written once, which shows `size` bytes at a time; undefined
   * where there is none. Takes milliseconds: for large contents.
   */
  window?(file: number, size: number, atOnce: number): FileWindow | undefined;
  /**
   * For files of up to `sizeMax` bytes; the reader may have room for a few more. Undefined where there is none, or where it gains
   * nothing. Takes up to 10 ms: for thousands of files.
   */
  smallFileReader?(folder: string, sizeMax: number): SmallFileReader | undefined;
  /** Writes all of `bytes[from..to)` at `position`. */
  write(file: number, bytes: Uint8Array, from: number, to: number, position: number): void;
  /**
   * Has the system begin to write these bytes to the disk, so that {@link sync} has less to wait for; nothing where it cannot be
   * asked to. Makes nothing durable, and tells no errors: `sync` does. Takes milliseconds when it is first called.
   */
  startWriteback?(file: number, position: number, length: number): void;
  /** Makes the file's bytes and size durable. */
  sync(file: number): void;
  /** As {@link sync} for several files at once, side by side. */
  syncAll(files: readonly number[]): Promise<void>;
  /** Makes created, renamed and removed names in the folder durable. */
  syncDirectory(path: string): void;
  size(file: number): number;
  /**
   * Sets room aside for a file that will have `size` bytes, which does not change its size; nothing where that does not make writing
   * faster. Takes milliseconds: for large contents.
   */
  reserve?(file: number, size: number): void;
  truncate(file: number, size: number): void;
  stat(path: string): FileStat | undefined;
  /** False when this process may not write the file, though others may: told by permissions, not by trying. */
  mayWrite?(path: string): boolean;
  /** True for a file that this process has open, in whatever thread and by whatever means; takes a while. False where nothing tells. */
  isOpen?(path: string): boolean;
  /** True for a symbolic link, wherever it leads, also to nothing. */
  isLink?(path: string): boolean;
  /** The path without symbolic links of something that is there. */
  realPath(path: string): string;
  /** The names in a folder, unordered; undefined when there is no such folder. */
  list(path: string): string[] | undefined;
  /** Creates the folder and those above it; no error when it exists. */
  makeDirectory(path: string): void;
  rename(from: string, to: string): void;
  /** Gives a file a second name (a hard link), which must be free. */
  link(from: string, to: string): void;
  /** Makes a symbolic link at `path`, which must be free, that leads to `target`: relative to its folder unless absolute. */
  symlink(target: string, path: string): void;
  /** Makes a copy, which can be written, under a name that must be free; where the file system can, the two share their blocks until one is changed. */
  copy(from: string, to: string): void;
  /** Sets when a file was last changed: milliseconds since 1970, as exactly as the file system keeps it. */
  setModified(path: string, mtimeMs: number): void;
  /** Removes a file or a symbolic link; false when there was none. */
  remove(path: string): boolean;
  /** Removes an empty folder; false when it is missing or not empty. */
  removeDirectory(path: string): boolean;
}

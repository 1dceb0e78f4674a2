import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { prefixOf, setU32 } from "../format/bytes.ts";
import { crc32Of } from "../format/crc32.ts";
import { ENTRY_SIZE, type RecordBatch } from "../format/entry.ts";
import { FOOTER_SIZE, PAGE_SIZE, printSegmentFooter } from "../format/segment.ts";

/** Bytes that are synced together: a whole segment at its end would have the caller wait for seconds. */
const SYNC_BYTES: number = 32 * 1024 ** 2;

/** Writes a new segment file, batch by batch. */
export class SegmentWriter {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #sync: boolean;
  readonly #file: number;
  readonly #inode: number | undefined;
  readonly #table: number[] = [];
  #entries = 0;
  #unsynced = 0;
  #isFinished = false;

  constructor(fs: FileSystem, path: string, sync: boolean) {
    this.path = path;
    this.#fs = fs;
    this.#sync = sync;
    this.#file = fs.open(path, "create");
    try {
      this.#inode = fs.stat(path)?.inode;
    } catch (error) {
      fs.close(this.#file);
      throw error;
    }
  }

  /** Adds sorted records. Every batch but the last must fill its pages. */
  add({ bytes, count }: RecordBatch): void {
    const end = count * ENTRY_SIZE;
    for (let page = 0; page < end; page += PAGE_SIZE) {
      this.#table.push(prefixOf(bytes, page), crc32Of(bytes, page, Math.min(page + PAGE_SIZE, end)));
    }
    this.#fs.write(this.#file, bytes, 0, end, this.#entries * ENTRY_SIZE);
    this.#entries += count;
    this.#unsynced += end;
    if (this.#sync && this.#unsynced >= SYNC_BYTES) {
      this.#fs.sync(this.#file);
      this.#unsynced = 0;
    }
  }

  /** Completes the file; false when another program has removed it meanwhile. */
  finish(isPlain: boolean): boolean {
    const table = this.#table;
    const entries = this.#entries;
    const tail = new Uint8Array(table.length * 4 + FOOTER_SIZE);
    for (let i = 0; i < table.length; i++) setU32(tail, i * 4, table[i] as number);
    const tableChecksum = crc32Of(tail, 0, table.length * 4);
    tail.set(printSegmentFooter({ entries, tableChecksum, plain: isPlain }), table.length * 4);
    this.#fs.write(this.#file, tail, 0, tail.length, entries * ENTRY_SIZE);
    if (this.#sync) this.#fs.sync(this.#file);
    if (!this.#isThere()) return false;
    this.#isFinished = true;
    return true;
  }

  #isThere(): boolean {
    const inode = this.#fs.stat(this.path)?.inode;
    return inode !== undefined && inode === this.#inode;
  }

  /** Called once, at the end. Removes the file again unless it is finished: it may be most of what has filled the disk. What is left is an orphan. */
  close(): void {
    this.#fs.close(this.#file);
    if (this.#isFinished) return;
    try {
      if (this.#isThere()) this.#fs.remove(this.path);
    } catch (error) {
      if (!isTsdosError(error)) throw error;
    }
  }
}

/** Writes sorted records as a new segment file; false when another program has removed it meanwhile. */
export function writeSegment(
  fs: FileSystem,
  path: string,
  batches: Iterable<RecordBatch>,
  isPlain: () => boolean,
  sync: boolean,
): boolean {
  const writer = new SegmentWriter(fs, path, sync);
  try {
    for (const batch of batches) writer.add(batch);
    return writer.finish(isPlain());
  } finally {
    writer.close();
  }
}

import type { FileSystem } from "../../file-system.ts";
import { isBadSector } from "../../store/unreadable.ts";
import { type Pieces, piecesOf } from "../pieces.ts";
import type { Sending } from "./sending.ts";
import type { FoundFile } from "./target.ts";

/** A file that stays readable when it is removed or replaced meanwhile. */
export interface HeldFile extends Disposable {
  readonly file: number;
  /** Bytes that it has now: others may append to it. */
  readonly size: number;
  readonly inode: number;
  readonly mtimeMs: number;
}

/** Opens a file; undefined when there is none. */
export function hold(fs: FileSystem, path: string): HeldFile | undefined {
  for (;;) {
    const before = fs.stat(path);
    const file = before === undefined ? undefined : fs.openIfExists(path);
    if (before === undefined || file === undefined) return undefined;
    const after = fs.stat(path);
    if (after?.inode === before.inode) {
      const { inode, mtimeMs } = after;
      return {
        file,
        get size() {
          return fs.size(file);
        },
        inode,
        mtimeMs,
        [Symbol.dispose]: () => fs.close(file),
      };
    }
    fs.close(file);
  }
}

export interface SentFile {
  readonly path: string;
  /** What the target has of it, and how many bytes of that are right. */
  readonly base: { readonly found: FoundFile; readonly length: number } | undefined;
  readonly mtimeMs?: number;
  /** How many bytes follow those of the base. */
  readonly added: number;
}

/** Sends a file, or only what the target does not have of it, and counts it. */
async function sendFile(sending: Sending, file: SentFile, chunks: () => Pieces): Promise<void> {
  const { target, tally, dryRun } = sending;
  const { path, base, mtimeMs, added } = file;
  const isOwn = base?.found.base === 0;
  if (base !== undefined && added === 0 && base.length === base.found.size) {
    if (!isOwn) tally.linked(base.length);
  } else {
    tally.copiedFiles++;
    if (base !== undefined && !isOwn) tally.reusedBytes += base.length;
  }
  if (dryRun) {
    tally.copiedBytes += added;
    return;
  }
  await target.put(
    {
      path,
      ...(base !== undefined && { base: { base: base.found.base, length: base.length } }),
      ...(mtimeMs !== undefined && { mtimeMs }),
    },
    added === 0 ? [] : counted(sending, chunks()),
  );
}

/**
 * As {@link sendFile}, of the first `end` bytes of a file: all of them, where what the target has of it cannot be read there, and we
 * have no less. `source`: where our bytes are.
 */
export async function sendUpTo(
  sending: Sending,
  { end, base, source, ...file }: Omit<SentFile, "added"> & { readonly end: number; readonly source: string },
  chunks: (start: number) => Pieces,
): Promise<void> {
  const send = (from: SentFile["base"]): Promise<void> => {
    const start = from?.length ?? 0;
    return sendFile(sending, { ...file, base: from, added: Math.max(0, end - start) }, () => chunks(start));
  };
  const counted = sending.tally.copied;
  try {
    await send(base);
  } catch (error) {
    const isOfBase = isBadSector(error) && error.details.path !== source;
    if (base === undefined || end < base.length || !isOfBase) throw error;
    sending.tally.copied = counted;
    await send(undefined);
  }
}

/** Passes pieces on, and counts them as copied. */
export async function* counted({ tally }: Sending, chunks: Pieces): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    tally.copiedBytes += chunk.length;
    yield chunk;
    await tally.breathe();
  }
}

/** Sends a small file that every backup has a copy of its own of. */
export async function sendWhole(sending: Sending, path: string, from: string): Promise<void> {
  const { fs } = sending.store.packed.context;
  const file = fs.open(from, "read");
  try {
    const size = fs.size(file);
    await sendFile(sending, { path, base: undefined, added: size }, () => piecesOf(fs, file, 0, size));
  } finally {
    fs.close(file);
  }
}

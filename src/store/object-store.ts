import type { TsdosError } from "../errors.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { Source, SourceReader } from "./source.ts";
import type { StoredObject } from "./stored-object.ts";

/** Where an object is kept. */
export type Where = "loose" | "packed";

/** Where to put an object; see docs/architecture.md for the rule of `auto`. */
export type Destination = Where | "auto";

/**
 * What an acknowledged write survives: `full` a power cut (synced to disk before it is acknowledged),
 * `process` the crash of the process.
 */
export type Durability = "full" | "process";

/** Whether to compress: never, always (raw when it does not shrink), as the bytes already are, or when it looks worth it. */
export type CompressMode = "no" | "yes" | "keep" | "auto";

/**
 * What a read verifies. `auto`: the stored checksum where there is one (packs of format version 2), else the SHA-256 of objects
 * up to 4 MiB. `hash`: the SHA-256 too, of every object that is read whole.
 */
export type Verify = "auto" | "hash";

export interface InsertOptions {
  /** Default `loose`. */
  readonly to?: Destination | undefined;
  /** Default: the container's, which is `full`. */
  readonly durability?: Durability | undefined;
  /** For objects that go to packs. Default `auto`. */
  readonly compress?: CompressMode | undefined;
  /** Also compress content that is compressed already by its looks (gzip, png ...). Default false. */
  readonly recompress?: boolean | undefined;
  /** Verify the copy that is already there, and replace it when it is damaged. Default false. */
  readonly checkExisting?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds to wait for the packer lock, if it goes to packs. 0 = not at all. Default: the container's. */
  readonly lockTimeoutMs?: number | undefined;
}

export interface DeleteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: the container's, which is `full`. */
  readonly durability?: Durability | undefined;
  /** Milliseconds to wait for the packer lock, if any of the objects is packed. 0 = not at all. Default: the container's. */
  readonly lockTimeoutMs?: number | undefined;
}

export interface InsertManyOptions extends InsertOptions, LongOperationOptions {
  /**
   * Called with a source that cannot be read (`SOURCE_FAILED`) and its position; the call then goes on without it.
   * Without this, what came before it is stored and yielded, and then the call fails.
   */
  readonly onSourceError?: ((error: TsdosError, index: number) => void) | undefined;
  /**
   * How many threads compress what goes to packs at most, with the caller's own. Default: 2, if there are as many processors. Each but
   * the caller's takes about 40 MB of memory; they are started when there is enough to do.
   */
  readonly threads?: number | undefined;
}

export interface InsertResult {
  readonly key: ObjectKey;
  /** Bytes of the content. */
  readonly rawSize: number;
  /** False when the content was there already. */
  readonly inserted: boolean;
  readonly where: Where;
  /** The position of its source among the sources of the call. */
  readonly index: number;
}

/** How a store takes sources, one after the other, until what waits is made durable and given out. */
export interface Inserter {
  /** Results that wait to be given out. */
  readonly waiting: number;
  /** True when they should be given out before more is added. */
  readonly full: boolean;
  /** Adds the next source; answers without a promise where the work is synchronous. */
  add(source: Source): Promise<void> | undefined;
  /** Makes everything as durable as asked and gives out one result for each added source, in their order. */
  settle(): Stored[] | Promise<Stored[]>;
  /** Reads the sources, and does what it is told to while one of them has its reader wait. */
  readonly reader?: SourceReader;
}

/** A result without its position. */
export type Stored = Omit<InsertResult, "index">;

export interface ExtractOptions {
  /** Default `auto`. */
  readonly verify?: Verify | undefined;
  /** Looks in one place only; both by default. */
  readonly from?: Where | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One answer of `extractMany`: `object` is undefined when there is no such object. */
export interface ExtractResult {
  readonly key: ObjectKey;
  readonly object: StoredObject | undefined;
}

/** One answer of `readMany`: `bytes` is undefined when there is no such object, or it was deleted meanwhile. */
export interface ReadResult {
  readonly key: ObjectKey;
  /** The whole content, verified. */
  readonly bytes: Uint8Array | undefined;
}

export interface ObjectStat {
  readonly key: ObjectKey;
  readonly where: Where;
  /** Bytes of the content. */
  readonly rawSize: number;
  /** Bytes on disk. */
  readonly storedSize: number;
  /** `none`, `zlib`, `zstd` or `zstd-frames`. */
  readonly codec: string;
  /** Packed objects only. */
  readonly packId?: number;
  /** Byte offset in the pack; packed objects only. */
  readonly offset?: number;
}

export type Sources = Iterable<Source> | AsyncIterable<Source>;
export type Keys = Iterable<string> | AsyncIterable<string>;

/**
 * The port that the loose store, the packed store and the container implement.
 * `undefined` means missing, and nothing else does: whatever else goes wrong is a TsdosError.
 */
export interface ObjectStore {
  /** @throws TsdosError `INVALID_KEY`, as all that take keys */
  has(key: string): Promise<boolean>;
  /** Where and how an object is stored. */
  stat(key: string): Promise<ObjectStat | undefined>;
  /**
   * Stores content; resolves once it is as durable as asked.
   * @throws TsdosError `SOURCE_FAILED`, `NO_SPACE`; `LOCKED` where it goes to packs. TypeError for what is no source
   */
  insert(source: Source, options?: InsertOptions): Promise<InsertResult>;
  /** Yields results in the order of the sources, each once the object is as durable as asked. */
  insertMany(sources: Sources, options?: InsertManyOptions): AsyncIterableIterator<InsertResult>;
  /** A handle of an object, or undefined when there is none: nothing is read until it is asked for. */
  extract(key: string, options?: ExtractOptions): Promise<StoredObject | undefined>;
  /**
   * Yields one result for each key that is given, in the order that is fastest to read.
   * @throws TsdosError `ACCESS_DENIED`, `IO_ERROR` at the end, when all others were given, where a key's folder cannot be looked at
   */
  extractMany(keys: Keys, options?: ExtractOptions): AsyncIterableIterator<ExtractResult>;
  /** Every key once, in ascending order. */
  keys(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterableIterator<ObjectKey>;
  /** Deletes; returns the keys that were there. */
  delete(keys: Keys, options?: DeleteOptions): Promise<ObjectKey[]>;
}

/** Commands and answers that the harness exchanges with the drivers, one JSON text per line. See bench/README.md. */

export type Operation =
  | "create"
  | "insert"
  | "insert-file"
  | "insert-file-many"
  | "read"
  | "read-single"
  | "stream"
  | "export"
  | "pack"
  | "clean"
  | "list";

export interface Command {
  readonly op: Operation;
  /** The folder of the container. */
  readonly path: string;
  /** Where objects are put, or are to be read from. */
  readonly where?: "loose" | "packed";
  /** Whether what is acknowledged has to survive a power cut. */
  readonly sync: boolean;
  /** `create`: what the configuration says of compression. */
  readonly compression?: string;
  /** `insert`: the first `count` objects of `size` bytes of the file `corpus`. */
  readonly corpus?: string;
  readonly size?: number;
  readonly count?: number;
  /** `insert-file`: the file to store. */
  readonly file?: string;
  /** Reads: a file with one key per line. */
  readonly keys?: string;
  /** Reads: the bytes at multiples of this offset in each object are summed up. */
  readonly stride?: number;
  /** `export`: the file to write the first object to. */
  readonly target?: string;
}

/** What a driver found, beside the time; the harness knows what it has to be. */
export interface Found {
  readonly objects?: number;
  /** XOR of the first 32 bits of all keys. */
  readonly keys?: number;
  readonly key?: string;
  /** Bytes of all objects that were read. */
  readonly bytes?: number;
  /** Sum of the bytes at multiples of `stride` in each object that was read. */
  readonly sum?: number;
}

export type Answer =
  | ({ readonly ok: true; readonly ms: number } & Found)
  | { readonly ok: false; readonly error: string };

/** XOR of the first 32 bits of all keys. */
export function mixKeys(keys: Iterable<string>): number {
  let mix = 0;
  for (const key of keys) mix ^= Number.parseInt(key.slice(0, 8), 16);
  return mix >>> 0;
}

/** Sum of the bytes of `piece` at multiples of `stride`; `position` is where in the object the piece begins. */
export function sumEvery(stride: number, piece: Uint8Array, position: number): number {
  let sum = 0;
  for (let i = (stride - (position % stride)) % stride; i < piece.length; i += stride) sum += piece[i]!;
  return sum;
}

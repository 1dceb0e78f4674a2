import type { ErrorCode } from "../errors.ts";
import type { ValidationMode } from "../format/history.ts";
import type { LongOperationOptions } from "../progress.ts";

/**
 * What is wrong: a loose object is damaged, or cannot be read, alone or with its folder (`loose`), or is where nobody looks for it
 * (`misplaced`); a packed object is damaged or not there (`packed`), or shares bytes with another (`overlap`); a table of contents
 * (`toc`), or only the index that is made from it (`index`); in version 1, a row (`row`) or the file (`database`) of `packs.idx`.
 */
export type ProblemKind = "loose" | "misplaced" | "packed" | "overlap" | "toc" | "index" | "row" | "database";

/** One thing that is wrong. */
export interface Problem {
  readonly kind: ProblemKind;
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly key?: string;
  /** Byte offset in `path`. */
  readonly offset?: number;
}

/** A file that nothing refers to: harmless, and no problem. */
export interface Leftover {
  readonly path: string;
  readonly bytes: number;
  readonly reason: string;
}

export interface ValidateOptions extends LongOperationOptions {
  /** Structure and checksums of stored bytes only: contents are not decoded and not hashed, loose objects not read. Default false. */
  readonly quick?: boolean | undefined;
  /** Reads only this part of the objects, above 0 and up to 1, chosen at random; the structure is checked as a whole. */
  readonly sample?: number | undefined;
  /** Of the choice, a whole number from 0 to 2^32 - 1: the same objects again. Default: at random. */
  readonly seed?: number | undefined;
  /** Goes on behind the checkpoint of a run of the same kind that was interrupted. Default false. */
  readonly resume?: boolean | undefined;
  /** The file for checkpoints. Default: one in the container. */
  readonly checkpoint?: string | undefined;
  /** Threads that verify objects, from 1 on. Default: as many as there are processors, up to 4. */
  readonly threads?: number | undefined;
}

export interface ValidateReport {
  readonly valid: boolean;
  readonly mode: ValidationMode;
  /** That were read and verified; under `quick`, packed ones whose checksum was. */
  readonly objects: number;
  /** Bytes of their contents; under `quick`, of what is stored. */
  readonly bytes: number;
  /** That there are, in each place where they are. */
  readonly totalObjects: number;
  /** Those of the structure, and of the objects: the first 10,000 of each. */
  readonly problems: readonly Problem[];
  /** How many there are. */
  readonly problemCount: number;
  /** The files that nothing refers to, which are no problem: the first 1,000, and how many there are, with how many bytes. */
  readonly leftovers: readonly Leftover[];
  readonly leftoverFiles: number;
  readonly leftoverBytes: number;
  readonly sample?: { readonly part: number; readonly seed: number };
  /** This run went on behind an earlier one: `objects`, `bytes` and `problems` include that one's. */
  readonly resumed?: { readonly since: string; readonly objects: number };
  readonly threads: number;
  readonly durationMs: number;
}

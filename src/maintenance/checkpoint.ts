import { isTsdosError, TsdosError } from "../errors.ts";
import type { ValidationMode } from "../format/history.ts";
import { ownPath } from "../format/paths.ts";
import { parseSealedJson, printSealedJson } from "../format/sealed-json.ts";
import { isObjectKey } from "../key/object-key.ts";
import { readText } from "../read-text.ts";
import { nameBeside, replaceFile } from "../replace-file.ts";
import type { StoreContext } from "../store/context.ts";
import type { SearchMark } from "./damage-search.ts";
import { replaceOwnFile } from "./replace-own-file.ts";
import type { PackStamp } from "./rewritten-packs.ts";
import type { Sample } from "./sample.ts";
import type { Problem } from "./validate-reports.ts";

/** Milliseconds between two checkpoints. */
const INTERVAL_MS = 5000;
/** Bytes; a checkpoint has as many problems as are listed. */
const MAX_SIZE = 64 * 1024 ** 2;
/** How every checkpoint begins, also one that is cut or damaged. */
const BEGINNING = '{"format":1,"containerId":"';

/** How far a validation has come. */
export interface Checkpoint {
  readonly format: 1;
  readonly containerId: string;
  readonly mode: ValidationMode;
  readonly sample?: Sample;
  /** ISO 8601: when the first of the runs began. */
  readonly since: string;
  readonly mark: SearchMark;
  /** Version 1: the packs as they were when the search began, or went on. */
  readonly packs?: readonly PackStamp[];
  readonly objects: number;
  readonly bytes: number;
  /** Of objects: those that are listed, and how many there are. */
  readonly problems: readonly Problem[];
  readonly problemCount: number;
}

/** The file that a validation keeps its {@link Checkpoint} in. Where it cannot be written, there is none. */
export class CheckpointFile {
  readonly #context: StoreContext;
  readonly #path: string;
  readonly #isOwn: boolean;
  #writtenAt: number = performance.now();

  /** `path`: another file than the one in the container. */
  constructor(context: StoreContext, path?: string) {
    const { root, config } = context;
    this.#context = context;
    this.#path = path ?? ownPath(root, config.containerVersion, "validate.json");
    this.#isOwn = path === undefined;
  }

  /**
   * To be called first: whatever is there is replaced, and removed at the end.
   * @throws TsdosError `ALREADY_EXISTS` when the file that was named is no checkpoint, damaged or not
   */
  refuseForeign(): void {
    if (this.#isOwn) return;
    const found = readText(this.#context.fs, this.#path, BEGINNING.length) ?? "";
    if (BEGINNING.startsWith(found)) return;
    const message = `${this.#path} is another file, and no checkpoint of a validation; name another one, or remove it`;
    throw new TsdosError("ALREADY_EXISTS", message, { path: this.#path });
  }

  /**
   * Undefined when there is none, or it is damaged.
   * @throws TsdosError `ALREADY_EXISTS` when it is that of another validation
   */
  read(mode: ValidationMode, sample: Partial<Sample> | undefined): Checkpoint | undefined {
    const found = this.#parse();
    if (found === undefined) return undefined;
    const differs = (what: string, how: string): TsdosError =>
      new TsdosError(
        "ALREADY_EXISTS",
        `${this.#path} is the checkpoint of ${what}; validate without resume to begin anew, or ${how}`,
        { path: this.#path },
      );
    if (found.containerId !== this.#context.config.containerId) throw differs("another container", "name another file");
    const isSame = found.mode === mode && (sample?.part ?? found.sample?.part) === found.sample?.part;
    const isSameChoice = sample?.seed === undefined || sample.seed === found.sample?.seed;
    if (isSame && isSameChoice) return found;
    const what =
      found.sample === undefined ? found.mode : `sample of ${found.sample.part * 100}% with seed ${found.sample.seed}`;
    throw differs(`a ${what} validation`, "resume that one with the same options");
  }

  #parse(): Checkpoint | undefined {
    const found = parseSealedJson(readText(this.#context.fs, this.#path, MAX_SIZE) ?? "");
    const { containerVersion } = this.#context.config;
    return found !== undefined && isCheckpoint(found, containerVersion) ? found : undefined;
  }

  /** True when it is time to write one. */
  get due(): boolean {
    return performance.now() - this.#writtenAt >= INTERVAL_MS;
  }

  write(checkpoint: Checkpoint): void {
    this.#writtenAt = performance.now();
    const text = printSealedJson(checkpoint);
    this.#ifPossible(() => {
      if (this.#isOwn) replaceOwnFile(this.#context, this.#path, text, false);
      else {
        // What has another name in the user's folder is not ours, whatever it is called.
        const temporary = nameBeside(this.#path);
        replaceFile(this.#context.fs, this.#path, text, { sync: false, temporary });
      }
    });
  }

  remove(): void {
    this.#ifPossible(() => this.#context.fs.remove(this.#path));
  }

  #ifPossible(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isTsdosError(error)) throw error;
    }
  }
}

/** The checksum was right, but the file may be another one that the user has named, or that of another version. */
function isCheckpoint(fields: unknown, formatVersion: 1 | 2): fields is Checkpoint {
  const { format, containerId, mode, sample, since, mark, packs, objects, bytes, problems, problemCount } =
    fields as Record<string, unknown>;
  return (
    format === 1 &&
    [containerId, mode, since].every((value) => typeof value === "string") &&
    [objects, bytes, problemCount].every((value) => isCount(value)) &&
    isMark(mark, formatVersion) &&
    (packs === undefined || (Array.isArray(packs) && packs.every(isStamp))) &&
    (sample === undefined || hasNumbers(sample, ["part", "seed"])) &&
    Array.isArray(problems) &&
    problems.every((each) => typeof each?.code === "string" && typeof each.message === "string")
  );
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isStamp = (stamp: unknown): boolean => Array.isArray(stamp) && stamp.length === 3 && stamp.every(Number.isFinite);

function hasNumbers(value: unknown, names: readonly string[]): boolean {
  const given = Object(value) as Record<string, unknown>;
  return names.every((name) => Number.isFinite(given[name]));
}

function isMark(value: unknown, formatVersion: 1 | 2): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { loose, place } = value as Record<string, unknown>;
  const isPlace =
    formatVersion === 1 ? hasNumbers(place, ["packId", "rowId"]) : hasCounts(place, ["packId", "tocOffset"]);
  return (loose === undefined || isObjectKey(loose)) && (place === undefined || isPlace);
}

function hasCounts(value: unknown, names: readonly string[]): boolean {
  const given = Object(value) as Record<string, unknown>;
  return names.every((name) => isCount(given[name]));
}

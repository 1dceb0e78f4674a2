import type { FileSystem, SmallFileReader } from "../file-system.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { LooseFolders } from "./loose-folders.ts";

/** Readers that take turns: what one has read is looked at while the others read. With two, the caller waits more often. */
const READERS = 3;
/** Objects that are read in the usual way before it is said how many there may be: that is then right by about a tenth. */
const OBJECTS_BEFORE = 100;
/** How many there have to be still: to have readers takes some 8 ms, and each object that they read saves 4 us. */
const OBJECTS_LEFT = 4096;
/** Bytes; where objects are larger on average, many would be read twice. */
const AVERAGE_SIZE_MAX: number = 8 * 1024;
/**
 * Bytes of the largest objects that are read: so many times the average, between these bounds. More memory would have V8 collect
 * garbage in the middle of it.
 */
const SIZE_TIMES_AVERAGE = 4;
const SIZE_MIN = 4096;
const SIZE_MAX: number = 16 * 1024;

/** Objects that are being read. */
export interface Reading {
  /** Unverified, as by `content` with `once`; undefined for those that have to be read one by one. Never rejects. */
  readonly contents: Promise<(Buffer | undefined)[]>;
  /** Lets go of the memory of all of it. */
  readonly release: () => void;
}

/** Has small loose objects read beside the caller, before they are needed, once it is clear that there are many, and where it can be done. */
export class LooseReadAhead implements AsyncDisposable {
  readonly #fs: FileSystem;
  readonly #folders: LooseFolders;
  /** Those that are free. */
  readonly #free: SmallFileReader[] = [];
  readonly #all: SmallFileReader[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #isOpened = false;
  #isGivenUp = false;
  #objects = 0;

  constructor(fs: FileSystem, folders: LooseFolders) {
    this.#fs = fs;
    this.#folders = folders;
  }

  /**
   * Whether these are to be read by {@link start}: then and from then on, as long as it does not turn out to gain nothing. Asked for
   * all objects, in the order of their keys. `averageSize`: bytes, of objects before these.
   */
  isWorthIt(keys: readonly ObjectKey[], averageSize: number): boolean {
    if (!this.#isOpened) {
      this.#objects += keys.length;
      const mayBe = keys.length > 0 && this.#fs.smallFileReader !== undefined && this.#objects >= OBJECTS_BEFORE;
      if (!mayBe || averageSize > AVERAGE_SIZE_MAX || left(this.#objects, keys) < OBJECTS_LEFT) return false;
      this.#open(Math.max(SIZE_MIN, Math.min(SIZE_MAX, SIZE_TIMES_AVERAGE * averageSize)));
    }
    return !this.#isGivenUp;
  }

  #open(sizeMax: number): void {
    this.#isOpened = true;
    for (let i = 0; i < READERS; i++) {
      const reader = this.#fs.smallFileReader?.(this.#folders.root, sizeMax);
      if (reader !== undefined) this.#all.push(reader);
    }
    this.#free.push(...this.#all);
    this.#isGivenUp = this.#all.length === 0;
  }

  /** How many objects {@link start} takes at a time. */
  get width(): number {
    return Math.min(...this.#all.map((reader) => reader.width));
  }

  /** Whether more can be read now. */
  get isFree(): boolean {
    return this.#free.length > 0;
  }

  start(keys: readonly ObjectKey[]): Reading {
    const reader = this.#free.shift() as SmallFileReader;
    const contents = this.#read(reader, keys);
    this.#underWay.add(contents);
    const release = (): void => {
      this.#underWay.delete(contents);
      this.#free.push(reader);
    };
    return { contents, release };
  }

  async #read(reader: SmallFileReader, keys: readonly ObjectKey[]): Promise<(Buffer | undefined)[]> {
    const none = (): undefined[] => keys.map(() => undefined);
    if (this.#isGivenUp) return none();
    try {
      const contents = await reader.read(keys.map((key) => this.#folders.pathBelow(key)));
      const found = contents.reduce((sum, content) => sum + (content === undefined ? 0 : 1), 0);
      this.#isGivenUp ||= found < keys.length / 2;
      return contents;
    } catch {
      // Reading one by one tells why, if it is of interest.
      this.#isGivenUp = true;
      return none();
    }
  }

  /** Waits for what is being read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#underWay);
    for (const reader of this.#all.splice(0)) reader.close();
  }
}

/** How many objects there are probably after these, the last ones of `objects`: keys are spread evenly. */
function left(objects: number, keys: readonly ObjectKey[]): number {
  const part = Number.parseInt(keys.at(-1)?.slice(0, 8) ?? "0", 16) / 2 ** 32;
  return (objects * (1 - part)) / part;
}

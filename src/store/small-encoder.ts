import { release } from "../release.ts";
import { ThreadPool, threadProgram, wantedThreads } from "../thread-pool.ts";
import { type Compressing, encodeSmall } from "./compressing.ts";
import { AS_IT_IS, type EncodeAnswer, type EncodeTask, runEncodeTask } from "./encode-task.ts";

/** How many threads compress, unless the caller says. Each but its own takes 40 MB: with more, less than 250 in all could not be kept. */
const THREADS_MAX = 2;
/** What is compressed before threads are started: with less, starting them takes longer than they save. */
const BYTES_BEFORE_THREADS: number = 4 * 1024 ** 2;
const OBJECTS_BEFORE_THREADS = 1024;
/** Bytes of the contents that a task may have: larger ones are encoded alone, in the caller's thread. */
export const TASK_SIZE: number = 2 * 1024 ** 2;
/** Where contents begin in shared memory, which begins at a page: see `copyMemory`. */
const BEGIN = 64;

/** Contents that were encoded together, or are being so. */
export interface Encoded {
  /** Of each content, its encoded bytes; undefined where it is stored as it is. */
  readonly encoded: readonly (Uint8Array | undefined)[];
  /** Lets go of the memory of all of it. */
  readonly release: () => void;
}

/** Compresses small contents: in threads, once there are enough of them. */
export class SmallEncoder implements Disposable {
  readonly #compressing: Compressing;
  readonly #threads: ThreadPool<EncodeTask, EncodeAnswer>;
  /** Memory that was used and is free again. */
  readonly #free: Buffer[] = [];
  #objects = 0;
  #bytes = 0;

  /**
   * `threads`: how many, with the caller's. `program`: of a thread, for tests.
   * @throws RangeError as `checkThreads`
   */
  constructor(compressing: Compressing, threads?: number, program?: URL) {
    this.#compressing = compressing;
    this.#threads = new ThreadPool({
      program: program ?? threadProgram("encode-worker", import.meta.url),
      workerData: compressing,
      threads: wantedThreads(threads, THREADS_MAX) - 1,
      here: async (task) => runEncodeTask(task, compressing),
    });
  }

  /** How many calls of {@link encodeTogether} are worth having under way, besides the caller's own; 0 while there are no threads. */
  get width(): number {
    return this.#threads.width;
  }

  /** As `encodeSmall`, in the caller's thread; starts the others when it has done much. */
  encode(bytes: Uint8Array): Uint8Array | undefined {
    const encoded = encodeSmall(bytes, this.#compressing);
    if (encoded === undefined) return undefined;
    this.#objects++;
    this.#bytes += bytes.length;
    if (this.#objects >= OBJECTS_BEFORE_THREADS || this.#bytes >= BYTES_BEFORE_THREADS) this.#threads.start();
    return encoded;
  }

  /** Memory for contents that are to be encoded together. */
  memory(): Buffer {
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(BEGIN + TASK_SIZE), BEGIN);
  }

  /** Encodes contents that stand in `memory`, which is theirs until they are released: at once, where no thread is free. */
  async encodeTogether(memory: Buffer, contents: readonly (Uint8Array | undefined)[]): Promise<Encoded> {
    const places = new Int32Array(contents.length * 2);
    for (const [i, bytes] of contents.entries()) {
      if (bytes === undefined) continue;
      places[i * 2] = bytes.byteOffset;
      places[i * 2 + 1] = bytes.byteOffset + bytes.length;
    }
    const { sizes, bytes } = await this.#threads.run({ memory: memory.buffer as unknown as SharedArrayBuffer, places });
    let at = 0;
    const encoded = Array.from(sizes, (size) => {
      if (size === AS_IT_IS) return undefined;
      at += size;
      return bytes.subarray(at - size, at);
    });
    const letGo = (): void => {
      release(bytes);
      this.#free.push(memory);
    };
    return { encoded, release: letGo };
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }
}

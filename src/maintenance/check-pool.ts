import { TsdosError } from "../errors.ts";
import type { ContainerConfig } from "../format/config.ts";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { Pacer, type StoreContext } from "../store/context.ts";
import { ThreadPool, threadProgram, wantedThreads } from "../thread-pool.ts";
import { type CheckFailure, type CheckResult, type CheckTask, ObjectChecker } from "./check-objects.ts";

/** How many threads verify, unless the caller says. */
const THREADS_MAX = 4;
/** What is verified before threads are started; with less, starting them takes longer than they save. */
const BYTES_BEFORE_THREADS: number = 16 * 1024 ** 2;
const OBJECTS_BEFORE_THREADS = 8192;

/** What a thread needs to verify objects by itself. */
export interface CheckerData {
  readonly root: string;
  readonly config: ContainerConfig;
  readonly packsFolder: string;
}

/** A failure as it is passed between threads: classes do not survive that. */
export interface FailureMessage extends Omit<CheckFailure, "error"> {
  readonly code: TsdosError["code"];
  readonly message: string;
  readonly details: TsdosError["details"];
}

/** What is posted to another thread. */
export function answerOf({ failures, ...rest }: CheckResult): CheckAnswer {
  return {
    ...rest,
    failures: failures.map(({ error, ...place }) => ({
      ...place,
      code: error.code,
      message: error.message,
      details: error.details,
    })),
  };
}

function failureFrom({ code, message, details, ...place }: FailureMessage): CheckFailure {
  return { ...place, error: new TsdosError(code, message, details) };
}

export interface CheckPoolOptions {
  readonly context: StoreContext;
  readonly packsFolder: string;
  /** How many threads verify at most; 1 is the caller's own. Default: as many as there are processors, up to 4. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The program of a thread. */
  readonly program?: URL;
}

/** What a thread answers. */
export type CheckAnswer = Omit<CheckResult, "failures"> & { readonly failures: readonly FailureMessage[] };

/** Verifies tasks in threads, or in the caller's own where there are few, or threads cannot be started. */
export class CheckPool implements Disposable {
  readonly #signal: AbortSignal | undefined;
  readonly #checker: ObjectChecker;
  readonly #pacer = new Pacer();
  readonly #threads: ThreadPool<CheckTask, CheckAnswer>;
  #objects = 0;
  #bytes = 0;
  #inTurn: Promise<unknown> = Promise.resolve();
  #used = 1;

  constructor({ context, packsFolder, threads, signal, program }: CheckPoolOptions) {
    this.#signal = signal;
    this.#checker = new ObjectChecker(context, packsFolder);
    // Threads have the operating system's files, and not those of another implementation of the port.
    const wanted = context.fs instanceof NodeFileSystem ? wantedThreads(threads, THREADS_MAX) : 1;
    const workerData: CheckerData = { root: context.root, config: context.config, packsFolder };
    this.#threads = new ThreadPool({
      program: program ?? threadProgram("check-worker", import.meta.url),
      workerData,
      threads: wanted === 1 ? 0 : wanted,
      here: (task) => this.#runHere(task),
    });
  }

  /** How many tasks are worth handing out before the first one is done. */
  get width(): number {
    return Math.max(1, this.#threads.width);
  }

  /** How many threads have worked. */
  get used(): number {
    return this.#used;
  }

  async run(task: CheckTask): Promise<CheckResult> {
    if (this.#bytes >= BYTES_BEFORE_THREADS || this.#objects >= OBJECTS_BEFORE_THREADS) this.#threads.start();
    const { failures, ...result } = await this.#threads.run(task);
    this.#used = Math.max(1, this.#threads.size);
    this.#objects += result.objects;
    this.#bytes += result.bytes;
    return { ...result, failures: failures.map(failureFrom) };
  }

  async #runHere(task: CheckTask): Promise<CheckAnswer> {
    const rest = (): Promise<void> | undefined => {
      this.#signal?.throwIfAborted();
      return this.#pacer.due ? this.#pacer.pause() : undefined;
    };
    const result = this.#inTurn.then(() => this.#checker.check(task, rest));
    this.#inTurn = result.catch(() => undefined);
    return answerOf(await result);
  }

  /** Ends the threads: nobody waits for what they are doing. */
  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }
}

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { TsdosError } from "../errors.ts";
import type { ContainerConfig } from "../format/config.ts";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { Pacer, type StoreContext } from "../store/context.ts";
import { type CheckFailure, type CheckResult, type CheckTask, ObjectChecker } from "./check-objects.ts";

const THREADS_MAX = 4;
/** Tasks that a thread has at a time: while it posts a result, the next one waits already. */
const TASKS_PER_THREAD = 2;
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

export function failureToMessage({ error, ...place }: CheckFailure): FailureMessage {
  return { ...place, code: error.code, message: error.message, details: error.details };
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

interface Waiting {
  readonly task: CheckTask;
  readonly resolve: (result: CheckResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** In the order in which they were given to it. */
  readonly waiting: Waiting[];
}

/** Verifies tasks in threads, or in the caller's own where there are few, or threads cannot be started. */
export class CheckPool implements Disposable {
  readonly #options: CheckPoolOptions;
  readonly #checker: ObjectChecker;
  readonly #pacer = new Pacer();
  readonly #wanted: number;
  #threads: Thread[] = [];
  #started = false;
  #objects = 0;
  #bytes = 0;
  #inTurn: Promise<unknown> = Promise.resolve();
  #used = 1;

  constructor(options: CheckPoolOptions) {
    const { context, packsFolder, threads } = options;
    this.#options = options;
    this.#checker = new ObjectChecker(context, packsFolder);
    const wanted = threads ?? Math.min(THREADS_MAX, availableParallelism());
    // Threads have the operating system's files, and not those of another implementation of the port.
    this.#wanted = context.fs instanceof NodeFileSystem ? wanted : 1;
  }

  /** How many tasks are worth handing out before the first one is done. */
  get width(): number {
    return Math.max(1, this.#threads.length * TASKS_PER_THREAD);
  }

  /** How many threads have worked. */
  get used(): number {
    return this.#used;
  }

  async run(task: CheckTask): Promise<CheckResult> {
    if (!this.#started && this.#isMuch()) this.#start();
    const [thread] = this.#threads.toSorted((a, b) => a.waiting.length - b.waiting.length);
    const result = await (thread === undefined ? this.#runHere(task) : this.#runIn(thread, task));
    this.#objects += result.objects;
    this.#bytes += result.bytes;
    return result;
  }

  #isMuch(): boolean {
    return this.#wanted > 1 && (this.#bytes >= BYTES_BEFORE_THREADS || this.#objects >= OBJECTS_BEFORE_THREADS);
  }

  #runHere(task: CheckTask): Promise<CheckResult> {
    const { signal } = this.#options;
    const rest = (): Promise<void> | undefined => {
      signal?.throwIfAborted();
      return this.#pacer.due ? this.#pacer.pause() : undefined;
    };
    const result = this.#inTurn.then(() => this.#checker.check(task, rest));
    this.#inTurn = result.catch(() => undefined);
    return result;
  }

  #runIn(thread: Thread, task: CheckTask): Promise<CheckResult> {
    return new Promise((resolve, reject) => {
      thread.waiting.push({ task, resolve, reject });
      thread.worker.postMessage(task);
    });
  }

  #start(): void {
    this.#started = true;
    const { context, packsFolder } = this.#options;
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = this.#options.program ?? new URL(`./check-worker.${extension}`, import.meta.url);
    const workerData: CheckerData = { root: context.root, config: context.config, packsFolder };
    try {
      for (let i = 0; i < this.#wanted; i++) this.#threads.push(this.#startThread(new Worker(program, { workerData })));
    } catch {
      // As many as there are.
    }
    this.#used = Math.max(1, this.#threads.length);
  }

  #startThread(worker: Worker): Thread {
    const thread: Thread = { worker, waiting: [] };
    worker.on("message", ({ failures, ...rest }: CheckResult & { failures: readonly FailureMessage[] }) => {
      thread.waiting.shift()?.resolve({ ...rest, failures: failures.map(failureFrom) });
    });
    // What a thread that fails has not done is done here.
    const end = (): void => {
      this.#threads = this.#threads.filter((one) => one !== thread);
      this.#used = Math.max(1, this.#threads.length);
      for (const { task, resolve, reject } of thread.waiting.splice(0)) this.#runHere(task).then(resolve, reject);
    };
    worker.once("error", end);
    worker.once("exit", end);
    return thread;
  }

  /** Ends the threads, whatever they are doing. */
  [Symbol.dispose](): void {
    for (const { worker, waiting } of this.#threads.splice(0)) {
      // An error that nobody listens to would end the process.
      worker.removeAllListeners().on("error", () => undefined);
      waiting.length = 0;
      void worker.terminate();
    }
  }
}

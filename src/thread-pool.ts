import { availableParallelism } from "node:os";
import { parentPort, type ResourceLimits, Worker, type WorkerOptions } from "node:worker_threads";

/** Tasks that a thread has at a time: while it posts an answer, the next one waits already. */
const TASKS_PER_THREAD = 2;
/**
 * MiB of V8's heap in a thread: what it works on is outside of it, and freed when V8 looks. With V8's own limits it looks so rarely
 * that each thread takes 50 MB more. One for which these are not enough fails, and its work is done in the caller's.
 */
export const THREAD_LIMITS: ResourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };

/**
 * Milliseconds after which threads that have nothing to do are ended: whoever forgets an iteration does not end them. They are started
 * anew when there is more.
 */
const IDLE_END_MS = 10_000;

/** Posted to a thread that is to end. */
const END = null;

/**
 * In the program of a thread: hands over the tasks that are posted to it. Told to end, it has `onEnd` keep its promise first, and
 * comes to its own end: a thread that is terminated while it makes a codec ends the whole process (an assertion in Node 24).
 */
export function serveTasks<Task>(onTask: (task: Task) => void, onEnd?: () => Promise<unknown>): void {
  parentPort?.on("message", async (task: Task | typeof END) => {
    if (task !== END) return onTask(task);
    await onEnd?.();
    parentPort?.close();
  });
}

/**
 * Starts a thread without the flags of the process: some, as `--input-type`, make a thread fail.
 * @throws Error when that is not possible here
 */
export function startThread(
  program: URL | undefined,
  options: Pick<WorkerOptions, "workerData" | "resourceLimits">,
): Worker {
  if (program === undefined) throw new Error("there is no file of the thread's program");
  return new Worker(program, { ...options, execArgv: [] });
}

export interface ThreadPoolOptions<Task, Answer> {
  /** The program of a thread: it answers the tasks that are posted to it one after the other, in their order. Undefined: no threads. */
  readonly program: URL | undefined;
  readonly workerData?: unknown;
  /** How many threads are started, besides the caller's. */
  readonly threads: number;
  /** Does a task in the caller's thread: where no other is free, or the one that had it has failed. */
  readonly here: (task: Task) => Promise<Answer>;
  /** Instead of {@link IDLE_END_MS}, for tests. */
  readonly idleEndMs?: number | undefined;
}

/** Each takes some 15 MB at once, whatever there is to do: a number that was meant for something else would take all memory. */
const THREADS_MAX = 64;
/** Asked once: the answer takes longer than many a small batch. */
const PROCESSORS: number = availableParallelism();

/** @throws RangeError unless it is undefined or a whole number from 1 to {@link THREADS_MAX} */
export function checkThreads(asked: number | undefined): void {
  if (asked !== undefined && (!Number.isInteger(asked) || asked < 1 || asked > THREADS_MAX))
    throw new RangeError(`threads must be 1 to ${THREADS_MAX}, not ${asked}`);
}

/**
 * How many threads a caller wants: as many as there are processors, up to `most`, unless it says.
 * @throws RangeError as {@link checkThreads}
 */
export function wantedThreads(asked: number | undefined, most: number): number {
  checkThreads(asked);
  return asked ?? Math.min(most, PROCESSORS);
}

/**
 * The file of a thread's program, beside the module at `url`: compiled, or not yet. Undefined where a module has no address: a
 * program that has tsdos within itself as CommonJS leaves `import.meta` empty, whatever its type says.
 */
export function threadProgram(name: string, url: string | undefined): URL | undefined {
  if (url === undefined) return undefined;
  return new URL(`./${name}.${url.endsWith(".ts") ? "ts" : "js"}`, url);
}

interface Waiting<Task, Answer> {
  readonly task: Task;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread<Task, Answer> {
  readonly worker: Worker;
  /** In the order in which they were given to it. */
  readonly waiting: Waiting<Task, Answer>[];
}

/** Does tasks in threads, once these are started, or in the caller's own where threads cannot be started. */
export class ThreadPool<Task, Answer> implements Disposable {
  readonly #options: ThreadPoolOptions<Task, Answer>;
  /** Those that were started, and those of them that run already. */
  #threads: Thread<Task, Answer>[] = [];
  #running: Thread<Task, Answer>[] = [];
  #started = false;
  /** Until idle threads are ended. */
  #idle: NodeJS.Timeout | undefined;

  constructor(options: ThreadPoolOptions<Task, Answer>) {
    this.#options = options;
  }

  /** How many threads were started that have not failed. */
  get size(): number {
    return this.#threads.length;
  }

  /** How many tasks the threads take before the first one is done; 0 when the caller has to do all. */
  get width(): number {
    return this.#running.length * TASKS_PER_THREAD;
  }

  /** Starts the threads, which takes some 40 ms: until one runs, the caller goes on alone. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { program, workerData, threads } = this.#options;
    try {
      for (let i = 0; i < threads; i++)
        this.#threads.push(this.#listen(startThread(program, { workerData, resourceLimits: THREAD_LIMITS })));
    } catch {
      // As many as there are.
    }
    this.#idle = setTimeout(() => this.#endIdle(), this.#options.idleEndMs ?? IDLE_END_MS).unref();
  }

  #endIdle(): void {
    const areStarting = this.#running.length < this.#threads.length;
    if (areStarting || this.#threads.some(({ waiting }) => waiting.length > 0)) {
      this.#idle?.refresh();
      return;
    }
    this[Symbol.dispose]();
    this.#started = false;
  }

  run(task: Task): Promise<Answer> {
    const [thread] = this.#running.toSorted((a, b) => a.waiting.length - b.waiting.length);
    if (thread === undefined || thread.waiting.length >= TASKS_PER_THREAD) return this.#options.here(task);
    return new Promise((resolve, reject) => {
      thread.waiting.push({ task, resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage(task);
    });
  }

  #listen(worker: Worker): Thread<Task, Answer> {
    const thread: Thread<Task, Answer> = { worker, waiting: [] };
    // Only what it has to do keeps the process alive: who forgets an iteration must be able to end.
    worker.unref();
    worker.once("online", () => this.#running.push(thread));
    worker.on("message", (answer: Answer) => {
      thread.waiting.shift()?.resolve(answer);
      this.#idle?.refresh();
      if (thread.waiting.length === 0) worker.unref();
    });
    // What a thread that fails has not done is done here.
    const end = (): void => {
      this.#threads = this.#threads.filter((one) => one !== thread);
      this.#running = this.#running.filter((one) => one !== thread);
      for (const { task, resolve, reject } of thread.waiting.splice(0)) this.#options.here(task).then(resolve, reject);
    };
    worker.once("error", end);
    worker.once("exit", end);
    return thread;
  }

  /** Ends the threads, once they have done what they are doing: nobody waits for that. */
  [Symbol.dispose](): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#running = [];
    for (const { worker, waiting } of this.#threads.splice(0)) {
      // An error that nobody listens to would end the process.
      worker.on("error", () => undefined);
      waiting.length = 0;
      worker.unref();
      worker.postMessage(END);
    }
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

/** A child process that answers each line of JSON on its stdin with one on its stdout. */
export class LineProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor(command: readonly string[]) {
    const [file, ...args] = command;
    // In a process group of its own, so that Ctrl-C reaches its parent alone, which ends it.
    this.#child = spawn(file!, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
    this.#ended = new Promise((resolve) => this.#child.once("close", () => resolve()));
    this.#child.on("error", (error) => this.#child.stdout!.destroy(error));
    // A process that died is noticed by its missing answer.
    this.#child.stdin!.on("error", () => {});
    this.#interface = createInterface({ input: this.#child.stdout! });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async ask(question: unknown): Promise<unknown> {
    const text = JSON.stringify(question);
    this.#child.stdin!.write(`${text}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error(`${this.#child.spawnargs.join(" ")} ended at ${text}`);
    return JSON.parse(line.value);
  }

  /** Lets the process end by itself, as its input ends, and waits for that. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    await this.#ended;
  }

  /** Whoever waits for an answer is told that the process ended. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#interface.close();
    this.kill();
    await this.#ended;
  }
}

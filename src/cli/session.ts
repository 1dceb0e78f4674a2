import { styleText } from "node:util";
import { Container, type LockHolder, type OpenOptions } from "../index.ts";
import { oneLine } from "./escape.ts";
import { exitCodes, reportOf } from "./exit-codes.ts";
import { standardSink } from "./files.ts";
import { LineWriter, type Sink } from "./line-writer.ts";
import { Output } from "./output.ts";
import { createProgressBar, type ProgressBar } from "./progress-bar.ts";
import { type Work, WorkMeter, workLine } from "./work-meter.ts";

/** The options that every command has. */
export interface GlobalOptions {
  readonly path: string;
  /** Milliseconds to wait for the packer lock. */
  readonly wait?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly debug?: boolean;
}

/** One run of the program: where it writes, what stops it, how it ends. */
export class Session {
  readonly signal: AbortSignal;
  readonly #stdout: Sink;
  readonly #messages: LineWriter;
  #options: GlobalOptions = { path: "" };
  #output: Output;
  #bar: ProgressBar | undefined;
  #exitCode: number = exitCodes.ok;
  #toldWaiting = "";
  readonly #meter = new WorkMeter();

  constructor(signal: AbortSignal) {
    this.signal = signal;
    const stderr = standardSink(process.stderr, signal);
    this.#messages = new LineWriter((chunk) => {
      this.#bar?.hide();
      return stderr(chunk);
    });
    const stdout = standardSink(process.stdout, signal);
    this.#stdout = (chunk) => {
      if (process.stdout.isTTY) this.#bar?.hide();
      return stdout(chunk);
    };
    this.#output = new Output(this.#stdout, false, signal);
  }

  /** Takes the global options once they are known. */
  configure(options: GlobalOptions): void {
    this.#options = options;
    this.#output = new Output(this.#stdout, options.json === true, this.signal);
  }

  get options(): GlobalOptions {
    return this.#options;
  }

  get output(): Output {
    return this.#output;
  }

  /** That of the first failure. */
  get exitCode(): number {
    return this.#exitCode;
  }

  set exitCode(code: number) {
    if (this.#exitCode === exitCodes.ok) this.#exitCode = code;
  }

  open(options: OpenOptions = {}): Promise<Container> {
    return Container.open(this.#options.path, { ...this.lockOptions, ...options });
  }

  /** How containers that this run opens wait for their locks. */
  get lockOptions(): OpenOptions {
    const { wait } = this.#options;
    return {
      onLockWait: (holder) => this.#tellWaiting(holder),
      ...(wait !== undefined && { lockTimeoutMs: wait }),
    };
  }

  /** Says for whom it waits, each time that this has changed: only on a terminal. */
  #tellWaiting(holder: LockHolder | undefined): void {
    const text =
      holder === undefined
        ? "waiting for another program that packs"
        : `waiting for process ${holder.pid} on ${holder.host}, which does ${JSON.stringify(holder.doing)} since ${holder.since}`;
    if (text === this.#toldWaiting || !process.stderr.isTTY) return;
    this.#toldWaiting = text;
    void this.note(`${text} (--wait 0 would not)`);
  }

  /** Shows how far a long operation is, from now to the end of the program. */
  async showProgress(): Promise<ProgressBar | undefined> {
    const { quiet, verbose } = this.#options;
    if (!quiet) this.#bar ??= await createProgressBar(process.stderr);
    if (!verbose) return this.#bar;
    const bar = this.#bar;
    return {
      wantsTotals: bar !== undefined,
      update: (progress) => {
        this.#meter.update(progress);
        bar?.update(progress);
      },
      hide: () => bar?.hide(),
    };
  }

  /** Takes what a command has done in all, for `--verbose`. */
  finished(work: Work): void {
    this.#meter.finish(work);
  }

  /** Tells something that is no failure, unless `--quiet`. */
  async note(text: string): Promise<void> {
    const { quiet, json } = this.#options;
    if (!quiet) await this.#say(json ? JSON.stringify({ note: text }) : `tsdos: ${oneLine(text)}`);
  }

  /** Tells how a command ended, for people: only on a terminal. */
  async summary(text: string): Promise<void> {
    if (process.stderr.isTTY && !this.#options.json) await this.note(text);
  }

  /** Tells of a failure, which sets the exit code; the command goes on unless it says otherwise. */
  async fail(error: unknown): Promise<void> {
    const { code, message, details, exitCode } = reportOf(error);
    this.exitCode = exitCode;
    const { json, debug } = this.#options;
    const stack = debug && error instanceof Error ? stackOf(error) : undefined;
    if (json) return this.#say(JSON.stringify({ error: { code, message, details, stack } }));
    const name = isColoured(process.stderr) ? styleText("red", "tsdos:", { validateStream: false }) : "tsdos:";
    await this.#say(`${name} ${code}: ${oneLine(message)}${stack === undefined ? "" : `\n${stack}`}`);
  }

  /** When standard error is gone there is nobody left to tell; the exit code stays. */
  async #say(text: string): Promise<void> {
    await this.#messages.line(text)?.catch(() => {});
  }

  /** Ends the bar and the messages; the output is flushed before. */
  async close(): Promise<void> {
    this.#bar?.hide();
    this.#bar = undefined;
    const { json, verbose } = this.#options;
    const work = this.#meter.report();
    if (verbose) await this.#say(json ? JSON.stringify({ work }) : `tsdos: ${workLine(work)}`);
    await this.#messages.flush().catch(() => {});
  }
}

/** Node itself would ask FORCE_COLOR before both. */
function isColoured({ isTTY }: NodeJS.WriteStream): boolean {
  return isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

/** The stack of an error and of its causes. */
function stackOf(error: Error): string {
  const { cause, stack = error.message } = error;
  return cause instanceof Error ? `${stack}\ncaused by ${stackOf(cause)}` : stack;
}

import { oneLine } from "./escape.ts";
import { OutputClosed } from "./exit-codes.ts";
import { LineWriter, type Sink } from "./line-writer.ts";

/** A value that `JSON.stringify` prints. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The data that a command prints on standard output, as text for people or as JSON, one object a line. */
export class Output {
  readonly json: boolean;
  readonly #lines: LineWriter;
  readonly #signal: AbortSignal;
  #readerNeeded = true;
  #closed = false;

  /** Once `signal` aborts, what prints is rejected; what was printed before can still be flushed. */
  constructor(sink: Sink, json: boolean, signal: AbortSignal) {
    this.json = json;
    this.#signal = signal;
    this.#lines = new LineWriter(sink);
  }

  /**
   * For commands that do more than print: when the reader goes away (`| head`), the command goes on and finishes its
   * work in silence. The others stop, with exit code 0, as nobody is left who wants the rest.
   */
  goOnWithoutReader(): void {
    this.#readerNeeded = false;
  }

  /** Prints one item of a list: `text` is called only when it is needed. */
  item(value: JsonObject, text: () => string): Promise<void> | undefined {
    return this.#guard(this.#closed ? undefined : this.#lines.line(this.json ? JSON.stringify(value) : text()));
  }

  /** Prints a report: `rows` are names and values for people. */
  async report(value: object, rows: readonly (readonly [name: string, value: string])[]): Promise<void> {
    const width = Math.max(...rows.map(([name]) => name.length));
    const text = (): string => rows.map(([name, shown]) => `${name.padEnd(width)}  ${oneLine(shown)}`).join("\n");
    await this.item(value as JsonObject, text);
  }

  /** Prints text as it is, also under `--json`: help, scripts. */
  async text(text: string): Promise<void> {
    await this.#guard(this.#lines.line(text));
  }

  async bytes(chunk: Uint8Array): Promise<void> {
    await this.#guard(this.#lines.bytes(chunk));
  }

  async flush(): Promise<void> {
    await this.#unlessClosed(this.#lines.flush());
  }

  #guard(written: Promise<void> | undefined): Promise<void> | undefined {
    if (written === undefined) return undefined;
    return this.#unlessClosed(written).then(() => this.#signal.throwIfAborted());
  }

  async #unlessClosed(written: Promise<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      if (!(error instanceof OutputClosed) || this.#readerNeeded) throw error;
      this.#closed = true;
    }
  }
}

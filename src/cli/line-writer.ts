import { setImmediate } from "node:timers/promises";

/** Where text or bytes go in the end; resolves once it takes more. */
export type Sink = (chunk: string | Uint8Array) => Promise<void>;

/** Lines are handed on in pieces of about this many characters. */
const FLUSH_CHARACTERS = 64 * 1024;
/** A line waits no longer than this for others to join it. */
const FLUSH_MS = 50;

/**
 * Writes lines through a buffer, so that a line costs no system call. Whoever awaits what the methods return holds no
 * more than the buffer, however slow the reader is. A failed write rejects the call after it.
 */
export class LineWriter {
  readonly #sink: Sink;
  #buffer = "";
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Takes one line, without its line feed. */
  line(text: string): Promise<void> | undefined {
    if (this.#failure !== undefined) return this.flush();
    this.#buffer += text;
    this.#buffer += "\n";
    if (this.#buffer.length >= FLUSH_CHARACTERS) return this.flush();
    // The failure is kept, and met by the next call.
    this.#timer ??= setTimeout(() => void this.flush().catch(() => {}), FLUSH_MS).unref();
    return undefined;
  }

  /** Writes bytes as they are, after the lines before them. */
  async bytes(chunk: Uint8Array): Promise<void> {
    await this.flush();
    await this.#write(chunk);
    this.#check();
  }

  /** Writes what is waiting. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const chunk = this.#buffer;
    this.#buffer = "";
    if (chunk === "") await this.#writing;
    else await this.#write(chunk);
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #write(chunk: string | Uint8Array): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      if (this.#failure !== undefined) return;
      try {
        await this.#sink(chunk);
        // A quick reader would otherwise never let signals and timers have their turn.
        await setImmediate();
      } catch (error) {
        this.#failure = { error };
      }
    });
    return this.#writing;
  }
}

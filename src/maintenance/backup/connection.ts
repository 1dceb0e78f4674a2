import type { Writable } from "node:stream";
import { type ErrorCode, errorCodes, isTsdosError, TsdosError } from "../../errors.ts";
import { type Frame, FrameParser, frameTypes, parsePayload, printFrame } from "../../format/backup-protocol.ts";
import type { OnProgress, Progress } from "../../progress.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Frames to and from the other end. */
export class Connection {
  readonly #input: AsyncIterator<Uint8Array>;
  readonly #output: Writable;
  readonly #parser = new FrameParser();
  /** Complete, and not yet taken. */
  #frames: Frame[] = [];
  #outputError: Error | undefined;
  /** Told how far the other end is; that may come at any time. */
  onProgress: OnProgress | undefined;

  /** `first`: bytes of the input that were read already. */
  constructor(input: AsyncIterator<Uint8Array>, output: Writable, first: Uint8Array = new Uint8Array()) {
    this.#input = input;
    this.#output = output;
    output.on("error", (error) => {
      this.#outputError = error;
    });
    this.#frames.push(...this.#parser.push(first));
  }

  async send(type: keyof typeof frameTypes, payload: Uint8Array): Promise<void> {
    // Nothing more comes of a stream that is destroyed, not even an error.
    if (this.#outputError !== undefined || this.#output.destroyed) throw new ConnectionLost(this.#outputError);
    if (this.#output.write(printFrame(frameTypes[type], payload))) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const name of ["drain", "error", "close"]) this.#output.off(name, done);
        resolve();
      };
      for (const name of ["drain", "error", "close"]) this.#output.on(name, done);
    });
  }

  sendFields(type: keyof typeof frameTypes, fields: object): Promise<void> {
    return this.send(type, Buffer.from(JSON.stringify(fields)));
  }

  /** The next frame that is not about progress; undefined at the end. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = await this.#nextOfAny();
      if (frame?.type !== frameTypes.progress) return frame;
      this.onProgress?.(fieldsOf(frame) as unknown as Progress);
    }
  }

  async #nextOfAny(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      const read = await this.#input.next();
      if (read.done) {
        if (this.#parser.incomplete > 0) throw new ConnectionLost();
        return undefined;
      }
      try {
        this.#frames = [...this.#parser.push(read.value)];
      } catch (error) {
        throw new ConnectionLost(error);
      }
    }
    return this.#frames.shift();
  }

  /** Gives it up: who waits to send something is told. */
  abandon(): void {
    this.#output.destroy();
  }

  end(): void {
    this.#output.end();
  }
}

/** The fields of a frame. @throws TsdosError `IO_ERROR` when it has none */
export function fieldsOf(frame: Frame): Fields {
  const fields = parsePayload(frame.payload);
  if (fields === undefined) throw new ConnectionLost(new Error(`a frame of type ${frame.type} holds no JSON object`));
  return fields;
}

/** What the other side would say of it is lost, too. */
export class ConnectionLost extends TsdosError {
  constructor(cause?: unknown) {
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    super("IO_ERROR", `the connection to the other side of the backup was lost${reason}`, {}, cause);
  }
}

/** An error as the other side is told of it. */
export function errorToFields(error: unknown): object {
  if (isTsdosError(error)) return { code: error.code, message: error.message, details: error.details };
  return { code: "IO_ERROR", message: error instanceof Error ? error.message : String(error), details: {} };
}

/** The error that the other side has told of. */
export function errorFromFields(value: unknown): TsdosError {
  const { code, message, details } = Object(value) as Fields;
  const known = errorCodes.find((one) => one === code) ?? ("IO_ERROR" satisfies ErrorCode);
  return new TsdosError(
    known,
    `on the other side: ${typeof message === "string" ? message : JSON.stringify(message)}`,
    Object(details) as TsdosError["details"],
  );
}

import { createHash } from "node:crypto";
import type { Pieces } from "../pieces.ts";
import { type Connection, ConnectionLost, errorFromFields, fieldsOf } from "./connection.ts";
import type {
  BackupSubject,
  BackupTarget,
  BeginOptions,
  FileOffer,
  FinishOptions,
  FinishReport,
  FoundFile,
  PutFile,
} from "./target.ts";

/** Files that are sent before their answers have come. */
const UNANSWERED_MAX = 256;
/** Bytes of one data frame. */
const DATA_SIZE = 256 * 1024;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A target at the other end of a connection. Files are sent without waiting for answers; a failure comes out of a later call. */
export class RemoteTarget implements BackupTarget {
  readonly #connection: Connection;
  readonly #waiting: Waiting[] = [];
  #failure: { readonly error: unknown } | undefined;
  #unanswered: Promise<unknown>[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
    void this.#readAnswers();
  }

  async #readAnswers(): Promise<void> {
    try {
      for (let frame = await this.#connection.next(); frame !== undefined; frame = await this.#connection.next()) {
        const { ok, error } = fieldsOf(frame);
        const waiting = this.#waiting.shift();
        if (error === undefined) waiting?.resolve(ok);
        else waiting?.reject(errorFromFields(error));
      }
      throw new ConnectionLost();
    } catch (error) {
      this.#failure ??= { error };
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    }
  }

  async #ask(method: string, fields: object): Promise<unknown> {
    return await (await this.#send(method, fields)).answer;
  }

  /** The answer is wrapped: waiting for the sending is not waiting for it. */
  async #send(method: string, fields: object): Promise<{ readonly answer: Promise<unknown> }> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    answer.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    await this.#connection.sendFields("request", { method, ...fields });
    return { answer };
  }

  async begin(subject: BackupSubject, options: BeginOptions): Promise<void> {
    await this.#ask("begin", { subject, options });
  }

  async offer(files: readonly FileOffer[]): Promise<readonly number[]> {
    return (await this.#ask("offer", { files })) as number[];
  }

  async find(path: string, hashUpTo?: number): Promise<readonly FoundFile[]> {
    return (await this.#ask("find", { path, hashUpTo })) as FoundFile[];
  }

  async put(file: PutFile, chunks: Pieces): Promise<void> {
    const { answer } = await this.#send("put", { file });
    const hash = createHash("sha256");
    try {
      for await (const chunk of chunks) {
        hash.update(chunk);
        for (let at = 0; at < chunk.length; at += DATA_SIZE)
          await this.#connection.send("data", chunk.subarray(at, at + DATA_SIZE));
        if (this.#failure !== undefined) throw this.#failure.error;
      }
    } catch (error) {
      await this.#connection.sendFields("end", { cancelled: true });
      throw error;
    }
    await this.#connection.sendFields("end", { sha256: hash.digest("hex") });
    this.#unanswered.push(answer);
    if (this.#unanswered.length < UNANSWERED_MAX) return;
    await Promise.all(this.#unanswered.splice(0));
  }

  async drop(path: string): Promise<void> {
    await this.#ask("drop", { path });
  }

  async finish(options: FinishOptions): Promise<FinishReport> {
    await Promise.all(this.#unanswered.splice(0));
    return (await this.#ask("finish", { options })) as FinishReport;
  }

  async removable(keep: number | undefined): Promise<readonly string[]> {
    return (await this.#ask("removable", { keep })) as string[];
  }

  async close(): Promise<void> {
    this.#connection.end();
  }
}

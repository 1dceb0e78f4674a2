import { createHash } from "node:crypto";
import { frameTypes } from "../../format/backup-protocol.ts";
import type { Pieces } from "../pieces.ts";
import { type Connection, ConnectionLost, errorFromFields, type Fields, fieldsOf } from "./connection.ts";
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
        const waiting = frame.type === frameTypes.reply ? this.#waiting.shift() : undefined;
        if (waiting === undefined) throw unexpected(`a frame of type ${frame.type} was not asked for`);
        const { ok, error } = fieldsOf(frame);
        if (error === undefined) waiting.resolve(ok);
        else waiting.reject(errorFromFields(error));
      }
      throw new ConnectionLost();
    } catch (error) {
      this.#failure ??= { error };
      for (const { reject } of this.#waiting.splice(0)) reject(error);
      // What is being sent would wait until it is read, which may be never.
      this.#connection.abandon();
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
    const wanted = await this.#ask("offer", { files });
    return listOf(wanted, (one): one is number => Number.isInteger(one) && files[one as number] !== undefined);
  }

  async find(path: string, hashUpTo?: number): Promise<readonly FoundFile[]> {
    return listOf(await this.#ask("find", { path, hashUpTo }), isFoundFile);
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
    const report = await this.#ask("finish", { options });
    const { name, removed, hardLinks } = Object(report) as Fields;
    if (typeof name !== "string" || typeof hardLinks !== "boolean") throw unexpected("an answer names no backup");
    return { name, removed: listOf(removed, isText), hardLinks };
  }

  async removable(keep: number | undefined): Promise<readonly string[]> {
    return listOf(await this.#ask("removable", { keep }), isText);
  }

  async close(): Promise<void> {
    this.#connection.end();
  }
}

function unexpected(what: string): ConnectionLost {
  return new ConnectionLost(new Error(what));
}

/** An answer that is a list. The other side may be another program, or say anything. */
function listOf<T>(answer: unknown, isItem: (one: unknown) => one is T): T[] {
  if (Array.isArray(answer) && answer.every(isItem)) return answer;
  throw unexpected("an answer is not what was asked for");
}

const isText = (one: unknown): one is string => typeof one === "string";

function isFoundFile(one: unknown): one is FoundFile {
  const { base, size, mtimeMs, sha256 } = Object(one) as Fields;
  const isCounted = Number.isInteger(base) && Number.isSafeInteger(size) && Number.isFinite(mtimeMs);
  return isCounted && (sha256 === undefined || isText(sha256));
}

import type { Worker } from "node:worker_threads";
import { TsdosError } from "../errors.ts";
import { CANTOPEN_NAME, type SqliteDatabase } from "../sqlite.ts";
import { startThread, THREAD_LIMITS, threadProgram } from "../thread-pool.ts";
import { doSqliteTask, type SqliteAnswer, type SqliteTaskData } from "./sqlite-task.ts";

/** Bytes of a file with which it takes about as long to start a thread as to do the task: some 20,000 rows. */
const SMALL_FILE: number = 4 * 1024 ** 2;

/**
 * Does a task in a thread of its own, with a connection of its own, so that it holds up nobody; in the caller's, with `database`, where
 * the file is small, or threads cannot be started.
 */
export async function doBeside(database: SqliteDatabase, data: SqliteTaskData): Promise<readonly string[]> {
  const here = (): readonly string[] => doSqliteTask(database, data.task);
  if (database.size < SMALL_FILE) return here();
  const answer = await answerOfThread(data);
  if (answer === undefined) return here();
  if ("damage" in answer) return answer.damage;
  const { code, message, details } = answer.failure;
  // A thread has files of its own open: there may be too few without it, or enough.
  if (details.errno === CANTOPEN_NAME) return here();
  throw new TsdosError(code, message, details);
}

/** Undefined when there is no thread, or it has failed. */
function answerOfThread(data: SqliteTaskData): Promise<SqliteAnswer | undefined> {
  return new Promise((resolve) => {
    let worker: Worker;
    try {
      worker = startThread(threadProgram("sqlite-worker", import.meta.url), {
        workerData: data,
        resourceLimits: THREAD_LIMITS,
      });
    } catch {
      resolve(undefined);
      return;
    }
    let answer: SqliteAnswer | undefined;
    worker.once("message", (posted: SqliteAnswer) => {
      answer = posted;
    });
    // An error that nobody listens to would end the process; the end comes all the same.
    worker.once("error", () => undefined);
    worker.once("exit", () => resolve(answer));
  });
}

import { parentPort, workerData } from "node:worker_threads";
import { isTsdosError } from "../errors.ts";
import { openDatabase } from "../sqlite.ts";
import { doSqliteTask, type SqliteAnswer, type SqliteTaskData } from "./sqlite-task.ts";

/** The thread that `sqlite-thread.ts` starts: does its one task, posts the answer, and ends. */
const { path, task, ...options } = workerData as SqliteTaskData;

function answer(): SqliteAnswer {
  try {
    const database = openDatabase(path, options);
    try {
      return { damage: doSqliteTask(database, task) };
    } finally {
      database.close();
    }
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    const { code, message, details } = error;
    return { failure: { code, message, details } };
  }
}

parentPort?.postMessage(answer());

import type { TsdosError } from "../errors.ts";
import type { SqliteDatabase, SqliteOptions } from "../sqlite.ts";
import { sqliteDamage } from "./sqlite-damage.ts";

/** What SQLite does with the whole file in a single step, which cannot be divided: for a million rows it takes seconds. */
export type SqliteTask =
  | { readonly what: "damage"; readonly quick: boolean }
  | { readonly what: "snapshot"; readonly to: string }
  | { readonly what: "vacuum" };

/** What a thread needs to do it with a connection of its own. */
export interface SqliteTaskData extends Pick<SqliteOptions, "mode" | "busyTimeoutMs"> {
  readonly path: string;
  readonly task: SqliteTask;
}

/** What a thread posts: errors as their parts, as classes do not survive that. */
export type SqliteAnswer =
  | { readonly damage: readonly string[] }
  | { readonly failure: Pick<TsdosError, "code" | "message" | "details"> };

/** Answers what is wrong with the file, if that was asked for. */
export function doSqliteTask(database: SqliteDatabase, task: SqliteTask): readonly string[] {
  if (task.what === "damage") return sqliteDamage(database, task.quick);
  if (task.what === "vacuum") database.exec("VACUUM");
  else database.prepare("VACUUM INTO ?").run(task.to);
  return [];
}

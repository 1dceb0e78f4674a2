import type { CreateOptions } from "../../src/index.ts";
import { numbers } from "../../src/testing/contents.ts";
import type { Next } from "../support/random.ts";
import { type Command, randomCommand } from "./commands.ts";
import { runCommands, shrink } from "./model.ts";
import { inMemory, onDisk, type Subject } from "./subject.ts";

const pick = <T>(items: readonly T[], next: Next): T => items[next() % items.length] as T;

/** What the container is like, and where it is. */
interface Setting {
  readonly where: "disk" | "memory";
  readonly options: CreateOptions;
}

export function randomSetting(next: Next): Setting {
  const where = pick(["disk", "disk", "memory"] as const, next);
  const formatVersion = where === "memory" ? 2 : pick([1, 2] as const, next);
  const compressions = formatVersion === 1 ? ["zlib:+1", "zlib:+6"] : ["none", "zlib:+1", "zstd:+3", "zstd:-1"];
  return {
    where,
    options: {
      formatVersion,
      loosePrefixLen: next() % 5,
      packSizeTarget: pick([1, 500, 20_000, 4 * 1024 ** 3], next),
      compression: pick(compressions, next),
    },
  };
}

/**
 * Random commands from a seed; undefined when all went as in a Map, else a report with the shortest list of commands that fails.
 */
export async function tryCase(seed: number, steps: number, given?: Setting): Promise<string | undefined> {
  const next = numbers(seed);
  for (let i = 0; i < 8; i++) next();
  const setting = given ?? randomSetting(next);
  const make = (): Promise<Subject> => (setting.where === "disk" ? onDisk(setting.options) : inMemory(setting.options));
  const commands: Command[] = Array.from({ length: steps }, () => randomCommand(next));
  const failure = await runCommands(make, commands);
  if (failure === undefined) return undefined;
  const list = await shrink(make, commands.slice(0, failure.step + 1));
  const again = await runCommands(make, list);
  const lines = list.map((command) => `  ${JSON.stringify(command)}`);
  const { stack } = again?.error ?? failure.error;
  return `seed ${seed}, ${JSON.stringify(setting)}, ${list.length} of ${failure.step + 1} commands:\n${lines.join("\n")}\n${stack}`;
}

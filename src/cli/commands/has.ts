import { Command } from "commander";
import { exitCodes } from "../exit-codes.ts";
import { readKeys } from "../keys.ts";
import type { Session } from "../session.ts";

export function hasCommand(session: Session): Command {
  return new Command("has")
    .description("tell which objects are there; exit code 3 if any is missing")
    .argument("[KEY...]")
    .option("--from-file <FILE>", "read the keys from a file, one a line (- is standard input)")
    .action((keys: string[], options: { readonly fromFile?: string }) => has(session, keys, options.fromFile));
}

async function has(session: Session, given: readonly string[], fromFile: string | undefined): Promise<void> {
  const { output, signal } = session;
  // The answer is also the exit code.
  output.goOnWithoutReader();
  await using container = await session.open();
  for await (const keys of readKeys({ keys: given, fromFile }, signal)) {
    for (const key of keys) {
      signal.throwIfAborted();
      const present = await container.has(key);
      if (!present) session.exitCode = exitCodes.notFound;
      await output.item({ key, present }, () => `${key}  ${present ? "present" : "missing"}`);
    }
  }
}

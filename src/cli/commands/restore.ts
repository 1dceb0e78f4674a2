import { Command } from "commander";
import { refuseInside, requirePlainFile } from "../files.ts";
import { checkManifest } from "../manifest-file.ts";
import { Restorer } from "../restorer.ts";
import type { Session } from "../session.ts";
import { prepareDestination } from "../tree-files.ts";
import { count, exactSize, humanNumber } from "../units.ts";

interface RestoreFlags {
  readonly manifest: string;
  readonly force?: boolean;
}

export function restoreCommand(session: Session): Command {
  return new Command("restore")
    .description("put a tree back as its manifest has it; the bytes of every file are verified")
    .requiredOption("--manifest <FILE>", "what 'add -r DIR --manifest FILE' wrote")
    .option("--force", "write into a folder that is not empty, and replace files that are there")
    .argument("<DEST>", "the folder to write to")
    .action((destination: string, flags: RestoreFlags) => restore(session, destination, flags));
}

async function restore(
  session: Session,
  destination: string,
  { manifest, force = false }: RestoreFlags,
): Promise<void> {
  const { output, signal } = session;
  output.goOnWithoutReader();
  refuseInside(session.options.path, destination);
  requirePlainFile(manifest);
  // All of the manifest is checked before anything is written.
  const total = await checkManifest(manifest, signal);
  await using store = await session.open();
  prepareDestination(destination, force);
  const restorer = new Restorer(session, store, { destination, force, total });
  await restorer.restore(manifest);
  const { files, folders, links, bytes } = restorer.totals;
  session.finished({ objects: files, bytes });
  await output.report(restorer.totals, [
    ["restored", `${count(files, "file")}, ${exactSize(bytes)}`],
    ["folders", humanNumber(folders)],
    ["links", humanNumber(links)],
  ]);
}

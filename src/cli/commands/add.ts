import { Command, Option } from "commander";
import type { CompressMode, Destination, Durability, InsertManyOptions } from "../../index.ts";
import { planAdd } from "../add-plan.ts";
import { Adder } from "../adder.ts";
import { checkRecompress, RECOMPRESS, threadsOption } from "../arguments.ts";
import { escapePath } from "../escape.ts";
import { UsageError } from "../exit-codes.ts";
import { type FilePath, NewFile, realPath, refuseInside } from "../files.ts";
import { MANIFEST_HEADER, printManifestEntry } from "../manifest.ts";
import type { Session } from "../session.ts";
import { count, humanSize } from "../units.ts";

interface AddFlags {
  readonly recursive?: boolean;
  readonly manifest?: string;
  readonly to?: Destination | "packs";
  readonly compress?: CompressMode;
  readonly recompress?: boolean;
  readonly durability?: Durability;
  readonly checkExisting?: boolean;
  readonly threads?: number;
}

export function addCommand(session: Session): Command {
  return new Command("add")
    .alias("add-files")
    .description("store files, and print key, size and path of each once it is safe")
    .argument("<PATH...>", "files, folders with -r, - for standard input")
    .option("-r, --recursive", "add folders with all that is below them; links are not followed")
    .option("--manifest <FILE>", "with -r and one folder: write what 'restore' needs to put the tree back")
    .addOption(new Option("--to <WHERE>", "where to (default: loose)").choices(["auto", "loose", "packed", "packs"]))
    .addOption(
      new Option("--compress <MODE>", "for packed objects (default: auto)").choices(["no", "yes", "auto", "keep"]),
    )
    .option(...RECOMPRESS)
    .option(...threadsOption("compress", 2))
    .addOption(
      new Option(
        "--durability <LEVEL>",
        "what a printed object survives: a power cut (full, the default) or a crash of the program (process)",
      ).choices(["full", "process"]),
    )
    .option("--check-existing", "verify content that is there already, and replace it when it is damaged")
    .action((paths: string[], flags: AddFlags) => add(session, paths, flags));
}

async function add(session: Session, paths: readonly string[], flags: AddFlags): Promise<void> {
  const { output, signal } = session;
  const { recursive = false, manifest: manifestPath } = flags;
  output.goOnWithoutReader();
  if (manifestPath !== undefined && (!recursive || paths.length !== 1)) {
    throw new UsageError("--manifest needs -r and exactly one folder");
  }
  checkRecompress(flags.recompress, flags.compress ?? "auto");
  if (manifestPath === "-") throw new UsageError("--manifest writes a file, and not to standard output");
  const container = realPath(session.options.path);
  if (manifestPath !== undefined) refuseInside(container, manifestPath);
  const plan = await planAdd(session, paths, { recursive, container, treeOnly: manifestPath !== undefined });
  await using store = await session.open();
  const { to = "loose", compress, recompress } = flags;
  if (to === "loose" && (compress === "yes" || recompress))
    await session.note("loose objects are stored as they are: 'pack' compresses them, or --to packed does at once");
  using manifest = manifestPath === undefined ? undefined : new NewFile(manifestPath);
  manifest?.line(MANIFEST_HEADER);
  const leaveOut = manifest === undefined ? [container] : [container, manifest.path, manifest.temporaryPath];
  const adder = new Adder(session, store, insertOptions(flags, signal), {
    leaveOut,
    // The line of an object comes out here: it is stored as safely as was asked.
    onStored: (at, { key, rawSize: size, inserted, where }) =>
      output.item({ key, size, ...jsonPath(at), inserted, where }, () => `${key}  ${size}  ${escapePath(at)}`),
    onTree: (entry) => manifest?.line(printManifestEntry(entry)),
  });
  await adder.add(plan);
  manifest?.commit();
  const { objects, inserted, bytes } = adder.totals;
  session.finished({ objects, bytes });
  await session.summary(`${count(objects, "file")}, ${humanSize(bytes)}; ${count(inserted, "new object")}`);
}

function insertOptions(flags: AddFlags, signal: AbortSignal): InsertManyOptions {
  const { to, compress, recompress, durability, checkExisting, threads } = flags;
  return {
    signal,
    ...(to !== undefined && { to: to === "packs" ? "packed" : to }),
    ...(compress !== undefined && { compress }),
    ...(recompress !== undefined && { recompress }),
    ...(durability !== undefined && { durability }),
    ...(checkExisting !== undefined && { checkExisting }),
    ...(threads !== undefined && { threads }),
  };
}

/** JSON holds no bytes: a name that is not UTF-8 comes in hexadecimal, too. */
function jsonPath(at: FilePath): { readonly path: string; readonly pathHex?: string } {
  return typeof at === "string" ? { path: at } : { path: at.toString(), pathHex: at.toString("hex") };
}

import { Command, Option } from "commander";
import { Container, type CreateOptions, isTsdosError } from "../../index.ts";
import { parseInteger, parseSize } from "../arguments.ts";
import { UsageError } from "../exit-codes.ts";
import type { Session } from "../session.ts";

interface InitOptions {
  readonly compression?: string;
  readonly packSize?: number;
  readonly format?: "1" | "2";
  readonly loosePrefixLen?: number;
}

export function initCommand(session: Session): Command {
  return new Command("init")
    .alias("create")
    .description("create a container")
    .option(
      "--compression <SPEC>",
      "for packed objects: none, zlib:+1 to zlib:+9, zstd:LEVEL such as zstd:+3 or zstd:-1",
    )
    .option("--pack-size <SIZE>", "a new pack starts at this size (default: 4GiB)", parseSize)
    .addOption(new Option("--format <VERSION>", "version of the format (default: 2)").choices(["1", "2"]))
    .option(
      "--loose-prefix-len <DIGITS>",
      "digits of the key that name a loose object's folder, 0 to 4 (default: 2)",
      (text) => parseInteger(text, 0, 4),
    )
    .action((options: InitOptions) => init(session, options));
}

async function init(session: Session, options: InitOptions): Promise<void> {
  const { compression, packSize, format, loosePrefixLen } = options;
  await using container = await create(session.options.path, {
    ...(compression !== undefined && { compression }),
    ...(packSize !== undefined && { packSizeTarget: packSize }),
    ...(format !== undefined && { formatVersion: format === "1" ? 1 : 2 }),
    ...(loosePrefixLen !== undefined && { loosePrefixLen }),
  });
  const { path, formatVersion } = container;
  const { containerId, compression: used } = container.config;
  await session.output.report({ path, formatVersion, containerId, compression: used }, [
    ["path", path],
    ["format", `version ${formatVersion}`],
    ["container id", containerId],
    ["compression", used],
  ]);
}

/** What `create` says of its options is about the command line. */
const ABOUT_OPTIONS: readonly string[] = ["INVALID_CONFIG", "UNSUPPORTED_CODEC", "UNSUPPORTED_VERSION"];

async function create(path: string, options: CreateOptions): Promise<Container> {
  try {
    return await Container.create(path, options);
  } catch (error) {
    if (isTsdosError(error) && ABOUT_OPTIONS.includes(error.code))
      throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

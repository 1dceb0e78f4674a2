import { Command, Option } from "commander";
import { Container } from "../../index.ts";
import { parseInteger, parseSize, withGivenOptions } from "../arguments.ts";
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
  const create = (): Promise<Container> =>
    Container.create(session.options.path, {
      ...(compression !== undefined && { compression }),
      ...(packSize !== undefined && { packSizeTarget: packSize }),
      ...(format !== undefined && { formatVersion: format === "1" ? 1 : 2 }),
      ...(loosePrefixLen !== undefined && { loosePrefixLen }),
    });
  await using container = await withGivenOptions(create, "INVALID_CONFIG", "UNSUPPORTED_CODEC", "UNSUPPORTED_VERSION");
  const { path, formatVersion } = container;
  const { containerId, compression: used } = container.config;
  await session.output.report({ path, formatVersion, containerId, compression: used }, [
    ["path", path],
    ["format", `version ${formatVersion}`],
    ["container id", containerId],
    ["compression", used],
  ]);
}

import { TsdosError } from "../errors.ts";
import { type CompressionSpec, parseCompression } from "./compression-spec.ts";

/** What `config.json` says (docs/format.md, "config.json"). */
export interface ContainerConfig {
  readonly containerVersion: 1 | 2;
  /** As found: with or without hyphens. */
  readonly containerId: string;
  readonly hashType: "sha256";
  /** Hexadecimal digits that name the folders of loose objects, 0 to 4. */
  readonly loosePrefixLen: number;
  /** Bytes; a new pack is started once the last one has reached it. */
  readonly packSizeTarget: number;
  /** The compression as found in the file; `compressionSpec` is what it means. */
  readonly compression: string;
  readonly compressionSpec: CompressionSpec;
  /** Fields that this version does not know, kept as they were found. */
  readonly unknownFields: Readonly<Record<string, unknown>>;
}

/** 4 GiB, as in disk-objectstore. */
export const DEFAULT_PACK_SIZE_TARGET: number = 4 * 1024 ** 3;
export const DEFAULT_LOOSE_PREFIX_LEN = 2;
export const MAX_LOOSE_PREFIX_LEN = 4;

/** Arrays and objects in each other, which fields that we do not know may hold. */
const MAX_DEPTH = 100;

const KNOWN = [
  "container_version",
  "container_id",
  "hash_type",
  "loose_prefix_len",
  "pack_size_target",
  "compression_algorithm",
];

/** The file's text; ends with a newline. */
export function printConfig(config: ContainerConfig): string {
  const fields = {
    container_version: config.containerVersion,
    loose_prefix_len: config.loosePrefixLen,
    pack_size_target: config.packSizeTarget,
    hash_type: config.hashType,
    container_id: config.containerId,
    compression_algorithm: config.compression,
    ...config.unknownFields,
  };
  return `${JSON.stringify(fields, null, 4)}\n`;
}

/**
 * Reads the file's text; `path` is for the errors.
 * @throws TsdosError `INVALID_CONFIG`, or `UNSUPPORTED_VERSION` for a version other than 1 and 2.
 */
export function parseConfig(text: string, path: string): ContainerConfig {
  const fields = parseFields(text, path);
  const invalid = (what: string): never => {
    throw new TsdosError("INVALID_CONFIG", `${path}: ${what}; mend the file or restore it from a backup`, { path });
  };
  const version = fields["container_version"];
  if (version === undefined) invalid("container_version is missing");
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    return invalid(`container_version must be 1 or 2, not ${shown(version)}`);
  }
  if (version > 2) {
    throw new TsdosError(
      "UNSUPPORTED_VERSION",
      `${path}: the container has format version ${version}, this tsdos knows 1 and 2; use a newer tsdos`,
      { path },
    );
  }
  const hashType = fields["hash_type"] ?? "sha256";
  if (hashType !== "sha256") invalid(`hash_type must be "sha256", not ${shown(hashType)}`);
  const id = fields["container_id"] ?? "";
  if (typeof id !== "string") return invalid("container_id must be a string");
  const prefix = fields["loose_prefix_len"] ?? DEFAULT_LOOSE_PREFIX_LEN;
  if (!isIntegerIn(prefix, 0, MAX_LOOSE_PREFIX_LEN)) {
    return invalid(`loose_prefix_len must be an integer from 0 to ${MAX_LOOSE_PREFIX_LEN}`);
  }
  const target = fields["pack_size_target"] ?? DEFAULT_PACK_SIZE_TARGET;
  if (!isIntegerIn(target, 1, 2 ** 48 - 1)) return invalid("pack_size_target must be a positive number of bytes");
  const compression = fields["compression_algorithm"] ?? (version === 1 ? "zlib+1" : "none");
  if (typeof compression !== "string") return invalid("compression_algorithm must be a string");
  return {
    containerVersion: version as 1 | 2,
    containerId: id,
    hashType: "sha256",
    loosePrefixLen: prefix,
    packSizeTarget: target,
    compression,
    compressionSpec: parseCompressionIn(compression, path),
    unknownFields: Object.fromEntries(Object.entries(fields).filter(([name]) => !KNOWN.includes(name))),
  };
}

function isIntegerIn(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

/** A value for a message, shortened. */
function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** Whether anything stands in more than so many arrays and objects, in each other: what prints or compares it would go as deep. */
function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeperThan(levels - 1, each));
}

function parseFields(text: string, path: string): Record<string, unknown> {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    throw new TsdosError(
      "INVALID_CONFIG",
      `${path} is not JSON; mend the file or restore it from a backup`,
      { path },
      error,
    );
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new TsdosError("INVALID_CONFIG", `${path} holds no JSON object`, { path });
  }
  if (isDeeperThan(MAX_DEPTH, fields)) {
    throw new TsdosError("INVALID_CONFIG", `${path} is nested more than ${MAX_DEPTH} levels deep`, { path });
  }
  return fields as Record<string, unknown>;
}

function parseCompressionIn(text: string, path: string): CompressionSpec {
  try {
    return parseCompression(text);
  } catch (error) {
    throw new TsdosError("INVALID_CONFIG", `${path}: ${(error as Error).message}`, { path }, error);
  }
}

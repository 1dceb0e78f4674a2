import { zlibCodec, zstdCodec } from "../codec/codec.ts";
import { worthCompressing } from "../codec/worth-compressing.ts";
import { type CompressionSpec, parseCompression } from "../format/compression-spec.ts";
import type { ContainerConfig } from "../format/config.ts";
import { release } from "../release.ts";
import { checkOption } from "./check-option.ts";
import type { CompressMode } from "./object-store.ts";

/** Whether and how to compress what is added to packs. */
export interface Compressing {
  readonly mode: CompressMode;
  readonly spec: CompressionSpec;
  readonly recompress: boolean;
}

/** What an insert or pack with these options does in a container with this configuration. */
export function compressingOf(
  { containerVersion, compressionSpec: usual }: ContainerConfig,
  options: {
    readonly compress?: CompressMode | undefined;
    readonly recompress?: boolean | undefined;
    readonly compression?: string | undefined;
  },
): Compressing {
  checkOption("compress", options.compress, ["no", "yes", "keep", "auto"]);
  const compressionSpec = options.compression === undefined ? usual : parseCompression(options.compression);
  // Version 1 is read by disk-objectstore, which knows only zlib; rsdos may have written another codec into its configuration.
  const isReadable = containerVersion === 2 || compressionSpec.codec !== "zstd";
  const spec: CompressionSpec = isReadable ? compressionSpec : { codec: "zlib", level: 1 };
  return { mode: options.compress ?? "auto", spec, recompress: options.recompress ?? false };
}

/** True when content that starts with `bytes` should be compressed. */
export function shouldCompress(bytes: Uint8Array, rawSize: number, { mode, spec, recompress }: Compressing): boolean {
  if (spec.codec === "none" || mode === "no" || mode === "keep" || rawSize === 0) return false;
  return mode === "yes" || worthCompressing(bytes, rawSize, recompress);
}

/** Small content compressed; undefined when that is not wanted, or makes it no smaller. */
export function encodeSmall(bytes: Uint8Array, compressing: Compressing): Uint8Array | undefined {
  const { spec } = compressing;
  if (spec.codec === "none" || !shouldCompress(bytes, bytes.length, compressing)) return undefined;
  const encoded = (spec.codec === "zlib" ? zlibCodec : zstdCodec).compress(bytes, spec.level);
  if (encoded.length < bytes.length) return encoded;
  release(encoded);
  return undefined;
}

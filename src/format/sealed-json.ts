import { crc32Of } from "./crc32.ts";

/** Text of two lines: JSON, and the CRC-32 of the first line as 8 hexadecimal digits. */
export function printSealedJson(value: unknown): string {
  const json = JSON.stringify(value);
  return `${json}\n${checksumOf(json)}\n`;
}

function checksumOf(json: string): string {
  return crc32Of(Buffer.from(json)).toString(16).padStart(8, "0");
}

/** The fields of a JSON object that is intact, whose types are still to be checked; undefined for any other text. */
export function parseSealedJson(text: string): Readonly<Record<string, unknown>> | undefined {
  const [json, checksum, rest, more] = text.split("\n", 4);
  if (json === undefined || checksum !== checksumOf(json) || rest !== "" || more !== undefined) return undefined;
  try {
    return Object(JSON.parse(json)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** How much of a container a validation has looked at. */
export type ValidationMode = "quick" | "sample" | "full";

export interface ValidationRecord {
  /** ISO 8601: when it ended. */
  readonly at: string;
  readonly mode: ValidationMode;
  /** That were read, and bytes of their contents. */
  readonly objects: number;
  readonly bytes: number;
  readonly problems: number;
  readonly durationMs: number;
}

export interface BackupRecord {
  /** ISO 8601: when it ended. */
  readonly at: string;
  /** As the user gave it. */
  readonly destination: string;
  readonly objects: number;
  readonly bytes: number;
  /** Absent when there were none. */
  readonly problems?: number;
}

/** What was done last to keep the container safe; each is absent when it is not known. For information only. */
export interface History {
  readonly lastValidation?: ValidationRecord;
  readonly lastBackup?: BackupRecord;
}

const VALIDATION_FIELDS = {
  at: "string",
  mode: "string",
  objects: "number",
  bytes: "number",
  problems: "number",
  durationMs: "number",
} as const;
const BACKUP_FIELDS = { at: "string", destination: "string", objects: "number", bytes: "number" } as const;

/** The text of the file; ends with a line feed. */
export function printHistory(history: History): string {
  return `${JSON.stringify(history, null, 2)}\n`;
}

/** Whatever is missing or damaged is left out. */
export function parseHistory(text: string): History {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
  const lastValidation = pick(fields["lastValidation"], VALIDATION_FIELDS) as ValidationRecord | undefined;
  const problems = pick(fields["lastBackup"], { problems: "number" });
  const backup = pick(fields["lastBackup"], BACKUP_FIELDS);
  const lastBackup = backup && ({ ...backup, ...problems } as BackupRecord);
  return { ...(lastValidation && { lastValidation }), ...(lastBackup && { lastBackup }) };
}

/** The named fields; undefined unless all of them are there and of their types. */
function pick(value: unknown, types: Readonly<Record<string, string>>): object | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Readonly<Record<string, unknown>>;
  const picked = Object.entries(types).map(([name, type]) => [name, type, given[name]] as const);
  // JSON has numbers that are none here: 1e999 is read as infinity.
  if (picked.some(([, type, found]) => typeof found !== type || found === Number.POSITIVE_INFINITY)) return undefined;
  return Object.fromEntries(picked.map(([name, , found]) => [name, found]));
}

import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { describeVersions, hasShaInstructions, type Program, type ProgramName } from "./programs.ts";
import type { Line } from "./scenarios.ts";

/** Milliseconds of each round. */
export type Times = Readonly<Record<ProgramName, number[]>>;

export interface Result {
  readonly line: Line;
  readonly times: Times;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** What has to be known of the machine to judge the figures, and nothing that tells whose it is. */
export function describeMachine(programs: readonly Program[], fileSystem: string, rounds: number): string[] {
  const sha = { true: "with", false: "without" }[String(hasShaInstructions())] ?? "perhaps with";
  return [
    `${availableParallelism()} cores (${cpus()[0]?.model.trim() || "unknown"}, ${sha} SHA instructions)`,
    `${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}`,
    ...describeVersions(programs),
    `on ${fileSystem}`,
    `medians of ${rounds} interleaved rounds`,
  ];
}

/** The tables: first what nobody syncs, then what is synced. Times are medians in milliseconds. */
export function markdown(results: readonly Result[], programs: readonly Program[]): string {
  const parts: string[] = [];
  const unsynced = results.filter(({ line }) => line.durability === "process");
  const synced = results.filter(({ line }) => line.durability === "full");
  if (unsynced.length > 0) {
    parts.push('### Not synced (tsdos with `durability: "process"`)', "", ...table(unsynced, programs));
    if (unsynced.some(({ line, times }) => line.unlike?.some((name) => times[name].length > 0))) {
      parts.push("", "\\* disk-objectstore cannot but sync here: shown, but not compared.");
    }
    parts.push("");
  }
  if (synced.length > 0) {
    const syncing = programs.filter(({ name }) => name !== "rsdos");
    parts.push('### Synced (tsdos with `durability: "full"`; rsdos cannot)', "", ...table(synced, syncing), "");
  }
  return parts.join("\n");
}

function table(results: readonly Result[], programs: readonly Program[]): string[] {
  const peers = programs.filter(({ name }) => name !== "tsdos");
  const own = programs.some(({ name }) => name === "tsdos");
  const ratios = own ? peers : [];
  const header = ["ms", ...programs.map(({ title }) => title), ...ratios.map(({ title }) => `${title} / tsdos`)];
  const rows = results.map(({ line, times }) => [
    line.title,
    ...programs.map(({ name }) => `${shownTime(times[name])}${line.unlike?.includes(name) ? " \\*" : ""}`),
    ...ratios.map(({ name }) => (line.unlike?.includes(name) ? "" : ratio(times[name], times["tsdos"]))),
  ]);
  const rule = header.map((_, i) => (i === 0 ? "---" : "---:"));
  return [header, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`);
}

function shownTime(times: readonly number[]): string {
  if (times.length === 0) return "";
  const ms = median(times);
  return ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

function ratio(peer: readonly number[], own: readonly number[]): string {
  if (peer.length === 0 || own.length === 0) return "";
  return (median(peer) / median(own)).toFixed(2);
}

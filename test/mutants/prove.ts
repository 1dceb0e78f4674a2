// `node prove.ts [--all] [--only TEXT]`: puts one deliberate bug after the other into a copy of the sources, and runs the proof
// that must catch it; with --all, every proof.
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { scratchParent } from "../support/folders.ts";
import { type Mutant, mutants, type ProofName, proofs } from "./mutants.ts";
import { copySources, firstFailure, withMutant } from "./run.ts";

const { values } = parseArgs({ options: { all: { type: "boolean", default: false }, only: { type: "string" } } });
const folder = mkdtempSync(join(scratchParent(), "tsdos-mutants-"));
const names = Object.keys(proofs) as ProofName[];
const chosen = mutants.filter(({ bug }) => bug.includes(values.only ?? ""));
let missed = 0;

async function catchers({ caughtBy }: Mutant): Promise<ProofName[]> {
  const found: ProofName[] = [];
  for (const name of values.all ? names : [caughtBy]) {
    const failure = await firstFailure(folder, proofs[name]);
    if (failure === undefined) continue;
    found.push(name);
    console.error(`  ${name}: ${failure}`);
  }
  return found;
}

try {
  copySources(folder);
  for (const name of new Set(values.all ? names : chosen.map(({ caughtBy }) => caughtBy))) {
    const failure = await firstFailure(folder, proofs[name]);
    if (failure !== undefined) throw new Error(`without any bug, ${name} fails: ${failure}`);
  }
  console.log("| bug | caught by |\n|---|---|");
  for (const mutant of chosen) {
    const found = await withMutant(folder, mutant, () => catchers(mutant));
    console.log(`| ${mutant.bug} | ${found.length === 0 ? "**nothing**" : found.join(", ")} |`);
    if (!found.includes(mutant.caughtBy)) missed++;
  }
  console.log(`${chosen.length} bugs, ${missed} not caught by the proof that must`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;

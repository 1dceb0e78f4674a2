// `npm run bench`: the same work done by rsdos, disk-objectstore and tsdos, interleaved in one run. See bench/README.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { Corpus, type Expected } from "./corpus.ts";
import { Driver } from "./driver.ts";
import { type Program, type ProgramName, preparePrograms, programNames } from "./programs.ts";
import type { Answer, Command } from "./protocol.ts";
import { describeMachine, markdown, type Result } from "./report.ts";
import { type Counts, type Scenario, type Step, scenarios } from "./scenarios.ts";
import { Scratch } from "./scratch.ts";

const usage = `Usage: npm run bench -- [OPTION]...
  --rounds N        rounds, 5 if not given
  --only LINE       measure this line (may be given several times); --only help lists them
  --programs A,B    of ${programNames.join(", ")}; all if not given
  --quick           two rounds, and a file of 128 MiB in place of 1 GiB
  --dir DIR         work in this folder in place of a file system in memory
  --profile         write CPU profiles of tsdos`;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    programs: { type: "string", default: programNames.join() },
    quick: { type: "boolean", default: false },
    dir: { type: "string" },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const counts: Counts = { loose: 10_000, bulk: 100_000, synced: 1_000, single: 1_000 };
const largeSize = options.quick ? 128 * 2 ** 20 : 2 ** 30;
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5));
const output = join(import.meta.dirname, "../.cache/bench");

/** The scenarios with what is asked for: preparations stay, measured steps after the last wanted one go. */
function wanted(scenario: Scenario): Scenario {
  if (options.only.length === 0) return scenario;
  const last = scenario.steps.findLastIndex(({ line }) => line !== undefined && options.only.includes(line.id));
  return { ...scenario, steps: scenario.steps.slice(0, last + 1) };
}

function check(step: Step, program: Program, answer: Answer): void {
  for (const name of ["objects", "bytes", "sum", "keys", "key"] satisfies (keyof Expected)[]) {
    const expected = step.expected?.[name];
    const found = answer.ok ? answer[name] : undefined;
    if (expected !== undefined && found !== expected) {
      throw new Error(`${program.title}, ${step.line?.id ?? step.op}: ${name} is ${found}, not ${expected}`);
    }
  }
}

async function runScenario(
  scenario: Scenario,
  programs: readonly Program[],
  round: number,
  scratch: Scratch,
  record: (step: Step, program: ProgramName, ms: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const folder = scratch.fresh();
  await using cleanup = new AsyncDisposableStack();
  const drivers = new Map(programs.map((program) => [program.name, cleanup.use(new Driver(program))]));
  const interrupt = (): void => drivers.values().forEach((driver) => void driver.kill());
  signal.addEventListener("abort", interrupt, { once: true });
  cleanup.defer(() => signal.removeEventListener("abort", interrupt));
  let containers = 0;
  for (const [index, step] of scenario.steps.entries()) {
    if (step.op === "create") containers += 1;
    const taking = programs.filter(({ name }) => (step.programs ?? scenario.programs).includes(name));
    for (let i = 0; i < taking.length; i++) {
      const program = taking[(i + round + index) % taking.length]!;
      const command: Command = {
        op: step.op,
        path: join(folder, `${program.name}-${containers}`),
        sync: scenario.sync,
        ...(step.where && { where: step.where }),
        ...(step.op === "export" && { target: join(folder, `${program.name}.out`) }),
        ...step.input,
      };
      if (step.line !== undefined) scratch.settle(scenario.memory);
      const answer = await drivers.get(program.name)!.run(command);
      check(step, program, answer);
      record(step, program.name, answer.ms);
    }
  }
  for (const driver of drivers.values()) await driver.end();
}

async function main(interrupted: AbortSignal): Promise<void> {
  const asked = options.programs.split(",");
  const unknownProgram = asked.find((name) => !programNames.some((known) => known === name));
  if (unknownProgram !== undefined) throw new Error(`there is no program ${unknownProgram}`);
  const names = programNames.filter((name) => asked.includes(name));

  mkdirSync(output, { recursive: true });
  const programs = preparePrograms(names, options.profile ? output : undefined);
  using scratch = new Scratch(options.dir);
  const all = scenarios(new Corpus(scratch.folder, counts.bulk, largeSize), counts);
  const lines = all.flatMap(({ steps }) => steps.flatMap(({ line }) => line ?? []));
  const unknown = options.only.filter((id) => !lines.some((line) => line.id === id));
  if (unknown.length > 0)
    throw new Error(`there is no line ${unknown.join()}; there are ${lines.map(({ id }) => id).join()}`);

  const results: Result[] = lines.map((line) => ({ line, times: { rsdos: [], dos: [], tsdos: [] } }));
  const record = (step: Step, program: ProgramName, ms: number): void => {
    results.find(({ line }) => line === step.line)?.times[program].push(ms);
  };
  for (let round = 0; round < rounds; round++) {
    console.error(`round ${round + 1} of ${rounds}`);
    for (const scenario of all.map(wanted)) {
      const taking = programs.filter(({ name }) => scenario.programs.includes(name));
      if (scenario.steps.length > 0) await runScenario(scenario, taking, round, scratch, record, interrupted);
      interrupted.throwIfAborted();
    }
  }

  const isShown = ({ line, times }: Result): boolean =>
    Object.values(times).some(({ length }) => length > 0) &&
    (options.only.length === 0 || options.only.includes(line.id));
  const shown = results.filter(isShown);
  const machine = describeMachine(programs, scratch.description, rounds);
  const file = join(output, `${new Date().toISOString().replaceAll(":", "-")}.json`);
  writeFileSync(file, `${JSON.stringify({ machine, results: shown }, undefined, 2)}\n`);
  console.log(`${machine.join("; ")}.\n\n${markdown(shown, programs)}`);
  console.error(`All times are in ${relative(process.cwd(), file)}.`);
}

if (options.help) {
  console.log(usage);
} else {
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());
  try {
    await main(interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    console.error("Interrupted; everything was removed.");
    process.exitCode = 130;
  }
}

import { Command, Option } from "commander";
import { parseDuration } from "./arguments.ts";
import { addCommand } from "./commands/add.ts";
import { backupCommand } from "./commands/backup.ts";
import { backupsCommand } from "./commands/backups.ts";
import { catCommand } from "./commands/cat.ts";
import { cleanCommand } from "./commands/clean.ts";
import { completionCommand } from "./commands/completion.ts";
import { dumpCommand } from "./commands/dump.ts";
import { exportCommand } from "./commands/export.ts";
import { hasCommand } from "./commands/has.ts";
import { importCommand } from "./commands/import.ts";
import { initCommand } from "./commands/init.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { lsCommand } from "./commands/ls.ts";
import { packCommand } from "./commands/pack.ts";
import { rebuildIndexCommand } from "./commands/rebuild-index.ts";
import { repackCommand } from "./commands/repack.ts";
import { repairCommand } from "./commands/repair.ts";
import { restoreCommand } from "./commands/restore.ts";
import { restoreBackupCommand } from "./commands/restore-backup.ts";
import { rmCommand } from "./commands/rm.ts";
import { serveBackupCommand } from "./commands/serve-backup.ts";
import { statCommand } from "./commands/stat.ts";
import { statusCommand } from "./commands/status.ts";
import { validateCommand } from "./commands/validate.ts";
import { refuseEmptyNames, refuseUnreadablePath } from "./empty-names.ts";
import { UsageError } from "./exit-codes.ts";
import { packageVersion } from "./files.ts";
import type { GlobalOptions, Session } from "./session.ts";

const commands = [
  initCommand,
  addCommand,
  catCommand,
  lsCommand,
  hasCommand,
  statCommand,
  statusCommand,
  inspectCommand,
  packCommand,
  repackCommand,
  cleanCommand,
  rmCommand,
  restoreCommand,
  validateCommand,
  repairCommand,
  rebuildIndexCommand,
  backupCommand,
  restoreBackupCommand,
  backupsCommand,
  exportCommand,
  importCommand,
  dumpCommand,
  completionCommand,
];

const DEFAULT_PATH = "./container";

/** The whole command line. Nothing runs before it is parsed; errors of the command line are thrown. */
export function createProgram(session: Session): Command {
  const program = new Command("tsdos")
    .description("A disk object store: keeps files under the SHA-256 of their content.")
    .usage("[options] COMMAND")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .addOption(
      new Option("-p, --path <DIR>", "the container's folder").env("TSDOS_PATH").default(DEFAULT_PATH, DEFAULT_PATH),
    )
    .option("--json", "print JSON: one object, or one a line for lists; errors too")
    .option("-q, --quiet", "no progress bar, no notes")
    .option("-v, --verbose", "at the end, tell on standard error how much was done, how fast, and the peak memory")
    .option("--wait <SECONDS>", "how long to wait for another packer; also 500ms or 2m (default: 10)", parseDuration)
    .addOption(new Option("--lock-timeout <TIME>", "as --wait").argParser(parseDuration).hideHelp())
    .option("--debug", "print stack traces of errors")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void session.output.text(text.trimEnd()),
      writeErr: () => {},
    })
    .exitOverride()
    .hook("preAction", (root, command) => {
      const { lockTimeout, ...options } = root.opts<GlobalOptions & { readonly lockTimeout?: number }>();
      const path = options.path || pathWithout(root);
      session.configure({ ...(lockTimeout !== undefined && { wait: lockTimeout }), ...options, path });
      refuseEmptyNames(command);
      refuseUnreadablePath(path);
    });
  for (const create of commands) add(program, create(session));
  add(program, serveBackupCommand(session), { hidden: true });
  // The names that rsdos has for `pack` and `repack`.
  const optimize = new Command("optimize").description("as 'pack' and 'repack'");
  add(program, optimize, { hidden: true });
  for (const create of [packCommand, repackCommand]) add(optimize, create(session));
  return program;
}

/** An empty variable of the environment is none. An empty argument is a mistake, such as a shell's variable that is not set. */
function pathWithout(program: Command): string {
  if (program.getOptionValueSource("path") === "env") return DEFAULT_PATH;
  throw new UsageError("--path is empty");
}

function add(parent: Command, command: Command, options: { readonly hidden?: boolean } = {}): void {
  command.copyInheritedSettings(parent);
  parent.addCommand(command, options);
}

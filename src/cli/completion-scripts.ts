import type { Argument, Command, Option } from "commander";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** What can stand at a place of the command line. */
type Value = { readonly choices: readonly string[] } | "file" | "folder" | "text";

interface OptionSpec {
  readonly flags: readonly string[];
  readonly description: string;
  /** Undefined when the option takes no value. */
  readonly value: Value | undefined;
}

interface CommandSpec {
  readonly names: readonly string[];
  readonly description: string;
  readonly options: readonly OptionSpec[];
  /** What the arguments are, from the first to the last, which may repeat. */
  readonly argument: Value;
  /** True when that is another command: what follows is for that one. */
  readonly isGroup: boolean;
}

export interface ProgramSpec {
  readonly name: string;
  readonly options: readonly OptionSpec[];
  readonly commands: readonly CommandSpec[];
}

/** What the scripts need to know of the program, without its hidden commands, but with groups of commands. */
export function describeCommands(program: Command): ProgramSpec {
  const help = program.createHelp();
  const commands = [...help.visibleCommands(program), ...program.commands.filter(isGroup)].map((command) => ({
    names: [command.name(), ...command.aliases()],
    description: command.description(),
    options: isGroup(command) ? [] : help.visibleOptions(command).map(describeOption),
    argument: argumentOf(command),
    isGroup: isGroup(command),
  }));
  return { name: program.name(), options: help.visibleOptions(program).map(describeOption), commands };
}

const isGroup = ({ commands }: Command): boolean => commands.length > 0;

function argumentOf(command: Command): Value {
  if (isGroup(command)) return { choices: command.commands.map((each) => each.name()) };
  const [argument] = command.registeredArguments;
  return argument === undefined ? "text" : kindOfValue(argument.name(), argument.argChoices);
}

/** The names of the groups of commands. */
const groupsOf = (commands: readonly CommandSpec[]): string[] =>
  commands.flatMap(({ isGroup, names }) => (isGroup ? names : []));

function describeOption({ short, long, flags, description, required, optional, argChoices }: Option): OptionSpec {
  const placeholder = /<(\w+)>/.exec(flags)?.[1] ?? "";
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    value: required || optional ? kindOfValue(placeholder, argChoices) : undefined,
  };
}

/** What a value is, by its choices or by its name in the help text. */
function kindOfValue(name: string, choices: Argument["argChoices"]): Value {
  if (choices !== undefined) return { choices };
  if (["DIR", "DEST", "SOURCE", "CONTAINER"].includes(name)) return "folder";
  return name === "FILE" || name === "PATH" ? "file" : "text";
}

export function printCompletion(shell: Shell, program: ProgramSpec): string {
  return { bash, zsh, fish }[shell](program);
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

// --- bash: an empty reply falls back to file names, unless compopt takes that back -----------------------------------

const NO_FILES = "compopt +o bashdefault +o default 2>/dev/null";

function bashValue(value: Value): string {
  if (value === "file") return "return";
  if (value === "folder") return "compopt +o bashdefault +o default -o dirnames 2>/dev/null; return";
  if (value === "text") return `${NO_FILES}; return`;
  return `COMPREPLY=($(compgen -W ${quote(value.choices.join(" "))} -- "$cur")); return`;
}

function bashOptions(prefix: string, options: readonly OptionSpec[]): string[] {
  return options.flatMap(({ flags, value }) =>
    value === undefined ? [] : [`    ${flags.map((flag) => `${prefix}${flag}`).join("|")}) ${bashValue(value)} ;;`],
  );
}

function bash({ name, options, commands }: ProgramSpec): string {
  const skipped = options.filter(({ value }) => value !== undefined).flatMap(({ flags }) => flags);
  const names = commands.flatMap((command) => command.names);
  const globalFlags = options.flatMap(({ flags }) => flags);
  const flagsOf = (command: CommandSpec): string =>
    [...command.options.flatMap(({ flags }) => flags), ...globalFlags].join(" ");
  return `# bash completion for ${name}
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= i
  # --option=value comes as three words
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${skipped.join("|")}) [[ \${COMP_WORDS[i+1]} == = ]] && ((i++)); ((i++)) ;;
      -*) ;;
      ${groupsOf(commands).join("|")}) command=\${COMP_WORDS[i]} ;;
      *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  COMPREPLY=()
  case $prev in
${bashOptions("", options).join("\n")}
  esac
  case $command:$prev in
${commands.flatMap((command) => command.names.flatMap((each) => bashOptions(`${each}:`, command.options))).join("\n")}
  esac
  if [[ $cur == -* ]]; then
    case $command in
${commands.map((command) => `      ${command.names.join("|")}) COMPREPLY=($(compgen -W ${quote(flagsOf(command))} -- "$cur")) ;;`).join("\n")}
      *) COMPREPLY=($(compgen -W ${quote(globalFlags.join(" "))} -- "$cur")) ;;
    esac
    return
  fi
  case $command in
    "") COMPREPLY=($(compgen -W ${quote(names.join(" "))} -- "$cur")) ;;
${commands.map((command) => `    ${command.names.join("|")}) ${bashValue(command.argument)} ;;`).join("\n")}
  esac
}
complete -o bashdefault -o default -F _${name} ${name}`;
}

// --- zsh -------------------------------------------------------------------------------------------------------------

function zshValue(value: Value): string {
  if (value === "file") return "_files";
  if (value === "folder") return "_directories";
  return value === "text" ? " " : `(${value.choices.join(" ")})`;
}

function zshOption({ flags, description, value }: OptionSpec): string[] {
  const text = `[${description.replace(/[[\]:\\]/g, "\\$&")}]${value === undefined ? "" : `:value:${zshValue(value)}`}`;
  const others = flags.length > 1 ? `(${flags.join(" ")})` : "";
  return flags.map((flag) =>
    quote(`${others}${flag}${value !== undefined && flag.startsWith("--") ? "=" : ""}${text}`),
  );
}

function zsh({ name, options, commands }: ProgramSpec): string {
  const lines = (specs: readonly OptionSpec[], indent: string): string =>
    specs
      .flatMap(zshOption)
      .map((text) => `${indent}${text} \\\n`)
      .join("");
  const described = commands.flatMap(({ names, description }) =>
    names.map((each) => `        ${quote(`${each}:${description.replace(/[:\\]/g, "\\$&")}`)}`),
  );
  const cases = commands.map(
    (command) => `        ${command.names.join("|")})
          _arguments -S \\
${lines([...command.options, ...options], "            ")}            ${quote(`*:argument:${zshValue(command.argument)}`)} ;;`,
  );
  return `#compdef ${name}
_${name}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C -S \\
${lines(options, "    ")}    '1:command:->command' \\
    '*::argument:->argument'
  case $state in
    command)
      local -a commands
      commands=(
${described.join("\n")}
      )
      _describe command commands ;;
    argument)
      if [[ $line[1] == (${groupsOf(commands).join("|")}) ]] && ((CURRENT > 2)); then
        shift words; ((CURRENT--)); line=($line[2,-1])
      fi
      case $line[1] in
${cases.join("\n")}
      esac ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi`;
}

// --- fish ------------------------------------------------------------------------------------------------------------

function fishOption(prefix: string, { flags, description, value }: OptionSpec): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [prefix, ...names, ...fishValue(value), "-d", fishQuote(description)].join(" ");
}

function fishValue(value: Value | undefined): string[] {
  if (value === undefined) return [];
  if (value === "file") return ["-r", "-F"];
  if (value === "folder") return ["-x", "-a", "'(__fish_complete_directories)'"];
  return value === "text" ? ["-x"] : ["-x", "-a", fishQuote(value.choices.join(" "))];
}

const fishQuote = (text: string): string => `'${text.replace(/['\\]/g, "\\$&")}'`;

function fish({ name, options, commands }: ProgramSpec): string {
  const all = commands.flatMap((command) => command.names).join(" ");
  const lines = commands.flatMap((command) => {
    const { argument, isGroup } = command;
    const seen = `__fish_seen_subcommand_from ${command.names.join(" ")}`;
    const given = isGroup && typeof argument === "object" ? argument.choices.join(" ") : "";
    const condition = isGroup ? `${seen}; and not __fish_seen_subcommand_from ${given}` : seen;
    const prefix = `complete -c ${name} -n '${condition}'`;
    const positional = argument === "file" ? ["-F"] : fishValue(argument).filter((flag) => flag !== "-x");
    return [
      ...command.names.map(
        (each) =>
          `complete -c ${name} -n 'not __fish_seen_subcommand_from ${all}' -a ${each} -d ${fishQuote(command.description)}`,
      ),
      ...command.options.map((option) => fishOption(prefix, option)),
      ...(positional.length > 0 ? [[prefix, ...positional].join(" ")] : []),
    ];
  });
  return [
    `# fish completion for ${name}`,
    `complete -c ${name} -f`,
    ...options.map((option) => fishOption(`complete -c ${name}`, option)),
    ...lines,
  ].join("\n");
}

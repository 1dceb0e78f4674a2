import { Argument, Command } from "commander";
import { describeCommands, printCompletion, type Shell, shells } from "../completion-scripts.ts";
import type { Session } from "../session.ts";

export function completionCommand(session: Session): Command {
  const command = new Command("completion")
    .description("print a script that completes tsdos's command line in a shell")
    .addArgument(new Argument("<SHELL>").choices(shells))
    .addHelpText(
      "after",
      `
bash: eval "$(tsdos completion bash)"                                    in ~/.bashrc
zsh:  eval "$(tsdos completion zsh)"                                     in ~/.zshrc, after compinit
fish: tsdos completion fish > ~/.config/fish/completions/tsdos.fish`,
    )
    .action((shell: Shell) => {
      const program = command.parent;
      return program ? session.output.text(printCompletion(shell, describeCommands(program))) : undefined;
    });
  return command;
}

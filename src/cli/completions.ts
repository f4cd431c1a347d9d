/** `inferd completions`: shell completion of commands, flags and values, generated from the commands. */
import { parseFlags } from "../config/flags.ts";
import { SETTINGS } from "../config/schema.ts";
import { helpOf, type Settings } from "../config/setting/setting.ts";
import { type Command, nameOf, unknownAction } from "./command.ts";
import { print } from "./terminal/output.ts";

const SHELLS = { bash, zsh, fish } as const;

export const completions: Command = {
  name: "completions",
  usage: "completions bash|zsh|fish",
  summary: "Print a script for shell completion of commands, flags and values",
  words: Object.keys(SHELLS),
  settings: [],
  flags: [],
  exits: ["0 done", "2 no such shell"],

  async run(args, { machine, commands }): Promise<number> {
    const [shell] = parseFlags(args, machine.env, { settings: [], words: 1 }).rest;
    if (shell === undefined || !isShell(shell)) throw unknownAction(shell, Object.keys(SHELLS), "shell");
    print(completionScript(shell, await commands()));
    return 0;
  },
};

export function completionScript(
  shell: keyof typeof SHELLS,
  commands: readonly Command[],
  table: Settings = SETTINGS,
): string {
  return SHELLS[shell](commands.map((command) => describe(command, table))).trimEnd();
}

function isShell(text: string): text is keyof typeof SHELLS {
  return Object.hasOwn(SHELLS, text);
}

interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly words: readonly string[];
  readonly takesFile: boolean;
  readonly flags: readonly CompletedFlag[];
}

interface CompletedFlag {
  /** The name without dashes. */
  readonly name: string;
  readonly help: string;
  readonly value: "none" | "optional" | "needed";
  readonly choices: readonly string[];
  readonly isPath: boolean;
}

function describe(
  { name, summary, words = [], takesFile = false, flags, settings }: Command,
  table: Settings,
): Completed {
  return {
    name,
    summary,
    words,
    takesFile,
    flags: [
      ...flags.map(({ flag, help, choices = [] }): CompletedFlag => {
        const [, metavar] = flag.split(" ");
        return {
          name: nameOf(flag),
          help,
          value: metavar === undefined ? "none" : "needed",
          choices,
          isPath: isPath(metavar),
        };
      }),
      ...settings.flatMap((key): CompletedFlag[] => {
        const setting = table[key];
        if (setting?.names.flag === undefined) return [];
        return [{
          name: setting.names.flag,
          help: helpOf(setting),
          value: setting.bare === undefined ? "needed" : "optional",
          choices: setting.type.choices ?? [],
          isPath: setting.type.isPath !== undefined,
        }];
      }),
      { name: "help", help: "this text", value: "none", choices: [], isPath: false },
    ],
  };
}

function isPath(metavar: string | undefined): boolean {
  return metavar !== undefined && /^(?:FILE|PATH|DIR)\b/.test(metavar);
}

/** Quote for a single-quoted shell string. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function bash(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, words, takesFile, flags }) => {
    const values = flags.filter(({ value }) => value === "needed").map((flag) => {
      const reply = flag.choices.length > 0
        ? `COMPREPLY=($(compgen -W ${quoted(flag.choices.join(" "))} -- "$cur"))`
        : flag.isPath
        ? `compopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$cur"))`
        : "COMPREPLY=()";
      return `        --${flag.name}) ${reply}; return ;;`;
    });
    return [
      `    ${name})`,
      '      case "$prev" in',
      ...values,
      "      esac",
      `      flags=${quoted(flags.map((flag) => `--${flag.name}`).join(" "))}`,
      `      words=${quoted(words.join(" "))}`,
      ...takesFile ? ["      files=1"] : [],
      "      ;;",
    ].join("\n");
  });
  return [
    "# Completion of inferd for bash. To use it: source <(inferd completions bash)",
    "_inferd() {",
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}" flags words files',
    "  COMPREPLY=()",
    "  # bash takes --flag=value apart.",
    '  if [[ $cur == "=" ]]; then cur=""',
    '  elif [[ $prev == "=" ]]; then prev="${COMP_WORDS[COMP_CWORD-2]}"; fi',
    "  if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then",
    `    COMPREPLY=($(compgen -W ${quoted(commands.map(({ name }) => name).join(" "))} -- "$cur"))`,
    "    return",
    "  fi",
    `  [[ $command == -* || $COMP_CWORD -eq 1 ]] && command=${commands[0]?.name}`,
    '  case "$command" in',
    ...cases,
    "  esac",
    '  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur"))',
    "  elif [[ -n $files ]]; then",
    "    compopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$cur\"))",
    '  elif ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W "$words" -- "$cur")); fi',
    "}",
    "complete -F _inferd inferd",
    "",
  ].join("\n");
}

function zsh(commands: readonly Completed[]): string {
  const text = (words: string): string => words.replace(/[\\[\]:]/g, (character) => `\\${character}`);
  const cases = commands.map(({ name, words, takesFile, flags }) => {
    const specs = flags.map((flag) => {
      const action = flag.choices.length > 0 ? `(${flag.choices.join(" ")})` : flag.isPath ? "_files" : " ";
      const value = { none: "", optional: "=-", needed: "=" }[flag.value];
      const rest = flag.value === "none" ? "" : `${flag.value === "optional" ? "::" : ":"}value:${action}`;
      return quoted(`--${flag.name}${value}[${text(flag.help)}]${rest}`);
    });
    const first = words.length > 0
      ? quoted(`1:what:(${words.join(" ")})`)
      : takesFile
      ? quoted("1:file:_files")
      : quoted("*:: : ");
    return `    ${name}) _arguments -s ${[...specs, first].join(" \\\n      ")} ;;`;
  });
  return [
    "#compdef inferd",
    "# Completion of inferd for zsh. To use it: inferd completions zsh > a folder of $fpath, as _inferd",
    "_inferd() {",
    "  local -a commands",
    "  commands=(",
    ...commands.map(({ name, summary }) => `    ${quoted(`${name}:${text(summary)}`)}`),
    "  )",
    "  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then",
    "    _describe -t commands command commands",
    "    return",
    "  fi",
    `  local command=${commands[0]?.name}`,
    "  if [[ $words[2] != -* ]]; then",
    "    command=$words[2]",
    "    shift words",
    "    (( CURRENT-- ))",
    "  fi",
    "  case $command in",
    ...cases,
    "  esac",
    "}",
    'if [[ $funcstack[1] == _inferd ]]; then _inferd "$@"; else compdef _inferd inferd; fi',
    "",
  ].join("\n");
}

function fish(commands: readonly Completed[]): string {
  const text = (words: string): string => `'${words.replace(/[\\']/g, (character) => `\\${character}`)}'`;
  return [
    "# Completion of inferd for fish. To use it: inferd completions fish | source",
    "function __inferd_command",
    "  set -l words (commandline -opc)",
    `  if test (count $words) -lt 2; or string match -q -- '-*' $words[2]; echo ${
      commands[0]?.name
    }; else; echo $words[2]; end`,
    "end",
    "function __inferd_at",
    '  test (__inferd_command) = "$argv[1]"',
    "end",
    "function __inferd_first",
    "  test (count (commandline -opc)) -eq $argv[1]",
    "end",
    "complete -c inferd -f",
    ...commands.map(({ name, summary }) => `complete -c inferd -n '__inferd_first 1' -a ${name} -d ${text(summary)}`),
    ...commands.flatMap(({ name, words, takesFile, flags }) => [
      ...takesFile ? [`complete -c inferd -n '__inferd_at ${name}' -F`] : [],
      ...words.length === 0
        ? []
        : [`complete -c inferd -n '__inferd_at ${name}; and __inferd_first 2' -a ${text(words.join(" "))}`],
      ...flags.map((flag) => {
        const value = flag.choices.length > 0
          ? ` -x -a ${text(flag.choices.join(" "))}`
          : flag.value === "needed"
          ? flag.isPath ? " -r -F" : " -x"
          : "";
        return `complete -c inferd -n '__inferd_at ${name}' -l ${flag.name}${value} -d ${text(flag.help)}`;
      }),
    ]),
    "",
  ].join("\n");
}

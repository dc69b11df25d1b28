import { Argument, type Command, type Option } from 'commander';
import { cliOf } from '../cli.ts';

interface Verb {
  readonly path: string;
  readonly description: string;
  readonly words: readonly string[];
}

/** Every command with the words that may follow it: subcommands, choices and options. */
function verbsOf(command: Command, path: readonly string[] = []): Verb[] {
  const options = (from: Command): string[] => from.options.flatMap((option: Option) => (option.long === undefined || option.hidden ? [] : [option.long]));
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const own = {
    path: path.join(' '),
    description: command.description(),
    words: [...command.commands.map((sub) => sub.name()), ...choices, ...options(command), '--help'],
  };
  return [own, ...command.commands.flatMap((sub) => verbsOf(sub, [...path, sub.name()]))];
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bash(verbs: readonly Verb[], common: readonly string[]): string {
  const cases = verbs.map((verb) => `    ${quoted(verb.path)}) words=${quoted(verb.words.join(' '))} ;;`).join('\n');
  return `# gonogo completion for bash: source <(gonogo completion bash)
_gonogo() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" index word
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case " ${verbs.map((verb) => verb.path.replaceAll(' ', '_')).join(' ')} " in
      *" \${path:+\${path// /_}_}\${word} "*) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases}
  esac
  words="$words ${common.join(' ')}"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _gonogo gonogo
`;
}

function zsh(verbs: readonly Verb[], common: readonly string[]): string {
  return `#compdef gonogo
# gonogo completion for zsh: source <(gonogo completion zsh)
autoload -U +X bashcompinit && bashcompinit
${bash(verbs, common)}`;
}

function fish(verbs: readonly Verb[], common: readonly string[]): string {
  const lines = verbs.flatMap((verb) => {
    const path = verb.path === '' ? [] : verb.path.split(' ');
    const when = path.length === 0 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${path.at(-1) ?? ''}`;
    return verb.words.map((word) =>
      word.startsWith('--') ? `complete -c gonogo -n ${quoted(when)} -l ${word.slice(2)}` : `complete -c gonogo -n ${quoted(when)} -f -a ${quoted(word)}`,
    );
  });
  return [
    '# gonogo completion for fish: gonogo completion fish | source',
    ...common.map((word) => `complete -c gonogo -l ${word.slice(2)}`),
    ...lines,
    '',
  ].join('\n');
}

/** `gonogo completion`: a script that completes commands and options in bash, zsh or fish. */
export function completion(program: Command): void {
  program
    .command('completion')
    .description('print a completion script: source <(gonogo completion bash)')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action((shell: 'bash' | 'zsh' | 'fish', _options: unknown, command: Command) => {
      const verbs = verbsOf(program);
      const common = program.options.flatMap((option) => (option.long === undefined ? [] : [option.long]));
      cliOf(command).raw({ bash, zsh, fish }[shell](verbs, common));
    });
}

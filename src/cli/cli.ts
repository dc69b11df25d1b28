import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { openClient, type ApiClient } from './client.ts';
import { EXIT, Exit, usage } from './exit.ts';
import { toAscii } from './text.ts';

/** The forms in which data are printed. */
export const FORMATS = ['text', 'json', 'jsonl', 'yaml', 'md'] as const;
/** One of them. */
export type Format = (typeof FORMATS)[number];

/** Options that every command takes. */
export interface GlobalOptions {
  readonly output: Format;
  readonly server?: string;
  readonly config?: string;
  readonly ascii?: boolean;
  readonly yes?: boolean;
  /** False with --no-input. */
  readonly input: boolean;
  /** False with --no-color. */
  readonly color: boolean;
}

/** What a command talks through: data to stdout, everything else to stderr. */
export interface Cli {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly format: Format;
  readonly ascii: boolean;
  /** Someone is there to be asked. */
  readonly interactive: boolean;
  readonly configFile: string | undefined;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** The server's API; needs no network until it is used. */
  readonly api: () => ApiClient;
  /** Prints data in the format asked for; `text` is for people, `md` where it differs. */
  print(data: unknown, text: () => string, md?: () => string): void;
  /** One line of a stream: JSON of `data` per line with json and jsonl, else `text`. */
  line(data: unknown, text: string): void;
  /** A remark on stderr. */
  note(text: string): void;
  /** Text on stdout as it is. */
  raw(text: string): void;
  /** Asks before something is done; only where someone is there, and not with --yes. Throws Exit when they say no. */
  confirm(question: string): Promise<void>;
  /** What `flag` gave, or the answer to `question`; where nobody can be asked, throws Exit naming the flag. */
  need(value: string | undefined, flag: string, question: string): Promise<string>;
}

const interruption = new AbortController();

/** Whether a person has ended this process: whatever fails after that fails because of it. */
export const wasInterrupted = (): boolean => interruption.signal.aborted;

/** Makes Ctrl-C, and a terminal that is closed, end what waits; the process then exits 130. A second one exits at once. Commands that stop gracefully by themselves leave this out. */
export function interruptible(): AbortSignal {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(EXIT.interrupted);
      interruption.abort(new Exit(EXIT.interrupted, 'interrupted'));
    });
  }
  return interruption.signal;
}

/** The terminal and environment of this process, as the command's options say. */
export function cliOf(command: Command): Cli {
  const options = command.optsWithGlobals<GlobalOptions>();
  const { env } = process;
  const truthy = (name: string): boolean => env[name] !== undefined && env[name] !== '' && env[name] !== '0' && env[name] !== 'false';
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'];
  const ascii = options.ascii === true || locale === 'C' || locale === 'POSIX';
  const format = options.output;
  const interactive = options.input && process.stdin.isTTY && process.stderr.isTTY && !truthy('CI') && env['TERM'] !== 'dumb' && format === 'text';
  const own = (text: string): string => (ascii ? toAscii(text) : text);
  const write = (text: string): void => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  const note = (text: string): void => void process.stderr.write(`${own(text)}\n`);
  const ask = async (question: string): Promise<string> => {
    const reader = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return (await reader.question(own(question), { signal: interruption.signal })).trim();
    } catch {
      throw new Exit(EXIT.interrupted, 'interrupted');
    } finally {
      reader.close();
    }
  };
  return {
    env,
    format,
    ascii,
    interactive,
    configFile: options.config,
    signal: interruption.signal,
    api: () =>
      openClient({ url: options.server ?? (env['GONOGO_URL'] || 'http://127.0.0.1:7077'), token: env['GONOGO_TOKEN'], note, signal: interruption.signal }),
    print(data, text, md) {
      if (format === 'json') write(JSON.stringify(data, null, 2));
      else if (format === 'jsonl') for (const each of Array.isArray(data) ? data : [data]) write(JSON.stringify(each));
      else if (format === 'yaml') write(stringify(data, { lineWidth: 0 }));
      else write(own(format === 'md' ? (md ?? text)() : text()));
    },
    line(data, text) {
      if (format === 'json' || format === 'jsonl') write(JSON.stringify(data));
      else if (format === 'yaml') write(`---\n${stringify(data, { lineWidth: 0 })}`);
      else write(own(text));
    },
    note,
    raw: write,
    async confirm(question) {
      if (!interactive || options.yes === true) return;
      if (!/^y(es)?$/i.test(await ask(`${question} [y/N] `))) throw new Exit(EXIT.usage, 'nothing was done');
    },
    async need(value, flag, question) {
      if (value !== undefined && value.trim() !== '') return value;
      if (!interactive) throw usage(`${flag} is missing; nobody is here to be asked`, `give ${flag}`);
      const answer = await ask(`${question}: `);
      if (answer === '') throw usage(`${flag} is missing`, `give ${flag}`);
      return answer;
    },
  };
}

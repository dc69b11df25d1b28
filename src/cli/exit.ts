/** What a command answers to the shell. */
export const EXIT = {
  /** Done; the condition was met; launched. */
  done: 0,
  /** The tool itself failed. */
  error: 1,
  /** Wrong usage or input, or input that is needed and nobody can be asked. */
  usage: 2,
  /** No-go: someone said so, or the launch ended before any flag moved. */
  noGo: 3,
  /** Not allowed. */
  notAllowed: 4,
  /** Rolled back, and proven. */
  rolledBack: 5,
  /** Rolled back, not proven: act by hand. */
  notProven: 6,
  /** Waiting for people. */
  waiting: 7,
  timeout: 8,
  /** The server could not answer: that says nothing of the launch. */
  unreachable: 75,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** One of the documented exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command: what to say on stderr, what to do about it, and the code for the shell. */
export class Exit extends Error {
  readonly exit: ExitCode;
  readonly hint: string | undefined;
  constructor(exit: ExitCode, message: string, hint?: string) {
    super(message);
    this.name = 'Exit';
    this.exit = exit;
    this.hint = hint;
  }
}

/** A command that was used wrongly. */
export function usage(message: string, hint?: string): Exit {
  return new Exit(EXIT.usage, message, hint);
}

import { pino } from 'pino';
import type { Log } from './house.ts';
import { redact } from './http.ts';
import { maskFields } from './redact.ts';

/** Where lines go: one JSON document each, with a line feed. */
export interface LogTarget {
  write(line: string): unknown;
}

/** How a log is opened. */
export interface LogOptions {
  /** `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`: usually LOG_LEVEL. Default info. */
  readonly level?: string;
  /** Default: the process's stdout, where containers look. */
  readonly to?: LogTarget;
  /** Texts that never appear in a line, asked at every line: secrets are read as things are opened. */
  readonly secrets?: () => readonly string[];
  /** Fields of every line, e.g. `{ process: 'worker' }`. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** A log that can also tell details: what `LOG_LEVEL=debug` is for. */
export interface FullLog extends Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Opens a log of JSON lines: ISO time, level in words, `launch` where a line is about one. Fields with a secret's name, known secrets and passwords in addresses are masked. Throws on an unknown level. */
export function openLog(options: LogOptions = {}): FullLog {
  const level = options.level === undefined || options.level === '' ? 'info' : options.level.toLowerCase();
  if (!LEVELS.some((known) => known === level)) throw new Error(`LOG_LEVEL is ${JSON.stringify(options.level)}; expected one of ${LEVELS.join(', ')}`);
  const target = options.to ?? process.stdout;
  const secrets = options.secrets ?? (() => []);
  const logger = pino(
    {
      level,
      base: options.fields ?? null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (fields) => maskFields(fields) as Record<string, unknown> },
      // Errors were made plain by `maskFields`; pino's own serializer would copy their other fields.
      serializers: { err: (error: unknown) => error },
    },
    { write: (line: string) => void target.write(redact(line, inJson(secrets()))) },
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

/** Secrets as they stand inside a JSON string. Very short ones are left out: masking every `1` would tell more than it hides. */
function inJson(secrets: readonly string[]): string[] {
  return secrets.filter((secret) => secret.length >= 6).map((secret) => JSON.stringify(secret).slice(1, -1));
}

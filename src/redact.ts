/** What is never shown: a field whose name ends in one of these (case, `-` and `_` aside) holds a secret. The one list, for logs and config alike. */
const SECRET_NAMES = [
  'token',
  'password',
  'passphrase',
  'secret',
  'apikey',
  'accesskey',
  'secretkey',
  'privatekey',
  'signingkey',
  'routingkey',
  'authorization',
  'credentials',
  'cookie',
  'dsn',
] as const;

/** What stands in a secret's place. */
export const MASK = '***';

/** Whether a field of this name holds a secret. */
export function isSecretName(name: string): boolean {
  const bare = name.toLowerCase().replaceAll(/[-_\s]/g, '');
  return SECRET_NAMES.some((ending) => bare.endsWith(ending));
}

/** A copy in which every field with a secret's name is masked, at most `depth` levels down; what lies deeper is left out. Errors keep their name, message and stack. */
export function maskFields(value: unknown, depth = 6): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value;
  if (depth === 0) return '[deeper]';
  if (value instanceof Error) return maskError(value, depth);
  if (Array.isArray(value)) return value.map((each) => maskFields(each, depth - 1));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, isSecretName(name) && each !== undefined ? MASK : maskFields(each, depth - 1)]));
}

function maskError(error: Error, depth: number): unknown {
  const code: unknown = Reflect.get(error, 'code');
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(error.cause === undefined ? {} : { cause: maskFields(error.cause, depth - 1) }),
  };
}

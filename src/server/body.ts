import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { HttpProblem, type Detail } from './problem.ts';

/** Largest request body, bytes: 256 KB. */
export const MAX_BODY = 262_144;
const DEEPEST = 64;

function tooLarge(): HttpProblem {
  return new HttpProblem(413, 'body_too_large', `the body is larger than ${MAX_BODY} bytes; a plan or an alert group is far smaller`, {
    headers: { connection: 'close' },
  });
}

/** Reads a body up to MAX_BODY bytes and no further: what announces more is refused before it is read, and nothing is unpacked. Throws HttpProblem 413, 415, 400. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new HttpProblem(415, 'encoding_unsupported', 'the body is compressed; send it as it is', { headers: { connection: 'close' } });
  }
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (act: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      act();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > MAX_BODY) settle(() => reject(tooLarge()));
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks)));
    const onError = (): void => settle(() => reject(new HttpProblem(400, 'body_broken', 'the body broke off before its end')));
    const onClose = (): void => onError();
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

/** Keys that change objects when they are copied without care, and nesting that no document of ours has. */
function suspicious(root: unknown): Detail | undefined {
  const open: { readonly value: unknown; readonly path: string; readonly depth: number }[] = [{ value: root, path: '', depth: 0 }];
  for (;;) {
    const next = open.pop();
    if (next === undefined) return undefined;
    const { value, path, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > DEEPEST) return { path, message: `is nested deeper than ${DEEPEST} levels` };
    for (const [key, child] of Object.entries(value)) {
      const at = path === '' ? key : `${path}.${key}`;
      if (key === '__proto__' || (key === 'constructor' && typeof child === 'object')) return { path: at, message: 'is not a name that may be used' };
      open.push({ value: child, path: at, depth: depth + 1 });
    }
  }
}

/** A body as JSON: `application/json`, UTF-8, no names that poison objects. Throws HttpProblem 415, 400, 422. */
export function parseJson(bytes: Buffer, contentType: string | undefined): unknown {
  if (mediaType(contentType) !== 'application/json')
    throw new HttpProblem(415, 'media_type_unsupported', `the body is ${contentType ?? 'of no stated type'}; expected content-type: application/json`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new HttpProblem(400, 'body_not_utf8', 'the body is not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new HttpProblem(400, 'body_not_json', 'the body is not JSON');
  }
  const found = suspicious(value);
  if (found !== undefined) throw new HttpProblem(422, 'invalid_body', 'the body holds what no document here has', { problems: [found] });
  return value;
}

/** The media type without its parameters, lower case. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** A value put through its schema. Throws HttpProblem 422: `unknown_field` when a name is not known, else `invalid_body`, each place named. */
export function checkBody<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue): Detail[] => {
    const path = issue.path.map(String).join('.');
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: path === '' ? key : `${path}.${key}`, message: 'is not a known field' }));
    return [{ path, message: issue.message }];
  });
  const unknown = parsed.error.issues.some((issue) => issue.code === 'unrecognized_keys');
  const first = problems[0];
  const said = first === undefined ? '' : `: ${first.path === '' ? 'the body' : first.path} ${first.message}`;
  throw new HttpProblem(422, unknown ? 'unknown_field' : 'invalid_body', `the body cannot be used${said}`, { problems });
}

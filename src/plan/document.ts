import { Composer, isMap, isScalar, isSeq, Lexer, LineCounter, Parser, type CST, type Document, type Node } from 'yaml';
import { NOWHERE, secretKind, show, spell, type Path, type Places, type Problem, type ProblemCode } from './problem.ts';

/** Most bytes, tokens, levels, and entries of one list or map that a document may have: five times our largest, and under 100 ms of work. */
const LIMITS = { bytes: 256 * 1024, tokens: 15_000, depth: 40, entries: 1000 };

/** Names that mean something to JavaScript's objects. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty']);

/** A document as plain data, with the place of everything in it. */
export type Read = { readonly ok: true; readonly value: unknown; readonly places: Places } | { readonly ok: false; readonly problems: readonly Problem[] };

interface Position {
  readonly line: number;
  readonly column: number;
}

function refusal(code: ProblemCode, message: string, hint = '', at: Position = { line: 1, column: 1 }): Read {
  return { ok: false, problems: [{ code, path: '', ...at, message, hint }] };
}

/** Reads one YAML 1.2 document that may come from anyone: no anchors, tags or second documents, and nothing deep, wide or large. Never throws. */
export function readDocument(text: string): Read {
  if (Buffer.byteLength(text) > LIMITS.bytes) return refusal('too_large', `the document has more than ${LIMITS.bytes / 1024} KB`, 'a plan is a page or two');
  if (text.startsWith('\uFEFF')) return refusal('not_yaml', 'the document begins with a byte order mark', 'save it as UTF-8 without one');
  const lines = new LineCounter();
  const control = /[^\P{Cc}\t\n\r]/u.exec(text);
  if (control !== null) {
    const before = text.slice(0, control.index).split('\n');
    return refusal('not_yaml', 'the document holds a control character', 'save it as plain UTF-8 text', {
      line: before.length,
      column: (before.at(-1)?.length ?? 0) + 1,
    });
  }
  const tokens = tokensOf(text, lines);
  if (typeof tokens === 'string') return refusal('too_large', tokens, 'write it plainly');
  const [document, second] = new Composer({ version: '1.2', merge: false, uniqueKeys: true, strict: true, prettyErrors: false }).compose(
    tokens,
    true,
    text.length,
  );
  if (document === undefined) return refusal('not_yaml', 'the document is empty');
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (second !== undefined) return refusal('not_yaml', 'a second document begins here', 'one file holds one document', at(second.range[0]));
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0)
    return {
      ok: false,
      problems: broken.slice(0, 20).map((error) => ({ code: 'not_yaml', path: '', ...at(error.pos[0]), ...inWords(error.code, error.message) })),
    };
  const read = toData(document, at);
  const found = read.ok ? [] : read.problems;
  const loose = looseSecrets(text, found);
  return loose.length === 0 ? read : { ok: false, problems: [...found, ...loose] };
}

/** Secrets in comments, which no value holds. */
function looseSecrets(text: string, found: readonly Problem[]): Problem[] {
  return text.split('\n').flatMap((line, index): Problem[] => {
    const kind = secretKind(line);
    if (kind === undefined || found.some((problem) => problem.code === 'secret_in_plan' && problem.line === index + 1)) return [];
    return [
      {
        code: 'secret_in_plan',
        path: '',
        line: index + 1,
        column: 1,
        message: `this line holds what looks like ${kind}`,
        hint: 'take it out and change it at its vendor',
      },
    ];
  });
}

/** The same for an object from JSON: it goes by way of text, so that one set of rules holds. Never throws. */
export function readObject(object: unknown): Read {
  let text: unknown;
  try {
    text = JSON.stringify(object);
  } catch {
    return refusal('too_large', 'the document is nested too deeply, or in a circle', 'write it plainly', { line: 0, column: 0 });
  }
  const read = readDocument(typeof text === 'string' ? text : 'null');
  if (read.ok) return { ...read, places: NOWHERE };
  return { ok: false, problems: read.problems.map((problem) => ({ ...problem, line: 0, column: 0 })) };
}

/** The text's tokens, read without recursion; or what is too much, found before anything grows with it. */
function tokensOf(text: string, lines: LineCounter): CST.Token[] | string {
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  let seen = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    seen += 1;
    if (seen > LIMITS.tokens) return `the document has more than ${LIMITS.tokens} words and signs`;
    tokens.push(...parser.next(lexeme));
    if (parser.stack.length > LIMITS.depth) return `the document is nested more than ${LIMITS.depth} levels deep`;
    const top = parser.stack.at(-1);
    if (top !== undefined && 'items' in top && top.items.length > LIMITS.entries)
      return `a list or map of the document has more than ${LIMITS.entries} entries`;
  }
  tokens.push(...parser.end());
  return tokens;
}

function inWords(code: string, message: string): { readonly message: string; readonly hint: string } {
  switch (code) {
    case 'DUPLICATE_KEY':
      return { message: 'the same name is there twice in one map', hint: 'keep one of the two' };
    case 'TAB_AS_INDENT':
      return { message: 'a tab is used to indent', hint: 'indent with spaces' };
    case 'TAG_RESOLVE_FAILED':
      return { message: 'a tag (!...) is not allowed', hint: 'write the plain value' };
    default:
      return { message: `not YAML: ${message.replaceAll(/\s+/g, ' ').slice(0, 160)}`, hint: 'mend the text near here' };
  }
}

/** A path as a key of a map: no two paths share one, whatever the names hold. */
const slot = (path: Path): string => JSON.stringify(path);

function toData(document: Document.Parsed, at: (offset: number) => Position): Read {
  const problems: Problem[] = [];
  const values = new Map<string, Position>();
  const names = new Map<string, Position>();
  const start = (node: unknown): Position => at((node as Node | null)?.range?.[0] ?? 0);
  const complain = (code: ProblemCode, path: Path, position: Position, message: string, hint: string) =>
    problems.push({ code, path: spell(path), ...position, message, hint });

  const walk = (node: unknown, path: Path): unknown => {
    const position = start(node);
    values.set(slot(path), position);
    const what = path.length === 0 ? 'the document' : spell(path);
    if (isMap(node) || isSeq(node) || isScalar(node)) {
      if (node.tag !== undefined) complain('not_yaml', path, position, `${what} has a tag (${show(node.tag)})`, 'write the plain value');
      if (node.anchor !== undefined) complain('not_yaml', path, position, `${what} has an anchor (&...)`, 'write it out where it is needed');
    }
    if (isSeq(node)) return node.items.map((item, index) => walk(item, [...path, index]));
    if (isScalar(node)) {
      const kind = typeof node.value === 'string' ? secretKind(node.value) : undefined;
      if (kind !== undefined)
        complain(
          'secret_in_plan',
          path,
          position,
          `${what} holds what looks like ${kind}`,
          'take it out and change it at its vendor; config holds secrets, as references',
        );
      return node.value;
    }
    if (!isMap(node)) {
      if (node !== null) complain('not_yaml', path, position, `${what} refers to an anchor (*...)`, 'write it out');
      return null;
    }
    const map: Record<string, unknown> = {};
    for (const { key, value } of node.items) {
      const name: unknown = isScalar(key) ? key.value : undefined;
      if (typeof name !== 'string') {
        complain('not_yaml', path, start(key), `${what} has a name that is not text`, 'put it in quotes');
      } else if (RESERVED.has(name)) {
        complain('unknown_field', path, start(key), `${what} has the reserved name ${name}`, 'choose another name');
      } else {
        const kind = secretKind(name);
        if (kind !== undefined)
          complain('secret_in_plan', path, start(key), `${what} has a name that looks like ${kind}`, 'take it out and change it at its vendor');
        names.set(slot([...path, name]), start(key));
        map[name] = walk(value, [...path, name]);
        if (value === null) values.set(slot([...path, name]), start(key));
      }
    }
    return map;
  };

  const value = walk(document.contents, []);
  if (problems.length > 0) return { ok: false, problems };
  const nearest = (first: ReadonlyMap<string, Position>, path: Path): Position => {
    const found = first.get(slot(path)) ?? values.get(slot(path));
    return found ?? (path.length === 0 ? { line: 1, column: 1 } : nearest(values, path.slice(0, -1)));
  };
  return { ok: true, value, places: { value: (path) => nearest(values, path), name: (path) => nearest(names, path) } };
}

import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** One vector selector of a query: its own text, without range, offset and @. `optional`: the query answers without it. */
export interface Selector {
  readonly text: string;
  readonly optional: boolean;
}

/** What a query reads, and what is wrong with it. */
export interface PromQl {
  /** Each different selector once; needed by one place of the query is needed. */
  readonly selectors: readonly Selector[];
  /** Where in the text the grammar stopped understanding it. */
  readonly brokenAt?: number;
  /** The longest subquery range, ms. */
  readonly longestSubquery: number;
  /** Selectors that name neither a metric nor any label value, so that every series of the server matches. */
  readonly boundless: readonly string[];
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 };

/** A duration literal of PromQL (`1h30m`, `90`, plain numbers are seconds) in ms; undefined for an expression. */
export function durationMillis(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)(ms|[smhdwy])/g)].reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0), 0);
}

/** Inside an `or`, `absent` or the right side of `unless`, a series that is not there is part of the question. */
function isOptional(node: SyntaxNode): boolean {
  for (let [child, parent] = [node, node.parent]; parent !== null; [child, parent] = [parent, parent.parent]) {
    if (parent.name === 'BinaryExpr' && parent.getChild('Or') !== null) return true;
    if (parent.name === 'BinaryExpr' && parent.getChild('Unless') !== null && child.from > (parent.getChild('Unless')?.from ?? 0)) return true;
    if (parent.name === 'FunctionCall') {
      const called = parent.getChild('FunctionIdentifier');
      if (called?.getChild('Absent') != null || called?.getChild('AbsentOverTime') != null) return true;
    }
  }
  return false;
}

/** A name, or a matcher that a value must equal. */
function isBound(selector: SyntaxNode, text: string): boolean {
  if (selector.getChild('Identifier') !== null) return true;
  const matchers = selector.getChild('LabelMatchers');
  if (matchers === null) return false;
  if (matchers.getChild('QuotedLabelName') !== null) return true;
  return matchers
    .getChildren('UnquotedLabelMatcher')
    .concat(matchers.getChildren('QuotedLabelMatcher'))
    .some((matcher) => {
      const value = matcher.getChild('StringLiteral');
      return matcher.getChild('MatchOp')?.getChild('EqlSingle') != null && value !== null && text.slice(value.from + 1, value.to - 1) !== '';
    });
}

/** Parses a query with Prometheus' own grammar. Never throws. */
export function parsePromQl(text: string): PromQl {
  const selectors = new Map<string, boolean>();
  const boundless: string[] = [];
  let longestSubquery = 0;
  let brokenAt: number | undefined;
  parser.parse(text).iterate({
    enter(ref) {
      const node = ref.node;
      if (ref.type.isError) brokenAt ??= ref.from;
      if (ref.name === 'SubqueryExpr') {
        const range = node.getChild('DurationExpr');
        const ms = range === null ? undefined : durationMillis(text.slice(range.from, range.to).trim());
        longestSubquery = Math.max(longestSubquery, ms ?? Infinity);
      }
      if (ref.name !== 'VectorSelector') return;
      const selector = text.slice(ref.from, ref.to);
      selectors.set(selector, (selectors.get(selector) ?? true) && isOptional(node));
      if (!isBound(node, text)) boundless.push(selector);
    },
  });
  return {
    selectors: [...selectors].map(([selector, optional]) => ({ text: selector, optional })),
    longestSubquery,
    boundless,
    ...(brokenAt === undefined ? {} : { brokenAt }),
  };
}

/** A text as a PromQL string: backslash, quote and newline escaped, so that it stays a value whatever it holds. */
export function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** How many alerts fire whose labels equal these: 0 where none does. Throws on a label name that Prometheus does not allow. */
export function alertsQuery(labels: Readonly<Record<string, string>>): string {
  const matchers = Object.entries(labels).map(([label, value]) => {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label))
      throw new Error(`label ${JSON.stringify(label)} is no name of a Prometheus label; expected letters, digits and _`);
    return `${label}=${quote(value)}`;
  });
  return `count(ALERTS{${['alertstate="firing"', ...matchers].join(',')}}) or vector(0)`;
}

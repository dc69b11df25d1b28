import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import { clip } from '../ask.ts';
import { parsePromQl } from './promql.ts';

/** Counters that a query adds up: those of one selector, so many times. `optional`: the query says that 0 stands for none. */
export interface Term {
  readonly selector: string;
  /** The metric, where the selector names one. */
  readonly name?: string;
  readonly times: number;
  readonly optional: boolean;
}

/** The counters of a query, or why its answer is not their sum and what to write instead. */
export type Linear =
  { readonly kind: 'terms'; readonly terms: readonly Term[] } | { readonly kind: 'not-linear'; readonly message: string; readonly hint: string };

/** Thrown out of the walk through the query, and caught at its top. */
class NotLinear extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Functions that are already worked out over a window, which every look would count again. */
const OVER_TIME = /^(rate|irate|increase|delta|idelta|deriv|.*_over_time)$/;
/** Operations that names of recording rules end with where they are no counters (level:metric:operations). */
const RECORDED_RATE = /:[^:]*(rate|irate|increase|ratio|quantile|avg|mean|max|min|p\d\d)[^:]*$/;

/** `sum by (le) (...)` of the counters, as a hint. */
function sumOf(selectors: readonly string[], of: 'counter' | 'buckets'): string {
  const sum = of === 'buckets' ? 'sum by (le) ' : 'sum';
  return selectors.length === 0
    ? `${sum}(${of === 'buckets' ? 'http_request_duration_seconds_bucket' : 'http_requests_total'}{...})`
    : selectors.map((one) => `${sum}(${clip(one, 120)})`).join(' + ');
}

/** The counters that a query sums up, by `sum`, `+` and `or vector(0)` alone: only then is its rise the sum of theirs. Never throws. */
export function linearOf(query: string, of: 'counter' | 'buckets'): Linear {
  const text = (node: SyntaxNode): string => query.slice(node.from, node.to);
  const { selectors: read, brokenAt } = parsePromQl(query);
  const selectors = read.map((selector) => selector.text);
  const write = `write the counters themselves: ${sumOf(selectors, of)}`;
  const refuse = (what: string, hint = write): never => {
    throw new NotLinear(
      `${what}; expected ${of === 'buckets' ? 'the running counts of the buckets' : 'running counts'}, added up with sum, + and or vector(0) only`,
      hint,
    );
  };
  const children = (node: SyntaxNode): readonly SyntaxNode[] => {
    const all: SyntaxNode[] = [];
    for (let child = node.firstChild; child !== null; child = child.nextSibling) if (child.name !== 'LineComment') all.push(child);
    return all;
  };

  function aggregate(node: SyntaxNode, optional: boolean): readonly Term[] {
    const op = node.getChild('AggregateOp');
    if (op?.getChild('Sum') == null) return refuse(`${op === null ? 'this' : text(op)}(...) does not add its series up`);
    const modifier = node.getChild('AggregateModifier');
    if (of === 'buckets') {
      const labels = modifier?.getChild('GroupingLabels')?.getChildren('LabelName').map(text) ?? [];
      const keeps = modifier !== null && (modifier.getChild('By') !== null ? labels.includes('le') : !labels.includes('le'));
      if (!keeps) return refuse(`${clip(text(node), 60)} mixes the buckets: it drops their label le`, `write ${sumOf(selectors, of)}`);
    }
    const [inner] = node.getChild('FunctionCallBody') === null ? [] : children(node.getChild('FunctionCallBody') ?? node);
    return inner === undefined ? refuse('the sum of nothing') : walk(inner, optional);
  }

  function binary(node: SyntaxNode, optional: boolean): readonly Term[] {
    const [left, , ...rest] = children(node);
    const right = rest.at(-1);
    if (left === undefined || right === undefined) return refuse(`"${clip(text(node), 60)}" is not understood`);
    if (node.getChild('MatchingModifierClause') !== null || node.getChild('BoolModifier') !== null)
      return refuse(`"${clip(text(node), 60)}" matches series with each other`);
    if (node.getChild('Or') !== null) {
      if (!/^vector\s*\(\s*0(\.0*)?\s*\)$/.test(text(right).trim())) return refuse(`"or ${clip(text(right), 40)}" is not or vector(0)`);
      return walk(left, true);
    }
    if (node.getChild('Div') !== null) return refuse(`"${clip(text(node), 60)}" is a quotient`, 'give the gate both counts: it divides them itself');
    if (node.getChild('Sub') !== null)
      return refuse(`"${clip(text(node), 60)}" is a difference, which may fall`, 'pick the series with label matchers instead, e.g. {code!="404"}');
    if (node.getChild('Add') === null) return refuse(`"${clip(text(node), 60)}" is no sum`);
    return [...walk(left, optional), ...walk(right, optional)];
  }

  function walk(node: SyntaxNode, optional: boolean): readonly Term[] {
    switch (node.name) {
      case 'ParenExpr': {
        const inner = children(node).find((child) => child.name !== '(' && child.name !== ')');
        return inner === undefined ? refuse('() is empty') : walk(inner, optional);
      }
      case 'AggregateExpr':
        return aggregate(node, optional);
      case 'BinaryExpr':
        return binary(node, optional);
      case 'VectorSelector': {
        const identifier = node.getChild('Identifier');
        const name = identifier === null ? undefined : text(identifier);
        if (name !== undefined && RECORDED_RATE.test(name))
          return refuse(`${name} is recorded as a rate, which does not add up over time`, 'ask for the counters that the rule is made from');
        return [{ selector: text(node), times: 1, optional, ...(name === undefined ? {} : { name }) }];
      }
      case 'FunctionCall': {
        const called = node.getChild('FunctionIdentifier');
        const name = called === null ? 'a function' : text(called);
        if (OVER_TIME.test(name)) return refuse(`${name}() is worked out over a window and extrapolated, and each look would count it again`);
        if (name.startsWith('histogram_')) return refuse(`${name}() is no count`);
        return refuse(`${name}() is no running count`);
      }
      case 'MatrixSelector':
      case 'SubqueryExpr':
        return refuse(`${clip(text(node), 60)} is a range (a matrix)`);
      case 'OffsetExpr':
      case 'StepInvariantExpr':
        return refuse(`${clip(text(node), 60)} reads another time: counts of this look are asked for`);
      case 'StringLiteral':
        return refuse('the query is a string');
      case 'NumberDurationLiteral':
        return refuse(`${text(node)} is a constant (a scalar)`);
      default:
        return refuse(`"${clip(text(node), 60)}" is not understood as a sum of counters`);
    }
  }

  let found: readonly Term[];
  try {
    const top = parser.parse(query).topNode.firstChild;
    if (brokenAt !== undefined || top === null) return { kind: 'not-linear', message: 'PromQL not understood', hint: 'try the query in Prometheus' };
    found = walk(top, false);
  } catch (error) {
    if (error instanceof NotLinear) return { kind: 'not-linear', message: error.message, hint: error.hint };
    throw error;
  }
  const terms = [...Map.groupBy(found, ({ selector }) => selector)].map(([, same]): Term => {
    const [one] = same;
    if (one === undefined) throw new Error('an empty group; expected a term');
    return { ...one, times: same.length, optional: same.every(({ optional }) => optional) };
  });
  return { kind: 'terms', terms };
}

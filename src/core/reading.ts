import { describeBound, describeMillis, describeNumber, keeps, worseValue } from './bound.ts';
import type { Value } from './measurement.ts';
import type { AlertGate, Gate, ProbeGate, RatioGate, ThresholdGate } from './plan.ts';

/** What one value says, before `for` and the latch: it keeps the gate's bound, breaks it, or was drawn from too little. */
export interface Reading {
  readonly kind: 'good' | 'bad' | 'too-few';
  readonly why: string;
}

/** What a gate is called when people read of it. */
export function nameOf(gate: Gate): string {
  return gate.title ?? gate.id;
}

function tooFew(gate: ThresholdGate | RatioGate, value: Value): Reading | undefined {
  if (gate.minSamples <= 0 || (value.samples !== undefined && value.samples >= gate.minSamples)) return undefined;
  const had = value.samples === undefined || Number.isNaN(value.samples) ? 'an unknown number' : describeNumber(value.samples);
  return { kind: 'too-few', why: `${nameOf(gate)} drawn from ${had} of at least ${gate.minSamples} samples` };
}

function readBound(gate: ThresholdGate | RatioGate, value: Value): Reading {
  const few = tooFew(gate, value);
  if (few !== undefined) return few;
  const text = gate.kind === 'ratio' ? describeBound(gate.bound, value.value, undefined, true) : describeBound(gate.bound, value.value, gate.unit);
  return { kind: keeps(gate.bound, value.value) ? 'good' : 'bad', why: `${nameOf(gate)} ${text}` };
}

function readProbe(gate: ProbeGate, value: Value): Reading {
  const detail = value.detail === undefined ? '' : `: ${value.detail}`;
  return value.value === 1
    ? { kind: 'good', why: `${nameOf(gate)} ${gate.path} is healthy${detail}` }
    : { kind: 'bad', why: `${nameOf(gate)} ${gate.path} failed${detail}` };
}

function readAlert(gate: AlertGate, value: Value): Reading {
  const labels = Object.entries(gate.labels).map(([label, text]) => `${label}=${text}`);
  const firing = `${describeNumber(value.value)} firing with ${labels.join(', ')}`;
  return { kind: value.value === 0 ? 'good' : 'bad', why: `${nameOf(gate)} ${firing}` };
}

/** Reads one value by the gate's kind. A new kind is one more line here and a function beside it. */
export function readValue(gate: Gate, value: Value): Reading {
  switch (gate.kind) {
    case 'threshold':
    case 'ratio':
      return readBound(gate, value);
    case 'probe':
      return readProbe(gate, value);
    case 'alert':
      return readAlert(gate, value);
    default:
      return gate satisfies never;
  }
}

/** The worse of two values of one gate. */
export function worstOf(gate: Gate, a: number, b: number): number {
  switch (gate.kind) {
    case 'threshold':
    case 'ratio':
      return worseValue(gate.bound, a, b);
    case 'probe':
      return Math.min(a, b);
    case 'alert':
      return Math.max(a, b);
    default:
      return gate satisfies never;
  }
}

/** How long a breach of the gate must last, in words; nothing where one bad sample is enough. */
export function lasting(gate: Gate): string {
  return gate.for === 0 ? '' : `, counts after ${describeMillis(gate.for)}`;
}

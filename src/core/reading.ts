import { describeBound, describeMillis, describeNumber, keeps, worseValue } from './bound.ts';
import { judgeBurnRate, type BurnState } from './judges/burn-rate.ts';
import { judgeCompare, type CompareState } from './judges/compare.ts';
import { judgeExposure, type ExposureState } from './judges/exposure-check.ts';
import type { Read, Reading } from './judges/judge.ts';
import { judgeQuantile, type QuantileState } from './judges/quantile.ts';
import type { Value } from './measurement.ts';
import type { AlertGate, Gate, ProbeGate, RatioGate, ThresholdGate } from './plan.ts';

/** What a gate's own judge remembers between two values, by the gate's kind: at most 2 KB of plain JSON. */
export type Statistic = CompareState | BurnState | ExposureState | QuantileState;

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

/** Reads one value by the gate's kind, with what its judge remembers. A new kind is one more line here and a judge in judges/. */
export function readValue(gate: Gate, before: Statistic | undefined, value: Value): Read<Statistic | undefined> {
  // A state was made by the judge of the same gate: plans do not change.
  switch (gate.kind) {
    case 'threshold':
    case 'ratio':
      return { state: undefined, reading: readBound(gate, value) };
    case 'probe':
      return { state: undefined, reading: readProbe(gate, value) };
    case 'alert':
      return { state: undefined, reading: readAlert(gate, value) };
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
      return judgeCompare(gate, before as CompareState | undefined, value);
    case 'burnRate':
      return judgeBurnRate(gate, before as BurnState | undefined, value);
    case 'quantile':
      return judgeQuantile(gate, before as QuantileState | undefined, value);
    case 'exposureCheck':
      return judgeExposure(gate, before as ExposureState | undefined, value);
    default:
      return gate satisfies never;
  }
}

/** The worse of two values of one gate. */
export function worstOf(gate: Gate, a: number, b: number): number {
  switch (gate.kind) {
    case 'threshold':
    case 'ratio':
    case 'quantile':
      return worseValue(gate.bound, a, b);
    case 'probe':
      return Math.min(a, b);
    case 'alert':
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
    case 'burnRate':
    case 'exposureCheck':
      return Math.max(a, b);
    default:
      return gate satisfies never;
  }
}

/** Whether the gate counts on from one value to the next, so that an answer spans all since the last one and none may be judged twice. */
export function counts(gate: Gate): boolean {
  switch (gate.kind) {
    case 'threshold':
    case 'ratio':
    case 'probe':
    case 'alert':
      return false;
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
    case 'burnRate':
    case 'quantile':
    case 'exposureCheck':
      return true;
    default:
      return gate satisfies never;
  }
}

/** How long a breach of the gate must last, in words; nothing where one bad sample is enough. */
export function lasting(gate: Gate): string {
  return gate.for === 0 ? '' : `, counts after ${describeMillis(gate.for)}`;
}

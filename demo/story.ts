import type { LaunchEvent } from '../src/core/event.ts';
import { describe } from '../src/core/exposure.ts';
import { describeCause, STATE_WORDS } from '../src/core/headline.ts';

/** Tells what happens, a line at a time, with the seconds since the demo began. */
export interface Story {
  readonly line: (text: string) => void;
  readonly heading: (text: string) => void;
  /** An event of a launch as a line, or nothing where it would only be noise here. */
  readonly event: (event: LaunchEvent) => void;
}

const PASS = STATE_WORDS.launched[0];

/** Tells to `write`; `now` is the clock, ms. */
export function openStory(write: (line: string) => void, now: () => number = () => performance.now()): Story {
  const began = now();
  const line = (text: string): void => write(`${((now() - began) / 1_000).toFixed(1).padStart(6)} s  ${text}`);
  return {
    line,
    heading: (text) => {
      write('');
      line(text);
    },
    event: (event) => {
      const told = inWords(event);
      if (told !== undefined) line(told);
    },
  };
}

/** What the reader of the story is told of an event; ticks and single signatures are summed up by whoever gives them. */
export function inWords(event: LaunchEvent): string | undefined {
  switch (event.kind) {
    case 'shifted':
      return `${STATE_WORDS.shifting[0]} ${event.stage}: ${event.flags.map((flag) => `${flag.flag} ${describe(flag.exposure)}`).join(', ')}`;
    case 'witnessed':
      return `  seen where users read it: ${event.proofs.map((proof) => `${proof.flag} ${proof.agreed}/${proof.asked}${proof.share === undefined ? '' : ` (${proof.share.percent.toFixed(1)} % of ${proof.share.sampled})`}`).join(', ')}`;
    case 'baked':
      return `${STATE_WORDS.baking[0]} ${event.stage} baked: ${event.gates.map((gate) => `${gate.gate} ${gate.last?.kind === 'go' ? PASS : '?'}`).join(', ')}`;
    case 'watching':
      return `${STATE_WORDS.watching[0]} everyone has it; watching`;
    case 'rollback-requested':
      return `${STATE_WORDS['rolling-back'][0]} rolling back ${event.scope.kind === 'stage' ? `stage ${event.scope.stage}` : 'the launch'}: ${describeCause(event.cause)}`;
    case 'restored':
      return `${STATE_WORDS['rolling-back'][0]} ${event.flags.map((flag) => `${flag.flag} ${flag.outcome === 'fallback' ? 'set to' : 'back to'} ${describe(flag.exposure)}`).join(', ')}`;
    case 'rollback-proven': {
      const sum = (part: 'agreed' | 'asked'): number => event.proofs.reduce((total, proof) => total + proof[part], 0);
      return `${STATE_WORDS['rolled-back'][0]} proven ${event.seconds.toFixed(2)} s after the first bad sample (promise: 300 s): ${sum('agreed')}/${sum('asked')} witnesses of ${event.proofs.length} flags`;
    }
    case 'held':
      return `${STATE_WORDS.held[0]} held: ${event.reason}`;
    case 'paged':
      return `! PAGED: ${event.text}`;
    case 'stuck':
      return `! STUCK: ${event.remainder.join(', ')}`;
    case 'relapsed':
      return `! relapsed: ${event.flags.join(', ')}`;
    case 'drifted':
      return `! ${event.flag} was changed by ${event.who}`;
    case 'gap':
      return `! ${event.gate} was not asked from ${event.from} to ${event.to}`;
    case 'ended':
      return `${STATE_WORDS[event.outcome][0]} ended ${event.outcome}: ${event.why}`;
    default:
      return undefined;
  }
}

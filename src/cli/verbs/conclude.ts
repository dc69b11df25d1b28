import type { Command } from 'commander';
import { reasonedAct } from './acts.ts';

/** `gonogo conclude`: ends a launch that runs in its fallback mode after a stage was rolled back. */
export function conclude(program: Command): void {
  reasonedAct(program, 'conclude', 'end a launch that waits in its fallback mode after a stage rollback', 'concluded');
}

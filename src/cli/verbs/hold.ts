import type { Command } from 'commander';
import { reasonedAct } from './acts.ts';

/** `gonogo hold`: the launch waits for a person; rollback stays armed. */
export function hold(program: Command): void {
  reasonedAct(program, 'hold', 'hold a launch where it is; gates and rollback stay armed', 'held');
}

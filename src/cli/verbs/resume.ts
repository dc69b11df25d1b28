import type { Command } from 'commander';
import { reasonedAct } from './acts.ts';

/** `gonogo resume`: a held launch goes on. */
export function resume(program: Command): void {
  reasonedAct(program, 'resume', 'let a held launch go on', 'goes on');
}

/** The part of a launch's budget of false alarms that each of its gates may spend: an even split, so that by the union bound all of them together stay inside it. */
export function shareOfBudget(falseAlarms: number, gates: number): number {
  return falseAlarms / Math.max(1, gates);
}

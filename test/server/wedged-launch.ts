/** A launch whose code throws as a bug does: its workflow task fails, again and again, and the launch neither ends nor goes on. */
export function launch(): Promise<void> {
  throw new TypeError('a bug in the launch’s code');
}

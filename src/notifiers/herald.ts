export const runHerald = () => Promise.resolve();

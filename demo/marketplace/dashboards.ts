/** What the panels of the dashboard ask; each must return data. */
const PANELS = ['chat_delivery_seconds_count', 'notifications_total', 'disputes_overdue', 'dispute_sla_timers_late', 'http_requests_total'];
const EVERY = 2_000;

/** Asks Prometheus again and again whether every panel's query returns data. Without a Prometheus there is no dashboard that could be empty: 1. */
export function watchDashboards(prometheusUrl: string | undefined): { readonly filled: () => number; readonly stop: () => void } {
  if (prometheusUrl === undefined) return { filled: () => 1, stop: () => undefined };
  let filled = 0;
  const look = async (): Promise<void> => {
    const answers = await Promise.all(PANELS.map((panel) => returnsData(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(`count(${panel})`)}`)));
    filled = answers.every(Boolean) ? 1 : 0;
  };
  const timer = setInterval(() => void look(), EVERY);
  void look();
  return { filled: () => filled, stop: () => clearInterval(timer) };
}

async function returnsData(url: string): Promise<boolean> {
  try {
    const answer = (await (await fetch(url, { signal: AbortSignal.timeout(EVERY) })).json()) as { data?: { result?: unknown[] } };
    return (answer.data?.result?.length ?? 0) > 0;
  } catch {
    return false;
  }
}

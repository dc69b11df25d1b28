/** Samples of one series for Prometheus' remote-write receiver; times in ms since the epoch. */
export interface WrittenSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** 'stale' is the marker that a scrape writes when a series is gone. */
  readonly samples: readonly { readonly at: number; readonly value: number | 'stale' }[];
  /** Native histograms (schema 0) with all observations in the bucket (0.5, 1]. */
  readonly histograms?: readonly { readonly at: number; readonly count: number }[];
}

/** The bits of Prometheus' StaleNaN (model/value/value.go). */
const STALE = 0x7ff0000000000002n;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 127n) | 128);
  }
}

const field = (number: number, body: readonly number[] | Buffer): number[] => [(number << 3) | 2, ...varint(body.length), ...body];
const text = (number: number, value: string): number[] => field(number, Buffer.from(value));

function double(value: number | 'stale'): number[] {
  const bytes = Buffer.alloc(8);
  if (value === 'stale') bytes.writeBigUInt64LE(STALE);
  else bytes.writeDoubleLE(value);
  return [...bytes];
}

/** Histogram of prompb: 1 count, 3 sum, 4 schema, 5 zero threshold, 11 positive spans {1 offset, 2 length}, 12 positive deltas (zigzag), 15 timestamp. */
function histogram(at: number, count: number): number[] {
  const spans = field(11, [1 << 3, 0, 2 << 3, 1]);
  const deltas = field(12, varint(count * 2));
  return [
    1 << 3,
    ...varint(count),
    (3 << 3) | 1,
    ...double(count * 0.75),
    4 << 3,
    0,
    (5 << 3) | 1,
    ...double(1e-9),
    ...spans,
    ...deltas,
    15 << 3,
    ...varint(at),
  ];
}

/** WriteRequest of prompb: 1 timeseries { 1 labels {1 name, 2 value}, 2 samples {1 value double, 2 timestamp int64}, 4 histograms }. */
function writeRequest(series: readonly WrittenSeries[]): Buffer {
  const encoded = series.map(({ labels, samples, histograms = [] }) => {
    const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
    return field(1, [
      ...sorted.flatMap(([name, value]) => field(1, [...text(1, name), ...text(2, value)])),
      ...samples.flatMap(({ at, value }) => field(2, [(1 << 3) | 1, ...double(value), 2 << 3, ...varint(at)])),
      ...histograms.flatMap(({ at, count }) => field(4, histogram(at, count))),
    ]);
  });
  return Buffer.from(encoded.flat());
}

/** Snappy's block format with literals only: valid, and nothing is compressed. */
function snappy(data: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from(varint(data.length))];
  for (let start = 0; start < data.length; start += 65_536) {
    const chunk = data.subarray(start, start + 65_536);
    parts.push(Buffer.from([61 << 2, (chunk.length - 1) & 255, (chunk.length - 1) >> 8]), chunk);
  }
  return Buffer.concat(parts);
}

/** Writes samples as an agent would: with their own times, and no marker when a series stops. */
export async function remoteWrite(url: string, series: readonly WrittenSeries[]): Promise<void> {
  const response = await fetch(`${url}/api/v1/write`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', 'x-prometheus-remote-write-version': '0.1.0' },
    body: new Uint8Array(snappy(writeRequest(series))),
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new Error(`remote write answered ${response.status}: ${await response.text()}`);
}

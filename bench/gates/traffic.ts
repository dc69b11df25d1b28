import type { RateBatch } from '../../src/core/statistics/rate-ratio.ts';
import { randomOf, type Random } from './random.ts';

/** What comes of one minute: requests, and first failures of users with those at risk at its end. */
export interface Minute {
  readonly requests: RateBatch;
  /** Where users are simulated: `exposed` and `rest` are those seen and not failed yet, at the minute's end. */
  readonly users?: RateBatch;
}

/** Which share (0..1) is exposed in each minute. */
export type Shares = readonly number[];

/** What all traffic has in common: `times` is how much worse the exposed are from minute `from` on. */
export interface Setting {
  readonly shares: Shares;
  /** Requests a minute. */
  readonly requests: number;
  /** The share of them that fails. */
  readonly base: number;
  readonly times: number;
  readonly from: number;
}

/** The four stages of the bench: 1, 5, 25 and 50 %, 15 minutes each. */
export const STAGES: Shares = [0.01, 0.05, 0.25, 0.5].flatMap((share) => Array.from({ length: 15 }, () => share));

/** One launch's traffic, minute by minute. */
export type Traffic = (setting: Setting, seed: number) => Generator<Minute>;

function minute(setting: Setting, at: number, random: Random, noise: { readonly exposed: number; readonly rest: number }): Minute {
  const share = setting.shares[at] ?? 0;
  const [exposed, rest] = [random.poisson(setting.requests * share), random.poisson(setting.requests * (1 - share))];
  const worse = at >= setting.from ? setting.times : 1;
  // Poisson for binomial: at failure rates of 5 % and less the two differ by less than 3 % in spread. A request cannot fail twice.
  const failed = (of: number, rate: number): number => Math.min(of, random.poisson(of * Math.min(1, rate)));
  return {
    requests: { exposedBad: failed(exposed, setting.base * worse * noise.exposed), exposed, restBad: failed(rest, setting.base * noise.rest), rest },
  };
}

/** Every request fails or not by itself. */
export function* independent(setting: Setting, seed: number): Generator<Minute> {
  const random = randomOf(seed);
  for (let at = 0; at < setting.shares.length; at += 1) yield minute(setting, at, random, { exposed: 1, rest: 1 });
}

/** The error rate wanders for both alike: a lognormal of spread 0.5, with 0.9 of it kept from minute to minute (AR1). */
export function* sharedNoise(setting: Setting, seed: number): Generator<Minute> {
  const random = randomOf(seed);
  let level = random.normal();
  for (let at = 0; at < setting.shares.length; at += 1) {
    const noise = Math.exp(0.5 * level - 0.125);
    yield minute(setting, at, random, { exposed: noise, rest: noise });
    level = 0.9 * level + Math.sqrt(1 - 0.81) * random.normal();
  }
}

/** Each side has a noise of its own, new every minute (gamma-like: lognormal with a coefficient of variation of 0.5): the assumption of the request-level test is broken. */
export function* ownNoise(setting: Setting, seed: number): Generator<Minute> {
  const random = randomOf(seed);
  const spread = Math.sqrt(Math.log(1.25));
  for (let at = 0; at < setting.shares.length; at += 1) {
    const noise = (): number => Math.exp(spread * random.normal() - (spread * spread) / 2);
    yield minute(setting, at, random, { exposed: noise(), rest: noise() });
  }
}

/** So many users make the requests. */
const USERS = 20_000;

interface Crowd {
  /** Requests a minute, and the share of them that fails. */
  readonly requests: Float64Array;
  readonly fails: Float64Array;
}

/**
 * The same users in every launch: their activity is lognormal (spread 1.5), and failures are theirs: most hardly ever fail,
 * one in fifty fails often, and one in a thousand is a machine that asks a hundred times as much as the median and fails most.
 */
function crowdOf(requests: number, base: number): Crowd {
  const random = randomOf(20_260_301);
  const crowd = { requests: new Float64Array(USERS), fails: new Float64Array(USERS) };
  for (let user = 0; user < USERS; user += 1) {
    const machine = random.uniform() < 0.001;
    const activity = Math.exp(1.5 * random.normal());
    crowd.requests[user] = machine ? 100 : activity;
    crowd.fails[user] = machine ? 0.2 : random.uniform() < 0.02 ? 0.05 : 0.001;
  }
  const scale = requests / crowd.requests.reduce((sum, one) => sum + one, 0);
  for (let user = 0; user < USERS; user += 1) crowd.requests[user] = (crowd.requests[user] ?? 0) * scale;
  const failing = crowd.requests.reduce((sum, one, user) => sum + one * (crowd.fails[user] ?? 0), 0);
  for (let user = 0; user < USERS; user += 1) crowd.fails[user] = Math.min(0.5, ((crowd.fails[user] ?? 0) * base * requests) / failing);
  return crowd;
}

const crowds = new Map<string, Crowd>();

/** Users are exposed, not requests: each is on one side by the hash of his key, and stays there while the share grows. Failures are the users' own. */
export function* sticky(setting: Setting, seed: number): Generator<Minute> {
  const key = `${setting.requests}/${setting.base}`;
  const crowd = crowds.get(key) ?? crowdOf(setting.requests, setting.base);
  crowds.set(key, crowd);
  const random = randomOf(seed);
  const minutes = setting.shares.length;
  // By minute of entry, of exposure and of first failure, what changes: a launch costs one pass over the users.
  const enters = new Int32Array(USERS);
  const exposedAt = new Int32Array(USERS);
  const failsAt = new Int32Array(USERS);
  // Per minute of exposure: the requests, and failing requests, that move over.
  const [movesRequests, movesFailing] = [new Float64Array(minutes + 1), new Float64Array(minutes + 1)];
  const starts = setting.shares.map((share, at) => ({ share, at })).filter(({ share, at }) => share > (setting.shares[at - 1] ?? 0));
  let [allRequests, allFailing] = [0, 0];
  for (let user = 0; user < USERS; user += 1) {
    const hash = random.uniform();
    const exposed = starts.find(({ share }) => hash < share)?.at ?? minutes;
    const asks = crowd.requests[user] ?? 0;
    const failing = asks * (crowd.fails[user] ?? 0);
    exposedAt[user] = exposed;
    movesRequests[exposed] = (movesRequests[exposed] ?? 0) + asks;
    movesFailing[exposed] = (movesFailing[exposed] ?? 0) + failing;
    allRequests += asks;
    allFailing += failing;
    // The first failing request by its own clock, which runs faster once the user is exposed and the exposed are worse.
    const worseAt = Math.max(exposed, setting.from);
    const load = random.exponential() / failing;
    const failed = load <= worseAt ? load : worseAt + (load - worseAt) / setting.times;
    failsAt[user] = Math.min(minutes, Math.floor(failed));
    enters[user] = Math.min(minutes, Math.floor(Math.min(failed, random.exponential() / Math.max(asks - failing, 1e-12))));
  }
  // What each minute adds: users seen, failing, and moving from one side to the other.
  const [seenExposed, seenRest, failedExposed, failedRest, moved] = [0, 0, 0, 0, 0].map(() => new Int32Array(minutes + 1)) as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const add = (to: Int32Array, at: number): void => {
    to[at] = (to[at] ?? 0) + 1;
  };
  for (let user = 0; user < USERS; user += 1) {
    const [enter, expose, fail] = [enters[user] ?? 0, exposedAt[user] ?? 0, failsAt[user] ?? 0];
    if (enter < minutes) add(enter >= expose ? seenExposed : seenRest, enter);
    if (fail < minutes) add(fail >= expose ? failedExposed : failedRest, fail);
    if (enter < expose && fail >= expose && expose < minutes) add(moved, expose);
  }
  let [atRiskExposed, atRiskRest, shareRequests, shareFailing] = [0, 0, 0, 0];
  for (let at = 0; at < minutes; at += 1) {
    shareRequests += movesRequests[at] ?? 0;
    shareFailing += movesFailing[at] ?? 0;
    atRiskExposed += (moved[at] ?? 0) + (seenExposed[at] ?? 0) - (failedExposed[at] ?? 0);
    atRiskRest += (seenRest[at] ?? 0) - (moved[at] ?? 0) - (failedRest[at] ?? 0);
    const worse = at >= setting.from ? setting.times : 1;
    const requests: RateBatch = {
      exposedBad: random.poisson(shareFailing * worse),
      exposed: random.poisson(shareRequests),
      restBad: random.poisson(allFailing - shareFailing),
      rest: random.poisson(allRequests - shareRequests),
    };
    yield { requests, users: { exposedBad: failedExposed[at] ?? 0, exposed: atRiskExposed, restBad: failedRest[at] ?? 0, rest: atRiskRest } };
  }
}

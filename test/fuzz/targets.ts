/** Every target, by name. */
import { IpStats } from '../../lib/tcp/ip/stats.js';
import { CLOSED, STATE_NAMES } from '../../lib/tcp/conn/state.js';
import { STAT_NAMES } from '../../lib/tcp/stats.js';
import type { Target } from './case.js';
import { AddressingWorld } from './addressing_world.js';
import { PairWorld } from './pair_world.js';
import { ChannelWorld } from './channel_world.js';
import { ParsersWorld } from './parsers_world.js';
import { StackWorld } from './stack_world.js';
import type { Profile } from './stack_world.js';

const FRAMES: Profile = { ethernet: true, flows: 8, damaged: 22, raw: 3, bold: 3, calls: 12, time: 5 };
const SEQUENCES: Profile = { ethernet: false, flows: 3, damaged: 0, raw: 0, bold: 1, calls: 22, time: 9 };

export const TARGETS: readonly Target[] = [
  { name: 'frames', unit: 'frames', steps: 1200, share: 0.4, open: (setting) => new StackWorld(FRAMES, setting) },
  { name: 'addressing', unit: 'frames', steps: 600, share: 0.1, open: (setting) => new AddressingWorld(setting) },
  { name: 'sequences', unit: 'frames', steps: 1200, share: 0.4, open: (setting) => new StackWorld(SEQUENCES, setting) },
  { name: 'pair', unit: 'frames', steps: 1500, share: 0.2, open: (setting) => new PairWorld(setting) },
  { name: 'channel', unit: 'entries', steps: 400, share: 0.02, open: (setting) => new ChannelWorld(setting) },
  { name: 'parsers', unit: 'inputs', steps: 500, share: 0.02, open: () => new ParsersWorld() },
];

export function targetOf(name: string): Target {
  const target = TARGETS.find((each) => each.name === name);
  if (target === undefined) throw new RangeError(`no such target: ${name}`);
  return target;
}

/** Every counter and state that a run can reach, and a good one does. */
export function allCounters(): string[] {
  return [...STAT_NAMES, ...Object.keys(new IpStats()), ...STATE_NAMES.slice(CLOSED).map((name) => `state ${name}`)];
}

/** Linux's error numbers by name, and back. */
import { constants } from 'node:os';

const NAMES = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) if (!NAMES.has(value) || name === 'EAGAIN') NAMES.set(value, name);

export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

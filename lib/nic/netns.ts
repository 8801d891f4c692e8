/** Network namespaces. A thread is in one; entering another concerns the calling thread alone. */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { ENOENT, SystemError } from './system_error.js';
import { setNetworkNamespace, unshareNetwork } from './syscalls.js';

const NAMED = '/run/netns';

/**
 * Enters a network namespace with the calling thread.
 *
 * @param name a name as in `ip netns`, or a path to a namespace such as `/proc/4711/ns/net`.
 * @throws SystemError ENOENT where it does not exist, EPERM without CAP_SYS_ADMIN.
 */
export function enterNamespace(name: string): void {
  const fd = openNamespace(name);
  try {
    setNetworkNamespace(fd, `cannot enter network namespace "${name}"; it needs CAP_SYS_ADMIN: run as root`);
  } finally {
    closeSync(fd);
  }
}

/** Enters a network namespace that nobody else is in, and that goes with the calling thread. @throws SystemError EPERM without CAP_SYS_ADMIN. */
export function enterNewNamespace(): void {
  unshareNetwork('cannot make a network namespace; it needs CAP_SYS_ADMIN: run as root');
}

/** Runs `task` inside a network namespace and comes back. What it opens stays in that namespace. */
export function inNamespace<T>(name: string, task: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    enterNamespace(name);
    try {
      return task();
    } finally {
      setNetworkNamespace(home, 'cannot come back from a network namespace');
    }
  } finally {
    closeSync(home);
  }
}

function openNamespace(name: string): number {
  const path = name.includes('/') ? name : `${NAMED}/${name}`;
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new SystemError(ENOENT, 'open', `there is no network namespace "${name}"; there is ${namespaces().join(', ') || 'none'}`);
  }
}

function namespaces(): string[] {
  try {
    return readdirSync(NAMED);
  } catch {
    return [];
  }
}

/** A path for a Unix domain socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** For as long as the test runs. Not below the test's own folder: the path of a socket has 107 bytes at most. */
export function socketPath(test: { teardown(task: () => void): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'tcp-offload-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'socket');
}

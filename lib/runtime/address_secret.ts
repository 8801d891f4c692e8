/** What the interface identifiers of SLAAC are derived from (RFC 7217 5). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Identities that the system keeps for as long as it is installed, or at least until it is started again. */
const IDENTITIES = ['/etc/machine-id', '/var/lib/dbus/machine-id', '/proc/sys/kernel/random/boot_id'];

/** 16 bytes, the same each time for the same text. @param text null: the machine's own identity. */
export function addressSecret(text: string | null): Uint8Array {
  return createHash('sha256').update('tcp-offload interface identifiers\0').update(text ?? machineIdentity()).digest().subarray(0, 16);
}

function machineIdentity(): string {
  for (const path of IDENTITIES) {
    try {
      const identity = readFileSync(path, 'latin1').trim();
      if (identity !== '') return identity;
    } catch {
      // Not every system has each of them.
    }
  }
  return '';
}

/** `npm run bench -- devices`: `node:http` by each kind of device, beside kernel TCP over veth. */
import type { Network } from '../examples/support/network.js';
import type { ServerPlace } from './programs.js';

export interface DevicePlace {
  readonly name: string;
  readonly place: ServerPlace;
  /** Where the load finds it. */
  readonly serverAddress: string;
}

/** Each kind of device on the network. Those of the veth pair are in its namespace; TAP and TUN have the host at their other end. */
export async function devicePlaces(network: Network): Promise<DevicePlace[]> {
  const { serverInterface, serverAddress, prefix, namespace: netns } = network;
  const address = `${serverAddress}/${prefix}`;
  const places: DevicePlace[] = [
    { name: 'packet', place: { device: `packet:${serverInterface}`, address, netns, beside: false }, serverAddress },
    { name: 'packet, address shared', place: { device: `packet:${serverInterface}`, address: 'shared', netns, beside: true }, serverAddress },
    { name: 'xdp', place: { device: `xdp:${serverInterface}`, address, netns, beside: false, checksums: true }, serverAddress },
    { name: 'xdp, address shared', place: { device: `xdp:${serverInterface}`, address: 'shared', netns, beside: true, checksums: true }, serverAddress },
    { name: 'macvlan', place: { device: `macvlan:${serverInterface}`, address, netns, beside: false }, serverAddress },
    { name: 'raw', place: { device: `raw:${serverInterface}`, address, netns, beside: true }, serverAddress },
  ];
  for (const mode of ['tap', 'tun'] as const) {
    const { interface: name, serverAddress: own } = await network.addTun(mode);
    places.push({ name: mode, place: { device: `${mode}:${name}`, address: `${own}/${prefix}`, netns: null, beside: false }, serverAddress: own });
  }
  return places;
}

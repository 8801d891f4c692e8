/**
 * What every NIC device is to its one user, the TCP server: frames in and out, a batch at a time.
 *
 * Frames are opaque bytes here: this folder knows nothing of IP or TCP, except where an offload needs the place of a
 * checksum. Devices compose: a decorator is a `Device` around a `Device` (`pcap(fault(device))`).
 *
 * Memory. A device lends each received frame for the length of one call. Frames to send are written into `tx`, the
 * device's own slots; payload that lies in the memory the device was opened with can be appended to a frame by its
 * place, without a copy by the caller.
 */

/** What a device can do for its user. It never changes while the device is open. */
export interface DeviceCapabilities {
  /** 'ethernet': frames begin with an Ethernet header; 'ip': with an IP header. */
  readonly medium: 'ethernet' | 'ip';
  /** Largest IP packet that fits the link, in bytes. The Ethernet header comes on top of it. */
  readonly mtu: number;
  /** The device's own link address, 6 bytes; null where the medium has none. */
  readonly mac: Uint8Array | null;
  /** The device fills in the TCP checksum of a frame that is committed with a `checksumStart`. */
  readonly txChecksum: boolean;
  /** Largest IP packet that may be handed over to be cut into segments by the device; 0: none, cut in software. */
  readonly txSegmentation: number;
  /** Frames longer than `mtu` may arrive: several segments of one flow, coalesced. */
  readonly rxCoalescing: boolean;
}

/** Flag of a received frame: the transport checksum is known to be good, or was left out because it never saw a wire. */
export const RX_CHECKSUM_VALID = 1;

/** Takes received frames. */
export interface FrameSink {
  /**
   * One received frame: `length` bytes of `bytes` from `offset`, lent for this call only.
   *
   * @param flags RX_* bits.
   * @param segmentSize for a coalesced frame the payload size of each segment in it, else 0.
   */
  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void;
  /**
   * As `frame`, for a long frame of which only the first `present` bytes are in memory yet. A sink without it is handed whole frames alone.
   *
   * @param rest what the others can be had from, once, until this returns.
   */
  longFrame?(bytes: Uint8Array, offset: number, present: number, length: number, flags: number, segmentSize: number, rest: FrameRest): void;
}

/** Where the bytes of a long frame are to go: all of them to one place of the device's, or some of them to places of the memory that it was opened with. */
export interface FrameRest {
  /** Brings the whole frame. Returns its offset in the memory, or -1 where it was lost. */
  whole(): number;
  /** Begins to say where bytes are to go: those from `offset` on, which is where they would lie if the frame were whole. */
  from(offset: number): void;
  /** The next `length` of them go to `offset` of the memory. At most `MAX_SPANS` times. */
  into(offset: number, length: number): void;
  /** Brings what was asked for. False where it was lost; the places may hold anything then. */
  fetch(): boolean;
}

/** Counters of a device since it was opened, in frames unless said otherwise. */
export interface DeviceStats {
  rxFrames: number;
  rxBytes: number;
  /** Frames that the link delivered and that were lost before the TCP server took them. */
  rxDropped: number;
  txFrames: number;
  txBytes: number;
  /** Frames that the link refused; the transport's retransmission makes up for them. */
  txDropped: number;
}

export interface Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats;
  /**
   * A descriptor that polls readable when frames wait, for the one place where the TCP server sleeps; -1 where the
   * device is memory and whoever adds a frame wakes the TCP server itself.
   */
  readonly fd: number;
  /** The memory that `reserve` hands out room in. */
  readonly tx: Uint8Array;

  /** Hands frames that are there to the sink, oldest first, at most `budget`. Never waits. Returns how many it handed over. */
  receive(sink: FrameSink, budget: number): number;

  /** True where `receive` would hand over a frame now. */
  readable(): boolean;

  /**
   * Room for one frame: the offset in `tx` of at least `TX_ROOM` bytes, or of a packet of `mtu` bytes and its link header where the device does
   * not segment; or -1 when the batch is full: flush, then ask
   * again. Asking again before `commit` gives the same room back.
   */
  reserve(): number;

  /**
   * Appends `length` bytes of payload memory (the memory that the device was opened with) from `offset` to the reserved
   * frame, behind the bytes in its room. They must stay as they are until `flush` returns. At most `MAX_SPANS` a frame.
   */
  append(offset: number, length: number): void;

  /**
   * Ends the reserved frame; it leaves with the next `flush`.
   *
   * @param length bytes written into the frame's room (headers, and payload where it was copied there).
   * @param checksumStart with `txChecksum`: offset in the frame of the TCP header, whose checksum field holds the folded
   *   sum of the pseudo-header (not complemented) and is to be completed by the device; 0: the checksum is complete.
   * @param segmentSize with `txSegmentation`: payload bytes a segment, where the frame is to be cut; else 0.
   */
  commit(length: number, checksumStart: number, segmentSize: number): void;

  /** Sends every committed frame, in order, in one crossing where it can. Returns how many the link took. */
  flush(): number;

  /**
   * When the device wants `receive` called although nothing has arrived, in µs on the clock it was given: frames that it
   * holds back are due then. Infinity: nothing is held. Devices that hold no frames do without.
   */
  nextEvent?(): number;

  /**
   * Takes frames to the group link address `mac` from now on, 6 bytes. Devices that take every frame of the link do without.
   */
  joinGroup?(mac: Uint8Array): void;

  /** Takes frames to that group no more. */
  leaveGroup?(mac: Uint8Array): void;

  /**
   * The own addresses are these from now on, 4 or 16 bytes each. For devices that were opened with addresses of which some come from the
   * network (`OpenOptions.networkAddresses`), and have the kernel filter by them.
   */
  setAddresses?(addresses: readonly Uint8Array[]): void;

  /**
   * Takes what is for one more own address from now on, 4 or 16 bytes. Devices that take all addresses, or know them beforehand, do without.
   */
  takeAddress?(address: Uint8Array): void;

  /** How the device does it, where there are several ways, for people to read. */
  readonly description?: string;

  /** True while the link is known to be down or gone. Frames sent meanwhile count as `txDropped`. */
  readonly down?: boolean;

  close(): void;
}

/** Bytes that the room of a frame has where the device segments: any frame of the largest size, with room for every header. */
export const TX_ROOM = 65536 + 256;
/** Payload spans that one frame can have. */
export const MAX_SPANS = 18;

/**
 * The memory in which payload lies, as the device and the TCP server see it: a plain alias (not shared as far as V8
 * knows) of one SharedArrayBuffer, so that frame and payload lie in one array and `copyWithin` moves bytes between them.
 */
export interface DeviceMemory {
  readonly bytes: Uint8Array;
  /** Address of `bytes[0]` for system calls; 0n where nothing native looks (tests). */
  readonly address: bigint;
  /** The part that the device may use for its rings and slots: page-aligned offset and length in bytes. */
  readonly regionOffset: number;
  readonly regionLength: number;
}

/**
 * The kernel's network on an interface that a TCP server shares with it, where the kernel's are the address, the neighbours and the routes.
 * An address has 4 or 16 bytes here.
 */
export interface HostNetwork {
  /**
   * Asks for the link address of a neighbour, which the kernel looks up where it does not know it. `poll` tells what it finds.
   *
   * @param doubted what was told last may not hold any more: the kernel is to ask the neighbour.
   */
  resolve(address: Uint8Array, doubted: boolean): void;
  /**
   * Tells what is new, all of the routes the first time.
   *
   * @param now in µs. @param fresh look now, though it may be only a moment since the last look; without it a call costs next to nothing.
   */
  poll(now: number, events: HostEvents, fresh: boolean): void;
  /** When it wants `poll` called although it has not polled readable, in µs; Infinity: not at all. */
  pollAt(): number;
}

export interface HostEvents {
  /**
   * @param address,mac lent for the call; no link address: the kernel does not know it any more, or cannot find it out.
   * @param confirmed the neighbour has lately answered there, or is said to be there for good.
   */
  neighbour(address: Uint8Array, mac: Uint8Array | null, confirmed: boolean): void;
  /** All routes there are, the one to be preferred first. */
  routes(routes: readonly HostRoute[]): void;
}

export interface HostRoute {
  readonly network: Uint8Array;
  /** Bits of `network` that count. */
  readonly prefix: number;
  /** Next hop; null: the network is on the link. */
  readonly gateway: Uint8Array | null;
  /** False: it leads by another interface, or nowhere. */
  readonly here: boolean;
}

/** Bytes of device region that every device makes do with. */
export const DEVICE_REGION_LENGTH = 64 * 1024 * 1024;

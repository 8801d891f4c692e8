/**
 * Programs of extended BPF (linux/bpf.h, Documentation/bpf/standardization/instruction-set.rst) as the kernel loads them: instructions of 8
 * bytes one after another, with labels for those that are jumped to.
 *
 * ```
 *   opcode u8 │ destination u4, source u4 │ offset i16 │ immediate i32
 * ```
 *
 * A program has its argument in register 1 and leaves its result in register 0. Calls take their arguments in registers 1 to 5, and leave
 * nothing of those. Register 10 has the address behind the last byte of its stack.
 */

export const INSTRUCTION = 8;

/** A register: 0 to 10. */
export type Register = number;
/** A place in a program. */
export type Label = string;

// Classes with their modes, operations and sources of the second operand.
const LOAD_MEMORY = 0x61;
const LOAD_IMMEDIATE_64 = 0x18;
const STORE = 0x63;
const STORE_IMMEDIATE = 0x62;
const ADD_64 = 0x07;
const AND_64 = 0x57;
const SHIFT_LEFT_64 = 0x67;
const MOVE_64 = 0xb7;
const FROM_REGISTER = 0x08;
const JUMP = 0x05;
const JUMP_GREATER_REGISTER = 0x2d;
const JUMP_EQUAL_64 = 0x15;
const JUMP_EQUAL_32 = 0x16;
const JUMP_NOT_EQUAL_32 = 0x56;
const JUMP_ANY_BIT_32 = 0x46;
const CALL = 0x85;
const EXIT = 0x95;
/** Bits of a load or a store that tell its size, by bytes. */
const SIZES: Readonly<Record<1 | 2 | 4, number>> = { 1: 0x10, 2: 0x08, 4: 0x00 };
/** Source "register" of a load: the immediate is the descriptor of a map, whose address is loaded. */
const PSEUDO_MAP_FD = 1;

interface Instruction {
  readonly code: number;
  readonly to: Register;
  readonly from: Register;
  /** Of a memory access, or where a jump leads. */
  readonly offset: number | Label;
  readonly immediate: number;
}

export class Assembler {
  readonly #code: Instruction[] = [];
  readonly #places = new Map<Label, number>();

  /** The next instruction is the place that `label` names. */
  at(label: Label): this {
    if (this.#places.has(label)) throw new RangeError(`the label '${label}' stands twice`);
    this.#places.set(label, this.#code.length);
    return this;
  }

  /** `bytes` bytes at `offset` from the address in `from`, in the order of this machine, the rest of the register 0. */
  load(bytes: 1 | 2 | 4, to: Register, from: Register, offset: number): this {
    return this.#add(LOAD_MEMORY | SIZES[bytes], to, from, offset, 0);
  }

  /** Address of a map. */
  loadMap(to: Register, fd: number): this {
    return this.#add(LOAD_IMMEDIATE_64, to, PSEUDO_MAP_FD, 0, fd).#add(0, 0, 0, 0, 0);
  }

  /** Puts the lower bytes of a register to `offset` from the address in `to`. */
  store(bytes: 1 | 2 | 4, to: Register, offset: number, from: Register): this {
    return this.#add(STORE | SIZES[bytes], to, from, offset, 0);
  }

  storeValue(bytes: 1 | 2 | 4, to: Register, offset: number, value: number): this {
    return this.#add(STORE_IMMEDIATE | SIZES[bytes], to, 0, offset, value);
  }

  set(to: Register, value: number): this {
    return this.#add(MOVE_64, to, 0, 0, value);
  }

  move(to: Register, from: Register): this {
    return this.#add(MOVE_64 | FROM_REGISTER, to, from, 0, 0);
  }

  add(to: Register, value: number): this {
    return this.#add(ADD_64, to, 0, 0, value);
  }

  addRegister(to: Register, from: Register): this {
    return this.#add(ADD_64 | FROM_REGISTER, to, from, 0, 0);
  }

  and(to: Register, mask: number): this {
    return this.#add(AND_64, to, 0, 0, mask);
  }

  shiftLeft(to: Register, bits: number): this {
    return this.#add(SHIFT_LEFT_64, to, 0, 0, bits);
  }

  jump(label: Label): this {
    return this.#add(JUMP, 0, 0, label, 0);
  }

  /** Jumps where the first register is greater, without a sign. */
  jumpIfGreater(register: Register, than: Register, label: Label): this {
    return this.#add(JUMP_GREATER_REGISTER, register, than, label, 0);
  }

  /** Jumps where the register has no address, as after a call that found nothing. */
  jumpIfNull(register: Register, label: Label): this {
    return this.#add(JUMP_EQUAL_64, register, 0, label, 0);
  }

  /** Jumps where the lower 32 bits of the register are `value`. */
  jumpIfEqual(register: Register, value: number, label: Label): this {
    return this.#add(JUMP_EQUAL_32, register, 0, label, value);
  }

  jumpIfNotEqual(register: Register, value: number, label: Label): this {
    return this.#add(JUMP_NOT_EQUAL_32, register, 0, label, value);
  }

  /** Jumps where any of the bits of `mask` is set in the register. */
  jumpIfAnyBit(register: Register, mask: number, label: Label): this {
    return this.#add(JUMP_ANY_BIT_32, register, 0, label, mask);
  }

  /** Calls a helper of the kernel. @param number BPF_FUNC_*. */
  call(number: number): this {
    return this.#add(CALL, 0, 0, 0, number);
  }

  exit(): this {
    return this.#add(EXIT, 0, 0, 0, 0);
  }

  #add(code: number, to: Register, from: Register, offset: number | Label, immediate: number): this {
    this.#code.push({ code, to, from, offset, immediate });
    return this;
  }

  /** An array of bpf_insn. @throws RangeError where a label is nowhere, or too far. */
  assemble(): Uint8Array {
    const bytes = new Uint8Array(this.#code.length * INSTRUCTION);
    const view = new DataView(bytes.buffer);
    for (const [i, { code, to, from, offset, immediate }] of this.#code.entries()) {
      view.setUint8(INSTRUCTION * i, code);
      view.setUint8(INSTRUCTION * i + 1, to | (from << 4));
      view.setInt16(INSTRUCTION * i + 2, typeof offset === 'number' ? offset : this.#distance(i, offset), true);
      view.setInt32(INSTRUCTION * i + 4, immediate, true);
    }
    return bytes;
  }

  #distance(from: number, label: Label): number {
    const place = this.#places.get(label);
    if (place === undefined) throw new RangeError(`there is no label '${label}'`);
    const distance = place - from - 1;
    if (distance > 32767 || distance < -32768) throw new RangeError(`the label '${label}' is too far`);
    return distance;
  }
}

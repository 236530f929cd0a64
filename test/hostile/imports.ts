// Every import of a machine with every kind of bad argument. What is refused, and what is not, is counted; the guest prints it.
// The numbers of `expect` say which call it was.
import * as guest from "../../hv/machine/guest";
import { ExitField, Register } from "../../protocol/state";

export let refused: u64 = 0;
export let granted: u64 = 0;
/** the numbers of the first four calls that were not refused, 16 bits each */
export let firstGranted: u64 = 0;

/** Guest-physical: the number of the last call that came back, for whoever has to find out which one did not. */
const LAST: u64 = 0x3ffff0;
const FAR: StaticArray<u64> = [
  0x0000000100000000, 0x0000000200000000, 0x0000008000000000, 0x0000800000000000, 0x7fffffffffffffff, 0x8000000000000000,
  0xffff800000000000, 0xfffffffffff00000, 0xfffffffffffffff0, 0xffffffffffffffff,
];
const FIELDS: StaticArray<u32> = [
  80, 81, 95, 108, 109, 127, 128, 255, 256, 0x681e, 0x6c16, 0x2000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
];
const PORTS: StaticArray<u32> = [2, 3, 255, 256, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

export function badImports(): void {
  refused = 0;
  granted = 0;
  firstGranted = 0;
  const size = guest.ramSize();
  for (let back: u64 = 0; back < 8; back++) loads(100, size - back, back);
  for (let i = 0; i < FAR.length; i++) loads(200, FAR[i], 0);
  for (let i = 0; i < FAR.length; i++) moves(300, FAR[i], size);
  moves(400, size, size);
  moves(500, size - 1, size);
  for (let i = 0; i < FIELDS.length; i++) fields(600 + i, FIELDS[i]);
  for (let i = 0; i < PORTS.length; i++) ports(700, PORTS[i]);
  registers(800);
  anything();
}

/** `back` bytes before the end are still inside. */
function loads(n: u32, address: u64, back: u64): void {
  if (back < 1) {
    expect(n + 1, guest.ramLoad8(address) == 0xff);
    guest.ramStore8(address, 0x5a);
  }
  if (back < 2) {
    expect(n + 2, guest.ramLoad16(address) == 0xffff);
    guest.ramStore16(address, 0x5a5a);
    expect(n + 3, guest.ramLoad16(address) == 0xffff);
  }
  if (back < 4) {
    expect(n + 4, guest.ramLoad32(address) == 0xffffffff);
    guest.ramStore32(address, 0x5a5a5a5a);
    expect(n + 5, guest.ramLoad32(address) == 0xffffffff);
  }
  expect(n + 6, guest.ramLoad64(address) == 0xffffffffffffffff);
  guest.ramStore64(address, 0x5a5a5a5a5a5a5a5a);
  expect(n + 7, guest.ramLoad64(address) == 0xffffffffffffffff);
}

function moves(n: u32, address: u64, size: u64): void {
  expect(n + 1, !guest.ramMove(address, 0, 16));
  expect(n + 2, !guest.ramMove(0, address, 16));
  expect(n + 3, !guest.ramMove(address, address, 0xffffffffffffffff));
  expect(n + 4, !guest.ramFill(address, 0, 16));
  expect(n + 5, !guest.ramFill(1, 0, address < size ? size : address));
  expect(n + 6, !guest.ramMove(0, 16, size));
  // a length that wraps around
  expect(n + 7, !guest.ramFill(16, 0, 0 - <u64>8));
  expect(n + 8, !guest.ramMove(16, 32, 0 - <u64>16));
}

function fields(n: u32, field: u32): void {
  expect(n, guest.read(field) == 0);
  expect(n + 30, !guest.write(field, 0xffffffffffffffff));
  expect(n + 60, !guest.write(field, 0));
}

function ports(n: u32, port: u32): void {
  expect(n + 1, !guest.consolePut(port, 65));
  expect(n + 2, guest.consoleRoom(port) == 0);
  expect(n + 3, guest.consoleGet(port) == -1);
}

/** Values that the CPU would refuse, and fields that are read only. */
function registers(n: u32): void {
  expect(n + 1, !guest.write(Register.Cr0, 0xffffffffffffffff));
  expect(n + 2, !guest.write(Register.Cr0, 0x80000000)); // PG without PE
  expect(n + 3, !guest.write(Register.Cr4, 0xffffffffffffffff));
  expect(n + 4, !guest.write(Register.Cr4, 0)); // PAE off in long mode
  expect(n + 5, !guest.write(Register.Efer, 0xffffffffffffffff));
  expect(n + 6, !guest.write(ExitField.Qualification, 0));
  expect(n + 7, !guest.write(ExitField.Info2, 0));
  expect(n + 8, !guest.write(ExitField.Interruption, 0));
  expect(n + 9, !guest.write(ExitField.InterruptionError, 0));
  expect(n + 10, !guest.write(ExitField.Vectoring, 0));
  expect(n + 11, !guest.write(ExitField.VectoringError, 0));
  expect(n + 12, !guest.write(ExitField.InstructionInfo, 0));
  expect(n + 13, !guest.write(ExitField.LinearAddress, 0));
  expect(n + 14, !guest.write(Register.Xcr0, 0)); // x87 cannot be off
  expect(n + 15, !guest.write(Register.Xcr0, 4)); // AVX without SSE
  expect(n + 16, !guest.write(Register.Pat, 0x0202020202020202)); // no such memory type
  expect(n + 17, !guest.write(ExitField.Inject, 0x80000100)); // no such event type
}

/** No argument of these is wrong, or what they do with one shows in the guest alone: they must come back. */
function anything(): void {
  for (let i = 0; i < FAR.length; i++) {
    guest.timer(FAR[i]);
    guest.cpuidAB(<u32>FAR[i], <u32>(FAR[i] >> 32));
    guest.cpuidCD(<u32>FAR[i], <u32>(FAR[i] >> 32));
    guest.count(<u32>FAR[i]);
  }
  for (let i = 0; i < FIELDS.length; i++) guest.count(FIELDS[i]);
  guest.timer(0);
  guest.timer(u64.MAX_VALUE);
}

/** Kept large enough that it is called, and not put in at each of its hundreds of places: the image has a limit. */
function expect(n: u32, condition: bool): void {
  guest.ramStore32(LAST, n);
  if (condition) {
    refused++;
    return;
  }
  granted++;
  // The first four, 16 bits each: what a test that fails shows.
  if (granted == 1) firstGranted = n;
  else if (granted <= 4) firstGranted |= (<u64>n) << ((granted - 1) << 4);
}

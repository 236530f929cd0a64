// The 8042 keyboard controller (IBM PC AT technical reference, "Keyboard controller") with nothing plugged in: enough of it that a
// guest resets the machine through it, and that a driver finds out quickly that there is no keyboard and no mouse: every byte sent
// to one is answered at once by FEh with the timeout bit. A20 is always open; its bit is kept and does nothing.

import { keyboard } from "../state";
import { setLine } from "./pic";
import { reset } from "./power";

const IRQ: u32 = 1;
const RESET_PORT: u32 = 0x64;

enum Status {
  OutputFull = 0x01,
  System = 0x04,
  Command = 0x08,
  NotInhibited = 0x10,
  Timeout = 0x40,
}

enum Command {
  ReadCommandByte = 0x20,
  WriteCommandByte = 0x60,
  TestAux = 0xa9,
  SelfTest = 0xaa,
  TestKeyboard = 0xab,
  DisableKeyboard = 0xad,
  EnableKeyboard = 0xae,
  ReadInputPort = 0xc0,
  ReadOutputPort = 0xd0,
  WriteOutputPort = 0xd1,
  WriteKeyboardBuffer = 0xd2,
  WriteAuxBuffer = 0xd3,
  WriteAux = 0xd4,
  /** F0h..FFh: pulses the output port's bits that are 0 in the low nibble */
  Pulse = 0xf0,
}

enum CommandByte {
  KeyboardInterrupt = 0x01,
  System = 0x04,
  DisableKeyboard = 0x10,
}

enum OutputPort {
  /** 0 resets the CPU */
  Run = 0x01,
  A20 = 0x02,
  OutputFull = 0x10,
}

/** A device's answer "resend": nobody there. */
const RESEND: u32 = 0xfe;

export function i8042Reset(): void {
  keyboard.status = <u8>(Status.System | Status.NotInhibited);
  keyboard.command = <u8>(CommandByte.System | CommandByte.DisableKeyboard);
  keyboard.outputPort = <u8>(OutputPort.Run | OutputPort.A20);
}

/** Port 60h. */
export function i8042ReadData(): u32 {
  keyboard.status &= <u8>~(Status.OutputFull | Status.Timeout);
  refresh();
  return keyboard.output;
}

/** Port 64h. */
export function i8042ReadStatus(): u32 {
  return keyboard.status;
}

export function i8042WriteData(value: u32): void {
  const waiting: u32 = keyboard.waiting;
  keyboard.waiting = 0;
  keyboard.status &= <u8>~Status.Command;
  switch (waiting) {
    case Command.WriteCommandByte:
      keyboard.command = <u8>value;
      keyboard.status = <u8>((keyboard.status & ~Status.System) | (value & CommandByte.System));
      refresh();
      break;
    case Command.WriteOutputPort:
      keyboard.outputPort = <u8>value;
      if (!(value & OutputPort.Run)) reset(RESET_PORT);
      break;
    case Command.WriteKeyboardBuffer:
    case Command.WriteAuxBuffer:
      put(value, 0);
      break;
    default:
      put(RESEND, Status.Timeout);
      break;
  }
}

export function i8042WriteCommand(value: u32): void {
  keyboard.status |= <u8>Status.Command;
  keyboard.waiting = 0;
  switch (value) {
    case Command.ReadCommandByte:
      put(keyboard.command, 0);
      break;
    case Command.SelfTest:
      keyboard.status |= <u8>Status.System;
      put(0x55, 0);
      break;
    case Command.TestKeyboard:
      put(0, 0);
      break;
    case Command.TestAux:
      // "clock line stuck low": there is no second channel
      put(1, 0);
      break;
    case Command.DisableKeyboard:
      keyboard.command |= <u8>CommandByte.DisableKeyboard;
      break;
    case Command.EnableKeyboard:
      keyboard.command &= <u8>~CommandByte.DisableKeyboard;
      break;
    case Command.ReadInputPort:
      put(0xff, 0);
      break;
    case Command.ReadOutputPort:
      put((keyboard.outputPort & ~OutputPort.OutputFull) | ((keyboard.status & Status.OutputFull) << 4), 0);
      break;
    case Command.WriteCommandByte:
    case Command.WriteOutputPort:
    case Command.WriteKeyboardBuffer:
    case Command.WriteAuxBuffer:
    case Command.WriteAux:
      keyboard.waiting = <u8>value;
      break;
    default:
      if (value >= <u32>Command.Pulse && !(value & OutputPort.Run)) reset(RESET_PORT);
      break;
  }
}

function put(value: u32, flags: u32): void {
  keyboard.output = <u8>value;
  keyboard.status |= <u8>(Status.OutputFull | flags);
  refresh();
}

function refresh(): void {
  setLine(IRQ, (keyboard.status & keyboard.command & CommandByte.KeyboardInterrupt) != 0);
}

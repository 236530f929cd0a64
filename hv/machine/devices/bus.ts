// The I/O ports: the one table of who is where, and the way from a port to a device. A device sees the address lines that it
// decodes (an offset), never a port. Nobody there: reads give all ones, writes are dropped. Ports are 8 bits wide, as on a PC's bus:
// io.ts splits wider accesses, but for the few that `isWide` names.

import { com1, com2, picMaster, picSlave } from "../state";
import { timersReset } from "../timers";
import { postRead, postWrite, printRead, printWrite } from "./debug";
import { i8042ReadData, i8042ReadStatus, i8042Reset, i8042WriteCommand, i8042WriteData } from "./i8042";
import { elcrRead, elcrWrite, picRead, picReset, picWrite } from "./pic";
import { pitRead, pitReset, pitWrite } from "./pit";
import { port61Read, port61Write } from "./port61";
import { debugExitWrite, pm1Write, resetControlRead, resetControlWrite, shutdownWrite } from "./power";
import { rtcIndexWrite, rtcRead, rtcReset, rtcWrite } from "./rtc";
import { uartRead, uartReset, uartWrite } from "./uart";

export enum Device {
  None,
  Post,
  Com1,
  Com2,
  PicMaster,
  PicSlave,
  Pit,
  KeyboardData,
  Port61,
  KeyboardCommand,
  RtcIndex,
  RtcData,
  Print,
  DebugExit,
  ElcrMaster,
  ElcrSlave,
  Pm1,
  ResetControl,
  Shutdown,
}

const ALL_ONES: u32 = 0xff;

/** The table. A port has one line, so devices cannot overlap. */
export function deviceAt(port: u32): Device {
  switch (port) {
    case 0x20:
    case 0x21:
      return Device.PicMaster;
    case 0x40:
    case 0x41:
    case 0x42:
    case 0x43:
      return Device.Pit;
    case 0x60:
      return Device.KeyboardData;
    case 0x61:
      return Device.Port61;
    case 0x64:
      return Device.KeyboardCommand;
    case 0x70:
      return Device.RtcIndex;
    case 0x71:
      return Device.RtcData;
    case 0x80:
      return Device.Post;
    case 0xa0:
    case 0xa1:
      return Device.PicSlave;
    case 0xe9:
      return Device.Print;
    case 0xf4:
      return Device.DebugExit;
    case 0x4d0:
      return Device.ElcrMaster;
    case 0x4d1:
      return Device.ElcrSlave;
    case 0x604:
    case 0xb004:
      return Device.Pm1;
    case 0xcf9:
      return Device.ResetControl;
    case 0x8900:
      return Device.Shutdown;
  }
  if ((port & 0xfff8) == 0x3f8) return Device.Com1;
  if ((port & 0xfff8) == 0x2f8) return Device.Com2;
  return Device.None;
}

/** Devices that take an access whole, whatever its width. */
export function isWide(device: Device): bool {
  return device == Device.Pm1 || device == Device.DebugExit;
}

export function deviceRead(device: Device, port: u32): u32 {
  switch (device) {
    case Device.Post:
      return postRead();
    case Device.Com1:
      return uartRead(com1, port & 7);
    case Device.Com2:
      return uartRead(com2, port & 7);
    case Device.PicMaster:
      return picRead(picMaster, port & 1);
    case Device.PicSlave:
      return picRead(picSlave, port & 1);
    case Device.Pit:
      return pitRead(port & 3);
    case Device.KeyboardData:
      return i8042ReadData();
    case Device.KeyboardCommand:
      return i8042ReadStatus();
    case Device.Port61:
      return port61Read();
    case Device.RtcData:
      return rtcRead();
    case Device.Print:
      return printRead();
    case Device.ElcrMaster:
      return elcrRead(picMaster);
    case Device.ElcrSlave:
      return elcrRead(picSlave);
    case Device.ResetControl:
      return resetControlRead();
    default:
      return ALL_ONES;
  }
}

export function deviceWrite(device: Device, port: u32, value: u32): void {
  switch (device) {
    case Device.Post:
      postWrite(value);
      break;
    case Device.Com1:
      uartWrite(com1, port & 7, value);
      break;
    case Device.Com2:
      uartWrite(com2, port & 7, value);
      break;
    case Device.PicMaster:
      picWrite(picMaster, port & 1, value);
      break;
    case Device.PicSlave:
      picWrite(picSlave, port & 1, value);
      break;
    case Device.Pit:
      pitWrite(port & 3, value);
      break;
    case Device.KeyboardData:
      i8042WriteData(value);
      break;
    case Device.KeyboardCommand:
      i8042WriteCommand(value);
      break;
    case Device.Port61:
      port61Write(value);
      break;
    case Device.RtcIndex:
      rtcIndexWrite(value);
      break;
    case Device.RtcData:
      rtcWrite(value);
      break;
    case Device.Print:
      printWrite(value);
      break;
    case Device.DebugExit:
      debugExitWrite(value);
      break;
    case Device.ElcrMaster:
      elcrWrite(picMaster, value);
      break;
    case Device.ElcrSlave:
      elcrWrite(picSlave, value);
      break;
    case Device.Pm1:
      pm1Write(value);
      break;
    case Device.ResetControl:
      resetControlWrite(value);
      break;
    case Device.Shutdown:
      shutdownWrite(value);
      break;
    default:
      break;
  }
}

/** Once, in a zeroed state region, before the guest's first instruction. */
export function devicesReset(wallSeconds: u64): void {
  timersReset();
  picReset();
  pitReset();
  uartReset(com1);
  uartReset(com2);
  rtcReset(wallSeconds);
  i8042Reset();
}

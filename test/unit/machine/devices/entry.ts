// AssemblyScript: the devices by themselves, for board.ts. The product's entry is hv/machine/main.ts.

export { deviceAt } from "../../../../hv/machine/devices/bus";
export { deviceEvent, devicesReset, interruptAcknowledge, interruptPending, isNmiMasked } from "../../../../hv/machine/interrupts";
export { ioIn, ioOut } from "../../../../hv/machine/io";

// Every sentence and name for the hypervisor's numbers: statuses, end reasons, exit reasons, run states, vendors, features.
// The hypervisor sends numbers and values only (protocol/messages.ts); people and scripts read them through this file.
import { EndReason, Feature, GuestLimit, GuestPart, RunState, Status, Vendor } from "../../../protocol/messages.js";
import { ModuleFault } from "../../../protocol/module.js";
import { ExitField, ExitReason, Register } from "../../../protocol/state.js";
import { cpusOf, showCpuList } from "../cpulist.js";
import { HvkitError } from "../errors.js";
import { cpuidWord } from "./cpuid.js";

/** Words of evidence that came with a failed Status. */
type Evidence = readonly bigint[];

interface StatusText {
  sentence: (words: Evidence) => string;
  hint?: string;
}

const hex = (value: bigint | undefined): string => `${(value ?? 0n).toString(16).toUpperCase()}h`;
const mebibytes = (value: bigint | undefined): string => {
  const bytes = value ?? 0n;
  return bytes % 1048576n === 0n ? `${bytes / 1048576n} MiB` : `${bytes} bytes`;
};
const damaged = "It is damaged, or was saved on a CPU of another kind.";
const bug = "This is a bug in hvkit: please report it with `hvkit logs` and what you did.";

export const statusTexts: Readonly<Record<Exclude<Status, Status.Ok>, StatusText>> = {
  [Status.BadRequest]: {
    sentence: () => "The hypervisor could not read the request: its length or an argument is out of range.",
    hint: bug,
  },
  [Status.UnknownOp]: {
    sentence: () => "The hypervisor does not know this operation.",
    hint: "It is older than this control plane: run `npm run build`, then `hvkit down` and `hvkit up`.",
  },
  [Status.NoSuchGuest]: { sentence: () => "There is no such guest in the hypervisor.", hint: "`hvkit ps` lists the guests." },
  [Status.NoMemory]: {
    sentence: (w) => `Not enough free memory in the hypervisor: ${mebibytes(w[0])} wanted, ${mebibytes(w[1])} free.`,
    hint: "Remove a guest (`hvkit rm`), give this one less (`--memory`), or start the hypervisor with more (`hvkit up --memory`).",
  },
  [Status.NoSlot]: {
    sentence: () => `All ${GuestLimit.Slots} guest slots of the hypervisor are taken.`,
    hint: "Remove guests that have ended: `hvkit rm`.",
  },
  [Status.BadState]: {
    sentence: (w) => `The guest is ${runStateName(Number(w[0] ?? 0n))}: it cannot do that now.`,
    hint: "`hvkit ps` shows what each guest is doing.",
  },
  [Status.BadAddress]: { sentence: (w) => `${w[1] ?? 0n} bytes at guest-physical ${hex(w[0])} are not inside the guest's memory.` },
  [Status.BadMemorySize]: {
    sentence: (w) =>
      `A guest cannot have ${mebibytes(w[0])} of memory: it must be a multiple of 2 MiB from ${GuestLimit.MinMiB} MiB to ${GuestLimit.MaxMiB} MiB.`,
    hint: "For example `--memory 128M`.",
  },
  [Status.NoStore]: { sentence: () => "The machine has no store disk.", hint: "Only engines with one (Bochs) load images that way." },
  [Status.StoreFailed]: {
    sentence: (w) => `The store disk failed: ATA status and error register are ${hex(w[0])}.`,
    hint: "Look for a full disk, then restart the hypervisor: `hvkit down`, `hvkit up`.",
  },
  [Status.Refused]: { sentence: (w) => `The privileged layer refused call ${w[0] ?? 0n} of the hypervisor's core.`, hint: bug },
  [Status.Ended]: { sentence: (w) => `The guest ended while it was booting: ${describeEnd(Number(w[0] ?? 0n), w[1] ?? 0n)}` },
  [Status.NoSuchCpu]: {
    sentence: (w) =>
      `The guest is to run on CPU ${showCpuList(cpusOf(w[0] ?? 0n))}, but the hypervisor has CPU ${showCpuList(cpusOf(w[1] ?? 0n))}.`,
    hint: "`hvkit status` lists the CPUs; `hvkit up --cpus N` boots with more.",
  },
  [Status.NotTraced]: {
    sentence: () => "The guest's exits are not recorded.",
    hint: "`hvkit trace GUEST --on` begins it.",
  },
  [Status.ModuleRefused]: {
    sentence: (w) => `The hypervisor refused the machine module: ${moduleFaults[Number(w[0] ?? 0n)] ?? `fault ${w[0]}`}.`,
    hint: "Build it again with `npm run build`; if that does not help, restart the hypervisor: `hvkit down`, `hvkit up`.",
  },
  [Status.StateNotZero]: {
    sentence: (w) =>
      `The new machine module does not know a part of the guest's state, at offset ${w[0] ?? 0n} of its region, that is not 0.`,
    hint: "The guest goes on with the module that it has; `hvkit reset` starts it on the new one.",
  },
  [Status.MemoryGone]: {
    sentence: (w) => `The guest has ended, and its ${mebibytes(w[0])} of memory went to others when the hypervisor had none left.`,
    hint: "Its registers (`hvkit regs`), machine (`hvkit machine`) and console (`hvkit logs`) are still there.",
  },
  [Status.RegisterRefused]: {
    sentence: (w) => `The saved state cannot be loaded: ${registerName(Number(w[0] ?? 0n))} cannot be ${hex(w[1])} on this CPU.`,
    hint: damaged,
  },
  [Status.PartRefused]: {
    sentence: (w) => `The hypervisor refused a part of the saved state: ${(GuestPart[Number(w[0] ?? 0n)] ?? "unknown").toLowerCase()}.`,
    hint: damaged,
  },
  [Status.RecordRefused]: {
    sentence: (w) => `The saved state cannot be loaded: no machine is ever in the state that its record at ${hex(w[0])} says.`,
    hint: damaged,
  },
  [Status.CpuLacks]: {
    sentence: (w) => `This CPU lacks what the guest was told it has: ${lackingBits(w[0] ?? 0n)}.`,
    hint: "A new guest runs with `--cpu host`; a saved one only where all of this is there.",
  },
  [Status.BootBlockBad]: { sentence: (w) => `The boot block in the guest's memory is not valid (${hex(w[0])}).`, hint: bug },
  [Status.KindUnknown]: { sentence: (w) => `The hypervisor does not know guest kind ${w[0] ?? 0n}.`, hint: bug },
  [Status.LinuxTruncated]: {
    sentence: (w) => `The kernel file is cut short: a bzImage of its header would be longer than ${w[0] ?? 0n} bytes.`,
    hint: "Fetch or build the kernel again.",
  },
  [Status.LinuxNoMagic]: {
    sentence: (w) => `The kernel is not a bzImage: "HdrS" is missing at offset 202h (${hex(w[0])} is there).`,
    hint: "Give the bzImage (vmlinuz), not vmlinux or another format.",
  },
  [Status.LinuxTooOld]: { sentence: (w) => `The kernel's boot protocol ${protocolVersion(w[0])} is too old: 2.12 or newer is needed.` },
  [Status.LinuxNot64Bit]: {
    sentence: (w) => `The kernel has no 64-bit entry (xloadflags is ${hex(w[0])}).`,
    hint: "Use an x86-64 kernel with the EFI handover or 64-bit boot entry.",
  },
  [Status.LinuxNoRoom]: {
    sentence: (w) => `The kernel needs ${mebibytes(w[0])} of guest memory to unpack itself.`,
    hint: "Give the guest more with `--memory`.",
  },
  [Status.CommandLineTooLong]: { sentence: (w) => `The kernel command line of ${w[0] ?? 0n} bytes is longer than the kernel allows.` },
  [Status.InitrdNoRoom]: {
    sentence: (w) => `The initrd (${hex(w[0])}) does not fit into the guest's memory beside the kernel.`,
    hint: "Give the guest more with `--memory`.",
  },
  [Status.MultibootNoHeader]: {
    sentence: () => "The file has no multiboot header (1BADB002h, with a right checksum) in its first 8 KiB.",
    hint: "Link the header into the first 8192 bytes, on a 4-byte boundary.",
  },
  [Status.MultibootFlags]: { sentence: (w) => `The multiboot header asks for features that hvkit does not have (flags ${hex(w[0])}).` },
  [Status.ElfTruncated]: { sentence: (w) => `The ELF file is cut short: it needs byte ${w[0] ?? 0n}.` },
  [Status.ElfBad]: {
    sentence: (w) => `The file is not an ELF32 executable for x86 (${hex(w[0])}).`,
    hint: "Link for i386, or convert with `objcopy -O elf32-i386`.",
  },
  [Status.ElfOverlap]: { sentence: (w) => `Two segments of the ELF file overlap at ${hex(w[0])}.` },
  [Status.ElfOverflow]: { sentence: (w) => `A segment of the ELF file at ${hex(w[0])} runs past the end of the address space.` },
  [Status.ElfNoRoom]: {
    sentence: (w) => `A segment of the ELF file at ${hex(w[0])} does not fit into the guest's memory.`,
    hint: "Give the guest more with `--memory`.",
  },
  [Status.ElfEntryOutside]: { sentence: (w) => `The entry point ${hex(w[0])} is in no segment of the ELF file.` },
  [Status.BootSectorSize]: { sentence: (w) => `A boot sector has 512 bytes, this file has ${w[0] ?? 0n}.` },
  [Status.BootSectorNoSignature]: {
    sentence: (w) => `The boot sector does not end with 55h AAh (${hex(w[0])} is there).`,
    hint: "In NASM: `times 510-($-$$) db 0`, then `dw 0xaa55`.",
  },
  [Status.ModuleNoRoom]: {
    sentence: (w) => `The module at ${hex(w[0])} does not fit into the guest's memory, or lies in the kernel's way.`,
    hint: "Give the guest more with `--memory`.",
  },
};

const moduleFaults: Readonly<Record<number, string>> = {
  [ModuleFault.Slot]: "there is no such place for one",
  [ModuleFault.InUse]: "guests run on what is in its place",
  [ModuleFault.Range]: "it is not whole pages, or larger than its place",
  [ModuleFault.Header]: "it is not a module, or was linked for another place",
  [ModuleFault.Instance]: "its instance is larger than a guest has room for",
  [ModuleFault.Base]: "it was made for a hypervisor of other sources",
};

/** Of Status.CpuLacks. */
function lackingBits(word: bigint): string {
  const names = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (word >> BigInt(bit)) & 1n);
  return `${cpuidWord(Number(word >> 40n), Number((word >> 32n) & 3n))} bit ${names.join(", ")}`;
}

function protocolVersion(word: bigint | undefined): string {
  const version = Number(word ?? 0n);
  return `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
}

/** E_HV_ and the Status's name: NoMemory is E_HV_NO_MEMORY, LinuxNot64Bit is E_HV_LINUX_NOT_64_BIT. */
export function statusCode(status: number): string {
  const name = Status[status];
  if (name === undefined) return "E_HV_UNKNOWN_STATUS";
  return `E_HV_${name
    .replace(/([a-z])([A-Z0-9])/g, "$1_$2")
    .replace(/([0-9])([A-Z])/g, "$1_$2")
    .toUpperCase()}`;
}

/** The error for a failed reply. */
export function statusError(operation: string, status: number, words: Evidence): HvkitError {
  const text = (statusTexts as Record<number, StatusText | undefined>)[status];
  const message = text ? text.sentence(words) : `The hypervisor answered ${operation} with unknown status ${status}.`;
  const data = { operation, status, statusName: Status[status] ?? null, words: words.map((word) => `0x${word.toString(16)}`) };
  return new HvkitError(statusCode(status), message, text?.hint === undefined ? { data } : { data, hint: text.hint });
}

interface EndText {
  /** stable, for scripts and --json */
  code: string;
  sentence: (value: bigint) => string;
  /** whose doing it was: the guest asked, the user asked, hvkit does not do it, or hvkit's own machine failed */
  cause: "none" | "guest" | "user" | "unsupported" | "machine";
}

/** SVM's exit code, VMX's exit reason with bit 31 (SDM vol. 3, 27.8), or a VM-instruction error (31.4). */
function entryError(value: bigint): string {
  if (value === SVM_INVALID) return "VMEXIT_INVALID";
  const number = value & 0xffffn;
  const [kind, names] = value >> 31n ? ["exit reason", failedEntries] : ["VM-instruction error", instructionErrors];
  const name = names[Number(number)];
  return `${kind} ${number}${name === undefined ? "" : `, ${name}`}`;
}

const SVM_INVALID = 0xffff_ffffn;
const failedEntries: Record<number, string> = { 33: "invalid guest state", 34: "MSR loading", 41: "machine check" };
const instructionErrors: Record<number, string> = {
  4: "VMLAUNCH with a VMCS that is not clear",
  5: "VMRESUME with a VMCS that is not launched",
  7: "invalid control fields",
  8: "invalid host-state fields",
  26: "events blocked by MOV SS",
};

const exceptionVector = (value: bigint): string => `exception ${value}`;

export const endTexts: Readonly<Record<EndReason, EndText>> = {
  [EndReason.None]: { code: "none", cause: "none", sentence: () => "It has not ended." },
  [EndReason.PowerOff]: { code: "power-off", cause: "guest", sentence: () => "It powered itself off." },
  [EndReason.Reset]: { code: "reset", cause: "guest", sentence: () => "It reset itself." },
  [EndReason.DebugExit]: { code: "debug-exit", cause: "guest", sentence: (v) => `It wrote to the debug-exit port: exit status ${v}.` },
  [EndReason.HaltedForever]: {
    code: "halted-forever",
    cause: "guest",
    sentence: () => "It halted with interrupts off: nothing can wake it.",
  },
  [EndReason.TripleFault]: {
    code: "triple-fault",
    cause: "guest",
    sentence: () => "Triple fault: an exception came while a double fault was delivered.",
  },
  [EndReason.Killed]: { code: "killed", cause: "user", sentence: () => "It was killed by request." },
  [EndReason.UnbackedMemory]: {
    code: "unbacked-memory",
    cause: "unsupported",
    sentence: (v) => `It used guest-physical address ${hex(v)}, where the machine has no memory.`,
  },
  [EndReason.UnknownExit]: {
    code: "unknown-exit",
    cause: "unsupported",
    sentence: (v) => `It did something that the machine does not handle: raw exit reason ${hex(v)}.`,
  },
  [EndReason.TaskSwitch]: {
    code: "task-switch",
    cause: "unsupported",
    sentence: (v) => `It did a hardware task switch (TSS selector ${hex(v)}), which the machine does not have.`,
  },
  [EndReason.Undecodable]: {
    code: "undecodable",
    cause: "unsupported",
    sentence: (v) => `The instruction at ${hex(v)} could not be decoded.`,
  },
  [EndReason.EntryFailed]: {
    code: "entry-failed",
    cause: "machine",
    sentence: (v) => `The CPU refused to enter the guest: ${entryError(v)}.`,
  },
  [EndReason.OutOfMemory]: {
    code: "out-of-memory",
    cause: "user",
    sentence: (v) =>
      v === 0n
        ? "The hypervisor had no memory left for what guests write to memory that they share. This one had taken most, and gave its own for the others."
        : `A device wrote to memory that it shares with a copy (guest-physical address ${hex(v)}), and the hypervisor had none free for a page of its own.`,
  },
  [EndReason.TrapOutOfBounds]: trap("trap-out-of-bounds", "it left the bounds of its memory"),
  [EndReason.TrapUnreachable]: trap("trap-unreachable", "it reached code that must not be reached"),
  [EndReason.TrapIntegerOverflow]: trap("trap-integer-overflow", "an integer overflowed"),
  [EndReason.TrapDivideByZero]: trap("trap-divide-by-zero", "it divided by zero"),
  [EndReason.TrapInvalidConversion]: trap("trap-invalid-conversion", "it converted a number that does not fit"),
  [EndReason.TrapCallIndirect]: trap("trap-call-indirect", "it called through a bad table index"),
  [EndReason.TrapStackExhausted]: trap("trap-stack-exhausted", "its stack ran out"),
  [EndReason.TrapRunaway]: trap("trap-runaway", "it did not come back within 50 ms"),
  [EndReason.TrapException]: {
    code: "trap-exception",
    cause: "machine",
    sentence: (v) => `The guest's machine module trapped: host ${exceptionVector(v)} in its code. A bug in hvkit; other guests go on.`,
  },
};

function trap(code: string, what: string): EndText {
  return { code, cause: "machine", sentence: () => `The guest's machine module trapped: ${what}. A bug in hvkit; other guests go on.` };
}

const endText = (reason: number): EndText | undefined => (endTexts as Record<number, EndText | undefined>)[reason];

/** Stable kebab code of an EndReason, such as `triple-fault`. */
export const endReasonCode = (reason: number): string => endText(reason)?.code ?? `unknown-${reason}`;

/** It ended by its machine's fault, or by the entry that its machine asked for: no guest may bring that about. */
export const isMachineFault = (code: string): boolean =>
  Object.values(endTexts).some((text) => text.code === code && text.cause === "machine");

/** Why a guest ended, as one sentence. */
export const describeEnd = (reason: number, value: bigint): string =>
  endText(reason)?.sentence(value) ?? `It ended for unknown reason ${reason} (${hex(value)}).`;

export const exitReasonNames: Readonly<Record<Exclude<ExitReason, ExitReason.Count>, string>> = {
  [ExitReason.Cpuid]: "cpuid",
  [ExitReason.Hypercall]: "hypercall",
  [ExitReason.Hlt]: "hlt",
  [ExitReason.IoIn]: "io-in",
  [ExitReason.IoOut]: "io-out",
  [ExitReason.IoString]: "io-string",
  [ExitReason.Rdmsr]: "rdmsr",
  [ExitReason.Wrmsr]: "wrmsr",
  [ExitReason.CrAccess]: "cr-access",
  [ExitReason.Xsetbv]: "xsetbv",
  [ExitReason.InterruptWindow]: "interrupt-window",
  [ExitReason.NmiWindow]: "nmi-window",
  [ExitReason.NestedFault]: "nested-fault",
  [ExitReason.Exception]: "exception",
  [ExitReason.TripleFault]: "triple-fault",
  [ExitReason.TaskSwitch]: "task-switch",
  [ExitReason.CacheControl]: "cache-control",
  [ExitReason.Undefined]: "undefined",
  [ExitReason.Pause]: "pause",
  [ExitReason.HostInterrupt]: "host-interrupt",
  [ExitReason.EntryFailed]: "entry-failed",
  [ExitReason.Init]: "init",
  [ExitReason.Unknown]: "unknown",
  [ExitReason.Rdtsc]: "rdtsc",
  [ExitReason.DrAccess]: "dr-access",
};

export const exitReasonName = (reason: number): string =>
  (exitReasonNames as Record<number, string | undefined>)[reason] ?? `reason-${reason}`;

export const runStateNames: Readonly<Record<RunState, string>> = {
  [RunState.Empty]: "empty",
  [RunState.Created]: "created",
  [RunState.Runnable]: "running",
  [RunState.Halted]: "halted",
  [RunState.Paused]: "paused",
  [RunState.Ended]: "ended",
};

export const runStateName = (state: number): string => (runStateNames as Record<number, string | undefined>)[state] ?? `state-${state}`;

export const vendorNames: Readonly<Record<Vendor, string>> = {
  [Vendor.None]: "none",
  [Vendor.Vmx]: "Intel VMX",
  [Vendor.Svm]: "AMD SVM",
};

export const vendorName = (vendor: number): string => (vendorNames as Record<number, string | undefined>)[vendor] ?? `vendor-${vendor}`;

const featureNames: readonly (readonly [Feature, string])[] = [
  [Feature.NextRip, "next-rip"],
  [Feature.DecodeAssist, "decode-assist"],
  [Feature.TscScaling, "tsc-scaling"],
  [Feature.Xsave, "xsave"],
  [Feature.Avx, "avx"],
  [Feature.PreemptionTimer, "preemption-timer"],
  [Feature.UnderHypervisor, "under-hypervisor"],
];

/** Names of the Feature bits that are set. */
export const featureList = (bits: number): string[] => featureNames.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name);

/** `rax`, `cs.selector`, `kernelGsBase`: Register's name as people and --json see it. */
export function registerName(register: number): string {
  const name = Register[register] ?? ExitField[register] ?? `register${register}`;
  const segment = /^(Es|Cs|Ss|Ds|Fs|Gs|Ldtr|Tr|Gdtr|Idtr)(Selector|Base|Limit|Attributes)$/.exec(name);
  if (segment?.[1] && segment[2]) return `${segment[1].toLowerCase()}.${segment[2].toLowerCase()}`;
  return name.charAt(0).toLowerCase() + name.slice(1);
}

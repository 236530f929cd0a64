// Asks /dev/kvm itself (Linux, Documentation/virt/kvm/api.rst): its version, whether a VM can be made, and whether the CPU that a
// guest gets has VMX or SVM. Asked by doctor and by the engines.
import { closeSync, existsSync, openSync } from "node:fs";
import { constants } from "node:os";
import koffi from "koffi";

export interface KvmFacts {
  /** /dev/kvm is there */
  present: boolean;
  /** errno's name of opening it; null: it opened, or is not there */
  openError: string | null;
  apiVersion: number | null;
  /** KVM_CREATE_VM: "ok", errno's name, or null when not tried */
  createVm: string | null;
  /** what KVM_GET_SUPPORTED_CPUID offers to guests; null when it could not be asked */
  guestVmx: boolean | null;
  guestSvm: boolean | null;
}

const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
/** _IOWR(0xAE, 0x05, struct kvm_cpuid2), whose fixed part is { u32 nent, u32 padding } */
const KVM_GET_SUPPORTED_CPUID = 0xc008ae05;
const CPUID_ENTRIES = 256;
/** struct kvm_cpuid_entry2: function, index, flags, eax, ebx, ecx, edx, padding[3] */
const CPUID_ENTRY_BYTES = 40;
const ENTRY_ECX = 20;

export function probeKvm(path = "/dev/kvm"): KvmFacts {
  const facts: KvmFacts = { present: existsSync(path), openError: null, apiVersion: null, createVm: null, guestVmx: null, guestSvm: null };
  if (!facts.present) return facts;
  let kvm: number;
  try {
    kvm = openSync(path, "r+");
  } catch (error) {
    facts.openError = (error as NodeJS.ErrnoException).code ?? "unknown";
    return facts;
  }
  try {
    const ioctl = loadIoctl();
    const version = ioctl(kvm, KVM_GET_API_VERSION, null);
    facts.apiVersion = version < 0 ? null : version;
    const vm = ioctl(kvm, KVM_CREATE_VM, null);
    facts.createVm = vm < 0 ? errnoName() : "ok";
    if (vm >= 0) closeSync(vm);
    const table = Buffer.alloc(8 + CPUID_ENTRIES * CPUID_ENTRY_BYTES);
    table.writeUInt32LE(CPUID_ENTRIES, 0);
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table) === 0) {
      facts.guestVmx = (ecxOf(table, 1) & (1 << 5)) !== 0; // SDM vol. 2, CPUID.1:ECX.VMX
      facts.guestSvm = (ecxOf(table, 0x80000001) & (1 << 2)) !== 0; // APM vol. 3, Fn8000_0001 ECX.SVM
    }
  } finally {
    closeSync(kvm);
  }
  return facts;
}

/** Declared with three fixed arguments: on Linux, x86-64 and arm64, they go as the variadic ones do. */
function loadIoctl(): (fd: number, request: number, argument: Buffer | null) => number {
  return koffi.load(null).func("int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)");
}

function ecxOf(table: Buffer, leaf: number): number {
  const count = table.readUInt32LE(0);
  for (let index = 0; index < count; index++) {
    const entry = 8 + index * CPUID_ENTRY_BYTES;
    if (table.readUInt32LE(entry) === leaf) return table.readUInt32LE(entry + ENTRY_ECX);
  }
  return 0;
}

function errnoName(): string {
  const number = koffi.errno();
  return Object.entries(constants.errno).find(([, value]) => value === number)?.[0] ?? String(number);
}

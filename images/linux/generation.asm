; generation: prints which copy this guest is (hypercall 2 of hv/machine/hypercall.ts): 0 for one that is none, and another number in each that was
; cloned or restored. A program that kept what must not be the same in two machines looks whether it has changed.

%include "elf64.inc"

start:
  xor eax, eax
  cpuid
  mov eax, 2
  cmp ebx, "Auth"                         ; enticAMD: the other vendor's instruction raises #UD there
  je .amd
  vmcall
  jmp .print
.amd:
  vmmcall
.print:
%include "decimal.inc"
image_end:

; exits: what an exit costs. Prints `exit.NAME N.N`: ticks of the TSC for one iteration, loop included, the least of ROUNDS
; rounds of COUNT. Under QEMU's -icount shift=0 and in Bochs a tick is an instruction.
;
; hypercall is left out where the instruction raises #UD (no hypervisor that takes it); rdmsr likewise after #GP.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "power.inc"

%define COUNT 1000
%define ROUNDS 5
%define IA32_BIOS_SIGN_ID 0x8B

; %1: name, %2: registers' load, %3: the instruction. Uses RSI as the counter.
%macro measure 3
  mov qword [least], -1
  mov edi, ROUNDS
  expect %%absent
%%round:
  call begin
  mov esi, COUNT
  align 16
%%loop:
  %2
  %3
  dec esi
  jnz %%loop
  call end
  dec edi
  jnz %%round
  mov qword [fault_resume], 0
  print %1, " "
  call report
%%absent:
%endmacro

main:
  print "exits: start", 10
  call idt_init
  call hypercall_init
  measure "exit.cpuid", {xor eax, eax}, cpuid
  cmp byte [intel], 0
  je .amd
  measure "exit.hypercall", {xor eax, eax}, vmcall
  jmp .io
.amd:
  measure "exit.hypercall", {xor eax, eax}, vmmcall
.io:
  measure "exit.out", {xor eax, eax}, {out 0x80, al}
  mov edx, COM1 + UART_LSR
  measure "exit.in", {xor eax, eax}, {in al, dx}
  mov ecx, IA32_BIOS_SIGN_ID
  measure "exit.rdmsr", {xor eax, eax}, rdmsr
  print "exits: done", 10
  ret

; Out: [intel] 1 when the vendor is GenuineIntel: VMCALL there, VMMCALL elsewhere.
hypercall_init:
  xor eax, eax
  cpuid
  cmp ebx, "Genu"
  sete [intel]
  ret

; begin, end: the TSC around a round; the least difference is kept. Clobbers RAX, and begin leaves RDX, RCX, RBX alone.
begin:
  push rdx
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov [start], rax
  pop rdx
  ret
end:
  push rdx
  rdtsc
  shl rdx, 32
  or rax, rdx
  sub rax, [start]
  cmp rax, [least]
  jae .done
  mov [least], rax
.done:
  pop rdx
  ret

; Prints [least] / COUNT with one digit after the point.
report:
  mov rax, [least]
  xor edx, edx
  mov ecx, COUNT / 10
  div rcx
  xor edx, edx
  mov ecx, 10
  div rcx
  call put_decimal
  mov al, "."
  call put_char
  lea eax, [rdx + "0"]
  call put_char
  print 10
  ret

intel: db 0
align 8
start: dq 0
least: dq 0

%include "end.inc"

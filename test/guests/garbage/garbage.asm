; garbage: fills a MiB with pseudo-random bytes (xorshift64, seed=N) and jumps into it. An exception goes on at the next of them,
; so that thousands of random instructions run, until one of them ends the guest or spins for ever.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "power.inc"

%define AREA 0x200000
%define AREA_BYTES 0x100000
%define STEP 64                           ; bytes from one start to the next

main:
  mov rsi, name_seed
  mov eax, 1
  call option_number
  mov rbx, rax
  call idt_init
  mov edi, AREA
.fill:
  mov rax, rbx
  shl rax, 13
  xor rbx, rax
  mov rax, rbx
  shr rax, 7
  xor rbx, rax
  mov rax, rbx
  shl rax, 17
  xor rbx, rax
  mov [rdi], rbx
  add edi, 8
  cmp edi, AREA + AREA_BYTES
  jne .fill
  print "garbage: now", 10
  mov dword [next], AREA
.again:
  expect .again
  mov esp, stack_top
  mov eax, [next]
  cmp eax, AREA + AREA_BYTES
  jae .done
  add dword [next], STEP
  mov [fault_stack], rsp
  jmp rax
.done:
  mov qword [fault_resume], 0
  print "garbage: done", 10
  jmp power_off

name_seed: db "seed=", 0
align 4
next: dd 0

%include "end.inc"

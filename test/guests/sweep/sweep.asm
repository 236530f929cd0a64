; sweep: reads and writes every port by each width, with pseudo-random values (seed=N), then every MSR of the three ranges that MSR bitmaps
; know, with patterns (patterns=N: 1 zeros, 2 ones, 4 a random value). Once, then it says so. images/torture checks what comes of it; here it only must not harm anyone.
; Not written: ports that end the guest (they have tests of their own), by an access that would reach them.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "power.inc"

main:
  mov rsi, name_seed
  mov eax, 1
  call option_number
  mov r15, rax
  mov rsi, name_patterns
  mov eax, 7
  call option_number
  mov rbp, rax
  call idt_init
  print "sweep: now", 10
  call ports
  call serial_init
  print "sweep: ports", 10
  mov ecx, 0
  call msrs
  mov ecx, 0xC0000000
  call msrs
  mov ecx, 0xC0010000
  call msrs
  print "sweep: msrs, there are "
  print_decimal r13
  print 10
  jmp power_off

; xorshift64. In and out: R15 state. Out: RAX
random:
  mov rax, r15
  shl rax, 13
  xor r15, rax
  mov rax, r15
  shr rax, 7
  xor r15, rax
  mov rax, r15
  shl rax, 17
  xor r15, rax
  mov rax, r15
  ret

ports:
  xor ebx, ebx
.next:
  mov edx, ebx
  in al, dx
  in ax, dx
  in eax, dx
  mov edi, 1
  call ends
  jc .word
  call random
  mov edx, ebx
  out dx, al
.word:
  mov edi, 2
  call ends
  jc .dword
  call random
  mov edx, ebx
  out dx, ax
.dword:
  mov edi, 4
  call ends
  jc .done
  call random
  mov edx, ebx
  out dx, eax
.done:
  inc ebx
  cmp ebx, 0x10000
  jne .next
  ret

; In: EBX port, EDI bytes. Out: CF when they reach a port that ends the guest. Clobbers: EAX, ESI
ends:
  mov esi, ending
.next:
  movzx eax, word [rsi]
  sub eax, ebx
  jb .free
  cmp eax, edi
  jb .reaches
.free:
  add esi, 2
  cmp esi, ending_end
  jne .next
  clc
  ret
.reaches:
  stc
  ret
; the keyboard controller's data (its output port) and command, debug exit, ACPI, reset control, Bochs' shutdown
ending: dw 0x60, 0x64, 0xF4, 0x604, 0xB004, 0xCF9, 0x8900
ending_end:

; The 8192 MSRs from ECX on: read, written with the patterns of EBP; one that is there gets back what it had.
; In and out: R13 how many are there
msrs:
  mov r12d, 0x2000
.next:
  mov r14d, ecx
  xor r10d, r10d
  expect .absent
  rdmsr
  mov qword [fault_resume], 0
  inc r13d
  inc r10d
  mov r8d, eax
  mov r9d, edx
.absent:
  test ebp, 1
  jz .ones
  xor eax, eax
  xor edx, edx
  call write
.ones:
  test ebp, 2
  jz .random
  mov eax, -1
  mov edx, -1
  call write
.random:
  test ebp, 4
  jz .back
  call random
  mov rdx, rax
  shr rdx, 32
  call write
.back:
  test r10d, r10d
  jz .done
  mov eax, r8d
  mov edx, r9d
  call write
.done:
  mov ecx, r14d
  inc ecx
  dec r12d
  jnz .next
  ret

; In: ECX MSR, EDX:EAX. A fault is as good as none.
write:
  expect .done
  wrmsr
  mov qword [fault_resume], 0
.done:
  ret

name_seed: db "seed=", 0
name_patterns: db "patterns=", 0

%include "end.inc"

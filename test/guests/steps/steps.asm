; steps: rounds of instructions that a debugger's step must know: those that exit, that store or load flags, that fault, that enter and leave
; a handler, under timer interrupts. A hash over what they store is printed each round; it is the same whether the guest is stepped
; or not. The first line tells where `round` and `watched` are.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

%define IA32_STAR 0xC0000081
%define IA32_LSTAR 0xC0000082
%define IA32_SFMASK 0xC0000084
%define EFER_SCE 1
%define FLAGS_TF_IF 0x300

; A handler of a few instructions, instead of the common one. %1: vector, %2: routine
%macro gate 2
  mov eax, %2
  mov [idt + %1 * 16], ax
  shr eax, 16
  mov [idt + %1 * 16 + 6], ax
%endmacro

main:
  call idt_init
  gate 6, on_undefined
  gate 0x28, on_interrupt
  mov ecx, IA32_EFER
  rdmsr
  or eax, EFER_SCE
  wrmsr
  mov ecx, IA32_STAR
  xor eax, eax
  mov edx, SEL_CODE64
  wrmsr
  mov ecx, IA32_LSTAR
  mov eax, on_syscall
  xor edx, edx
  wrmsr
  mov ecx, IA32_SFMASK
  mov eax, FLAGS_TF_IF
  wrmsr
  print "steps: round at "
  mov eax, round
  print_hex rax
  print " watched at "
  mov eax, watched
  print_hex rax
  print 10
  mov eax, PIT_HZ / 100
  call timer_init
  sti

round:                                    ; R15: the hash
  inc qword [count]
  mov r15, [count]
  pushfq
  pop rax
  call hash
  xor eax, eax
  cpuid
  mov eax, ebx
  call hash
  mov dx, 0x2F0
  in al, dx
  call hash
  mov al, 7
  out 0x80, al
  mov ecx, IA32_EFER
  rdmsr
  call hash
  int 0x28
  ud2                                     ; on_undefined goes on behind it
  syscall
  pushfq
  popfq
  push 0x2D7
  popfq
  pushfq
  pop rax
  call hash
  mov rax, rsp
  push SEL_DATA
  push rax
  push 0x202
  push SEL_CODE64
  push .returned
  iretq
.returned:
  mov edi, buffer
  mov ecx, 5
  rep stosb
  mov esi, buffer
  mov ecx, 3
  mov dx, 0x80
  rep outsb
  mov ax, SEL_DATA
  mov ss, ax
  nop
  mov dword [watched], eax
  sti
  hlt                                     ; the timer's interrupt ends it
  mov rax, [buffer]
  call hash
.last:
  call report
  jmp round

; In: RAX  Out: R15 the hash, further. Clobbers R14
hash:
  xor r15, rax
  mov r14, 0x9E3779B97F4A7C15
  imul r15, r14
  rol r15, 23
  ret

report:
  print "steps: round "
  print_decimal [count]
  print " hash "
  print_hex r15
  print " ticks "
  print_decimal [ticks]
  print 10
  ret

on_undefined:
  add qword [rsp], 2
on_interrupt:
  mov rax, [rsp + 16]                     ; the flags that it pushed
  call hash
  iretq

on_syscall:
  mov rax, r11
  call hash
  push r11
  popfq
  jmp rcx

align 8
count: dq 0
watched: dq 0
buffer: dq 0

%include "end.inc"

; alarm: sleeps until the 8254's one-shot interrupts, `rounds` times for `counts` of its clocks, and then says how long each sleep was, in
; ticks of the TSC, from just before the counter began to the interrupt:
;
;   alarm: slept N N N ... .
;
; busy=N: after each sleep it works for N instructions.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

%define MODE_ONE_SHOT 0x30                ; channel 0, low then high byte, mode 0: OUT rises when the count is over
%define SLEPT 0x200000

main:
  mov esi, counts_option
  mov eax, 1193
  call option_number
  mov r12d, eax
  mov esi, rounds_option
  mov eax, 100
  call option_number
  mov r13d, eax
  call idt_init
  xor eax, eax
  call timer_init
  mov eax, PIC_BASE
  mov edx, alarm_interrupt
  call hook
  mov esi, busy_option
  xor eax, eax
  call option_number
  mov r14, rax
  xor ebx, ebx
.round:
  out_byte PIT_MODE, MODE_ONE_SHOT
  mov eax, r12d
  out PIT_CHANNEL0, al
  mov dword [rung], 0
  rdtsc
  shl rdx, 32
  or rdx, rax
  mov r8, rdx
  mov eax, r12d
  mov al, ah
  out PIT_CHANNEL0, al
.wait:
  sti
  hlt                                     ; nothing interrupts between the two
  cli
  cmp dword [rung], 0
  je .wait
  sub [SLEPT + rbx * 8], r8
  mov rax, r14
.busy:
  sub rax, 2
  jns .busy
  inc ebx
  cmp ebx, r13d
  jb .round
  print "alarm: slept "
  xor ebx, ebx
.print:
  print_decimal [SLEPT + rbx * 8]
  print " "
  inc ebx
  cmp ebx, r13d
  jb .print
  print ".", 10
  jmp power_off

alarm_interrupt:
  rdtsc
  shl rdx, 32
  or rdx, rax
  mov [SLEPT + rbx * 8], rdx
  mov dword [rung], 1
  out_byte PIC1_COMMAND, PIC_EOI
  ret

counts_option: db "counts=", 0
rounds_option: db "rounds=", 0
busy_option: db "busy=", 0
align 4
rung: dd 0

%include "end.inc"

; hello64: multiboot to long mode, a line with the command line, timer interrupts counted with HLT between them.
;
;   ticks=N   how many lines `hello64: tick` to print before the end (default: for ever)
;   hz=N      timer interrupts a second (default 100); a line each second
;   end=halt  at the end: interrupts off, HLT (default: power off)

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

main:
  print "hello64: long mode", 10
  print "hello64: command line: "
  mov esi, [command_line]
  test esi, esi
  jz .no_command_line
  call put_string
.no_command_line:
  print 10

  mov rsi, name_hz
  mov eax, 100
  call option_number
  mov [hz], rax
  mov rsi, name_ticks
  mov rax, -1
  call option_number
  mov [lines], rax

  call idt_init
  mov eax, PIT_HZ
  xor edx, edx
  div qword [hz]
  call timer_init
  xor ebx, ebx                            ; lines printed
.line:
  cmp rbx, [lines]
  je .end
  mov rbp, [ticks]
  add rbp, [hz]
.sleep:
  cli
  cmp [ticks], rbp
  jae .second
  sti
  hlt                                     ; STI holds interrupts off until HLT waits: none is missed
  jmp .sleep
.second:
  inc rbx
  print "hello64: tick "
  print_decimal rbx
  print 10
  jmp .line
.end:
  print "hello64: done", 10
  mov rsi, name_end
  call option
  test rsi, rsi
  jz power_off
  cmp dword [rsi], "halt"
  jne power_off
  cli
  hlt

name_hz: db "hz=", 0
name_ticks: db "ticks=", 0
name_end: db "end=", 0
align 8
hz: dq 0
lines: dq 0

%include "end.inc"

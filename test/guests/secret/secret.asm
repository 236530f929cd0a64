; secret: fills all RAM above its own image with secret=N, and waits with interrupts off but not halted: for the test that a dead
; guest's RAM is not found by the next one (search).

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "memory.inc"
%include "power.inc"

main:
  mov rsi, name_secret
  xor eax, eax
  call option_number
  mov rdi, RAM_START
  call memory_end
  mov rcx, rdx
  sub rcx, rdi
  shr rcx, 3
  rep stosq
  print "secret: everywhere", 10
.wait:
  pause
  jmp .wait

name_secret: db "secret=", 0

%include "end.inc"

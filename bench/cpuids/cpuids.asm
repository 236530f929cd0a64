; cpuids: count=N CPUID exits and nothing else between two lines of console output. Two runs with different counts give what one
; exit costs, whatever the rest takes.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

main:
  print "cpuids: start", 10
  mov rsi, name_count
  xor eax, eax
  call option_number
  mov rsi, rax
.next:
  xor eax, eax
  cpuid
  dec rsi
  jnz .next
  print "cpuids: done", 10
  ret

name_count: db "count=", 0

%include "end.inc"

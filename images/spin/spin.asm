; spin: interrupts off, for ever, with no instruction that exits: only a host timer gets the CPU back from it.
; `counter`, the quadword at SPIN_COUNTER, goes up all the time: `hvkit mem` shows whether the guest runs.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

%define SPIN_COUNTER 0x200000

main:
  print "spin: interrupts off, for ever", 10
  cli
  mov qword [SPIN_COUNTER], 0
.spin:
  inc qword [SPIN_COUNTER]
  jmp .spin

%include "end.inc"

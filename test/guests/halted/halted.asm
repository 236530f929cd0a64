; halted: HLT with interrupts off. Nothing can wake it.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

main:
  print "halted: now", 10
  cli
  hlt
  print "FAIL halted: HLT came back", 10
  ret

%include "end.inc"

; triple: an exception with no interrupt table is a triple fault.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

main:
  print "triple: now", 10
  lidt [none]
  ud2
none:
  dw 0
  dq 0

%include "end.inc"

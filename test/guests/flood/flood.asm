; flood: writes to the console as fast as it can, for ever; a number in each line, so that a lost one shows.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

main:
  xor ebx, ebx
.line:
  inc rbx
  print_decimal rbx
  print " flood flood flood flood flood flood flood flood", 10
  jmp .line

%include "end.inc"

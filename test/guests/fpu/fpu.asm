; fpu: loads its FPU state from memory, for ever. QEMU 7.2 writes to its first CPU meanwhile, whatever CPU this one is on.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"
main:
  print "fpu: now", 10
  fninit
  fxsave64 [area]
.again:
  fxrstor64 [area]
  jmp .again
align 16
area: times 512 db 0
%include "end.inc"

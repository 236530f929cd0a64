; tsc: prints the time-stamp counter in decimal, for scripts/bench.mjs. It is read first of all.

%include "elf64.inc"

start:
  rdtsc
  shl rdx, 32
  or rax, rdx
%include "decimal.inc"
image_end:

; gaps: reads the TSC without end, and writes down each time that it stood for longer than GAP ticks: its last reading before and its first one
; after, from GAPS_AREA + 16 on, at GAPS_AREA their count. Two of these on one CPU say how long it takes from one to the other.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

%define GAPS_AREA 0x200000
%define GAPS 256
%define GAP 100000

main:
  print "gaps: start", 10
  cli
  mov edi, GAPS_AREA
  mov qword [rdi], 0
  rdtsc
  shl rdx, 32
  lea rsi, [rdx + rax]
.read:
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov rbx, rax
  sub rbx, rsi
  cmp rbx, GAP
  ja .gap
  mov rsi, rax
  jmp .read
.gap:
  mov rcx, [rdi]
  cmp rcx, GAPS
  jae .full
  shl rcx, 4
  mov [rdi + rcx + 16], rsi
  mov [rdi + rcx + 24], rax
  inc qword [rdi]
.full:
  mov rsi, rax
  jmp .read

%include "end.inc"

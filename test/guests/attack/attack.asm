; attack: makes the machine module of test/hostile do what a machine must not do: CPUID with EAX = ATTACK + attack=N,
; and EBX = depth=N.
; With the product's module nothing happens but a CPUID of an unknown leaf.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

%define ATTACK 0x48560000

main:
  mov rsi, name_attack
  xor eax, eax
  call option_number
  mov r12, rax
  print "attack: "
  print_decimal r12
  print 10
  mov rsi, name_depth
  xor eax, eax
  call option_number
  mov ebx, eax
  lea eax, [r12 + ATTACK]
  xor ecx, ecx
  cpuid
  ; the machine came back: EAX refused calls, EBX calls that were not refused as they should, EDX the first of those
  mov r13d, edx
  print "attack: refused "
  print_decimal rax
  print ", not refused "
  print_decimal rbx
  print ", the first "
  print_decimal r13
  print 10
  ret

name_attack: db "attack=", 0
name_depth: db "depth=", 0

%include "end.inc"

; multiboot: prints what the loader gave it, so that a test can compare: upper memory, and each module's size, checksum (a sum of
; its bytes) and command line (Multiboot 0.6.96, 3.3).

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "memory.inc"
%include "power.inc"

%define INFO_MODULES (1 << 3)
%define INFO_MODULES_COUNT 20
%define INFO_MODULES_ADDRESS 24

main:
  call memory_end
  print "multiboot: memory "
  print_decimal rdx
  print 10
  mov ebp, [multiboot_information]
  test dword [rbp], INFO_MODULES
  jz .done
  mov r12d, [rbp + INFO_MODULES_COUNT]
  mov r13d, [rbp + INFO_MODULES_ADDRESS]
.module:
  test r12d, r12d
  jz .done
  mov esi, [r13]
  mov edi, [r13 + 4]
  mov r14, rdi
  sub r14, rsi
  xor ebx, ebx
.sum:
  cmp esi, edi
  jae .summed
  movzx eax, byte [rsi]
  add rbx, rax
  inc esi
  jmp .sum
.summed:
  print "multiboot: module "
  print_decimal r14
  print " sum "
  print_decimal rbx
  print " "
  mov esi, [r13 + 8]
  test esi, esi
  jz .no_name
  call put_string
.no_name:
  print 10
  add r13, 16
  dec r12d
  jmp .module
.done:
  print "multiboot: done", 10
  ret

%include "end.inc"

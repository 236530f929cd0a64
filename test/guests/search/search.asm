; search: looks for a quadword in all of its RAM, whose complement is not=N (so that the command line does not hold it), at every
; quadword from 0 to the end. It is in a register only, so each one that is found is somebody else's.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "memory.inc"
%include "power.inc"

main:
  mov rsi, name_not
  xor eax, eax
  call option_number
  call memory_end
  xor edi, edi
  xor ebx, ebx
  not rax                                 ; from here on nothing pushes it
.next:
  mov rcx, rdx
  sub rcx, rdi
  shr rcx, 3
  jz .done
  repne scasq
  jne .done
  inc rbx
  jmp .next
.done:
  print "search: "
  print_decimal rdx
  print " bytes, found "
  print_decimal rbx
  print 10
  ret

name_not: db "not=", 0

%include "end.inc"

; tsc: prints the time-stamp counter in decimal, for scripts/bench.mjs. It is read first of all.

%include "elf64.inc"

start:
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov edi, text_end
  mov byte [rdi], 10
  mov ecx, 10
.digit:
  xor edx, edx
  div rcx
  add dl, "0"
  dec rdi
  mov [rdi], dl
  test rax, rax
  jnz .digit
  mov rsi, rdi
  mov edx, text_end + 1
  sub rdx, rsi
  mov edi, 1
  mov eax, SYS_WRITE
  syscall
  xor edi, edi
  mov eax, SYS_EXIT
  syscall

text: times 20 db 0
text_end: db 0
image_end:

; CRC-32C of link frames, by the CPU's own instruction (SSE4.2; RFC 3720 B.4: initial and final value all ones).
%include "hv.inc"

global crc32c

section .text

; In: RSI address, EDX bytes  Out: EAX  Clobbers: RCX RDX RSI
crc32c:
    mov eax, -1
    mov ecx, edx
    shr ecx, 3
    jz .tail
.eight:
    crc32 rax, qword [rsi]
    add rsi, 8
    dec ecx
    jnz .eight
.tail:
    and edx, 7
    jz .done
.byte:
    crc32 eax, byte [rsi]
    inc rsi
    dec edx
    jnz .byte
.done:
    not eax
    ret

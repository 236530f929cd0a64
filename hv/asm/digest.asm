; XXH64 with seed 0 over raw memory (xxHash specification 0.1.1): the end-to-end digest of images. And CRC-32C for frames.
%include "hv.inc"

global xxh64, crc32c

P1 equ 0x9E3779B185EBCA87
P2 equ 0xC2B2AE3D27D4EB4F
P3 equ 0x165667B19E3779F9
P4 equ 0x85EBCA77C2B2AE63
P5 equ 0x27D4EB2F165667C5

section .text

; one lane: acc = rol(acc + word * P2, 31) * P1; R14 = P1, R15 = P2
%macro LANE 2
    mov rax, [rsi + %2]
    imul rax, r15
    add %1, rax
    rol %1, 31
    imul %1, r14
%endmacro
; hash ^= round(0, acc); hash = hash * P1 + P4
%macro MERGE 1
    mov rcx, %1
    imul rcx, r15
    rol rcx, 31
    imul rcx, r14
    xor rax, rcx
    imul rax, r14
    mov rcx, P4
    add rax, rcx
%endmacro

; In: RSI address, RDX bytes  Out: RAX  Clobbers: RCX RDX RSI RDI R8-R11
xxh64:
    push rbx
    push r14
    push r15
    mov rbx, rdx
    mov r14, P1
    mov r15, P2
    mov rax, P5
    cmp rdx, 32
    jb .short
    mov r8, P1 + P2 & 0xFFFFFFFFFFFFFFFF
    mov r9, r15
    xor r10d, r10d
    mov r11, r14
    neg r11
.stripe:
    LANE r8, 0
    LANE r9, 8
    LANE r10, 16
    LANE r11, 24
    add rsi, 32
    sub rdx, 32
    cmp rdx, 32
    jae .stripe
    mov rax, r8
    rol rax, 1
    mov rcx, r9
    rol rcx, 7
    add rax, rcx
    mov rcx, r10
    rol rcx, 12
    add rax, rcx
    mov rcx, r11
    rol rcx, 18
    add rax, rcx
    MERGE r8
    MERGE r9
    MERGE r10
    MERGE r11
.short:
    add rax, rbx
.eight:
    cmp rdx, 8
    jb .four
    mov rcx, [rsi]
    imul rcx, r15
    rol rcx, 31
    imul rcx, r14
    xor rax, rcx
    rol rax, 27
    imul rax, r14
    mov rcx, P4
    add rax, rcx
    add rsi, 8
    sub rdx, 8
    jmp .eight
.four:
    cmp rdx, 4
    jb .bytes
    mov ecx, [rsi]
    imul rcx, r14
    xor rax, rcx
    rol rax, 23
    imul rax, r15
    mov rcx, P3
    add rax, rcx
    add rsi, 4
    sub rdx, 4
.bytes:
    mov rdi, P5
.byte:
    test rdx, rdx
    jz .mix
    movzx ecx, byte [rsi]
    imul rcx, rdi
    xor rax, rcx
    rol rax, 11
    imul rax, r14
    inc rsi
    dec rdx
    jmp .byte
.mix:
    mov rcx, rax
    shr rcx, 33
    xor rax, rcx
    imul rax, r15
    mov rcx, rax
    shr rcx, 29
    xor rax, rcx
    mov rcx, P3
    imul rax, rcx
    mov rcx, rax
    shr rcx, 32
    xor rax, rcx
    pop r15
    pop r14
    pop rbx
    ret

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

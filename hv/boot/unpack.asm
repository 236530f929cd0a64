; The packed image (scripts/lib/pack.mjs, hv.ld) -> the image as it is linked. The loader has put one file to 1 MiB, the section .entry as it
; is and behind it, from __plain_end on, the packed rest:
;
;   1. the block to the end of the bss, out of the way of what it unpacks to
;   2. its CRC-32C: a file that was damaged ends here, with a message; from here on the block is the build's
;   3. LZ4 (block format description, lz4.org) -> __packed_start to __data_end
;   4. the calls of the code, which the build made absolute, relative again
;   5. zeros where the packed bytes were, in .entry's page and in the bss
;
; No byte is checked after the CRC, and none is written outside of the image, whose place the loader has reserved up to __image_end.

%include "boot.inc"
bits 64
default rel

extern __plain_end, __packed_start, __code_end, __data_end, __image_end, __spare_bytes, early_fail
global image_unpack, call_reach

CPUID_SSE42     equ 20                          ; CPUID.1:ECX
CRC32C          equ 0x82F63B78                  ; the polynomial, reflected

LENGTH_MORE     equ 15                          ; of a length in a token: bytes follow
MATCH_LEAST     equ 4
SHORT_MATCH     equ 8

CALL_REL32      equ 0xE8
call_reach      equ 1 << 17                     ; a call that goes farther was left as it is; pack.mjs reads this number from hv.elf

section .entry progbits alloc exec nowrite align=16

; Clobbers: all but RSP.
image_unpack:
    mov esi, __plain_end
    mov ecx, [rsi + packed.bytes]
    mov r12d, [rsi + packed.crc]
    add esi, packed.block
    lea eax, [rcx - 1]                          ; none at all is no block either
    cmp eax, __spare_bytes
    jae .damaged
    mov ebp, __image_end
    mov edi, ebp
    sub edi, ecx
    mov ebx, edi                                ; RBX..RBP: the block, from here on
    shr ecx, 3
    rep movsq
    call block_crc
    cmp eax, r12d
    jne .damaged
    mov esi, ebx
    call unpack_lz4
    call restore_calls

    xor eax, eax
    mov edi, __plain_end
    mov ecx, __packed_start
    call .zero
    mov edi, ebx
    mov ecx, ebp
.zero:                                          ; EDI to ECX
    sub ecx, edi
    shr ecx, 3
    rep stosq
    ret
.damaged:
    lea rsi, [damaged_text]
    jmp early_fail

; RBX..RBP -> EAX: the CRC-32C. A CPU without the instruction is one that cpu_check refuses: until then it may take its time.
; Clobbers: RCX, RDX, RSI.
block_crc:
    push rbx
    mov eax, 1
    cpuid
    pop rbx
    mov rsi, rbx
    mov eax, -1
    bt ecx, CPUID_SSE42
    jnc .byte
    sub rsi, rbp
.eight:
    crc32 rax, qword [rbp + rsi]
    add rsi, 8
    js .eight
    not eax
    ret
.byte:
    xor al, [rsi]
    mov ecx, 8
.bit:
    shr eax, 1
    jnc .none
    xor eax, CRC32C
.none:
    loop .bit
    inc rsi
    cmp rsi, rbp
    jb .byte
    not eax
    ret

; RSI -> the block, whose end is a distance of 0. Clobbers: RAX, RCX, RDX, RSI, RDI, R8.
unpack_lz4:
    mov edi, __packed_start
    xor eax, eax
.sequence:                                      ; EAX below 256
    lodsb
    mov ecx, eax
    and eax, LENGTH_MORE
    shr ecx, 4
    cmp ecx, LENGTH_MORE
    je .more_literals
.literals:
    rep movsb
    movzx edx, word [rsi]
    add rsi, 2
    neg rdx
    jz .done
    mov rcx, [rdi + rdx]                        ; most matches are short, and then all of it (lz4.mjs: it lies SHORT_MATCH back, or farther)
    mov [rdi], rcx
    lea rdi, [rdi + rax + MATCH_LEAST]
    cmp eax, SHORT_MATCH - MATCH_LEAST
    jbe .sequence

    lea rcx, [rax + MATCH_LEAST]
    sub rdi, rcx
    cmp eax, LENGTH_MORE
    je .more_match
.match:
    mov r8, rsi
    lea rsi, [rdi + rdx]
    rep movsb                                   ; forward: it may read what it has just written
    mov rsi, r8
    jmp .sequence
.done:
    ret
.more_literals:
    movzx edx, byte [rsi]
    inc rsi
    add ecx, edx
    cmp dl, 255
    je .more_literals
    jmp .literals
.more_match:
    lodsb
    add ecx, eax
    cmp al, 255
    je .more_match
    jmp .match

; Each E8h of the code, read from its beginning, that is not among the four bytes behind another one: of what follows it, a distance
; within call_reach, the build has made distance + address, modulo both directions' reach. Clobbers: RAX, RCX, RDX, RDI.
restore_calls:
    mov edi, __packed_start
    mov ecx, __code_end - 4
    sub ecx, edi
    mov al, CALL_REL32
.next:
    jle .done
    repne scasb
    jne .done
    mov edx, [rdi]
    add edx, call_reach
    cmp edx, 2 * call_reach
    jae .far
    sub edx, edi
    and edx, 2 * call_reach - 1
    sub edx, call_reach
    mov [rdi], edx
.far:
    add edi, 4
    sub ecx, 4
    jmp .next
.done:
    ret

damaged_text: db "hvkit: stop: the boot image is damaged: build it again, or write it to the disk again", 13, 10, 0

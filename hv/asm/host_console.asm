; Core's imports about guests' consoles: the other ends of the rings that guest.asm fills and empties.
%include "hv.inc"
%include "host.inc"

extern guest_wake

section .text

IMPORT consoleTake                              ; ESI slot, EDX port, ECX to, R8D max
    GUEST refused
    cmp edx, 1
    ja .none
    cmp qword [r12 + guest.instance_ptr], 0
    je .none
    mov esi, edx
    mov edx, r8d
    call core_range
    jc .none
    mov rdi, rcx
    mov r9d, OUT_RING
    mov ecx, esi
    shr r9d, cl
    dec r9d
    xor eax, eax
    mov ecx, [r12 + guest.out_tail + rsi * 4]
    mov r10, [r12 + guest.out + rsi * 8]
.byte:
    cmp eax, edx
    jae .taken
    cmp ecx, [r12 + guest.out_head + rsi * 4]
    je .taken
    mov r11d, ecx
    and r11d, r9d
    mov r11b, [r10 + r11]
    mov [rdi], r11b
    inc rdi
    inc ecx
    inc eax
    jmp .byte
.taken:
    mov r11d, ecx
    xchg r11d, [r12 + guest.out_tail + rsi * 4] ; before a last look: a byte that comes now finds an empty ring, and asks for core
    cmp eax, edx
    jae .full
    cmp ecx, [r12 + guest.out_head + rsi * 4]
    jne .byte
.full:
    test eax, eax
    jz .done
    cmp dword [r12 + guest.out_full + rsi * 4], 0
    je .done
    mov dword [r12 + guest.out_full + rsi * 4], 0
    lock or dword [r12 + guest.events], EventBit_ConsoleRoom
    jmp .wake
.done:
    DONE
.wake:
    push rax
    call guest_wake
    pop rax
    DONE
.none:
    xor eax, eax
    DONE

IMPORT consoleGive                              ; ESI slot, EDX port, ECX from, R8D bytes
    GUEST refused
    cmp edx, 1
    ja .none
    cmp qword [r12 + guest.instance_ptr], 0
    je .none
    mov esi, edx
    mov edx, r8d
    call core_range
    jc .none
    xor eax, eax
    mov r9d, [r12 + guest.in_head + rsi * 4]
    mov r10, [r12 + guest.in + rsi * 8]
.byte:
    cmp eax, edx
    jae .given
    mov r11d, r9d
    sub r11d, [r12 + guest.in_tail + rsi * 4]
    cmp r11d, IN_RING
    jae .given
    mov r11d, r9d
    and r11d, IN_RING - 1
    mov r8b, [rcx]
    mov [r10 + r11], r8b
    inc rcx
    inc r9d
    inc eax
    jmp .byte
.given:
    mov [r12 + guest.in_head + rsi * 4], r9d
    test eax, eax
    jz .done
    lock or dword [r12 + guest.events], EventBit_ConsoleInput
    push rax
    call guest_wake
    pop rax
.done:
    DONE
.none:
    xor eax, eax
    DONE

IMPORT consoleLost                              ; ESI slot, EDX port
    GUEST refused
    xor eax, eax
    mov edx, edx
    cmp edx, 1
    ja .done
    xchg eax, [r12 + guest.lost + rdx * 4]
.done:
    DONE

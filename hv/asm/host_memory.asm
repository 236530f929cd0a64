; Core's imports about guests' RAM and the store disk: copies, digests, nested tables, sectors, every range checked.
%include "hv.inc"
%include "host.inc"

extern store_sectors, store_read, store_write, vendor_nested_bits

section .text

IMPORT guestRead                                ; ESI slot, RDX address, ECX to, R8D bytes
    GUEST refused
    mov rsi, rdx
    mov edx, r8d
    call core_range
    jc .no
    call ram_range
    jc .no
    mov rdi, rcx
.copy:                                          ; by quadwords: digests and images go this way
    mov ecx, edx
    shr ecx, 3
    rep movsq
    mov ecx, edx
    and ecx, 7
    rep movsb
    mov eax, 1
    DONE
.no:
    xor eax, eax
    DONE

IMPORT guestWrite                               ; ESI slot, RDX address, ECX from, R8D bytes
    GUEST refused
    mov rsi, rdx
    mov edx, r8d
    call core_range
    jc Z_hostZ_guestRead.no
    call ram_range_own
    jc Z_hostZ_guestRead.no
    mov rdi, rsi
    mov rsi, rcx
    jmp Z_hostZ_guestRead.copy

; one lane of XXH64: lane = rol(lane + word * P2, 31) * P1 (xxHash specification 0.1.1)
%macro LANE 2                                   ; lane, offset; RDX = P1, RBX = P2
    mov rax, [rsi + %2]
    imul rax, rbx
    add %1, rax
    rol %1, 31
    imul %1, rdx
%endmacro

IMPORT guestStripes                             ; ESI slot, RDX address, ECX stripes, R8D lanes
    GUEST refused
    mov r9d, ecx
    mov rsi, rdx
    mov edx, ecx
    shl rdx, 5
    call ram_range
    jc Z_hostZ_guestRead.no
    mov ecx, r8d
    mov edx, 32
    call core_range
    jc Z_hostZ_guestRead.no
    push rbx
    mov rdx, 0x9E3779B185EBCA87
    mov rbx, 0xC2B2AE3D27D4EB4F
    mov rdi, [rcx]
    mov r8, [rcx + 8]
    mov r10, [rcx + 16]
    mov r11, [rcx + 24]
    test r9d, r9d
    jz .none
.stripe:
    LANE rdi, 0
    LANE r8, 8
    LANE r10, 16
    LANE r11, 24
    add rsi, 32
    dec r9d
    jnz .stripe
.none:
    mov [rcx], rdi
    mov [rcx + 8], r8
    mov [rcx + 16], r10
    mov [rcx + 24], r11
    pop rbx
    mov eax, 1
    DONE

; The walk goes from the root as far down as is asked for: core cannot name a table.
IMPORT guestNested                              ; ESI slot, RDX guest-physical, ECX level 0..3; 4: the root
    GUEST refused
    cmp ecx, 4
    ja .none
    mov rax, [r12 + guest.nested_pa]
    test rax, rax
    jz .done                                    ; it has no RAM yet
    mov r8, rdx
    mov esi, ecx
    mov edi, 4
    mov ecx, 48
.level:
    cmp edi, esi
    jbe .done
    dec edi
    sub ecx, 9
    mov rdx, r8
    shr rdx, cl
    and edx, 511
    TO_VIRTUAL rax
    mov rax, [rax + rdx * 8]
    call [vendor_nested_bits]
    mov r9, 0x000FFFFFFFFFF0FF                  ; address and NestedBit bits
    and rax, r9
    cmp edi, esi
    je .done
    test al, NestedBit_Large
    jnz .none
    test al, NestedBit_Read | NestedBit_Write | NestedBit_Execute
    jz .none
    and rax, ~0xFFF
    jmp .level
.none:
    xor eax, eax
.done:
    DONE

IMPORT storeRead                                ; RSI sector, EDX count, ECX slot, R8 address
    mov rdi, store_read
    mov rax, ram_range_own
    jmp store
IMPORT storeWrite                               ; RSI sector, EDX count, ECX slot, R8 address
    mov rdi, store_write
    mov rax, ram_range
store:
    push r12
    push r13
    push rax
    mov r13, rdi
    mov r9d, edx
    lea eax, [rdx - 1]
    cmp eax, 128
    jae .refused
    mov eax, r9d
    add rax, rsi
    jc .refused
    cmp rax, [store_sectors]
    ja .refused
    mov r10, rsi
    mov esi, ecx
    call guest_of
    jc .refused
    mov r12, rax
    mov rsi, r8
    mov edx, r9d
    shl edx, 9
    call [rsp]
    jc .refused
    mov rdi, rsi                                ; store_read takes RDI, store_write RSI
    mov r8, r10
    call r13
    pop rcx
    pop r13
    pop r12
    ret
.refused:
    mov eax, -1
    pop rcx
    pop r13
    pop r12
    ret

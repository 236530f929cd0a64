; Core's imports about machine modules (modules.asm, swap.asm). A carrier is a guest that was not started: nobody else is in its RAM.
%include "hv.inc"
%include "host.inc"

extern core_hold, module_places, module_at, module_current, module_image, module_load, module_users, guest_swap, swap_reason, swap_value

section .text

; In: ESI slot, R12 saved by the caller  Out: CF=1 no carrier; R12 guest block  Clobbers: RAX
carrier_of:
    call guest_of
    jc .done
    mov r12, rax
    cmp dword [r12 + guest.state], RunState_Created + 1
    cmc                                         ; Empty is in no block
.done:
    ret

IMPORT module                                   ; ESI place, EDX ModuleWord
    mov edx, edx
    cmp edx, ModuleWord_Count
    jae refused
    cmp esi, ModuleLimit_Slots
    jae refused
    call module_at
    jmp [words + rdx * 8]
.address:
    mov rax, module_image
    test esi, esi
    jz .done
    imul eax, esi, ModuleLimit_Bytes
    add eax, module_places - ModuleLimit_Bytes
.done:
    ret
.guests:
    jc refused
    call module_users
    mov eax, ecx
    ret
.current:
    jc refused
    cmp rax, [module_current]
    sete al
    movzx eax, al
    ret
.low:
    jc refused
    mov rax, [rax + ModuleHeader_Identity]
    ret
.high:
    jc refused
    mov rax, [rax + ModuleHeader_Identity + 8]
    ret
.reason:
    mov eax, [swap_reason]
    ret
.value:
    mov rax, [swap_value]
    ret
.base_low:
    mov rax, [module_image + ModuleHeader_Base]
    ret
.base_high:
    mov rax, [module_image + ModuleHeader_Base + 8]
    ret

IMPORT moduleLoad                               ; ESI carrier, EDX address, ECX bytes, R8D place
    push r12
    call carrier_of
    jc .none
    mov edx, edx
    mov esi, r8d
    call module_load
    DONE
.none:
    mov eax, ModuleFault_Range
    DONE

IMPORT moduleUse                                ; ESI place
    call module_at
    jc refused
    mov [module_current], rax
    mov eax, 1
    ret

IMPORT guestSwap                                ; ESI slot, EDX place, ECX carrier, R8D address, R9D moves
    push r12
    push r13
    push rbp
    push rsi
    mov esi, edx
    call module_at
    jc .bad
    mov r13, rax
    mov esi, ecx
    call carrier_of
    jc .bad
    mov esi, r8d
    mov edx, r9d
    shl rdx, 3
    add rdx, ModuleLimit_SwapRoom
    call ram_range
    jc .bad
    mov rbp, rsi
    pop rsi
    call guest_of
    jc .none
    mov r12, rax
    call core_hold
    lea rsi, [rbp + ModuleLimit_SwapRoom]
    mov ecx, r9d
    call guest_swap
.out:
    pop rbp
    pop r13
    DONE
.bad:
    pop rsi
    mov eax, Status_BadRequest
    jmp .out
.none:
    mov eax, Status_NoSuchGuest
    jmp .out

section .rodata
align 8
words:
    dq Z_hostZ_module.address, Z_hostZ_module.guests, Z_hostZ_module.current, Z_hostZ_module.low, Z_hostZ_module.high
    dq Z_hostZ_module.reason, Z_hostZ_module.value, Z_hostZ_module.base_low, Z_hostZ_module.base_high

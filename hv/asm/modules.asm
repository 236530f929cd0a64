; Machine modules: the one of the boot image, and places for those that come while guests run (protocol/module.ts). A place is writable and not
; executable while a module is copied and checked; then its code is read and executed, the rest read, and it stays so until nobody uses it. Which
; module a guest runs on says guest.module, its header; swap.asm exchanges it.
;
; A module is native code, and what it does when it runs nobody can check: who may load one may do everything (docs/threat-model.md). What is
; checked is that it fits this hypervisor, so that an honest mistake is refused.
%include "hv.inc"

global module_places, module_current, module_at, module_users, module_load
extern module_image, image_table, cpus_flush, guest_table, guest_high, ram_range

section .data
align 8
module_current: dq module_image                 ; whose header: new guests start on it

section .bss nobits alloc write align=4096
module_places:  resb (ModuleLimit_Slots - 1) * ModuleLimit_Bytes

section .text

; In: ESI place  Out: CF=1 no such place, or there is no module; RAX header  Clobbers: -
module_at:
    mov rax, module_image
    test esi, esi
    jz .done                                    ; CF is clear
    cmp esi, ModuleLimit_Slots
    jae .none
    imul eax, esi, ModuleLimit_Bytes            ; below 2 MiB
    add eax, module_places - ModuleLimit_Bytes
    cmp qword [rax + ModuleHeader_Magic], ModuleLimit_Magic
    jne .none
.done:
    ret
.none:
    stc
    ret

; In: RAX header  Out: ECX guests that run on it  Clobbers: RDX R8
module_users:
    xor ecx, ecx
    mov r8d, [guest_high]
.slot:
    dec r8d
    js .done
    mov rdx, [guest_table + r8 * 8]
    test rdx, rdx
    jz .slot
    cmp [rdx + guest.module], rax
    jne .slot
    cmp dword [rdx + guest.state], RunState_Ended
    je .slot                                    ; it never runs again
    inc ecx
    jmp .slot
.done:
    ret

; Sets the rights of whole pages of the image's 2 MB. cpus_flush must follow. In: RDI address, RCX end, RAX bits  Clobbers: RAX RDX
protect:
    or rax, rdi
    mov rdx, rdi
.page:
    cmp rdx, rcx
    jae .done
    push rdx
    shr rdx, 12
    mov [image_table + rdx * 8], rax
    pop rdx
    add rax, PAGE
    add rdx, PAGE
    jmp .page
.done:
    ret

; Takes a module out of a carrier's RAM. In: R12 carrier (Created), ESI place, RDX address, ECX bytes, interrupts on  Out: EAX ModuleFault
; Clobbers: caller-saved
module_load:
    push rbx
    push r13
    push r14
    mov r14d, ecx
    mov ebx, ModuleFault_Slot
    lea eax, [rsi - 1]
    cmp eax, ModuleLimit_Slots - 1
    jae .out
    imul r13d, eax, ModuleLimit_Bytes
    add r13d, module_places                     ; below 2 MiB
    mov rsi, rdx
    mov ebx, ModuleFault_InUse
    mov rax, r13
    cmp rax, [module_current]
    je .out
    call module_users
    test ecx, ecx
    jnz .out
    mov ebx, ModuleFault_Range
    test r14d, PAGE - 1
    jnz .out
    lea eax, [r14 - 1]
    cmp eax, ModuleLimit_Bytes
    jae .out
    mov edx, r14d
    call ram_range
    jc .out
    ; copied once, then checked
    mov rdi, r13
    lea rcx, [r13 + ModuleLimit_Bytes]
    mov rax, PTE_NX | PTE_P | PTE_W
    call protect
    call cpus_flush
    mov rdi, r13
    mov ecx, r14d
    shr ecx, 3
    rep movsq
    lea rcx, [r13 + ModuleLimit_Bytes]
    sub rcx, rdi
    shr ecx, 3
    xor eax, eax
    rep stosq
    call check
    jne .empty
    ; the code loses its writability before anything of it runs
    mov rdi, r13
    mov rcx, [r13 + ModuleHeader_TextEnd]
    mov eax, PTE_P
    call protect
    call cpus_flush
    call [r13 + ModuleHeader_InitModule]
    mov rdi, [r13 + ModuleHeader_TextEnd]
    lea rcx, [r13 + ModuleLimit_Bytes]
    mov rax, PTE_NX | PTE_P
    call protect
    call cpus_flush
    xor ebx, ebx
.out:
    mov eax, ebx
    pop r14
    pop r13
    pop rbx
    ret
.empty:
    mov qword [r13 + ModuleHeader_Magic], 0
    jmp .out

; Whether what lies in a place fits. In: R13 place, R14D bytes  Out: EQ it does; else EBX ModuleFault  Clobbers: RAX RCX RDX
check:
    mov ebx, ModuleFault_Header
    cmp qword [r13 + ModuleHeader_Magic], ModuleLimit_Magic
    jne .done
    cmp [r13 + ModuleHeader_Start], r13
    jne .done
    mov rdx, [r13 + ModuleHeader_TextEnd]
    sub rdx, r13
    test edx, PAGE - 1
    jnz .done
    lea rax, [rdx - 1]
    cmp rax, r14
    jae .bad
    xor ecx, ecx
.export:
    mov rax, [r13 + ModuleHeader_InitModule + rcx * 8]
    sub rax, r13
    cmp rax, rdx
    jae .bad
    inc ecx
    cmp ecx, (ModuleHeader_Base - ModuleHeader_InitModule) / 8
    jb .export
%macro WITHIN 1                                 ; the place of a u32
    mov rax, [r13 + %1]
    sub rax, r13
    cmp rax, ModuleLimit_Bytes - 4
    ja .bad
%endmacro
    WITHIN ModuleHeader_InstanceMore
    WITHIN ModuleHeader_InstanceMemory
    mov ecx, [r13 + rax]
    WITHIN ModuleHeader_InstanceBytes
    mov ebx, ModuleFault_Instance
    cmp dword [r13 + rax], PAGE - guest.instance
    ja .bad
    cmp ecx, [r13 + rax]                        ; where a copy's memory is put right (clone.asm)
    jae .bad
    mov ebx, ModuleFault_Base
    mov rax, [r13 + ModuleHeader_Base]
    cmp rax, [module_image + ModuleHeader_Base]
    jne .done
    mov rax, [r13 + ModuleHeader_Base + 8]
    cmp rax, [module_image + ModuleHeader_Base + 8]
.done:
    ret
.bad:
    test r13, r13                               ; NE
    ret

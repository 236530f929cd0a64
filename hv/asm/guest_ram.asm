; A guest's RAM: blocks of 2 MiB, in its nested tables and in the host's window. share.asm takes it apart into pages where it is shared.
%include "hv.inc"

global guest_ram
extern block_claim, pool_take, vendor_nested_entry, window_entry

section .text

; In: R12 guest block, ESI block of 2 MiB, RDX guest-physical address  Out: EAX 1, 0 refused
guest_ram:
    push rbx
    push r13
    push r14
    mov r13, rdx
    mov r14d, esi
    cmp qword [r12 + guest.instance_ptr], 0
    jne .refused
    cmp rdx, [r12 + guest.ram_bytes]
    jne .refused
    mov eax, GuestLimit_MaxMiB << 20
    cmp rdx, rax
    jae .refused
    mov rbx, rdx
    shr rbx, 30
    cmp qword [r12 + guest.nested_pds + rbx * 8], 0
    jne .tables
    ; a further GiB: page directories for the nested tables and for the host's view
    mov eax, [r12 + guest.pool_count]
    sub eax, [r12 + guest.pool_used]
    cmp eax, 4
    jb .refused
    cmp qword [r12 + guest.nested_pa], 0
    jne .root
    call pool_take                              ; PML4
    mov rdx, rax
    sub rax, [direct_map]
    mov [r12 + guest.nested_pa], rax
    call pool_take                              ; PDPT
    TO_ENTRY PTE_P | PTE_W | PTE_U
    mov [rdx], rax
.root:
    call pool_take
    mov [r12 + guest.nested_pds + rbx * 8], rax
    TO_ENTRY PTE_P | PTE_W | PTE_U              ; read, write, execute to EPT
    mov rdx, [r12 + guest.nested_pa]
    TO_VIRTUAL rdx
    mov rdx, [rdx]
    and rdx, -PAGE
    TO_VIRTUAL rdx
    mov [rdx + rbx * 8], rax
    call pool_take
    mov [r12 + guest.ram_pds + rbx * 8], rax
    mov rdx, rax
    mov edi, [r12 + guest.slot]
    call window_entry
    lea rcx, [rax + (WINDOW_RAM >> 30) * 8]
    mov rax, rdx
    TO_ENTRY PTE_P | PTE_W
    mov [rcx + rbx * 8], rax
.tables:
    mov edi, r14d
    mov esi, [r12 + guest.slot]
    call block_claim
    jc .refused
    mov rdx, r13
    shr rdx, 21
    and edx, 511
    mov eax, r14d
    shl rax, 21
    mov rcx, rax
    or rcx, PTE_P | PTE_W | PTE_PS
    bts rcx, 63
    mov rsi, [r12 + guest.ram_pds + rbx * 8]
    mov [rsi + rdx * 8], rcx
    call [vendor_nested_entry]
    mov rsi, [r12 + guest.nested_pds + rbx * 8]
    mov [rsi + rdx * 8], rax
    add qword [r12 + guest.ram_bytes], BLOCK
    mov eax, 1
.out:
    pop r14
    pop r13
    pop rbx
    ret
.refused:
    xor eax, eax
    jmp .out

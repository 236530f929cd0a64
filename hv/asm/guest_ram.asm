; A guest's RAM: blocks of 2 MiB, in its nested tables and in the host's window. share.asm takes it apart into pages where it is shared.
%include "hv.inc"

global guest_ram, guest_ram_free, guest_shed
extern block_claim, block_drop, frame_drop, frame_table, share_lock, cpus_flush, pool_take, vendor_nested_entry, window_entry

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

; A guest that has ended has no RAM any more, and goes on lying there without. In: R12 guest block, held by core  Clobbers: caller-saved
guest_shed:
    ; the window closes on all CPUs before what was seen through it is anybody else's
    mov edi, [r12 + guest.slot]
    call window_entry
    xor ecx, ecx
    mov [r12 + guest.ram_bytes], rcx
    mov [r12 + guest.tables], ecx
    mov [rax + (WINDOW_RAM >> 30) * 8], rcx
    mov [rax + (WINDOW_RAM >> 30) * 8 + 8], rcx
    mov [rax + (WINDOW_RAM >> 30) * 8 + 16], rcx
    call cpus_flush
    ; fall through

; All RAM goes back, Dirty; neither the guest nor the window reaches it by now. In: R12 guest block  Clobbers: caller-saved
guest_ram_free:
    push rbx
    push rbp
    push r13
    xor ebx, ebx
.gib:
    mov r13, [r12 + guest.nested_pds + rbx * 8]
    test r13, r13
    jz .next_gib
    xor ebp, ebp
.block:
    xor edi, edi
    xchg rdi, [r13 + rbp * 8]
    test rdi, rdi
    jz .next_block
    cli
    SPIN_LOCK share_lock
    call entry_free
    SPIN_UNLOCK share_lock
    sti
.next_block:
    inc ebp
    cmp ebp, 512
    jb .block
.next_gib:
    inc ebx
    cmp ebx, 3
    jb .gib
    pop r13
    pop rbp
    pop rbx
    ret

; What a 2 MiB entry of a guest's nested tables maps is the guest's no more: a block, or a table and its pages.
; In: RDI entry, R12 guest block, under share_lock  Clobbers: RAX RCX RDX RSI RDI R8
entry_free:
    mov esi, [r12 + guest.slot]
    test dil, PTE_PS
    mov rax, PTE_ADDRESS
    jz .table
    and rdi, rax
    shr rdi, 21
    jmp block_drop
.table:
    and rdi, rax
    mov rsi, rdi
    TO_VIRTUAL rsi
    shr rdi, 12
    mov r8, rdi
    mov rcx, [frame_table]
    cmp dword [rcx + rdi * 8 + 4], 1
    jne .dropped                                ; another guest has it too
    mov edx, 512
.page:
    mov rdi, PTE_ADDRESS
    and rdi, [rsi]
    shr rdi, 12
    call frame_drop
    add rsi, 8
    dec edx
    jnz .page
.dropped:
    mov edi, r8d
    jmp frame_drop

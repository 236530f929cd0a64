; Memory that guests share until one of them writes (clone.asm begins it): a guest's RAM by 2 MiB entries and by tables of 4 KiB pages, its machine's
; linear memory by pages. What is shared lacks the right to write in all its tables; a write that faults comes here, from an exit
; (share_exit) or from the host's own #PF (share_fault), and gets a page of its own, or keeps the old one when nobody else has it any more.
;
; The steps of a write to RAM, each of which may be done already:
;   1. the 2 MiB entry is the only one of its block, and nobody has a table of it: it may write again; done
;   2. else it gets a table of 512 pages that may not be written to
;   3. a table that another guest has too is copied: each frame of it then has one more reference
;   4. the page: of the last reference it is the guest's own, else it is copied into a frame of the reserve
; Steps 2 to 4 take a frame at most each. Of a guest that was never copied all entries may write, and nothing comes here.
%include "hv.inc"

global share_exit, share_fault, share_range, share_linear
extern core_pending, vendor_flush
extern reserve_take, share_lock, share_floor, frame_table, block_shares, guest_table, core_held, cpu_mask

section .text

; The frame's entry in the frame table. In: %1 register with a table's entry  Out: %1
%macro TO_FRAME 1
    shl %1, 12                                  ; NX and what software may use go
    shr %1, 24
    shl %1, 3
    add %1, [frame_table]
%endmacro

; A guest may write to a page of its RAM afterwards. In: R12 guest block, RSI guest-physical, EDX what the reserve must keep; the guest is here, or
; held by core; interrupts off  Out: EAX 0: so it is; 1: no frame is left; 2: it is not in its RAM; this CPU's view of it is flushed for the host,
; and not for the guest  Clobbers: caller-saved
share_write:
    mov eax, 2
    cmp rsi, [r12 + guest.ram_bytes]
    jae .outside
    push rbx
    push rbp
    push r13
    push r14
    push r15
    mov r13, rsi
    SPIN_LOCK share_lock
    mov [share_floor], edx
    mov rax, rsi
    shr rax, 30
    mov ecx, esi
    shr ecx, 21
    and ecx, 511
    mov r14, [r12 + guest.nested_pds + rax * 8]
    lea r14, [r14 + rcx * 8]                    ; the guest's 2 MiB entry, and the host's
    mov r15, [r12 + guest.ram_pds + rax * 8]
    lea r15, [r15 + rcx * 8]
    mov rbx, [r14]
    test bl, PTE_PS
    jnz .large
    test bl, PTE_W
    jz .table
.page:
    mov rax, PTE_ADDRESS
    and rax, [r14]
    TO_VIRTUAL rax
    mov rcx, r13
    shr rcx, 12
    and ecx, 511
    lea rbp, [rax + rcx * 8]
    mov rbx, [rbp]
    test bl, PTE_W
    jnz .done
    mov r14, rbx
    TO_FRAME r14
    cmp dword [r14 + 4], 1
    je .last
    call reserve_take
    jc .none
    mov r8, rdi
    mov rsi, PTE_ADDRESS
    and rsi, rbx
    TO_VIRTUAL rsi
    mov rdi, rax
    mov ecx, PAGE / 8
    rep movsq
    dec dword [r14 + 4]                         ; what is copied may be its last one's now
    shl r8, 12
    and ebx, 0xFFF
    or rbx, r8
    or ebx, PTE_W
    mov [rbp], rbx
    inc dword [r12 + guest.copied]
    mov eax, [cpu_mask]
    mov ecx, [gs:pc.index]
    btr eax, ecx
    mov [r12 + guest.host_stale], eax
    jmp .counted
.last:
    or rbx, PTE_W
    mov [rbp], rbx
.counted:
    inc qword [r12 + guest.copy_faults]
.done:
    add r13, [r12 + guest.ram]
    invlpg [r13]
    xor eax, eax
.out:
    SPIN_UNLOCK share_lock
    pop r15
    pop r14
    pop r13
    pop rbp
    pop rbx
.outside:
    ret
.none:
    mov eax, 1
    jmp .out

; RBX the 2 MiB entry, which maps a block
.large:
    test bl, PTE_W
    jnz .done
    mov rbp, rbx
    shl rbp, 12
    shr rbp, 33                                 ; block
    mov rcx, [block_shares]
    lea rbp, [rcx + rbp * 2]
    cmp word [rbp], 1
    ja .split
    ; nobody else has the block as a whole: has anybody a frame of it?
    mov rdi, rbx
    TO_FRAME rdi
    mov rsi, rdi
    mov rax, [rdi]
    mov rcx, rax
    shr rcx, 32
    dec ecx
    jnz .split
    mov ecx, 512
    repe scasq
    jne .split
    mov word [rbp], 0
    mov eax, [r12 + guest.slot]
    shl eax, 8
    mov rdi, 1 << 32 | FrameState_Owned
    or rax, rdi
    mov rdi, rsi
    mov ecx, 512
    rep stosq
    or qword [r14], PTE_W
    or qword [r15], PTE_W
    jmp .counted
.split:
    call reserve_take
    jc .none
    inc dword [r12 + guest.tables]
    mov rdi, rax
    mov rsi, rbx
    TO_FRAME rsi
    sub rax, [direct_map]
    and rbx, ~(PTE_PS | PTE_W)
    xor ecx, ecx
    dec word [rbp]
    jz .fill                                    ; the reference of the whole block becomes the table's
    bts rcx, 32
.fill:
    mov edx, 512 / 8
    mov r8d, PAGE
.eight:
%assign i 0
%rep 8
    mov [rdi + i * 8], rbx
    add [rsi + i * 8], rcx
    add rbx, r8
  %assign i i + 1
%endrep
    add rdi, 64
    add rsi, 64
    dec edx
    jnz .eight
.own_table:                                     ; RAX its physical address
    mov rcx, rax
    or rax, PTE_P | PTE_W | PTE_U               ; read, write, execute to EPT
    mov [r14], rax
    or rcx, PTE_P | PTE_W
    bts rcx, 63
    mov [r15], rcx
    jmp .page

; RBX the 2 MiB entry, whose table another guest has, or had
.table:
    mov rbp, rbx
    TO_FRAME rbp
    mov rax, PTE_ADDRESS
    and rax, rbx
    cmp dword [rbp + 4], 1
    je .own_table
    mov rsi, rax
    TO_VIRTUAL rsi
    call reserve_take
    jc .none
    inc dword [r12 + guest.tables]
    mov rdi, rax
    sub rax, [direct_map]
    mov rbx, [frame_table]
    mov edx, 512 / 4
.four:
%assign i 0
%rep 4
    mov rcx, [rsi + i * 8]
    and rcx, ~PTE_W                             ; in the other one too: it cannot be used to write yet
    mov [rsi + i * 8], rcx
    mov [rdi + i * 8], rcx
    shl rcx, 12
    shr rcx, 24
    inc dword [rbx + rcx * 8 + 4]
  %assign i i + 1
%endrep
    add rsi, 32
    add rdi, 32
    dec edx
    jnz .four
    dec dword [rbp + 4]
    jmp .own_table

; A guest's write exited for want of the right to it. In: R12 guest block, which runs here, RSI guest-physical; interrupts off
; Out: EAX 0: enter it again; 1: no frame is left for now, and core is called: it gets one, or a guest ends for it; 2: nothing is there  Clobbers: caller-saved
share_exit:
    mov edx, Reserve_Floor                      ; the guest can wait for core, a machine that writes cannot
    call share_write
    cmp eax, 1
    jb .flush
    ja .done
    lock or dword [core_pending], 1
    mov dword [gs:pc.attention], 1
.done:
    ret
.flush:
    inc qword [r12 + guest.flushes]
    call [vendor_flush]
    xor eax, eax
    ret

; A machine may write to a page of its linear memory afterwards. In: R12 guest block, ESI page, EDX what the reserve must keep; interrupts off
; Out: EAX 0, 1: no frame is left  Clobbers: caller-saved
linear_write:
    push rbx
    push rbp
    push r13
    push r14
    mov r13d, esi
    SPIN_LOCK share_lock
    mov [share_floor], edx
    mov rbp, [r12 + guest.window_pt]
    lea rbp, [rbp + r13 * 8 + 8]
    mov rbx, [rbp]
    test bl, PTE_W
    jnz .done
    mov r14, rbx
    TO_FRAME r14
    cmp dword [r14 + 4], 1
    je .last
    call reserve_take
    jc .none
    mov r8d, edi
    mov rsi, PTE_ADDRESS
    and rsi, rbx
    TO_VIRTUAL rsi
    mov rdi, rax
    mov ecx, PAGE / 8
    rep movsq
    dec dword [r14 + 4]
    mov eax, [r12 + guest.pool_linear]
    add eax, r13d
    mov [r12 + guest.pool + rax * 4], r8d
    shl r8, 12
    mov rax, ~PTE_ADDRESS
    and rbx, rax
    or rbx, r8
    mov eax, [cpu_mask]
    mov ecx, [gs:pc.index]
    btr eax, ecx
    mov [r12 + guest.host_stale], eax
.last:
    or rbx, PTE_W
    mov [rbp], rbx
.done:
    mov rax, r13
    shl rax, 12
    add rax, [r12 + guest.linear]
    invlpg [rax]
    xor eax, eax
.out:
    SPIN_UNLOCK share_lock
    pop r14
    pop r13
    pop rbp
    pop rbx
    ret
.none:
    mov eax, 1
    jmp .out

; The host may not write where it just did: is that shared memory of the guest that it works for? That no frame is left ends the guest whose
; machine wrote (traps.asm). Outside of a machine it would be a panic, and does not come to it: core's writes either have their pages before they
; begin, and are refused when there is no frame for one (ram_range_own of host.asm: guestWrite, storeRead; share_linear: guestSwap), or go to a page
; that is never shared (the first of linear memory: registers, a debugger's wishes; rings and context page), or to a guest that was never started,
; which has no copy (guestPartWrite, a carrier). While core holds the guest none of its pages becomes shared again.
; test/contract/clone.test.ts does each of them with no frame left. In: CR2, interrupts off
; Out: EAX 0: it may now; 1: no frame is left, RDX guest-physical, -1: of its machine's; 2: it is something else  Clobbers: caller-saved, R12
share_fault:
    mov rax, cr2
    mov rcx, WINDOWS
    sub rax, rcx
    jb .no
    mov rcx, rax
    shr rcx, WINDOW_SHIFT
    cmp rcx, GuestLimit_Slots
    jae .no
    mov r12, [guest_table + rcx * 8]
    test r12, r12
    jz .no
    mov rcx, [gs:pc.in_machine]
    test rcx, rcx
    jnz .of_machine
    mov rcx, [core_held]
.of_machine:
    cmp rcx, r12
    jne .no
    shl rax, 64 - WINDOW_SHIFT
    shr rax, 64 - WINDOW_SHIFT
    xor edx, edx                                ; it cannot wait for core
    mov rsi, rax
    mov rcx, WINDOW_RAM
    sub rsi, rcx
    jae .ram
    mov rsi, rax
    sub rsi, InstancePage_Bytes
    jb .no
    cmp rsi, Layout_End
    jae .no
    shr esi, 12
    call linear_write
    or rdx, -1
    ret
.ram:
    push rsi
    call share_write
    pop rdx
    cmp eax, 0
    jne .left
    mov dword [r12 + guest.flush], 1            ; the guest has the frame as it was
    mov dword [gs:pc.attention], 1
.left:
    ret
.no:
    mov eax, 2
    ret

; Core is about to write to all of the linear memory of a guest that it holds. In: R12 guest block  Out: CF=1 no frame is left
; Clobbers: caller-saved
share_linear:
    pushfq
    cli
    push rbx
    xor ebx, ebx
.page:
    mov esi, ebx
    xor edx, edx
    call linear_write
    cmp eax, 1                                  ; CF=1 while there are frames
    jnc .out
    inc ebx
    cmp ebx, Layout_End / PAGE
    jb .page
    stc
.out:
    cmc
    pop rbx
    jc .none
    popfq
    clc
    ret
.none:
    popfq
    stc
    ret

; Core is about to write to a range of a guest's RAM, which it holds. In: R12 guest block, RSI guest-physical, RDX bytes, wholly inside
; Out: CF=1 no frame is left  Clobbers: RAX
share_range:
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    pushfq
    cli
    mov rbx, rsi
    lea rbp, [rsi + rdx]
.page:
    cmp rbx, rbp
    jae .done
    mov rsi, rbx
    xor edx, edx
    call share_write
    dec eax
    jz .none
    mov dword [r12 + guest.flush], 1
    add rbx, PAGE
    and rbx, -PAGE
    jmp .page
.none:
    popfq
    stc
    jmp .out
.done:
    popfq
    clc
.out:
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    ret

; The frame table: for every 4 KiB frame of physical memory its state, owner and reference count. Whoever wants to use a frame,
; core included, goes through here and is refused what does not fit: so no bug above gives a guest another's memory.
; A frame that several guests share (share.asm) has a reference for each table of 4 KiB pages that names it, and one for all the 2 MiB entries
; that do together: their number is the block's, in block_shares. Its owner is then who had it first, and means nothing.
;
;    63                        32 31        24 23                 8 7         0
;   +----------------------------+------------+--------------------+-----------+
;   |       reference count      |     0      |    owner (slot)    | FrameState|
;   +----------------------------+------------+--------------------+-----------+
%include "hv.inc"

global frames_init, frame_table, frame_count, frame_claim, frame_release, frame_drop, block_shares, block_drop, block_claim, frame_scrub, block_count
extern boot_ranges, boot_range_count, panic

OWNED_ONCE      equ 1 << 32 | FrameState_Owned

section .bss
alignb 8
frame_table:    resq 1                          ; virtual
frame_count:    resq 1
block_shares:   resq 1                          ; virtual: a word a block of 2 MiB, 0: its one entry is nobody else's

section .text

; Makes the table, after the last early_alloc: what hv/boot's ranges no longer have is Absent, the host's for good.
; Clobbers: all but RSP
frames_init:
    ; highest usable address
    xor ebx, ebx
    mov rsi, boot_ranges
    mov ecx, [boot_range_count]
.highest:
    mov rax, [rsi]
    add rax, [rsi + 8]
    cmp rax, rbx
    cmova rbx, rax
    add rsi, 16
    loop .highest
    shr rbx, 12
    mov [frame_count], rbx
    ; the tables themselves, in whole pages from the first range with room for them
    lea rdx, [rbx + 511]
    shr rdx, 9
    lea rdx, [rdx + rbx * 4]
    lea rdx, [rdx * 2 + PAGE - 1]
    and rdx, -PAGE
    mov rsi, boot_ranges
    mov ecx, [boot_range_count]
.room:
    cmp [rsi + 8], rdx
    jae .found
    add rsi, 16
    loop .room
    mov rdi, no_room
    xor esi, esi
    jmp panic
.found:
    mov rax, [rsi]
    add [rsi], rdx
    sub [rsi + 8], rdx
    TO_VIRTUAL rax
    mov [frame_table], rax
    mov rdi, rax
    mov rcx, rdx
    shr rcx, 3
    xor eax, eax                                ; Absent
    rep stosq
    lea rax, [rbx * 8]
    add rax, [frame_table]
    mov [block_shares], rax
    mov rsi, boot_ranges
    mov r8d, [boot_range_count]
.range:
    mov rdi, [rsi]
    mov rcx, [rsi + 8]
    shr rdi, 12
    shr rcx, 12
    shl rdi, 3
    add rdi, [frame_table]
    mov eax, FrameState_Dirty
    rep stosq
    add rsi, 16
    dec r8d
    jnz .range
    ret

; A Clean frame becomes a guest's. In: EDI frame, ESI slot  Out: CF=1 refused; RAX its virtual address  Clobbers: RCX RDX
frame_claim:
    mov eax, edi
    cmp rax, [frame_count]
    jae .refused
    mov rcx, [frame_table]
    lea rcx, [rcx + rax * 8]
    cmp qword [rcx], FrameState_Clean
    jne .refused
    mov edx, esi
    shl edx, 8
    mov rax, OWNED_ONCE
    or rax, rdx
    mov [rcx], rax
    mov eax, edi
    shl rax, 12
    TO_VIRTUAL rax
    clc
    ret
.refused:
    stc
    ret

; A guest's frame becomes Dirty. In: EDI frame, ESI slot. A frame that is not the guest's stays as it is.  Clobbers: RAX RCX RDX
frame_release:
    mov eax, edi
    cmp rax, [frame_count]
    jae .done
    mov rcx, [frame_table]
    mov edx, esi
    shl edx, 8
    push rdx
    mov rdx, OWNED_ONCE
    or [rsp], rdx
    pop rdx
    cmp [rcx + rax * 8], rdx
    jne .done
    mov qword [rcx + rax * 8], FrameState_Dirty
.done:
    ret

; One reference of a guest's frame less; the last one makes it Dirty. In: EDI frame, under share_lock or nobody's but one guest's
; Clobbers: RAX RCX
frame_drop:
    mov eax, edi
    mov rcx, [frame_table]
    lea rcx, [rcx + rax * 8]
    dec dword [rcx + 4]
    jnz .done
    mov qword [rcx], FrameState_Dirty
.done:
    ret

; A guest's entry of 2 MiB is gone. In: EDI block, ESI slot, under share_lock  Clobbers: RAX RCX RDX RDI R8
block_drop:
    mov edi, edi
    mov rcx, [block_shares]
    cmp word [rcx + rdi * 2], 0
    je block_release                            ; it was nobody else's
    dec word [rcx + rdi * 2]
    jnz .done
    shl edi, 9                                  ; the last one's: their reference goes
    mov edx, 512
.frame:
    call frame_drop
    inc edi
    dec edx
    jnz .frame
.done:
    ret

; All 512 frames of a block, Clean, become a guest's. In: EDI block, ESI slot  Out: CF=1 refused  Clobbers: RAX RCX RDX R8
block_claim:
    mov eax, edi
    shl rax, 9
    lea rcx, [rax + 512]
    cmp rcx, [frame_count]
    ja .refused
    mov rcx, [frame_table]
    lea r8, [rcx + rax * 8]
    push rdi
    mov rdi, r8
    mov ecx, 512
    mov eax, FrameState_Clean
    repe scasq
    jne .refused_pop
    mov edx, esi
    shl edx, 8
    mov rax, OWNED_ONCE
    or rax, rdx
    mov rdi, r8
    mov ecx, 512
    rep stosq
    pop rdi
    clc
    ret
.refused_pop:
    pop rdi
.refused:
    stc
    ret

; A guest's block becomes Dirty. In: EDI block, ESI slot. Frames that are not the guest's stay as they are.
; Clobbers: RAX RCX RDX RDI R8
block_release:
    mov edi, edi
    shl rdi, 12                                 ; 512 entries of 8 bytes
    add rdi, [frame_table]
    mov r8, rdi
    mov rax, OWNED_ONCE
    mov edx, esi
    shl edx, 8
    or rax, rdx
    mov ecx, 512
    repe scasq
    je .whole
    ; not all alike: the ones that are the guest's, one by one
    mov ecx, 512
.frame:
    cmp [r8], rax
    jne .next
    mov qword [r8], FrameState_Dirty
.next:
    add r8, 8
    loop .frame
    ret
.whole:
    mov rdi, r8
    mov eax, FrameState_Dirty
    mov ecx, 512
    rep stosq
    ret

; Zeroes Dirty frames and makes them Clean. In: EDI frame, ESI count (1..512)  Out: EAX 1, or 0 refused (nothing done)
frame_scrub:
    mov eax, edi
    test esi, esi
    jz .refused
    cmp esi, 512
    ja .refused
    lea rcx, [rax + rsi]
    cmp rcx, [frame_count]
    ja .refused
    mov rdx, [frame_table]
    lea rdx, [rdx + rax * 8]
    mov r8, rax
    mov rdi, rdx
    mov ecx, esi
    mov eax, FrameState_Dirty
    repe scasq
    jne .refused
    mov rdi, r8
    shl rdi, 12
    TO_VIRTUAL rdi
    mov ecx, esi
    shl ecx, 9
    xor eax, eax
    rep stosq
    mov rdi, rdx
    mov ecx, esi
    mov eax, FrameState_Clean
    rep stosq
    mov eax, 1
    ret
.refused:
    xor eax, eax
    ret

; In: EDI block, ESI FrameState  Out: EAX how many of its frames are in it  Clobbers: RCX RDX RDI
block_count:
    mov edx, edi
    shl rdx, 9
    xor eax, eax
    mov rcx, [frame_count]
    sub rcx, rdx
    jbe .done
    mov r8d, 512
    cmp rcx, r8
    cmova rcx, r8
    mov rdi, [frame_table]
    lea rdi, [rdi + rdx * 8]
    ; the common case: all alike
    mov rdx, [rdi]
    mov r8, rcx
    mov r9, rdi
    mov rax, rdx
    repe scasq
    jne .mixed
    xor eax, eax
    cmp dl, sil
    cmove rax, r8
    ret
.mixed:
    mov rcx, r8
    mov rdi, r9
    xor eax, eax
.each:
    xor r9d, r9d
    cmp [rdi], sil
    sete r9b
    add eax, r9d
    add rdi, 8
    loop .each
.done:
    ret

section .rodata
no_room: db "no room for the frame table", 0

; The reserve: clean frames that core has set aside, so that a write to shared memory gets one at once, on any CPU, without core. Core keeps it
; full while guests share memory (hv/core/reserve.ts); it is told when the reserve runs low. share.asm takes from it.
%include "hv.inc"

global reserve_give, reserve_back, reserve_take, reserve_count, share_lock, share_floor
extern frame_table, frame_count, core_pending

NO_FRAME        equ -1                          ; hv/core/frames.ts has it too

section .bss
alignb 4
reserve:        resd Reserve_Most
reserve_count:  resd 1
share_lock:     resd 1                          ; reference counts of shared frames, and the reserve; interrupts are off
share_floor:    resd 1                          ; what the one that holds the lock must leave in the reserve

section .text

; A Clean frame is set aside. In: EDI frame  Out: EAX 1, 0 refused  Clobbers: RCX RDX
reserve_give:
    pushfq
    cli
    SPIN_LOCK share_lock
    xor eax, eax
    mov edx, edi
    cmp rdx, [frame_count]
    jae .done
    mov ecx, [reserve_count]
    cmp ecx, Reserve_Most
    jae .done
    shl rdx, 3
    add rdx, [frame_table]
    cmp qword [rdx], FrameState_Clean
    jne .done
    mov qword [rdx], FrameState_Reserved
    mov [reserve + rcx * 4], edi
    inc ecx
    mov [reserve_count], ecx
    inc eax
.done:
    SPIN_UNLOCK share_lock
    popfq
    ret

; One of the reserve is Clean again. Out: EAX frame, NoFrame: none is left  Clobbers: RCX RDX
reserve_back:
    pushfq
    cli
    SPIN_LOCK share_lock
    mov eax, NO_FRAME
    mov ecx, [reserve_count]
    sub ecx, 1
    jc .done
    mov [reserve_count], ecx
    mov eax, [reserve + rcx * 4]
    mov rdx, [frame_table]
    mov qword [rdx + rax * 8], FrameState_Clean
.done:
    SPIN_UNLOCK share_lock
    popfq
    ret

; A frame of the reserve becomes a guest's. In: R12 guest block, under share_lock  Out: CF=1 none; RAX virtual, EDI frame
; Clobbers: RCX RDX
reserve_take:
    mov ecx, [reserve_count]
    cmp ecx, Reserve_Low
    ja .enough
    mov dword [gs:pc.attention], 1
    lock or dword [core_pending], 1
.enough:
    cmp [share_floor], ecx
    jae .none
    dec ecx
    mov [reserve_count], ecx
    mov edi, [reserve + rcx * 4]
    mov eax, [r12 + guest.slot]
    shl eax, 8
    or eax, FrameState_Owned
    mov rcx, [frame_table]
    mov [rcx + rdi * 8], eax
    mov dword [rcx + rdi * 8 + 4], 1
    mov eax, edi
    shl rax, 12
    TO_VIRTUAL rax
    clc
    ret
.none:
    stc
    ret

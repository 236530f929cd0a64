; A guest's life, on core's behalf: its block, its pool of frames, its window, its end. Whatever does not fit is refused. guest_ram.asm gives it
; memory, guest_machine.asm a machine and a vCPU. host_guests.asm has core's imports, which check slots and call here.
%include "hv.inc"

global guests_init, guest_table, pool_take, guest_high, guest_new, guest_pool, guest_free, guest_end, guest_stood
extern early_alloc, frame_claim, frame_release, frame_drop, guest_ram_free, share_lock
extern vendor_set_tsc_offset, guest_drop, core_held, sched_lock, cpus_flush, guest_cpus
extern machine_instance_bytes, trace_free
extern core_pending, panic, guest_ticks

section .bss
alignb 8
guest_table:    resq GuestLimit_Slots           ; guest blocks, virtual; 0: the slot is empty
window_pdpts:   resq WINDOW_PDPTS               ; virtual
guest_high:     resd 1                          ; all slots in use lie below

section .text

; The top two levels of all windows, so that a window later needs frames of its guest only. Before frames_init.
guests_init:
    push rbx
    push r12
    mov eax, [machine_instance_bytes]
    cmp eax, PAGE - guest.instance
    mov rdi, instance_large
    mov esi, 0
    ja panic
    mov r12, cr3
    TO_VIRTUAL r12
    add r12, (WINDOWS >> 39) * 8
    xor ebx, ebx
.pdpt:
    call early_alloc
    mov rcx, rax
    or rcx, PTE_P | PTE_W
    mov [r12 + rbx * 8], rcx
    TO_VIRTUAL rax
    mov [window_pdpts + rbx * 8], rax
    inc ebx
    cmp ebx, WINDOW_PDPTS
    jb .pdpt
    pop r12
    pop rbx
    ret

; In: EDI slot  Out: RAX the PDPT entry of the window's first GiB (virtual)  Clobbers: RCX
global window_entry
window_entry:
    mov eax, edi
    shr eax, 5
    mov rax, [window_pdpts + rax * 8]
    mov ecx, edi
    and ecx, 31
    shl ecx, 4 + 3
    add rax, rcx
    ret

; The next frame of a guest's pool. In: R12 guest block  Out: RAX virtual, CF=1 none left  Clobbers: RCX
pool_take:
    mov ecx, [r12 + guest.pool_used]
    cmp ecx, [r12 + guest.pool_count]
    jae .none
    mov eax, [r12 + guest.pool + rcx * 4]
    inc ecx
    mov [r12 + guest.pool_used], ecx
    shl rax, 12
    TO_VIRTUAL rax
    clc
    ret
.none:
    stc
    ret

; In: EDI slot (empty), ESI frame, EDX affinity (0: all CPUs)  Out: EAX 1, 0 refused
guest_new:
    push rbx
    push rbp
    mov ebx, edi
    mov ebp, [guest_cpus]
    test edx, edx
    jz .all
    not ebp
    test edx, ebp
    mov ebp, edx
    jnz .refused
.all:
    xchg edi, esi
    call frame_claim
    jc .refused
    mov [rax + guest.slot], ebx
    mov [rax + guest.affinity], ebp
    or ecx, -1
    mov [rax + guest.cpu], ecx
    mov [rax + guest.last_cpu], ecx
    mov dword [rax + guest.state], RunState_Created
    mov qword [rax + guest.deadline], -1
    mov dword [rax + guest.flush], 1
    mov dword [rax + guest.time], TIME_NONE
    mov rcx, rbx
    shl rcx, WINDOW_SHIFT
    mov rdx, WINDOWS
    add rcx, rdx
    mov rdx, WINDOW_RAM
    add rdx, rcx
    mov [rax + guest.ram], rdx
    add rcx, InstancePage_Bytes
    mov [rax + guest.linear], rcx
    mov [guest_table + rbx * 8], rax            ; last: other CPUs look at it from now on
    inc ebx
    cmp ebx, [guest_high]
    jbe .high
    mov [guest_high], ebx
.high:
    mov eax, 1
    pop rbp
    pop rbx
    ret
.refused:
    xor eax, eax
    pop rbp
    pop rbx
    ret

; In: R12 guest block, ESI frame  Out: EAX 1, 0 refused
guest_pool:
    cmp qword [r12 + guest.instance_ptr], 0
    jne .refused
    cmp dword [r12 + guest.pool_count], POOL_MAX
    jae .refused
    mov edi, esi
    push rsi
    mov esi, [r12 + guest.slot]
    call frame_claim
    pop rsi
    jc .refused
    mov ecx, [r12 + guest.pool_count]
    mov [r12 + guest.pool + rcx * 4], esi
    inc ecx
    mov [r12 + guest.pool_count], ecx
    mov eax, 1
    ret
.refused:
    xor eax, eax
    ret

; In: R12 guest block, EAX EndReason, RDX value. The first end counts. Core may look from another CPU: what goes with the state is there before
; it, and the mark after it.  Clobbers: -
guest_end:
    cmp dword [r12 + guest.state], RunState_Ended
    je .done
    mov [r12 + guest.reason], eax
    mov [r12 + guest.value], rdx
    mov dword [r12 + guest.state], RunState_Ended
    mov dword [r12 + guest.changed], 1
    lock or dword [core_pending], 1
    mov dword [gs:pc.attention], 1
.done:
    ret

; Guest time stood still: its TSC, its clock and what it waits for are put off. In: R12 guest block, RAX TSC ticks  Clobbers: RAX RCX RDX
guest_stood:
    cmp qword [r12 + guest.tsc0], 0
    je .done
    add [r12 + guest.tsc0], rax
    cmp qword [r12 + guest.deadline], -1
    je .no_deadline
    add [r12 + guest.deadline], rax
.no_deadline:
    call guest_ticks
    mov rdx, [r12 + guest.tsc_offset]
    sub rdx, rax
    mov [r12 + guest.tsc_offset], rdx
    jmp [vendor_set_tsc_offset]
.done:
    ret

; All frames go back, Dirty; the slot is empty. In: R12 guest block (Created or Ended), held by core
guest_free:
    push rbx
    ; no CPU knows it any more
    cli
    call guest_drop
    mov qword [core_held], 0
    SPIN_LOCK sched_lock
    mov esi, [r12 + guest.slot]
    mov qword [guest_table + rsi * 8], 0
    mov ecx, [guest_high]                       ; follows down
.high:
    test ecx, ecx
    jz .high_done
    cmp qword [guest_table + rcx * 8 - 8], 0
    jne .high_done
    dec ecx
    jmp .high
.high_done:
    mov [guest_high], ecx
    SPIN_UNLOCK sched_lock
    sti
    ; the window closes on all CPUs before what was seen through it, or its tables, are anybody else's
    mov edi, esi
    call window_entry
    mov rdi, rax
    mov ecx, 16
    xor eax, eax
    rep stosq
    call cpus_flush
    call guest_ram_free
    call trace_free
    xor ebx, ebx
.frame:
    cmp ebx, [r12 + guest.pool_count]
    jae .frames_done
    mov edi, [r12 + guest.pool + rbx * 4]
    cli
    SPIN_LOCK share_lock
    call frame_drop
    SPIN_UNLOCK share_lock
    sti
    inc ebx
    jmp .frame
.frames_done:
    mov esi, [r12 + guest.slot]
    mov rdi, r12
    sub rdi, [direct_map]
    shr rdi, 12
    call frame_release
    pop rbx
    ret

section .rodata
instance_large: db "the machine's instance does not fit its guest block", 0
